"""What serves, chosen on validation."""
