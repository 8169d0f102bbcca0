"""Where quoted words stand: many quotes in many texts, in one pass over these.

White space counts as one blank. Of each quote one window of characters is hashed; the windows of a text are hashed all
at once, and only where one is met the words are compared, so that time goes with the texts and not with the quotes.
"""
from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from embspec.stages.reading import nfc

WIDE, NARROW = 16, 4  # characters of a window: the narrow one for quotes that are shorter than the wide
TRIED = 8  # windows of a quote of which the one is taken that fewest others have
BATCH = 1 << 20  # characters hashed at once
BITS = 22
_BASES = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5)
_WORD = re.compile(r"\S+")

Text = Any  # a vector of numbers


def collapsed(text: str) -> str:
    """A text with one blank where it has white space."""
    return " ".join(text.split())


def spellings(quote: str) -> set[str]:
    """The forms in which a quote may stand in a text: as it is, and in composed Unicode."""
    return {collapsed(quote), collapsed(nfc(quote))}


class Place(NamedTuple):
    """A quote by its number, in a text by its number, from one character to another of the text as collapsed."""

    quote: int
    text: int
    start: int
    end: int


class Finder:
    """Quotes that are looked for everywhere."""

    def __init__(self, quotes: Sequence[str]) -> None:
        self._tables = [
            _Table(width, [(number, text) for number, quote in enumerate(quotes) for text in spellings(quote)
                           if low <= len(text) < high])
            for width, low, high in ((NARROW, NARROW, WIDE), (WIDE, WIDE, 1 << 62))
        ]

    def places(self, texts: Sequence[str]) -> Iterator[Place]:
        """Every place of every quote in these texts, each collapsed."""
        batch: list[int] = []
        size = 0
        for number, text in enumerate(texts):
            batch.append(number)
            size += len(text)
            if size >= BATCH:
                yield from self._batch(texts, batch)
                batch, size = [], 0
        yield from self._batch(texts, batch)

    def _batch(self, texts: Sequence[str], batch: Sequence[int]) -> Iterator[Place]:
        used = [table for table in self._tables if table.keys.size]
        if not used or not batch:
            return
        whole = "\n".join(texts[number] for number in batch)
        starts, at = [], 0
        for number in batch:
            starts.append(at)
            at += len(texts[number]) + 1
        rows = _hashed(whole)
        for table in used:
            for where, code in table.met(rows[table.width]):
                slot = bisect_right(starts, where) - 1
                number, offset = batch[slot], where - starts[slot]
                for quote, text, ahead in table.quotes[code]:
                    start = offset - ahead
                    if start >= 0 and texts[number].startswith(text, start):
                        yield Place(quote, number, start, start + len(text))


class _Table:
    """The quotes of one width, by the hash of one window of each."""

    def __init__(self, width: int, quotes: Sequence[tuple[int, str]]) -> None:
        self.width = width
        self.quotes: dict[int, list[tuple[int, str, int]]] = {}
        windows = [_windows(text, width) for _, text in quotes]
        shared = Counter(code for found in windows for code in found.values())
        for (number, text), found in zip(quotes, windows, strict=True):
            ahead = min(found, key=lambda at: (shared[found[at]], at))
            self.quotes.setdefault(found[ahead], []).append((number, text, ahead))
        self.keys = np.array(sorted(self.quotes), dtype=np.uint64)
        self._filter = np.zeros(1 << BITS, dtype=bool) if self.keys.size else np.zeros(0, dtype=bool)
        if self.keys.size:
            self._filter[self.keys >> np.uint64(64 - BITS)] = True

    def met(self, hashes: Text) -> Iterator[tuple[int, int]]:
        """Where windows are met, and which."""
        near = np.flatnonzero(self._filter[hashes >> np.uint64(64 - BITS)])
        codes = hashes[near]
        slots = np.minimum(np.searchsorted(self.keys, codes), len(self.keys) - 1)
        hit = self.keys[slots] == codes
        yield from zip(near[hit].tolist(), codes[hit].tolist(), strict=True)


def _windows(text: str, width: int) -> dict[int, int]:
    """Some windows of a text, over all of its length: where each starts, and its hash."""
    hashes = _hashed(text)[width]
    last = len(text) - width
    return {at: int(hashes[at]) for at in sorted({last * step // max(TRIED - 1, 1) for step in range(TRIED)})}


def _hashed(text: str) -> dict[int, Text]:
    """The hash of the window that starts at each character, for both widths."""
    row = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    found, width = {}, 1
    for base in _BASES:
        row = row[:-width] * np.uint64(base) + row[width:] if len(row) > width else row[:0]
        width *= 2
        if width in (NARROW, WIDE):
            found[width] = (row ^ (row >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return found


class Ruler:
    """From the characters of a collapsed text back to those of the text itself."""

    def __init__(self, text: str) -> None:
        self._at: list[int] = []
        self._words: list[int] = []
        at = 0
        for found in _WORD.finditer(text):
            self._at.append(at)
            self._words.append(found.start())
            at += len(found[0]) + 1

    def of(self, position: int) -> int:
        """Where a character of the collapsed text stands."""
        slot = bisect_right(self._at, position) - 1
        return self._words[slot] + position - self._at[slot] if slot >= 0 else 0


def inside(quote: str, text: str) -> Iterator[tuple[int, int]]:
    """Every place of one quote in one collapsed text."""
    for words in sorted(spellings(quote)):
        at = text.find(words) if words else -1
        while at >= 0:
            yield at, at + len(words)
            at = text.find(words, at + 1)


def nearest_texts(quotes: Mapping[int, str], texts: Iterable[tuple[str, str]]) -> dict[int, tuple[str, float]]:
    """For quotes that are nowhere: the text that has most of the words of each, and what share of them."""
    wanted: dict[str, list[int]] = {}
    sizes: dict[int, int] = {}
    for number, quote in quotes.items():
        words = set(quote.casefold().split())
        sizes[number] = len(words)
        for word in words:
            wanted.setdefault(word, []).append(number)
    best: dict[int, tuple[str, float]] = {}
    for name, text in texts:
        votes = Counter(number for word in set(text.casefold().split()) & wanted.keys() for number in wanted[word])
        for number, count in votes.items():
            share = count / sizes[number]
            if share > best.get(number, ("", 0.0))[1]:
                best[number] = (name, share)
    return best
