"""Exact nearest neighbours, and what is done to vectors before they are compared."""
from __future__ import annotations

import itertools
import math
import mmap
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embspec.retrieval import propose
from embspec.retrieval.propose import HERE, Device, Numbers, Pairs, Place, Vectors

DIGITS = 6  # of a score: what differs further behind is the order of adding, not likeness
DOCUMENTS, QUERIES = 1 << 13, 512  # compared at once: what a core has of them in its cache is not fetched again
_ROWS = 1 << 8  # made ready, and multiplied in float64, at once
_MANY = 4  # times as many pairs in one chunk as are wanted of all: such a chunk is looked at more closely
_HALF = 0.5 * 10.0**-DIGITS


def unit(vectors: Vectors) -> Vectors:
    """Each row at length 1; a row of zeros stays one."""
    made = np.empty(vectors.shape, np.float32)
    for part in _parts(len(vectors), _ROWS):  # in float64 all of them would be twice the room, and slower
        long = lengths(vectors[part])[:, None]
        made[part] = vectors[part] / np.where(long > 0, long, 1)
    return made


def lengths(vectors: Vectors) -> NDArray[np.float64]:
    """The length of each row."""
    found = np.empty(len(vectors))
    for part in _parts(len(vectors), _ROWS):
        found[part] = np.sqrt(np.square(vectors[part], dtype=np.float64).sum(axis=1))
        if part.stop % DOCUMENTS == 0:
            _let_go(vectors)
    return found


def cut(vectors: Vectors, dim: int, similarity: str) -> Vectors:
    """The first columns; at length 1 again where vectors are compared by cosine."""
    kept = vectors[:, :dim]
    return unit(kept) if similarity == "cosine" else np.ascontiguousarray(kept, np.float32)


def chunks(documents: Vectors) -> Iterator[Vectors]:
    """All rows, as many at a time as are compared at once; of a mapped file no more than those are in memory."""
    for part in _parts(len(documents), DOCUMENTS):
        yield documents[part]
        _let_go(documents)


def top(
    queries: Vectors, documents: Vectors, ids: Sequence[str], k: int, skip: Sequence[Collection[str]] | None = None,
    place: Place = HERE,
) -> list[list[tuple[str, float]]]:
    """For each query the k documents with the largest product, by falling score, equal scores by id.

    `skip` names documents that a query does not get. The product in float32 only proposes: it is made again in float64
    for all that could be among the best, so that neither threads, nor the other queries, nor the device of the product
    can be seen in a score.
    """
    return top_of(queries, chunks(documents), ids, k, skip, place)


def top_of(
    queries: Vectors, chunks: Iterable[Vectors], ids: Sequence[str], k: int,
    skip: Sequence[Collection[str]] | None = None, place: Place = HERE,
) -> list[list[tuple[str, float]]]:
    """The same for documents that come in chunks, in the order of their ids."""
    wanted = max(k, 0) + max((len(skipped) for skipped in skip or ()), default=0)
    order = np.empty(len(ids), np.int64)  # of each id among all, so that equal scores need no texts to be compared
    order[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids))
    seen = 0
    with _Search(queries, wanted, propose.device(place.device), place.threads) as search:
        for vectors in chunks:
            search.see(vectors, order[seen : seen + len(vectors)], seen)
            seen += len(vectors)
    if seen != len(ids):
        raise ValueError(f"{seen} vectors for {len(ids)} ids")
    found = []
    for (documents, scores), skipped in zip(search.hits(), skip or [()] * len(queries), strict=True):
        hits = list(zip(map(ids.__getitem__, documents), scores, strict=True))
        found.append(([hit for hit in hits if hit[0] not in skipped] if skipped else hits)[: max(k, 0)])
    return found


class _Chunk(NamedTuple):
    vectors: Vectors
    held: Any  # the same, where the device has them
    longest: float
    place: Numbers
    first: int


