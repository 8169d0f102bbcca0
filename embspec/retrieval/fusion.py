"""One ranking out of two: by ranks, or by weighted scores."""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Hits = Sequence[tuple[str, float]]
"""Documents with their scores, best first."""

DIGITS = 12  # of a fused score: sums that are equal on paper are equal here, and their order is that of the ids


def rrf(lists: Sequence[Hits], k: int = 60, depth: int = 100) -> list[tuple[str, float]]:
    """Reciprocal rank fusion: a document gets 1 / (k + rank) from each list that has it, ranks from 1."""
    scores: defaultdict[str, float] = defaultdict(float)
    for hits in lists:
        for rank, (document, _) in enumerate(hits, 1):
            scores[document] += 1 / (k + rank)
    return _best(scores.items(), depth)


def weighted(dense: Hits, words: Hits, weight: float, depth: int = 100) -> list[tuple[str, float]]:
    """The model's score with this weight and the words' with the rest, each stretched to 0 … 1 over its own list.

    A document that a list lacks is as good there as the last one that it has. How far apart the scores of a list are,
    and whether they are below zero, as products may be, makes no difference. A list without weight is not there.
    """
    scores: defaultdict[str, float] = defaultdict(float)
    for hits, share in ((dense, weight), (words, 1 - weight)):
        for document, score in _stretched(hits) if share else ():
            scores[document] += share * score
    return _best(scores.items(), depth)


def fused(method: Mapping[str, Any], dense: Hits, words: Hits, depth: int = 100) -> list[tuple[str, float]]:
    """The ranking by a method as `choice.json` names it; `none` is the model alone."""
    if method["method"] == "none":
        return list(dense[:depth])
    if method["method"] == "rrf":
        return rrf((dense, words), method["k"], depth)
    if method["method"] == "weighted":
        return weighted(dense, words, method["weight"], depth)
    raise ValueError(f"no fusion is called {method['method']}")


def _stretched(hits: Hits) -> list[tuple[str, float]]:
    """Scores between 0 and 1; where all are equal each is 1, since being found is worth something."""
    scores = [score for _, score in hits]
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    return [(document, (score - low) / (high - low) if high > low else 1.0) for document, score in hits]


def _best(scores: Iterable[tuple[str, float]], depth: int) -> list[tuple[str, float]]:
    ranked = sorted([(-round(score, DIGITS), document) for document, score in scores])[:depth]
    return [(document, -score) for score, document in ranked]
