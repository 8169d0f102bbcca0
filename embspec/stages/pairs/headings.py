"""Headings of the corpus as weak pairs: each asks for the text below it."""
from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import xxhash

from embspec.errors import Where
from embspec.stages import outline
from embspec.stages.pairs.asked import Asked, Judgement
from embspec.stages.pairs.documents import pages
from embspec.stages.pairs.sections import plain
from embspec.stages.reading import Problems, count, ending

MARKDOWN = (".md", ".markdown")
WORDS, SIGNS = 3, 6  # a heading that is shorter says too little; signs where a script has no blanks
BELOW = 40  # characters that have to stand below it


class _Heading(NamedTuple):
    title: str
    page: str
    start: int
    end: int


def headings(documents: Path, field: str, problems: Problems) -> list[Asked]:
    """A query for each heading that says something, stands once in the collection, and has a text below it."""
    seen: dict[int, bool] = {}
    for one in _all(documents):
        code = _code(one.title)
        seen[code] = code in seen
    found = [_asked(one) for one in _all(documents) if not seen[_code(one.title)]]
    if not found:
        text = f"no heading of Markdown documents can be a query; there are {count(len(seen), 'heading')} of use"
        fix = f"a heading needs {WORDS} words, no other like it, and text below; or take the source out"
        problems.add("input.empty", text, None, fix, field)
    return found


def _all(documents: Path) -> Iterator[_Heading]:
    for page in pages(documents):
        if ending(page.id) not in MARKDOWN:
            continue
        found = list(outline.headings(page.text))
        for number, block in enumerate(found):
            end = found[number + 1].start if number + 1 < len(found) else len(page.text)
            title = plain(block.words)
            if _says(title) and len(page.text[block.end : end].strip()) >= BELOW:
                yield _Heading(title, page.id, block.start, end)


def _says(title: str) -> bool:
    """Is a heading more than a word like `Overview`?"""
    letters = [sign for sign in title if unicodedata.category(sign)[0] == "L"]
    wide = sum(unicodedata.east_asian_width(sign) in "WF" for sign in letters)
    return len(title.split()) >= WORDS or wide >= SIGNS


def _code(title: str) -> int:
    return xxhash.xxh3_64_intdigest(" ".join(unicodedata.normalize("NFKC", title).casefold().split()).encode())


def _asked(one: _Heading) -> Asked:
    where = Where(one.page)
    return Asked(None, one.title, [Judgement(one.page, 1, where, one.start, one.end)], {}, where)
