"""Arrays and texts in, arrays out: BM25, near-duplicates."""
