"""The lock: text to values and back, and the difference of two."""
