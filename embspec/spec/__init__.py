"""YAML text to resolved plain values with file, line and column."""
