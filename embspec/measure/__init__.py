"""Numbers in, verdicts out: metrics, statistics, gates."""
