"""BM25 over an inverted index of numpy arrays."""
from __future__ import annotations

import itertools
import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

DIGITS = 9  # of a score: sums that are equal on paper are equal here, and their order is that of the ids


class BM25:
    """An index of tokenised documents, searched exactly.

    A term of the query adds idf * tf / (tf + k1 * (1 - b + b * length / average)), once per occurrence in the query,
    with idf = log(1 + (N - df + 0.5) / (df + 0.5)); as in Lucene since 8 there is no factor k1 + 1, which changes no
    order. The order of the documents given makes no difference.
    """

    def __init__(self, ids: Sequence[str], tokens: Iterable[Sequence[str]], k1: float = 1.2, b: float = 0.75) -> None:
        # Documents are numbered in the order of their ids, so that a stable sort by score breaks ties by id.
        order = sorted(range(len(ids)), key=ids.__getitem__)
        self.ids = [ids[at] for at in order]
        if any(one == other for one, other in zip(self.ids, self.ids[1:], strict=False)):
            raise ValueError("a document's id is there twice")
        number = np.empty(len(ids), np.int64)
        number[order] = np.arange(len(ids))
        terms, documents, counts, lengths = self._count(tokens, number)
        by_term = np.argsort(terms, kind="stable")
        self._documents = documents[by_term]
        frequency = np.bincount(terms, minlength=len(self._vocabulary))
        self._starts = np.concatenate([[0], np.cumsum(frequency)])
        self._weights = self._weigh(counts[by_term], frequency, lengths, k1, b)

    def search(self, query_tokens: Sequence[str], k: int) -> list[tuple[str, float]]:
        """The best k documents with a score over 0 as (id, score), by falling score, equal scores by id."""
        asked = Counter(token for token in query_tokens if token in self._vocabulary)
        if not asked or k < 1:
            return []
        scores = np.zeros(len(self.ids))
        for term in sorted(asked):  # one order of adding, whatever the order of the query's words
            start, end = self._starts[self._vocabulary[term] : self._vocabulary[term] + 2]
            scores[self._documents[start:end]] += self._weights[start:end] * asked[term]
        found = np.flatnonzero(scores)
        best = np.round(scores[found], DIGITS)
        if len(found) > k:
            least = np.partition(best, len(best) - k)[len(best) - k]
            found, best = found[best >= least], best[best >= least]
        top = np.argsort(-best, kind="stable")[:k]
        return [(self.ids[at], score) for at, score in zip(found[top].tolist(), best[top].tolist(), strict=True)]

    def _count(
        self, tokens: Iterable[Sequence[str]], number: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
        """One posting (term, document, count) per distinct term of a document, and every document's length."""
        numbers: defaultdict[str, int] = defaultdict(itertools.count().__next__)
        terms, counts, distinct, lengths = array("i"), array("i"), array("i"), array("i")
        for words in tokens:
            seen = Counter(words)
            terms.extend(map(numbers.__getitem__, seen))
            counts.extend(seen.values())
            distinct.append(len(seen))
            lengths.append(len(words))
        if len(lengths) != len(number):
            raise ValueError(f"{len(lengths)} token lists for {len(number)} ids")
        self._vocabulary = dict(numbers)
        documents = np.repeat(number.astype(np.int32), np.asarray(distinct, np.int64))
        by_number = np.empty(len(number))
        by_number[number] = np.asarray(lengths, np.float64)
        return np.asarray(terms, np.int32), documents, np.asarray(counts, np.int32), by_number

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