class _Search:
    """All queries, in blocks that threads share."""

    def __init__(self, queries: Vectors, k: int, device: Device, threads: int) -> None:
        rows = max(min(QUERIES, -(-len(queries) // threads)), 1)
        self._blocks = [_Best(queries[part], k, device) for part in _parts(len(queries), rows)]
        self._looks, self._device = k > 0 and bool(self._blocks), device
        self._pool = ThreadPoolExecutor(threads) if threads > 1 and len(self._blocks) > 1 else None

    def __enter__(self) -> _Search:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool:
            self._pool.shutdown()

    def see(self, vectors: Vectors, place: Numbers, first: int) -> None:
        """Look at more documents."""
        def look(part: slice) -> None:
            own = np.require(vectors[part], np.float32, ["C", "W", "E"])  # torch warns of what cannot be written
            self._all(_Chunk(own, self._device.put(own), _longest(own), place[part], first + part.start))

        for part in _parts(len(vectors), DOCUMENTS) if self._looks else ():
            with self._device.exact():
                propose.in_halves(look, part, self._device.full())

    def _all(self, chunk: _Chunk) -> None:
        if self._pool is None:
            for block in self._blocks:
                block.see(chunk)
            return
        for _ in self._pool.map(lambda block: block.see(chunk), self._blocks):
            pass

    def hits(self) -> Iterator[tuple[list[int], list[float]]]:
        """The numbers and the scores of the best documents, for each query."""
        return (hits for block in self._blocks for hits in block.hits())


class _Best:
    """Some queries, and the best for each of the documents seen so far."""

    def __init__(self, queries: Vectors, k: int, device: Device) -> None:
        self._queries, self._k, self._device = np.array(queries, np.float32), k, device
        # A product in float32 is wrong by no more than this share of both lengths.
        self._wrong = lengths(self._queries) * queries.shape[1] * 2.0**-23
        self._last = np.full(len(queries), -np.inf)  # the score of the k-th, when the table was sorted
        self._full = False  # whether each query has a k-th
        none = np.zeros(0, np.int64)
        self._table = [_Table(none, none, none, np.zeros(0))]

    def see(self, chunk: _Chunk) -> None:
        """Look at more documents."""
        # The sums of a product stay below 2**127; whatever is no number is not less than anything.
        if not float(self._wrong.max(initial=0)) * chunk.longest < 2.0**104:
            raise ArithmeticError("vectors are no numbers, or too long for float32")

        def look(part: slice) -> None:
            reach = self._wrong * chunk.longest + _HALF
            query, column, score = self._proposed(chunk.held[part], part.stop - part.start, reach)
            column += part.start
            exact = _products(self._queries, chunk.vectors, query, column)
            if (np.abs(exact - score) > reach[query]).any():
                raise ArithmeticError("products of float32 are further from the truth than float32 can be")
            self._table.append(_Table(query, chunk.place[column], column + chunk.first, exact))
            if not self._full or sum(len(rows.query) for rows in self._table) > 2 * self._k * len(self._queries):
                self._sort()

        propose.in_halves(look, slice(0, len(chunk.vectors)), self._device.full())

    def _proposed(self, documents: Any, count: int, reach: NDArray[np.float64]) -> Pairs:
        """All pairs that could be among the best."""
        products = self._device.products(self._device.put(self._queries), documents)
        try:
            enough = _MANY * self._k * len(self._queries) if self._full and count >= self._k else None
            if self._full or count < self._k:
                found = self._device.over(products, _below(self._last - reach), enough)
                if found:
                    return found
            # The k-th of these documents alone says as much where the others say nothing, or too little.
            least = np.maximum(self._last, self._device.highest(products, self._k) - reach)
            found = self._device.over(products, _below(least - reach), None)
            assert found
            return found
        finally:
            self._device.free(products)

    def _sort(self) -> None:
        query, place, document, score = (np.concatenate(column) for column in zip(*self._table, strict=True))
        order = _order(query, score, place)
        starts = np.searchsorted(query[order], np.arange(len(self._queries) + 1))
        order = order[np.arange(len(order)) - starts[query[order]] < self._k]
        best = _Table(query[order], place[order], document[order], score[order])
        ends = np.searchsorted(best.query, np.arange(len(self._queries) + 1))
        full = np.diff(ends) >= max(self._k, 1)
        self._last[full] = best.score[ends[1:][full] - 1]
        self._table, self._full = [best], bool(full.all())

    def hits(self) -> Iterator[tuple[list[int], list[float]]]:
        """The numbers and the scores of the best documents, for each query."""
        self._sort()
        (best,) = self._table
        ends = np.searchsorted(best.query, np.arange(len(self._queries) + 1)).tolist()
        for start, end in itertools.pairwise(ends):
            yield best.document[start:end].tolist(), best.score[start:end].tolist()


def _order(query: Numbers, score: NDArray[np.float64], place: Numbers) -> Numbers:
    """By query, falling score, and place: where all three fit into one number, it is sorted in a ninth of the time."""
    steps = np.rint(score * 10**DIGITS)  # whole, and as different as the scores, which were rounded
    high, low, wide = steps.max(initial=0), steps.min(initial=0), int(place.max(initial=0)) + 1
    if max(high, -low) < 2**52 and (int(query.max(initial=0)) + 1) * (int(high - low) + 1) * wide < 2**63:
        number = (query * (int(high - low) + 1) + (high - steps).astype(np.int64)) * wide + place
        return np.argsort(number, kind="stable")
    return np.lexsort((place, -score, query))


class _Table(NamedTuple):
    """Columns of what was found; sorted it is by query, falling score, and place of the id."""

    query: Numbers
    place: Numbers
    document: Numbers
    score: NDArray[np.float64]


def _products(queries: Vectors, documents: Vectors, rows: Numbers, columns: Numbers) -> NDArray[np.float64]:
    """The product of each pair in float64, rounded; no -0.0, which would be another score in a file."""
    made = np.zeros(len(rows))
    for part in _parts(len(rows), _ROWS):
        left, right = queries.take(rows[part], axis=0), documents.take(columns[part], axis=0)
        made[part] = np.einsum("nd,nd->n", left.astype(np.float64), right.astype(np.float64))
    rounded: NDArray[np.float64] = np.round(made, DIGITS) + 0.0
    return rounded


def _longest(vectors: Vectors) -> float:
    """No row is longer, and by next to nothing one is shorter: float32 is quick where it cannot run over."""
    with np.errstate(over="ignore"):
        rough: float = math.sqrt(float(np.einsum("nd,nd->n", vectors, vectors).max(initial=0)))
    if 1e-12 < rough < 1e12:
        return rough * (1 + int(vectors.shape[1]) * 2.0**-22)
    return float(lengths(vectors).max(initial=0))


def _below(numbers: NDArray[np.float64]) -> Vectors:
    """In float32, and not rounded up."""
    return np.nextafter(numbers.astype(np.float32), np.float32(-np.inf))


def _parts(count: int, size: int) -> Iterator[slice]:
    """Places from 0, so many at a time."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def _let_go(vectors: Vectors) -> None:
    """The pages of a mapped file count as this process's memory until another needs the room: give them back now."""
    if isinstance(vectors, np.memmap) and vectors.mode == "r" and hasattr(mmap, "MADV_DONTNEED"):
        whole = vectors.base
        while isinstance(whole, np.ndarray):
            whole = whole.base
        if isinstance(whole, mmap.mmap):
            whole.madvise(mmap.MADV_DONTNEED)
