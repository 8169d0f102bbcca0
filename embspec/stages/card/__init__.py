"""The card that goes with the model."""
