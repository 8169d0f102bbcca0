"""Markdown by its lines, in one walk for all who read it: headings, code fences, tables, and lines of text."""
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

HEADING, FENCE, TABLE, LINE = "heading", "fence", "table", "line"

# No pattern has two repeats side by side that take the same letters: a hostile line is read in linear time.
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_ATX = re.compile(r" {0,3}(#{1,6})(?=[ \t\r\n]|$)")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t\r\n]*$")
# With a mark behind them, three ticks open words within a line. A fence may stand in a list, so as deep as it likes.
_FENCE = re.compile(r"[ \t]*(?:[-*+][ \t]+|\d{1,9}[.)][ \t]+)?(`{3,}(?=[^`]*$)|~{3,})", re.DOTALL)
_CLOSE = re.compile(r"[ \t]*(`{3,}|~{3,})[ \t\r\n]*$")
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+\S")
_QUOTE = re.compile(r"[ \t]*>")
_RULE = re.compile(r"[ \t]*:?-+:?[ \t]*")  # of one column, below the head of a table
_RULED = "*_ \t\r\n"  # a line of nothing else is a rule
_CODE = ("    ", "\t")  # what a line of code begins with where no fence stands


class Block(NamedTuple):
    """A heading, a fence, a table or one line: its place in the text, and the number of its first line.

    `fresh` says that no paragraph goes on here; a heading has its level and its words as they are written.
    """

    kind: str
    start: int
    end: int
    number: int
    fresh: bool
    level: int = 0
    words: str = ""


class _Row(NamedTuple):
    start: int
    end: int
    text: str


class _Rows:
    """The lines of a text: the one that is looked at, and the one below it; empty behind the last."""

    def __init__(self, text: str, start: int) -> None:
        self._rest = _LINE.finditer(text, start)
        self._none = _Row(len(text), len(text), "")
        self.here, self.below = self._next(), self._next()
        self.number = text.count("\n", 0, start) + 1

    def _next(self) -> _Row:
        found = next(self._rest, None)
        return _Row(found.start(), found.end(), found[0]) if found else self._none

    def step(self) -> int:
        """Go on by a line; where the one that was looked at ends."""
        end = self.here.end
        self.here, self.below = self.below, self._next()
        self.number += 1
        return end


def blocks(text: str, start: int = 0) -> Iterator[Block]:
    """What stands in a text from `start` on, in order; lines with nothing in them aside."""
    rows, fresh = _Rows(text, start), True
    while rows.here.text:
        row, number = rows.here, rows.number
        if not row.text.strip():
            rows.step()
            fresh = True
        elif fence := _FENCE.match(row.text):
            yield Block(FENCE, row.start, _fence(rows, fence[1]), number, fresh)
            fresh = True
        elif _is_table(row.text, rows.below.text):
            yield Block(TABLE, row.start, _table(rows), number, fresh)
            fresh = True
        elif found := _heading(row.text, rows.below.text, fresh):
            level, words, lines = found
            end = [rows.step() for _ in range(lines)][-1]
            yield Block(HEADING, row.start, end, number, fresh, level, words)
            fresh = True
        else:
            yield Block(LINE, row.start, rows.step(), number, fresh)
            fresh = is_quote(rows.here.text) and not is_quote(row.text)


def headings(text: str, start: int = 0) -> Iterator[Block]:
    """Those that say something."""
    return (block for block in blocks(text, start) if block.words)


def title(text: str) -> str:
    """The first heading of a text; empty where there is none."""
    return next((block.words for block in headings(text)), "")


def is_item(line: str) -> bool:
    """Whether an item of a list begins on this line."""
    return bool(_ITEM.match(line))


def is_quote(line: str) -> bool:
    """Whether this line is quoted."""
    return bool(_QUOTE.match(line))


def _heading(line: str, below: str, fresh: bool) -> tuple[int, str, int] | None:
    """Level, words and lines of a heading."""
    if found := _ATX.match(line):
        words = line[found.end() :].strip()
        opened = words.rstrip("#")  # marks may stand behind a heading too
        if not opened or opened[-1] in " \t":
            words = opened.rstrip()
        words = words if words.strip("# \t") else ""
        return len(found[1]), words, 1
    under = _UNDERLINE.match(below)
    if not under or is_item(line) or is_quote(line) or _UNDERLINE.match(line) or line.startswith(_CODE):
        return None
    if not line.strip(_RULED):
        return None
    double = under[1][0] == "="
    # Below a paragraph of more lines, dashes are more often meant as a rule.
    return (1 if double else 2, line.strip(), 2) if double or fresh else None


def _fence(rows: _Rows, mark: str) -> int:
    """The end of a fence; one that nobody closes goes on to the end of the text."""
    end = rows.step()
    while rows.here.text:
        found = _CLOSE.match(rows.here.text)
        end = rows.step()
        if found and found[1].startswith(mark):
            break
    return end


def _is_table(line: str, below: str) -> bool:
    if "|" not in line or "|" not in below:
        return False
    columns = below.strip(" \t\r\n").removeprefix("|").removesuffix("|").split("|")
    return all(map(_RULE.fullmatch, columns))


def _table(rows: _Rows) -> int:
    rows.step()
    end = rows.step()
    while "|" in rows.here.text:
        end = rows.step()
    return end
