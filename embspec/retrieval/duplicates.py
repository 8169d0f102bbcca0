"""Near-duplicate texts: MinHash proposes, the exact Jaccard similarity of their shingles decides."""
from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations, groupby, product
from math import comb
from typing import NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray

from embspec.retrieval.tokenize import CJK

Hashes = NDArray[np.uint64]
Numbers = NDArray[np.int64]
Pairs = list[tuple[int, int, float]]

SHORT_WORDS, SHORT_CJK = 8, 16  # texts under so many words, or characters, have too few shingles to compare
WORD_SHINGLE, CJK_SHINGLE = 3, 5
# From which threshold on: rows in a band, bands. A pair at the threshold is missed with (1 - t^rows)^bands:
# 5e-10 at 0.9, 2e-9 at 0.8, 1e-8 at 0.5, 4e-13 at 0.2.
BANDS: tuple[tuple[float, int, int], ...] = ((0.9, 4, 20), (0.8, 3, 28), (0.5, 2, 64), (0.0, 1, 128))
_WRONG = 1e-9  # how seldom a pair at the threshold may agree in so few columns that it is not looked at
# Letters read, shingles hashed, pairs compared, shingles remembered at once.
_LETTERS, _BLOCK, _PAIRS, _KEPT = 1 << 17, 1 << 18, 1 << 15, 1 << 21
_WORD = re.compile(r"\w+")
_CJK = re.compile(f"[{CJK}]")
_MIX, _STEP = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
_BASE = np.uint64(0x2545F4914F6CDD1D)  # odd, so that it has an inverse among numbers of 64 bits
_BASE_INVERSE = np.uint64(pow(int(_BASE), -1, 1 << 64))
_OF_WORD = np.array([byte > 127 or chr(byte) == "_" or chr(byte).isalnum() for byte in range(256)])


class Groups(NamedTuple):
    """Texts that cannot be told apart, one list each, and the links between the lists by the first text of each."""

    copies: list[list[int]]
    links: Pairs


def near_duplicates(texts: Sequence[str], threshold: float) -> Pairs:
    """Every pair (i, j, Jaccard) of texts that are at least `threshold` alike, i < j, sorted.

    Shingles are three words in a row, in Chinese, Japanese and Korean five characters, without case and punctuation;
    texts too short for that are alike when equal after normalising (NFKC, casefold, collapsed blanks). A text without
    a letter or digit is like no other. A thousand copies of one text are half a million pairs: `near_groups` is there
    for a corpus that may have them.
    """
    groups = near_groups(texts, threshold)
    members = {copies[0]: copies for copies in groups.copies}
    pairs = [(one, other, 1.0) for copies in groups.copies for one, other in combinations(copies, 2)]
    for first, second, likeness in groups.links:
        both = product(members[first], members[second])
        pairs += [(min(one, other), max(one, other), likeness) for one, other in both]
    return sorted(pairs)


def near_groups(texts: Sequence[str], threshold: float) -> Groups:
    """The same in memory that copies do not fill: equal texts once, and what is alike among the different ones."""
    if not 0 < threshold <= 1:
        raise ValueError(f"a threshold of {threshold} is not over 0 and at most 1")
    rows, bands = next((rows, bands) for least, rows, bands in BANDS if threshold >= least)
    copies: dict[bytes, list[int]] = {}
    heads: list[int] = []  # texts long enough to be compared, the first of each kind
    signed, remembered = _Signatures(rows * bands), _Remembered(texts)
    for at, shingles in enumerate(_shingled(texts)):
        if shingles is None:
            continue
        key = shingles if isinstance(shingles, bytes) else xxhash.xxh3_128_digest(shingles.tobytes())
        group = copies.setdefault(key, [])
        group.append(at)
        if len(group) == 1 and not isinstance(shingles, bytes):
            heads.append(at)
            signed.add(shingles)
            remembered.keep(at, shingles)
    signatures, sizes = signed.done()
    links: Pairs = []
    for first, second in _proposed(signatures, sizes, rows, threshold):
        links += remembered.alike([heads[at] for at in first], [heads[at] for at in second], threshold)
    return Groups(list(copies.values()), sorted(links))


def _shingled(texts: Iterable[str]) -> Iterator[Hashes | bytes | None]:
    """The distinct hashed shingles of each text; the normalised text where it is short, None where there is nothing."""
    block: list[str] = []
    size = 0
    for text in texts:
        block.append(text if text.isascii() else unicodedata.normalize("NFKC", text))
        size += len(text)
        if size >= _LETTERS:
            yield from _shingles(block)
            block, size = [], 0
    yield from _shingles(block)


