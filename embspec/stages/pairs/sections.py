"""Headings of Markdown, with the places of what stands below them."""
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}(?!.*`)|~{3,})")  # with a mark behind them, three open words within a line
_PARAGRAPH = re.compile(r" {0,3}[^\s>#*+|-]")
_FRONT = re.compile(r"---[ \t]*\n(?:.*\n)*?(?:---|\.\.\.)[ \t]*(?:\n|$)")
_LINK = re.compile(r"!?\[([^\[\]]*)\](?:\([^()]*\)|\[[^\[\]]*\])")
_ANCHOR = re.compile(r"\s*\{#[^{}]*\}\s*$|<a [^<>]*>(?:</a>)?")
_MARK = re.compile(r"(\*\*|__|\*|`)(?=\S)(.+?)(?<=\S)\1")
LONGEST = 500  # characters of a heading that are looked at: what is longer is no heading


class Section(NamedTuple):
    """A heading: where it starts, where the text below it does, and on which line it stands."""

    level: int
    title: str
    start: int
    body: int
    line: int


def sections(text: str) -> Iterator[Section]:
    """The headings of a text in order, those in code blocks and front matter aside."""
    front = _FRONT.match(text)
    at, fence, before = 0, "", -1
    start = front.end() if front else 0
    for number, line in enumerate(text.split("\n"), 1):
        begin, at = at, at + len(line) + 1
        if begin < start:
            continue
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not line[mark.end() :].strip():
                fence = ""
            continue
        if mark:
            fence, before = mark[1], -1
            continue
        found, under = _HEADING.match(line), _UNDERLINE.match(line)
        if found and (found[2] or "").strip("# \t"):
            yield Section(len(found[1]), found[2].strip(), begin, min(at, len(text)), number)
        elif before >= 0 and under:
            title = text[before:begin].strip()
            yield Section(1 if under[1][0] == "=" else 2, title, before, min(at, len(text)), number - 1)
        before = begin if not found and not under and _PARAGRAPH.match(line) else -1


def plain(title: str) -> str:
    """The words of a heading, without the signs of Markdown."""
    title = _LINK.sub(r"\1", _ANCHOR.sub("", title[:LONGEST]))
    for _ in range(2):  # bold within code, or the other way round
        title = _MARK.sub(r"\2", title)
    return " ".join(title.replace("\\", "").split())
