"""The BM25 tokenizer, named by the spec or chosen on validation."""
