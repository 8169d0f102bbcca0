"""One source of pairs: queries with the documents that answer them."""
