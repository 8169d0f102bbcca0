"""Texts as bags of tokens: how often each token stands in each document, counted by chunks.

A chunk that stands in many places is looked at once, and one reading of the texts serves several tokenizers. Documents
that were counted can be written down by their tokens, and are read in a twentieth of the time.
"""
from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, compress, count
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Spell = Callable[[str], tuple[str, ...]]
T = TypeVar("T")

HEAP = 1 << 19  # chunks that are counted at a time: what is held beside the bags
_PACKED = struct.Struct("<IIIBB")  # documents, pairs, bytes of the tokens, bytes of a token's number and of a count
_WIDTHS = (1, 2, 4)


class Postings(NamedTuple):
    """Which token, or chunk, stands in which document how often: each pair once, in the order of documents."""

    token: NDArray[np.int32]
    document: NDArray[np.int32]
    times: NDArray[np.int32]


class Heap(NamedTuple):
    """Some documents by their chunks."""

    chunks: list[str]
    postings: Postings
    size: int  # how many documents


class Bags:
    """Documents by their tokens; of `only` some tokens, where no others will be asked for."""

    def __init__(self, spell: Spell | None = None, only: Collection[str] | None = None) -> None:
        self.size = 0
        self._spell, self._only = spell, only if only is None else frozenset(only)
        self._numbers: defaultdict[str, int] = defaultdict(count().__next__)
        self._parts = [Postings(*[np.zeros(0, np.int32)] * 3)]
        self._lengths = [np.zeros(0, np.int64)]

    @classmethod
    def of(
        cls, texts: Iterable[Sequence[str]], spell: Spell | None = None, only: Collection[str] | None = None
    ) -> Bags:
        """Of documents that are given as chunks; without a spelling a chunk is a token."""
        bags = cls(spell, only)
        for heap in heaps(texts):
            bags.add(heap)
        return bags

    @property
    def numbers(self) -> Mapping[str, int]:
        """The number of each token."""
        return self._numbers

    @property
    def lengths(self) -> Ints:
        """How many tokens each document has, also those that are not kept."""
        return np.concatenate(self._lengths)

    def postings(self) -> Postings:
        """All of them."""
        return Postings(*map(np.concatenate, zip(*self._parts, strict=True)))

    def counts(self) -> Mapping[str, int]:
        """How often each token stands anywhere."""
        found = self.postings()
        sums = np.bincount(found.token, found.times, len(self._numbers))
        return dict(zip(self._numbers, sums.astype(np.int64).tolist(), strict=True))

    def add(self, heap: Heap) -> None:
        """The documents that come next."""
        found = self._plain(heap) if self._spell is None else self._spelled(heap, self._spell)
        self._parts.append(found._replace(document=found.document + np.int32(self.size)))
        self.size += heap.size

    def _plain(self, heap: Heap) -> Postings:
        """Where a chunk is a token."""
        chunks, here = heap.chunks, heap.postings
        self._long(here, here.times, heap.size)
        if (only := self._only) is not None:
            chunks, here = _some(chunks, here, np.fromiter(map(only.__contains__, chunks), bool, len(chunks)))
        numbers = np.fromiter(map(self._numbers.__getitem__, chunks), np.int32, len(chunks))
        return here._replace(token=numbers[here.token])

    def _spelled(self, heap: Heap, spell: Spell) -> Postings:
        """Where it stands for others."""
        spelled, here = list(map(spell, heap.chunks)), heap.postings
        many = _sizes(spelled)
        self._long(here, here.times * many[here.token], heap.size)
        if (only := self._only) is not None:
            # None of it is asked for: true of most chunks, and quickly said.
            none = np.fromiter(map(only.isdisjoint, spelled), bool, len(spelled))
            spelled, here = _some(spelled, here, ~none)
            spelled = [tuple(filter(only.__contains__, tokens)) for tokens in spelled]
            many = _sizes(spelled)
        tokens = np.fromiter(map(self._numbers.__getitem__, chain.from_iterable(spelled)), np.int64, many.sum())
        return _spread(here, tokens, many)

    def _long(self, here: Postings, tokens: NDArray[np.integer], size: int) -> None:
        sums = np.bincount(here.document, tokens, size)
        self._lengths.append(sums.astype(np.int64))  # of whole numbers, which floats add without error

    def regrouped(self, spell: Spell) -> Bags:
        """The same documents, where each token stands for others."""
        bags = Bags(spell)
        bags.add(Heap(list(self._numbers), self.postings(), self.size))
        return bags


