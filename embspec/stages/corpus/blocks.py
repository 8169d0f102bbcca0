"""Blocks of a page as lines, with the marks that Markdown has for them: what cuts a text knows one such language."""
from __future__ import annotations

import re
from collections.abc import Sequence

_SPACE = re.compile(r"[ \t\r\n\f\v]+")
_MARK = re.compile(r"^(?=#{1,6}[ \t]|#{1,6}$|```|~~~)", re.MULTILINE)
_TICKS = re.compile(r"`{3,}")


def spaced(text: str) -> str:
    """Text with each run of white space as one space; spaces that do not break stay."""
    return _SPACE.sub(" ", text).strip(" ")


class Blocks:
    """The text of a page, block by block."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._listed = False  # whether the last block is an item
        self.size = 0
        self.first = ""  # the first heading

    def heading(self, level: int, text: str) -> None:
        """A heading, from 1 to 6."""
        title = spaced(text)
        if title:
            self._add(f"{'#' * min(max(level, 1), 6)} {title}")
            self.first = self.first or title

    def paragraph(self, text: str) -> None:
        """Running text; its line breaks stay."""
        self._add(_running(text))

    def item(self, text: str, depth: int = 1) -> None:
        """An item of a list, at a depth from 1."""
        lead = "  " * (min(depth, 20) - 1)
        words = _running(text)
        if words:
            self._add(f"{lead}- " + words.replace("\n", f"\n{lead}  "), listed=True)

    def code(self, text: str) -> None:
        """Text as it is, between fences that are longer than any in it."""
        text = text.replace("\r\n", "\n").strip("\n").rstrip()
        if text:
            fence = "`" * max([3, *(len(ticks) + 1 for ticks in _TICKS.findall(text))])
            self._add(f"{fence}\n{text}\n{fence}")

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Rows of cells, the first of them the head."""
        kept = [[spaced(cell).replace("|", "\\|") for cell in row] for row in rows]
        kept = [row for row in kept if any(row)]
        if not kept:
            return
        lines = ["| " + " | ".join(row) + " |" for row in kept]
        self._add("\n".join([lines[0], "|" + " --- |" * len(kept[0]), *lines[1:]]))

    def text(self) -> str:
        """All of it: blocks apart by an empty line, items by a line's end."""
        return "".join(self._parts)

    def _add(self, block: str, listed: bool = False) -> None:
        if not block:
            return
        if self._parts:
            self._parts.append("\n" if listed and self._listed else "\n\n")
        self._parts.append(block)
        self._listed = listed
        self.size += len(block) + 2


def _running(text: str) -> str:
    """Lines of running text; one that would open a heading or a fence gets Markdown's mark that it does not."""
    lines = (spaced(line) for line in text.split("\n"))
    return _MARK.sub(r"\\", "\n".join(line for line in lines if line))
