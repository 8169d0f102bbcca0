"""train: the base becomes the model."""
