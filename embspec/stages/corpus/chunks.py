"""Documents cut into chunks: pure functions from a text to spans, no letter of it lost and no limit ever exceeded."""
from __future__ import annotations

import unicodedata
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

from embspec.stages.corpus.borders import BLOCK, HEADING, ITEM, KINDS, LINE, SENTENCE, WORD, layout

RECIPE = 2  # raised when an equal text would be cut otherwise
LETTERS = 16  # of a token at most: to some tokenizers a word of 5,000 letters, or a picture, is one token
LEAST = 8  # tokens that must be left for title, context and text
# How full a chunk is at least where it ends at a border of this kind; the first kind that can is taken.
FULL = {HEADING: 0.5, BLOCK: 0.6, ITEM: 0.6, SENTENCE: 0.6, LINE: 0.6, WORD: 0.5}
CLOSE = 8  # tokens by which a count without what stands before a text may be off
BACK = 32  # characters that one sign may be made of, as far as a cut looks out for that
BETWEEN = " > "  # headings of a path


class Chunk(NamedTuple):
    """Characters `start` to `end` of a document; the headings that stand over them, where they are asked for."""

    start: int
    end: int
    context: str = ""


class Tokenizer(Protocol):
    """What counts: the tokens that the model reads of a passage, and where those of a text begin."""

    def count(self, passage: str) -> int: ...
    def starts(self, text: str) -> Sequence[int]: ...


class Rule(NamedTuple):
    """How a document is cut by structure."""

    tokens: int
    overlap: int = 0
    headings: bool = False
    context: int = 0  # tokens that somebody else's words may take up beside those


class TooNarrow(Exception):
    """One letter alone, with what stands before it, is over the limit."""

    def __init__(self, at: int, tokens: int) -> None:
        super().__init__(at, tokens)
        self.at, self.tokens = at, tokens


Passage = Callable[[str, str, str], str]
"""From title, context and text to what the model reads."""


def by_sentences(text: str, n: int) -> list[Chunk]:
    """Chunks of `n` sentences; a code fence, a table, or an item of a list begins a sentence of its own."""
    borders = layout(text).borders
    starts = sorted({p for kind in (HEADING, BLOCK, ITEM, SENTENCE) for p in borders[kind]})
    # The first sentence takes along what white space stands before it.
    return [Chunk(start, end) for start, end in pairwise([0, *starts[n::n], len(text)]) if end > start]


def by_structure(text: str, title: str, rule: Rule, tokenizer: Tokenizer, passage: Passage) -> list[Chunk]:
    """Chunks of at most so many tokens, all included that the model reads with them."""
    return list(_Cutter(text, title, rule, tokenizer, passage).chunks())


def fixed(tokenizer: Tokenizer) -> int:
    """The tokens that stand around every text: the prompt, and the model's own marks."""
    return tokenizer.count("")


