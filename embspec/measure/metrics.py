"""Ranking metrics of one query, from the grades at its ranks."""
from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

Grades = Sequence[float]
MAX_K = 10_000
DEEP = 100  # ranks that stored runs hold at least: a metric down to here is computed from them, nothing is ranked again


class Metric(NamedTuple):
    """A metric over the first k ranks: `score(gains, ideal, k)`, both lists already cut to what k allows."""

    score: Callable[[Grades, Grades, int], float]
    needs_k: bool
    means: str


def _found(gains: Grades) -> int:
    return sum(1 for grade in gains if grade > 0)


def _recall(gains: Grades, ideal: Grades, k: int) -> float:
    return _found(gains) / len(ideal)


def _precision(gains: Grades, ideal: Grades, k: int) -> float:
    return _found(gains) / k


def _hit_rate(gains: Grades, ideal: Grades, k: int) -> float:
    return 1.0 if _found(gains) else 0.0


def _mrr(gains: Grades, ideal: Grades, k: int) -> float:
    return next((1 / rank for rank, grade in enumerate(gains, 1) if grade > 0), 0.0)


def _discounted(grades: Grades) -> float:
    return math.fsum((2.0**grade - 1) / math.log2(rank + 1) for rank, grade in enumerate(grades, 1) if grade > 0)


def _ndcg(gains: Grades, ideal: Grades, k: int) -> float:
    return _discounted(gains) / _discounted(sorted(ideal, reverse=True)[:k])


METRICS: dict[str, Metric] = {
    "recall": Metric(_recall, True, "share of the relevant documents among the first k"),
    "precision": Metric(_precision, True, "share of the first k places that hold a relevant document"),
    "mrr": Metric(_mrr, False, "one over the rank of the first relevant document, 0 when it is below k"),
    "ndcg": Metric(_ndcg, True, "graded gain 2^grade - 1, discounted by log2(rank + 1), over the best possible"),
    "hit_rate": Metric(_hit_rate, True, "1 when a relevant document is among the first k"),
}
ALIASES = {"hit": "hit_rate"}


def split_name(name: str) -> tuple[str, int | None]:
    """`recall@10` as ("recall", 10), `mrr` as ("mrr", None); an alias becomes its full name."""
    word, at, k = name.partition("@")
    return ALIASES.get(word, word), int(k) if at else None


def full_name(name: str) -> str:
    """The one spelling of a valid metric name: `hit@5` is `hit_rate@5`."""
    word, k = split_name(name)
    return word if k is None else f"{word}@{k}"


def score(name: str, gains: Grades, ideal: Grades) -> float:
    """The metric of one query: `gains[i]` is the grade at rank i (0 not relevant), `ideal` a grade per relevance class.

    Rounded to 12 decimals: the logarithm's last bit differs between machines, and scores are artefacts.
    """
    relevant = [grade for grade in ideal if grade > 0]
    if not relevant:
        raise ValueError("a query without a relevant document has no score")
    word, k = split_name(name)
    depth = len(gains) if k is None else k
    return round(METRICS[word].score(gains[:depth], relevant, depth), 12)


def gains(
    ids: Sequence[str], judged: Mapping[str, float], same: Mapping[str, str] | None = None
) -> tuple[list[float], list[float]]:
    """The grades along a ranking and the grades that could be found, for `score`.

    `same` maps a document to the representative of its exact duplicates; the duplicates of a positive are one
    relevance class with the highest grade among them. The first of a class in the ranking gets the grade; a later copy
    keeps its rank and gains nothing, because it fills a place that another document could have had.
    """
    same = same or {}
    classes: dict[str, float] = {}
    for document, grade in judged.items():
        if grade > 0:
            group = same.get(document, document)
            classes[group] = max(grade, classes.get(group, 0.0))
    left = dict(classes)
    found = [left.pop(same.get(document, document), 0.0) for document in ids]
    return found, sorted(classes.values(), reverse=True)
