"""Headings of Markdown as pairs use them: what belongs to each, and its words alone."""
from __future__ import annotations

import re
from collections.abc import Sequence

from embspec.stages.outline import Block

_FRONT = re.compile(r"---[ \t]*\n(?:.*\n)*?(?:---|\.\.\.)[ \t]*(?:\n|$)")
_LINK = re.compile(r"!?\[([^\[\]]*)\](?:\([^()]*\)|\[[^\[\]]*\])")
_ANCHOR = re.compile(r"\s*\{#[^{}]*\}\s*$|<a [^<>]*>(?:</a>)?")
_MARK = re.compile(r"(\*\*|__|\*|`)(?=\S)(.+?)(?<=\S)\1")
LONGEST = 500  # characters of a heading that are looked at: what is longer is no heading


def behind_front(text: str) -> int:
    """Where the text of a file begins that may open with front matter."""
    front = _FRONT.match(text)
    return front.end() if front else 0


def ends(found: Sequence[Block], last: int) -> list[int]:
    """Where the text below each heading ends: at the next one that is as high, or at the end of the file."""
    after, open_ = [last] * len(found), list[int]()
    for number, block in enumerate(found):
        while open_ and found[open_[-1]].level >= block.level:
            after[open_.pop()] = block.start
        open_.append(number)
    return after


def plain(title: str) -> str:
    """The words of a heading, without the signs of Markdown."""
    title = _LINK.sub(r"\1", _ANCHOR.sub("", title[:LONGEST]))
    for _ in range(2):  # bold within code, or the other way round
        title = _MARK.sub(r"\2", title)
    return " ".join(title.replace("\\", "").split())