def spelled(heap: Heap, spell: Spell) -> Heap:
    """The same documents by their tokens."""
    bags = Bags(spell)
    bags.add(heap)
    return Heap(list(bags.numbers), bags.postings(), bags.size)


def packed(heap: Heap) -> bytes:
    """Documents as bytes; no chunk has a blank in it."""
    chunks = " ".join(heap.chunks).encode("utf-8", "surrogatepass")
    numbers, times = _narrow(heap.postings.token), _narrow(heap.postings.times)
    many = np.bincount(heap.postings.document, minlength=heap.size).astype("<u4")
    head = _PACKED.pack(heap.size, len(numbers), len(chunks), numbers.itemsize, times.itemsize)
    return b"".join([head, chunks, many.tobytes(), numbers.tobytes(), times.tobytes()])


def unpacked(row: bytes) -> Heap:
    """What `packed` wrote."""
    size, pairs, length, *widths = _PACKED.unpack_from(row)
    at = _PACKED.size + length
    chunks = row[_PACKED.size : at].decode("utf-8", "surrogatepass")
    many = np.frombuffer(row, "<u4", size, at)
    at += many.nbytes
    numbers = np.frombuffer(row, f"<u{widths[0]}", pairs, at)
    times = np.frombuffer(row, f"<u{widths[1]}", pairs, at + numbers.nbytes)
    document = np.repeat(np.arange(size, dtype=np.int32), many)
    found = Postings(numbers.astype(np.int32), document, times.astype(np.int32))
    return Heap(chunks.split(" ") if chunks else [], found, size)


def _narrow(numbers: NDArray[np.int32]) -> NDArray[np.unsignedinteger]:
    """In as few bytes as the largest takes."""
    most = int(numbers.max(initial=0))
    return numbers.astype(f"<u{next(width for width in _WIDTHS if most < 1 << 8 * width)}")


def _some(chunks: list[T], here: Postings, kept: NDArray[np.bool_]) -> tuple[list[T], Postings]:
    """The chunks that are kept, in their order, and where they stand."""
    places = np.flatnonzero(kept[here.token])
    numbers = (np.cumsum(kept) - 1)[here.token[places]].astype(np.int32)
    return list(compress(chunks, kept.tolist())), Postings(numbers, here.document[places], here.times[places])


def _sizes(spelled: Sequence[Sequence[str]]) -> Ints:
    return np.fromiter(map(len, spelled), np.int64, len(spelled))


def heaps(texts: Iterable[Sequence[str]], most: float | None = None) -> Iterator[Heap]:
    """Documents that are given as chunks, as many at a time as are counted at once."""
    most = HEAP if most is None else most
    numbers: defaultdict[str, int] = defaultdict(count().__next__)
    flat, sizes = list[int](), list[int]()
    for chunks in texts:
        flat.extend(map(numbers.__getitem__, chunks))
        sizes.append(len(chunks))
        if len(flat) >= most:
            yield _heap(list(numbers), flat, sizes)
            numbers, flat, sizes = defaultdict(count().__next__), [], []
    if sizes:
        yield _heap(list(numbers), flat, sizes)


def _heap(chunks: list[str], flat: list[int], sizes: list[int]) -> Heap:
    document = np.repeat(np.arange(len(sizes)), np.asarray(sizes, np.int64))
    key = (document << 32) | np.asarray(flat, np.int64)
    key.sort()
    starts = _starts(key)
    return Heap(chunks, _postings(key[starts], np.diff(np.append(starts, len(key)))), len(sizes))


def _spread(here: Postings, tokens: Ints, many: Ints) -> Postings:
    """From chunks to their tokens: `tokens` are those of all chunks in a row, `many` how many each chunk has."""
    each = many[here.token]
    first = (np.cumsum(many) - many)[here.token] - (np.cumsum(each) - each)
    token = tokens[np.repeat(first, each) + np.arange(each.sum())]
    key = (np.repeat(here.document, each).astype(np.int64) << 32) | token
    order = np.argsort(key, kind="stable")
    key = key[order]
    starts = _starts(key)
    times = np.repeat(here.times, each)[order]
    return _postings(key[starts], np.add.reduceat(times, starts) if len(starts) else times)


def _starts(key: Ints) -> Ints:
    """Where each run of equals begins."""
    return np.flatnonzero(np.concatenate([np.ones(min(len(key), 1), bool), key[1:] != key[:-1]]))


def _postings(key: Ints, times: NDArray[np.integer]) -> Postings:
    return Postings((key & 0xFFFFFFFF).astype(np.int32), (key >> 32).astype(np.int32), times.astype(np.int32))
