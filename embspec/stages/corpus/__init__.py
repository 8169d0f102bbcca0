"""The corpus: documents as they lie in the work tree, read into one artefact."""
