"""negatives: documents that look right and are wrong, for each training query."""
