"""survey: what the documents are like, before anything is made of them."""
