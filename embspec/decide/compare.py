"""Two builds on the same frozen queries: metrics with intervals, queries won and lost."""
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from embspec.measure.forms import SHIPPED, Form, Row, best, grouped
from embspec.measure.stats import cluster_numbers, mean_intervals, sign_flip_p

Pairs = Sequence[tuple[Row, Row]]


class Change(NamedTuple):
    """One metric of one system: the paired difference over the queries that both builds have.

    `low` and `high` are None where all queries are about one document, which gives no interval; `unpaired` are the
    queries that only one of the builds has; `dim` and `precision` are the newer build's.
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


def compare(before: str, after: str, resamples: int = 10_000, seed: int = 42) -> list[Change]:
    """Paired over the artefact `scores` of two builds: what ships first, else in the order of the newer one.

    Each system is taken at its best form in either build, so that an index of another dim is compared with the one
    before it; the forms between are the report's.
    """
    old, new = (grouped(map(json.loads, text.split("\n")[:-1])) for text in (before, after))  # ids may hold other ends
    names = dict.fromkeys((form.suite, form.system) for form in new)
    return [
        change
        for suite, system in sorted(names, key=lambda name: (name[0], name[1] != SHIPPED))
        if (then := best(old, suite, system)) and (now := best(new, suite, system))
        for change in _changes(now, _by_query(old[then]), _by_query(new[now]), resamples, seed)
    ]


def _by_query(rows: Sequence[Row]) -> Mapping[str, Row]:
    return {row["query"]: row for row in rows}


def _changes(
    form: Form, old: Mapping[str, Row], new: Mapping[str, Row], resamples: int, seed: int
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
            metric, form.system, form.suite, _mean(pairs, 0, metric), _mean(pairs, 1, metric),
            None if lone else span.low, None if lone else span.high,
            sign_flip_p(gains, clusters, resamples=resamples, seed=seed),
            sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains), len(pairs),
            len(old.keys() ^ new.keys()), form.dim, form.precision,
        )
        for (metric, gains), span in zip(columns.items(), spans, strict=True)
    ]


def _mean(pairs: Pairs, at: int, metric: str) -> float:
    return float(sum(pair[at]["scores"][metric] for pair in pairs) / len(pairs))
