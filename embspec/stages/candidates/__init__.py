"""candidates: negatives that somebody else found, with the questions and documents they name."""
