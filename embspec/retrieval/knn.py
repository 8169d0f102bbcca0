"""Exact nearest neighbours, and what is done to vectors before they are compared."""
from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Numbers = NDArray[np.int64]

DIGITS = 6  # of a score: what differs further behind is the order of adding, not likeness
DOCUMENTS, QUERIES = 1 << 14, 256  # compared at once
_PAIRS = 1 << 12  # products made at once in float64
_HALF = 0.5 * 10.0**-DIGITS


def unit(vectors: Vectors) -> Vectors:
    """Each row at length 1; a row of zeros stays one."""
    long = lengths(vectors)[:, None]
    return np.asarray(vectors / np.where(long > 0, long, 1), np.float32)


def lengths(vectors: Vectors) -> NDArray[np.float64]:
    """The length of each row."""
    found: NDArray[np.float64] = np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1))
    return found


def cut(vectors: Vectors, dim: int, similarity: str) -> Vectors:
    """The first columns; at length 1 again where vectors are compared by cosine."""
    kept = vectors[:, :dim]
    return unit(kept) if similarity == "cosine" else np.ascontiguousarray(kept, np.float32)


def top(
    queries: Vectors, documents: Vectors, ids: Sequence[str], k: int, skip: Sequence[Collection[str]] | None = None
) -> list[list[tuple[str, float]]]:
    """For each query the k documents with the largest product, by falling score, equal scores by id.

    `skip` names documents that a query does not get. The product in float32 only proposes: it is made again in float64
    for all that could be among the best, so that neither threads nor the other queries can be seen in a score.
    """
    chunks = (documents[start : start + DOCUMENTS] for start in range(0, len(documents), DOCUMENTS))
    return top_of(queries, chunks, ids, k, skip)


def top_of(
    queries: Vectors, chunks: Iterable[Vectors], ids: Sequence[str], k: int,
    skip: Sequence[Collection[str]] | None = None,
) -> list[list[tuple[str, float]]]:
    """The same for documents that come in chunks, in the order of their ids."""
    wanted = max(k, 0) + max((len(skipped) for skipped in skip or ()), default=0)
    place = np.empty(len(ids), np.int64)  # of each id among all, so that equal scores need no texts to be compared
    place[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids))
    blocks = [_Best(queries[start : start + QUERIES], wanted) for start in range(0, len(queries), QUERIES)]
    seen = 0
    for vectors in chunks:
        chunk = _chunk(vectors, place[seen : seen + len(vectors)], seen)
        for block in blocks if wanted and len(vectors) else ():
            block.see(chunk)
        seen += len(vectors)
    if seen != len(ids):
        raise ValueError(f"{seen} vectors for {len(ids)} ids")
    found = [[(ids[at], score) for at, score in hits] for block in blocks for hits in block.hits()]
    without = skip or [()] * len(found)
    return [[hit for hit in hits if hit[0] not in skipped][: max(k, 0)]
            for hits, skipped in zip(found, without, strict=True)]


class _Chunk(NamedTuple):
    vectors: Vectors
    tensor: Any
    longest: float
    place: Numbers
    first: int


def _chunk(vectors: Vectors, place: Numbers, first: int) -> _Chunk:
    import torch

    own = np.array(vectors, np.float32)  # torch warns of arrays that cannot be written
    return _Chunk(own, torch.from_numpy(own).T, float(lengths(own).max(initial=0)), place, first)


class _Best:
    """Some queries, and the best for each of the documents seen so far."""

    def __init__(self, queries: Vectors, k: int) -> None:
        self._queries, self._k = np.array(queries, np.float32), k
        # A product in float32 is wrong by no more than this share of both lengths.
        self._wrong = lengths(self._queries) * queries.shape[1] * 2.0**-23
        self._last = np.full(len(queries), -np.inf)  # the score of the k-th
        # Columns of one table, by query, falling score, and place of the id.
        self._query, self._place, self._document = (np.zeros(0, np.int64) for _ in range(3))
        self._score = np.zeros(0, np.float64)

    def see(self, chunk: _Chunk) -> None:
        """Look at more documents."""
        import torch

        scores = torch.from_numpy(self._queries) @ chunk.tensor
        reach = self._wrong * chunk.longest + _HALF
        least = self._last
        if len(chunk.vectors) >= self._k:
            kth = torch.topk(scores, self._k, dim=1, sorted=False).values.amin(dim=1)
            least = np.maximum(least, kth.numpy() - reach)
        bound = torch.from_numpy((least - reach).astype(np.float32))
        query, column = (found.numpy() for found in torch.nonzero(scores >= bound[:, None], as_tuple=True))
        score = _products(self._queries, chunk.vectors, query, column)
        self._query = np.concatenate([self._query, query])
        self._place = np.concatenate([self._place, chunk.place[column]])
        self._document = np.concatenate([self._document, column + chunk.first])
        self._score = np.concatenate([self._score, score])
        self._prune()

    def _prune(self) -> None:
        order = np.lexsort((self._place, -self._score, self._query))
        query = self._query[order]
        starts = np.searchsorted(query, np.arange(len(self._queries) + 1))
        order = order[np.arange(len(order)) - starts[query] < self._k]
        self._query, self._place = self._query[order], self._place[order]
        self._document, self._score = self._document[order], self._score[order]
        ends = np.searchsorted(self._query, np.arange(len(self._queries) + 1))
        full = np.diff(ends) == self._k
        self._last[full] = self._score[ends[1:][full] - 1]

    def hits(self) -> list[list[tuple[int, float]]]:
        """The number and the score of the best documents, for each query."""
        found: list[list[tuple[int, float]]] = [[] for _ in self._queries]
        table = zip(self._query.tolist(), self._document.tolist(), self._score.tolist(), strict=True)
        for query, document, score in table:
            found[query].append((document, score))
        return found


def _products(queries: Vectors, documents: Vectors, rows: Numbers, columns: Numbers) -> NDArray[np.float64]:
    """The product of each pair in float64, rounded; no -0.0, which would be another score in a file."""
    made = np.zeros(len(rows))
    for start in range(0, len(rows), _PAIRS):
        part = slice(start, start + _PAIRS)
        left, right = queries[rows[part]].astype(np.float64), documents[columns[part]].astype(np.float64)
        made[part] = np.einsum("nd,nd->n", left, right)
    rounded: NDArray[np.float64] = np.round(made, DIGITS) + 0.0
    return rounded