def _shingles(block: Sequence[str]) -> Iterator[Hashes | bytes | None]:
    """The same for some texts at once, which is faster; nothing of one is seen in another."""
    plain = [text.casefold() for text in block]
    spelled = [text if text.isascii() else " ".join(_WORD.findall(text)) for text in plain]
    apart = [not words.isascii() and _is_cjk(words) for words in spelled]
    of_words = ("" if alone else words for words, alone in zip(spelled, apart, strict=True))
    units, counts = _words([words.encode("utf-8", "surrogatepass") for words in of_words])
    mixed = _mixed(units, WORD_SHINGLE)
    start = 0
    for text, words, alone, count in zip(plain, spelled, apart, counts, strict=True):
        if alone:
            yield _of_letters(text, words.replace(" ", ""))
        elif count >= SHORT_WORDS:
            yield _distinct(mixed[start : start + count - WORD_SHINGLE + 1].copy())
        else:
            yield _short(text) if count else None
        start += count


def _is_cjk(words: str) -> bool:
    """Whether half of the letters or more are written without blanks."""
    return 2 * len(_CJK.findall(words)) >= len(words) - words.count(" ")


def _of_letters(text: str, letters: str) -> Hashes | bytes:
    """Shingles of letters."""
    if len(letters) < SHORT_CJK:
        return _short(text)
    units = np.frombuffer(letters.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint64)
    return _distinct(_mixed(units, CJK_SHINGLE))


def _short(text: str) -> bytes:
    return b"short " + " ".join(text.split()).encode("utf-8", "surrogatepass")