def shortened(title: str, rule: Rule, tokenizer: Tokenizer) -> str:
    """A title that leaves half of every chunk to the text."""
    return _within(title, (rule.tokens - fixed(tokenizer)) // 2, tokenizer)


def fitted(context: str, title: str, text: str, rule: Rule, tokenizer: Tokenizer, passage: Passage) -> str:
    """As many words of a context as there is room for before the text of a chunk that was cut by this rule."""
    most, short = rule.context, context
    while short := _words(_within(short, most, tokenizer), context):
        over = tokenizer.count(passage(title, short, text)) - rule.tokens - rule.context
        if over <= 0:
            break
        most = max(0, min(most, tokenizer.count(short) - fixed(tokenizer)) - over)
    return short


def _within(text: str, most: int, tokenizer: Tokenizer) -> str:
    """The beginning of a text, of so many tokens at most."""
    while text and (len(text) > most * LETTERS or tokenizer.count(text) - fixed(tokenizer) > most):
        starts = tokenizer.starts(text[: most * LETTERS])
        keep = starts[most] if len(starts) > most else len(text) - 1
        text = text[: min(keep, most * LETTERS, len(text) - 1)].rstrip()
    return text


def _words(text: str, whole: str) -> str:
    """The beginning of a text without the word that was cut in two, if it has others."""
    return text if whole[len(text) : len(text) + 1].strip() == "" else text.rpartition(" ")[0] or text


class _Cutter:
    """One document under the knife."""

    def __init__(self, text: str, title: str, rule: Rule, tokenizer: Tokenizer, passage: Passage) -> None:
        self._text, self._title, self._rule, self._passage = text, title, rule, passage
        self._count = tokenizer.count
        self._fixed = fixed(tokenizer)
        self._starts = tokenizer.starts(text)
        self._laid = layout(text)
        self._heads = [heading.start for heading in self._laid.headings]
        self._paths = list(self._stacked()) if rule.headings else []
        self._contexts: dict[tuple[str, ...], tuple[str, int]] = {}
        wholes = [whole for whole in self._laid.wholes if self._fits(whole)]
        self._wholes = [start for start, _ in wholes], [end for _, end in wholes]
        self._cuts = [_without(border, wholes) for border in self._laid.borders]

    def chunks(self) -> Iterator[Chunk]:
        """The chunks from the first to the last."""
        before = at = 0
        while at < len(self._text):
            found = self._chunk(at, before)
            yield found
            before, at = at, found.end

    def _chunk(self, at: int, before: int) -> Chunk:
        """The chunk whose own part begins here; what it shares with the one before is given up for the limit."""
        context, room = self._head(at)
        whole = self._whole_from(at)
        for start in dict.fromkeys((self._shared(at, before, room), at)):
            end = self._end(start, at, room, context)
            if end < whole and self._read(start, whole, context) <= self._rule.tokens:
                end = whole
            if end > at and (start == at or end >= whole):
                return Chunk(start, end, context)
        raise TooNarrow(at, self._read(at, at + 1, context))

    def _end(self, start: int, at: int, room: int, context: str) -> int:
        """The end of a chunk from `start`, as really counted; `at` itself where nothing fits."""
        left = room - self._tokens(start, at)
        end = len(self._text)
        while left > 0:
            end = min(end, self._cut(at, self._farthest(start, at, left, room)))
            over = self._read(start, end, context) - self._rule.tokens
            if over <= 0:
                return end
            left -= over
        while end - at > 1:  # tokens that begin nowhere, as those of white space do
            end = at + (end - at) // 2
            if self._read(start, end, context) <= self._rule.tokens:
                return end
        return at + 1 if self._read(start, at + 1, context) <= self._rule.tokens else at

    def _read(self, start: int, end: int, context: str) -> int:
        return self._count(self._passage(self._title, context, self._text[start:end]))

    def _tokens(self, start: int, end: int) -> int:
        return bisect_left(self._starts, end) - bisect_left(self._starts, start)

    def _farthest(self, start: int, at: int, left: int, room: int) -> int:
        """How far so many tokens go at most, with the white space behind them; beyond `at` in any case."""
        first = bisect_left(self._starts, at)
        end = self._starts[first + left] if first + left < len(self._starts) else len(self._text)
        end = max(at + 1, min(end, start + room * LETTERS))
        while end < len(self._text) and self._text[end].isspace() and end < at + 2 * room * LETTERS:
            end += 1
        return end

    def _cut(self, at: int, most: int) -> int:
        """The best place to end a chunk from `at`, not beyond `most`."""
        if most >= len(self._text):
            return len(self._text)
        whole, cuts = self._around(most), self._cuts
        if whole and whole[0] > at:
            most = whole[0]
        elif whole:
            cuts = list(self._laid.borders)
        full = self._tokens(at, most)
        for kind in KINDS:
            place = bisect_right(cuts[kind], most)
            if place and (end := cuts[kind][place - 1]) > at and self._tokens(at, end) >= FULL[kind] * full:
                return int(end)
        return most if whole and most == whole[0] else _clean(self._text, at, most)

    def _around(self, position: int) -> tuple[int, int] | None:
        """What is left whole around a position, where something is."""
        starts, ends = self._wholes
        place = bisect_left(starts, position) - 1
        return (starts[place], ends[place]) if place >= 0 and position < ends[place] else None

    def _whole_from(self, at: int) -> int:
        """The end of what is left whole from here on; here where nothing is."""
        starts, ends = self._wholes
        place = bisect_left(starts, at)
        return ends[place] if place < len(starts) and starts[place] == at else at

    def _fits(self, whole: tuple[int, int]) -> bool:
        start, end = whole
        context, room = self._head(start)
        over = self._tokens(start, end) - room
        if abs(over) <= CLOSE and end - start <= room * LETTERS:  # blanks at the ends may be tokens, and are not read
            return self._read(start, end, context) <= self._rule.tokens
        return over <= 0 and end - start <= room * LETTERS

    def _shared(self, at: int, before: int, room: int) -> int:
        """Where a chunk begins that shares its first tokens with the one before: at the first sentence that can be."""
        # What is left whole must fit behind what is shared.
        overlap = min(self._rule.overlap, room // 2, max(0, room - self._tokens(at, self._whole_from(at))))
        if not overlap or at == 0 or not self._starts:
            return at
        place = bisect_left(self._starts, at)
        lowest = max(before + 1, self._starts[max(0, place - overlap)], at - overlap * LETTERS)
        for kinds in ((HEADING, BLOCK, ITEM, SENTENCE), (LINE,), (WORD,)):
            found = [border[i] for kind in kinds for border in (self._cuts[kind],)
                     if (i := bisect_left(border, lowest)) < len(border) and border[i] < at]
            if found:
                return min(found)
        return at

    def _head(self, at: int) -> tuple[str, int]:
        """The headings over a position as one text, and the tokens that are left below them."""
        path = self._path(at) if self._paths else ()
        if path not in self._contexts:
            half, left = (self._rule.tokens - self._fixed) // 2, list(path)
            while left and self._taken(left) > half:
                left.pop(0)  # the nearest heading says most
            self._contexts[path] = BETWEEN.join(left), self._rule.tokens - self._fixed - self._taken(left)
        return self._contexts[path]

    def _taken(self, path: Sequence[str]) -> int:
        return self._count(self._passage(self._title, BETWEEN.join(path), "")) - self._fixed

    def _path(self, at: int) -> tuple[str, ...]:
        """The headings over a position; one that begins there is in the chunk itself."""
        above = bisect_right(self._heads, at) - 1
        if above < 0:
            return ()
        over, below = self._paths[above]
        return over if self._heads[above] == at else below

    def _stacked(self) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
        """What stands over each heading and over the text below it; what the title says is not said again."""
        found: list[tuple[int, str]] = []
        title = " ".join(self._title.split())
        for heading in self._laid.headings:
            found = [one for one in found if one[0] < heading.level]
            over = tuple(text for _, text in found if text and text != title)
            found.append((heading.level, heading.text))
            yield over, tuple(text for _, text in found if text and text != title)


def _without(border: array[int], wholes: Sequence[tuple[int, int]]) -> array[int]:
    """The cuts that leave everything whole that fits; both come in order."""
    if not wholes:
        return border
    kept, last = array("Q"), 0
    for start, end in wholes:
        kept += border[last : bisect_right(border, start)]
        last = bisect_left(border, end)
    return kept + border[last:]


def _clean(text: str, at: int, end: int) -> int:
    """A cut between two signs, where a sign is made of several characters."""
    for place in range(end, max(at, end - BACK), -1):
        if not _joined(text[place - 1], text[place]):
            return place
    return end


def _joined(one: str, other: str) -> bool:
    """Whether two neighbours are parts of one sign."""
    if other in "\u200d\ufe0e\ufe0f" or one == "\u200d" or "\U0001f3fb" <= other <= "\U0001f3ff":
        return True
    if "\U0001f1e6" <= one <= "\U0001f1ff" and "\U0001f1e6" <= other <= "\U0001f1ff":
        return True
    return (one == "\r" and other == "\n") or unicodedata.category(other) in ("Mn", "Mc", "Me")
