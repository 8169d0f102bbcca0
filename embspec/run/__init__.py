"""Does what the plan says."""
