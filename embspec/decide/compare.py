"""Two builds on the same frozen queries: metrics with intervals, queries won and lost."""
from __future__ import annotations

import json
from typing import Any, NamedTuple

from embspec.measure.stats import cluster_numbers, mean_interval, sign_flip_p


class Change(NamedTuple):
    """One metric of one system: the paired difference over the queries that both builds have."""

    metric: str
    system: str
    suite: str
    before: float
    after: float
    low: float
    high: float
    p: float
    won: int
    lost: int
    n: int


def compare(before: str, after: str, resamples: int = 10_000, seed: int = 42) -> list[Change]:
    """Paired over the artefact `scores` of two builds."""
    old, new = _rows(before), _rows(after)
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for key in sorted(old.keys() & new.keys()):
        groups.setdefault((key[0], key[1]), []).append((key[0], key[2]))
    changes = []
    for (suite, system), members in groups.items():
        pairs = [(old[suite, system, q], new[suite, system, q]) for _, q in members]
        for metric in [m for m in pairs[0][1]["scores"] if m in pairs[0][0]["scores"]]:
            changes.append(_change(metric, system, suite, pairs, resamples, seed))
    return changes


def _rows(text: str) -> dict[tuple[str, str, str], dict[str, Any]]:
    rows = (json.loads(line) for line in text.splitlines())
    return {(row["suite"], row["system"], row["query"]): row for row in rows}


def _change(
    metric: str, system: str, suite: str, pairs: list[tuple[dict[str, Any], dict[str, Any]]], resamples: int, seed: int
) -> Change:
    old, new = ([pair[i]["scores"][metric] for pair in pairs] for i in (0, 1))
    gains = [b - a for a, b in zip(old, new, strict=True)]
    clusters = cluster_numbers([pair[1]["cluster"] for pair in pairs])
    span = mean_interval(gains, clusters, resamples=resamples, seed=seed)
    p = sign_flip_p(gains, clusters, resamples=resamples, seed=seed)
    return Change(metric, system, suite, sum(old) / len(old), sum(new) / len(new), span.low, span.high, p,
                  sum(g > 0 for g in gains), sum(g < 0 for g in gains), len(gains))
