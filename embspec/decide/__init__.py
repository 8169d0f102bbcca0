"""What helps a person decide."""
