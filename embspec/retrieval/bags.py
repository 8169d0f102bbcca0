"""Texts as bags of tokens: how often each token stands in each document, counted by chunks.

A chunk that stands in many places is looked at once, and one reading of the texts serves several tokenizers.
"""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, count
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Spell = Callable[[str], tuple[str, ...]]

HEAP = 1 << 19  # chunks that are counted at a time: what is held beside the bags


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
        spelled = list(map(self._spell or _itself, heap.chunks))
        many, here = _sizes(spelled), heap.postings
        sums = np.bincount(here.document, here.times * many[here.token], heap.size)
        self._lengths.append(sums.astype(np.int64))  # of whole numbers, which floats add without error
        if (only := self._only) is not None:
            none = only.isdisjoint  # which is true of most chunks, and quickly said
            spelled = [() if none(tokens) else tuple(filter(only.__contains__, tokens)) for tokens in spelled]
            many = _sizes(spelled)
        tokens = np.fromiter(map(self._numbers.__getitem__, chain.from_iterable(spelled)), np.int64, many.sum())
        found = _spread(here, tokens, many)
        self._parts.append(found._replace(document=found.document + np.int32(self.size)))
        self.size += heap.size

    def regrouped(self, spell: Spell) -> Bags:
        """The same documents, where each token stands for others."""
        bags = Bags(spell)
        bags.add(Heap(list(self._numbers), self.postings(), self.size))
        return bags


def _itself(chunk: str) -> tuple[str, ...]:
    return (chunk,)


def _sizes(spelled: Sequence[Sequence[str]]) -> Ints:
    return np.fromiter(map(len, spelled), np.int64, len(spelled))


def heaps(texts: Iterable[Sequence[str]]) -> Iterator[Heap]:
    """Documents that are given as chunks, as many at a time as are counted at once."""
    numbers: defaultdict[str, int] = defaultdict(count().__next__)
    flat, sizes = list[int](), list[int]()
    for chunks in texts:
        flat.extend(map(numbers.__getitem__, chunks))
        sizes.append(len(chunks))
        if len(flat) >= HEAP:
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
