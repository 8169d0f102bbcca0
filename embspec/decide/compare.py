"""Two builds on the same frozen queries: metrics with intervals, queries won and lost."""
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from embspec.measure.stats import cluster_numbers, mean_intervals, sign_flip_p

Row = Mapping[str, Any]
Pairs = Sequence[tuple[Row, Row]]


class Change(NamedTuple):
    """One metric of one system: the paired difference over the queries that both builds have.

    `low` and `high` are None where all queries are about one document, which gives no interval; `unpaired` are the
    queries that only one of the builds has.
    """

    metric: str
    system: str
    suite: str
    before: float
    after: float
    low: float | None
    high: float | None
    p: float
    won: int
    lost: int
    n: int
    unpaired: int = 0
    dim: int | None = None
    precision: str | None = None


class _Name(NamedTuple):
    suite: str
    system: str
    dim: int | None
    precision: str | None


def compare(before: str, after: str, resamples: int = 10_000, seed: int = 42) -> list[Change]:
    """Paired over the artefact `scores` of two builds, in the order of the newer one."""
    old, new = _grouped(before), _grouped(after)
    return [
        change
        for name, rows in new.items() if name in old
        for change in _changes(name, old[name], rows, resamples, seed)
    ]


def _grouped(text: str) -> dict[_Name, dict[str, Row]]:
    """Scores of each system by query; split at line feeds alone, since ids may hold other line ends."""
    found: dict[_Name, dict[str, Row]] = {}
    for line in text.split("\n")[:-1]:
        row = json.loads(line)
        name = _Name(row["suite"], row["system"], row["dim"], row["precision"])
        found.setdefault(name, {})[row["query"]] = row
    return found


def _changes(
    name: _Name, old: Mapping[str, Row], new: Mapping[str, Row], resamples: int, seed: int
) -> list[Change]:
    """Every metric that both builds have, over the same drawn queries."""
    pairs: Pairs = [(old[query], new[query]) for query in sorted(old.keys() & new.keys())]
    metrics = [metric for metric in pairs[0][1]["scores"] if metric in pairs[0][0]["scores"]] if pairs else []
    if not metrics:
        return []
    clusters = cluster_numbers([row["cluster"] for _, row in pairs])
    columns = {metric: [b["scores"][metric] - a["scores"][metric] for a, b in pairs] for metric in metrics}
    spans = mean_intervals(list(columns.values()), clusters, resamples=resamples, seed=seed, differences=True)
    lone = len(set(clusters.tolist())) < 2
    return [
        Change(
            metric, name.system, name.suite, _mean(pairs, 0, metric), _mean(pairs, 1, metric),
            None if lone else span.low, None if lone else span.high,
            sign_flip_p(gains, clusters, resamples=resamples, seed=seed),
            sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains), len(pairs),
            len(old.keys() ^ new.keys()), name.dim, name.precision,
        )
        for (metric, gains), span in zip(columns.items(), spans, strict=True)
    ]


def _mean(pairs: Pairs, at: int, metric: str) -> float:
    return float(sum(pair[at]["scores"][metric] for pair in pairs) / len(pairs))
