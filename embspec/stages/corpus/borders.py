"""Where a text may be cut: headings, blocks, items, sentences, lines, words; and what is better left whole."""
from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from typing import NamedTuple

HEADING, BLOCK, ITEM, SENTENCE, LINE, WORD = KINDS = range(6)  # the natural ones first

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_ATX = re.compile(r" {0,3}(#{1,6})(?=[ \t\r\n]|$)")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t\r\n]*$")
_FENCE = re.compile(r"[ \t]*(?:[-*+][ \t]+|\d{1,9}[.)][ \t]+)?(`{3,}(?=[^`]*$)|~{3,})", re.DOTALL)
_CLOSE = re.compile(r"[ \t]*(`{3,}|~{3,})[ \t\r\n]*$")
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+\S")
_QUOTE = re.compile(r"[ \t]*>")
_RULE = re.compile(r"[ \t]*:?-+:?[ \t]*")  # of one column, below the head of a table
# A full stop ends a sentence where white space follows and no small letter; one of East Asia wherever it stands.
_STOP = re.compile(r"[.!?…][.!?…\"'”’»)\]*_`]{0,8}\s+(?=\S)|[。！？｡．][。！？｡．」』”’）】]{0,8}\s*(?=\S)")
_SHORT = re.compile(
    r"(?:\b(?:[A-Za-z]|e\.g|i\.e|cf|vs|etc|approx|fig|figs|eq|sec|no|nos|vol|pp|ed|eds|al|mr|mrs|ms|dr|prof|st|inc|ltd|"
    r"z\.B|d\.h|bzw|ca|usw|Nr|Abs)|(?:^|\n)[ \t]*\d{1,9})$", re.IGNORECASE)
_WORD = re.compile(r"(?<=\s)\S")
_LONGEST = 12  # letters that an abbreviation has at most, with what stands before it


class Heading(NamedTuple):
    """A heading: where its line starts, how deep it is, and its words."""

    start: int
    level: int
    text: str


class Layout(NamedTuple):
    """A text as far as cutting it is concerned; positions are those of the first character behind a cut."""

    headings: list[Heading]
    wholes: list[tuple[int, int]]  # code fences and tables
    borders: tuple[array[int], ...]  # by kind


class _Line(NamedTuple):
    start: int
    end: int
    text: str


class _Scan:
    """One walk over the lines of a text, read as Markdown: a text without marks has paragraphs and lines alone."""

    def __init__(self, text: str) -> None:
        self.headings: list[Heading] = []
        self.wholes: list[tuple[int, int]] = []
        self.found = tuple(array("Q") for _ in KINDS)
        self._lines = [_Line(found.start(), found.end(), found[0]) for found in _LINE.finditer(text)]
        self._at = 0
        self._new = True  # whether a block ended before this line
        self._held = False  # whether a heading stands before it, which nobody cuts from what it heads
        while self._at < len(self._lines):
            self._block()

    def _block(self) -> None:
        line = self._lines[self._at]
        if not line.text.strip():
            self._new, self._at = True, self._at + 1
        elif fence := _FENCE.match(line.text):
            self._whole(self._fence(fence[1]))
        elif self._is_table():
            self._whole(self._table())
        elif heading := self._heading(line):
            self.headings.append(heading)
            self._border(HEADING, line.start)
            self._new = self._held = True
        else:
            self._plain(line)

    def _heading(self, line: _Line) -> Heading | None:
        """A heading here, with its underline where it has one."""
        if found := _ATX.match(line.text):
            self._at += 1
            words = line.text[found.end() :].strip()
            words = words if words.strip("#") else ""
            closed = words.rstrip("#")  # marks may stand behind a heading too
            return Heading(line.start, len(found[1]), " ".join((closed if closed[-1:].isspace() else words).split()))
        below = self._lines[self._at + 1].text if self._at + 1 < len(self._lines) else ""
        under = _UNDERLINE.match(below)
        if not self._new or not under or _ITEM.match(line.text) or _QUOTE.match(line.text):
            return None
        if _UNDERLINE.match(line.text) or line.text.startswith(("    ", "\t")):
            return None
        self._at += 2
        return Heading(line.start, 1 if under[1][0] == "=" else 2, " ".join(line.text.split()))

    def _plain(self, line: _Line) -> None:
        quote = bool(_QUOTE.match(line.text))
        kind = BLOCK if self._new else ITEM if _ITEM.match(line.text) else LINE
        self._border(kind, line.start)
        self._new, self._at = False, self._at + 1
        if not quote and self._at < len(self._lines) and _QUOTE.match(self._lines[self._at].text):
            self._new = True

    def _border(self, kind: int, start: int) -> None:
        if not self._held:
            self.found[kind].append(start)
        self._held = False

    def _whole(self, after: int) -> None:
        """Take the lines up to this one as a block that is better left whole."""
        inner = self._lines[self._at : after]
        self._border(BLOCK, inner[0].start)
        self.found[LINE].extend(line.start for line in inner[1:] if line.text.strip())
        self.wholes.append((inner[0].start, inner[-1].end))
        self._new, self._at = True, after

    def _fence(self, mark: str) -> int:
        """The line behind a fence; one that nobody closes goes on to the end."""
        for at in range(self._at + 1, len(self._lines)):
            found = _CLOSE.match(self._lines[at].text)
            if found and found[1].startswith(mark):
                return at + 1
        return len(self._lines)

    def _is_table(self) -> bool:
        if self._at + 1 == len(self._lines) or "|" not in self._lines[self._at].text:
            return False
        below = self._lines[self._at + 1].text.strip(" \t\r\n")
        columns = below.removeprefix("|").removesuffix("|").split("|")
        return "|" in below and all(map(_RULE.fullmatch, columns))

    def _table(self) -> int:
        at = self._at + 2
        while at < len(self._lines) and "|" in self._lines[at].text:
            at += 1
        return at


def layout(text: str) -> Layout:
    """The borders of a text, each kind in order."""
    scan = _Scan(text)
    scan.found[SENTENCE].extend(_outside(_sentences(text), scan.wholes))
    scan.found[WORD].extend(found.start() for found in _WORD.finditer(text))
    return Layout(scan.headings, scan.wholes, scan.found)


def _sentences(text: str) -> Iterator[int]:
    """Where sentences begin inside of paragraphs."""
    for found in _STOP.finditer(text):
        if text[found.end()].islower():
            continue
        if text[found.start()] == "." and _SHORT.search(text[max(0, found.start() - _LONGEST) : found.start()]):
            continue
        yield found.end()


def _outside(positions: Iterator[int], wholes: list[tuple[int, int]]) -> Iterator[int]:
    """Those that are inside of nothing that is left whole; both come in order."""
    left = iter(wholes)
    start, end = next(left, (-1, -1))
    for position in positions:
        while 0 <= end <= position:
            start, end = next(left, (-1, -1))
        if not start < position < end:
            yield position
