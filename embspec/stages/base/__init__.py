"""The base model, in the portable layout."""