def _words(raw: Sequence[bytes]) -> tuple[Hashes, list[int]]:
    """A hash of each word, and how many words each text has."""
    data = np.frombuffer(b" ".join([b"", *raw, b""]), np.uint8)
    inside = _OF_WORD[data]
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    starts, ends = edges[::2], edges[1::2]
    hashes = np.empty(len(starts), np.uint64)
    usual = ends - starts <= _LETTERS
    for at in np.flatnonzero(~usual).tolist():
        hashes[at] = xxhash.xxh3_64_intdigest(data[starts[at] : ends[at]].tobytes())
    some = np.flatnonzero(usual)
    for part in np.split(some, np.flatnonzero(np.diff(starts[some] // _LETTERS)) + 1):
        if len(part):
            hashes[part] = _hashed(data, starts[part], ends[part])
    before = np.searchsorted(starts, np.cumsum([1, *(len(text) + 1 for text in raw)]))
    return hashes, np.diff(before).tolist()


def _hashed(data: NDArray[np.uint8], starts: Numbers, ends: Numbers) -> Hashes:
    """The bytes of a word are the digits of a number: as differences of running sums, all are had in few steps."""
    first = int(starts[0]) - 1
    piece = data[first : ends[-1]]
    digits, inverse = _powers()
    sums = np.cumsum(piece * digits[: len(piece)])
    return _finished((sums[ends - first - 1] - sums[starts - first - 1]) * inverse[starts - first])


@lru_cache(maxsize=1)
def _powers() -> tuple[Hashes, Hashes]:
    """Of the base and of its inverse, from the power 0 on: as many as a piece has letters."""
    steps = np.full((2, 2 * _LETTERS + 1), [[_BASE], [_BASE_INVERSE]], np.uint64)
    steps[:, 0] = 1
    digits, inverse = np.cumprod(steps, axis=1, out=steps)
    return digits, inverse


def _mixed(units: Hashes, width: int) -> Hashes:
    """One hash for so many units in a row, from each unit on that has as many."""
    count = max(len(units) - width + 1, 0)
    mixed = units[:count]
    for at in range(1, width):
        mixed = mixed * _MIX + units[at : count + at]
    return _finished(mixed)


def _distinct(values: Hashes) -> Hashes:
    """Each value once, by rising value: what numpy's own `unique` takes four times as long for."""
    values.sort()
    fresh = np.empty(len(values), np.bool_)
    fresh[0] = True
    np.not_equal(values[1:], values[:-1], out=fresh[1:])
    return values[fresh]


def _finished(mixed: Hashes) -> Hashes:
    """Spreads every bit over the whole word (splitmix64)."""
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _STEP
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


class _Signatures:
    """MinHash of one set of shingles after another, in blocks of bounded size."""

    def __init__(self, width: int) -> None:
        # Fixed permutations: x -> (x ^ a) * b with odd b, the upper half kept.
        seeds = _finished(np.arange(1, 2 * width + 1, dtype=np.uint64) * _MIX)
        self._flips, self._factors = seeds[:width], seeds[width:] | np.uint64(1)
        self._waiting: list[Hashes] = []
        self._size = 0
        self._signatures: list[NDArray[np.uint32]] = []
        self._sizes: list[int] = []

    def add(self, shingles: Hashes) -> None:
        """One more set."""
        self._waiting.append(shingles)
        self._sizes.append(len(shingles))
        self._size += len(shingles)
        if self._size >= _BLOCK:
            self._sign()

    def done(self) -> tuple[NDArray[np.uint32], Numbers]:
        """A row of the signature per set, and the sets' sizes."""
        self._sign()
        return np.concatenate(self._signatures), np.array(self._sizes, np.int64)

    def _sign(self) -> None:
        block = np.empty((len(self._waiting), len(self._flips)), np.uint32)
        if self._waiting:
            shingles = np.concatenate(self._waiting)
            starts = np.cumsum([0, *map(len, self._waiting[:-1])])
            for at, (flip, factor) in enumerate(zip(self._flips, self._factors, strict=True)):
                block[:, at] = np.minimum.reduceat((shingles ^ flip) * factor, starts) >> np.uint64(32)
        self._signatures.append(block)
        self._waiting, self._size = [], 0


def _proposed(
    signatures: NDArray[np.uint32], sizes: Numbers, rows: int, threshold: float
) -> Iterator[tuple[list[int], list[int]]]:
    """Pairs that agree in a whole band, each once, without those that cannot be alike enough, in blocks."""
    width = signatures.shape[1]
    bands, least = width // rows, _least(width, threshold)
    keys = np.empty((len(signatures), bands), np.uint32)
    for band in range(bands):
        key = np.zeros(len(signatures), np.uint64)
        for column in signatures[:, band * rows : (band + 1) * rows].T:
            key = _finished(key * _MIX + column)
        keys[:, band] = key >> np.uint64(32)
    for band in range(bands):
        for first, second in _together(keys[:, band]):
            ratio = np.minimum(sizes[first], sizes[second]) / np.maximum(sizes[first], sizes[second])
            fresh = (keys[first, :band] != keys[second, :band]).all(axis=1) & (ratio >= threshold)
            first, second = first[fresh], second[fresh]
            likely = np.count_nonzero(signatures[first] == signatures[second], axis=1) >= least
            yield first[likely].tolist(), second[likely].tolist()


def _least(width: int, likeness: float) -> int:
    """In how many columns of so many texts agree that are so much alike, but for one pair in a thousand million."""
    wrong, least = 0.0, 0
    while (wrong := wrong + comb(width, least) * likeness**least * (1 - likeness) ** (width - least)) < _WRONG:
        least += 1
    return least


def _together(keys: NDArray[np.uint32]) -> Iterator[tuple[Numbers, Numbers]]:
    """All pairs first < second with equal keys, in blocks."""
    order = np.argsort(keys, kind="stable")
    ends = np.flatnonzero(np.diff(keys[order], append=keys[order][-1:] + np.uint32(1))) + 1
    ends_of = np.repeat(ends, np.diff(ends, prepend=0))  # for each place, where its run of equal keys ends
    later = ends_of - np.arange(len(order)) - 1
    places = np.flatnonzero(later)
    blocks = np.cumsum(later[places]) // _PAIRS
    for block in np.split(places, np.flatnonzero(np.diff(blocks)) + 1):
        first = np.repeat(block, later[block])
        within = np.arange(len(first)) - np.repeat(np.cumsum(later[block]) - later[block], later[block])
        yield order[first], order[first + 1 + within]


class _Remembered:
    """Shingles of a text by its number, made again when they were dropped."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._kept: dict[int, Hashes] = {}
        self._size = 0

    def keep(self, at: int, shingles: Hashes) -> None:
        """As long as there is room; what is asked for later finds room by dropping all."""
        if self._size <= _KEPT:
            self._kept[at] = shingles
            self._size += len(shingles)

    def alike(self, first: Sequence[int], second: Sequence[int], threshold: float) -> Pairs:
        """Which pairs have an exact Jaccard similarity of at least the threshold; equal firsts come together."""
        found: Pairs = []
        for one, pairs in groupby(zip(first, second, strict=True), key=lambda pair: pair[0]):
            others = [other for _, other in pairs]
            mine, theirs = self._shingles(one), [self._shingles(other) for other in others]
            sizes = np.array([len(shingles) for shingles in theirs])
            joined = np.concatenate(theirs)
            places = np.minimum(np.searchsorted(mine, joined), len(mine) - 1)
            shared = np.add.reduceat(mine[places] == joined, np.cumsum(sizes) - sizes, dtype=np.int64)
            likeness = shared / (len(mine) + sizes - shared)
            enough = np.flatnonzero(likeness >= threshold).tolist()
            found += [(one, others[at], float(likeness[at])) for at in enough]
        return found

    def _shingles(self, at: int) -> Hashes:
        if at not in self._kept:
            (made,) = _shingled([self._texts[at]])
            if not isinstance(made, np.ndarray):
                raise TypeError("a short text has no shingles")
            if self._size > _KEPT:
                self._kept, self._size = {}, 0
            self.keep(at, made)
        return self._kept[at]
