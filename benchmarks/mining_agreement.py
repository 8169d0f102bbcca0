"""Why two minings differ: each document that one took and the other did not, under the reason that explains it."""
from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

BITS = 5e-6  # two float32 cosines of one pair, computed in different orders, are within this

FIRST: Mapping[str, str] = {  # our guard's word -> what it says here; nothing else follows from another difference
    "positive": "an answer that another row, spelling, or part of the split knows",
    "duplicate": "a copy of an answer, or of the question",
    "near_duplicate": "a near-duplicate of an answer",
    "sibling": "a chunk of an answer's document",
    "test_document": "an answer of the test or validation set, or a relative of one",
    "copy": "a text that is a negative of this query already",
}
WEAKER = "passes their margin: they know fewer answers of the question, and ours has a weaker one"
MARGIN = "the margin itself, within the last bits of a float32 score"
DEEPER = "beyond rank 100: their window begins to count after answers"
TIE = "equal scores, within the last bits"
FOLLOWS = "the place of one of the above, or left to it"
UNEXPLAINED = "unexplained"


class Side(NamedTuple):
    """What one query got, as texts."""

    taken: Collection[str]
    weakest: float  # score of the weakest answer that this side knows


class Space:
    """Exact scores of every text for a query."""

    def __init__(self, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
        self._at = {text: at for at, text in enumerate(texts)}
        double = vectors.astype(np.float64)
        self._vectors = double / np.maximum(np.linalg.norm(double, axis=1, keepdims=True), 1e-12)

    def scores(self, query: NDArray[np.float32]) -> Query:
        """Those of one query."""
        double = query.astype(np.float64)
        return Query(self._at, self._vectors @ (double / max(float(np.linalg.norm(double)), 1e-12)))


class Query:
    """One query's scores."""

    def __init__(self, at: Mapping[str, int], scores: NDArray[np.float64]) -> None:
        self._at, self._scores = at, scores

    def of(self, text: str) -> float:
        """A document's score."""
        return float(self._scores[self._at[text]])

    def rank(self, text: str) -> int:
        """How many documents score higher."""
        return int((self._scores > self.of(text) + BITS).sum())


def differences(
    query: Query, ours: Side, theirs: Side, reasons: Mapping[str, str | None], rules: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Each text that only one side took, with its class; `reasons` are our ledger's, by text."""
    only_theirs, only_ours = set(theirs.taken) - set(ours.taken), set(ours.taken) - set(theirs.taken)
    primary: dict[str, str] = {}
    for text in only_theirs:
        if said := _refused(query, text, ours, theirs, reasons.get(text), rules):
            primary[text] = said
    for text in only_ours:
        if abs(query.of(text) - _limit(theirs.weakest, rules)) <= BITS:
            primary[text] = MARGIN
    yield from sorted(primary.items())
    yield from _second(query, only_ours - primary.keys(), only_theirs, primary)
    yield from _second(query, only_theirs - primary.keys(), only_ours, primary)


def _refused(
    query: Query, text: str, ours: Side, theirs: Side, guard: str | None, rules: Mapping[str, Any]
) -> str | None:
    """Why ours refuses what they took, where it looked at it."""
    if guard in FIRST:
        return FIRST[guard]
    if guard == "relative_margin" and ours.weakest < theirs.weakest - BITS:
        return WEAKER if query.of(text) > _limit(ours.weakest, rules) - BITS else None
    if guard == "relative_margin" and abs(query.of(text) - _limit(ours.weakest, rules)) <= BITS:
        return MARGIN
    return DEEPER if guard is None and query.rank(text) >= rules["window"] else None


def _second(
    query: Query, rest: Collection[str], other: Collection[str], primary: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Differences that are no reason by themselves: the n-th needs n on the other side that were there before it."""
    first = [query.of(text) for text in other if text in primary]
    ties = [query.of(text) for text in other if text not in primary]
    for n, text in enumerate(sorted(rest, key=lambda text: (-query.of(text), text)), 1):
        score = query.of(text)
        if sum(one >= score - BITS for one in first) >= n:
            yield text, FOLLOWS
        else:
            yield text, TIE if any(abs(one - score) <= BITS for one in ties) else UNEXPLAINED


def _limit(weakest: float, rules: Mapping[str, Any]) -> float:
    return float(weakest - abs(weakest) * rules["margin"])


def classes(found: Sequence[tuple[str, str, str]]) -> dict[str, int]:
    """How many documents under each reason, the unexplained ones last and always."""
    counted = Counter(said for _, _, said in found)
    unexplained = counted.pop(UNEXPLAINED, 0)
    return {**dict(counted.most_common()), UNEXPLAINED: unexplained}
