"""split: who is tested, who validates, who trains, without leaks."""
