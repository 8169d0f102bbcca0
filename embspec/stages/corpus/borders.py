"""Where a text may be cut: headings, blocks, items, sentences, lines, words; and what is better left whole."""
from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from embspec.stages import outline

HEADING, BLOCK, ITEM, SENTENCE, LINE, WORD = KINDS = range(6)  # the natural ones first

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
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


class _Scan:
    """One walk over a text, read as Markdown: a text without marks has paragraphs and lines alone."""

    def __init__(self, text: str) -> None:
        self.headings: list[Heading] = []
        self.wholes: list[tuple[int, int]] = []
        self.found = tuple(array("Q") for _ in KINDS)
        self._held = False  # whether a heading stands before, which nobody cuts from what it heads
        for block in outline.blocks(text):
            if block.kind == outline.HEADING:
                self.headings.append(Heading(block.start, block.level, " ".join(block.words.split())))
                self._border(HEADING, block.start)
                self._held = True
            elif block.kind == outline.LINE:
                item = not block.fresh and outline.is_item(text[block.start : block.end])
                self._border(BLOCK if block.fresh else ITEM if item else LINE, block.start)
            else:
                self._whole(block, text)

    def _border(self, kind: int, start: int) -> None:
        if not self._held:
            self.found[kind].append(start)
        self._held = False

    def _whole(self, block: outline.Block, text: str) -> None:
        """What is better left whole may still be cut between its lines."""
        self._border(BLOCK, block.start)
        _, *inner = _LINE.finditer(text, block.start, block.end)
        self.found[LINE].extend(line.start() for line in inner if line[0].strip())
        self.wholes.append((block.start, block.end))


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
