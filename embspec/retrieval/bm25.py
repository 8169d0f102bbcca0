"""BM25 over an inverted index of numpy arrays."""
from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from embspec.retrieval.bags import Bags

DIGITS = 9  # of a score: sums that are equal on paper are equal here, and their order is that of the ids
_NEAR = 2.0 * 10.0**-DIGITS  # scores further apart than this are so when they are rounded too


class BM25:
    """An index of tokenised documents, searched exactly.

    A term of the query adds idf * tf / (tf + k1 * (1 - b + b * length / average)), once per occurrence in the query,
    with idf = log(1 + (N - df + 0.5) / (df + 0.5)); as in Lucene since 8 there is no factor k1 + 1, which changes no
    order. The order of the documents given makes no difference.
    """

    def __init__(
        self, ids: Sequence[str], tokens: Iterable[Sequence[str]] | Bags, k1: float = 1.2, b: float = 0.75
    ) -> None:
        bags = tokens if isinstance(tokens, Bags) else Bags.of(tokens)
        if bags.size != len(ids):
            raise ValueError(f"{bags.size} token lists for {len(ids)} ids")
        # Documents are numbered in the order of their ids, so that a stable sort by score breaks ties by id.
        order = sorted(range(len(ids)), key=ids.__getitem__)
        self.ids = [ids[at] for at in order]
        if any(one == other for one, other in zip(self.ids, self.ids[1:], strict=False)):
            raise ValueError("a document's id is there twice")
        number = np.empty(len(ids), np.int32)
        number[order] = np.arange(len(ids), dtype=np.int32)
        self._vocabulary = dict(bags.numbers)
        terms, documents, counts = bags.postings()
        by_term = np.argsort(terms, kind="stable")
        self._documents = number[documents[by_term]]
        frequency = np.bincount(terms, minlength=len(self._vocabulary))
        self._starts = [0, *np.cumsum(frequency).tolist()]
        lengths = np.empty(len(ids))
        lengths[number] = bags.lengths
        self._weights = self._weigh(counts[by_term], frequency, lengths, k1, b)

    def search(self, query_tokens: Sequence[str], k: int) -> list[tuple[str, float]]:
        """The best k documents with a score over 0 as (id, score), by falling score, equal scores by id."""
        asked = Counter(token for token in query_tokens if token in self._vocabulary)
        if not asked or k < 1:
            return []
        scores = np.zeros(len(self.ids))
        for term in sorted(asked):  # one order of adding, whatever the order of the query's words
            at = self._vocabulary[term]
            part = slice(self._starts[at], self._starts[at + 1])
            weights = self._weights[part]
            scores[self._documents[part]] += weights * asked[term] if asked[term] > 1 else weights
        found = np.flatnonzero(scores)
        best = scores[found]
        if len(found) > k:
            # Only what is near the cut, or over it, can still be there after rounding.
            near = best >= np.partition(best, len(best) - k)[len(best) - k] - _NEAR
            found, best = found[near], best[near]
        best = np.round(best, DIGITS)
        top = np.argsort(-best, kind="stable")[:k]
        return [(self.ids[at], score) for at, score in zip(found[top].tolist(), best[top].tolist(), strict=True)]

    def _weigh(
        self, counts: NDArray[np.int32], frequency: NDArray[np.int64], lengths: NDArray[np.float64], k1: float, b: float
    ) -> NDArray[np.float64]:
        """What each posting adds to a score; only the logarithm could differ between machines, so it is rounded."""
        n = len(self.ids)
        idf = {df: round(math.log(1 + (n - df + 0.5) / (df + 0.5)), 12) for df in set(frequency.tolist())}
        average = lengths.sum() / n if n and lengths.any() else 1.0
        penalty = k1 * (1 - b + b * lengths / average)
        weights = counts / (counts + penalty[self._documents])
        weights *= np.repeat(np.array([idf[df] for df in frequency.tolist()], np.float64), frequency)
        return weights
