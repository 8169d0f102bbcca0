"""Arrays and texts in, arrays out: BM25, near-duplicates, vectors, nearest neighbours, fusion, fewer bytes."""
