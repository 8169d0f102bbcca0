"""The vectors that serve, of the live corpus."""
