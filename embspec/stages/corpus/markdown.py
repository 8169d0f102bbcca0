"""Markdown: front matter apart from the text."""
from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from embspec.errors import Where
from embspec.stages.reading import Problems

FRONT = 256 << 10  # letters of front matter: its reader is slow
_OPEN = re.compile(r"---[ \t]*\n")
_CLOSE = re.compile(r"^(?:---|\.\.\.)[ \t]*$", re.MULTILINE)


class Page(NamedTuple):
    """A Markdown file in its two parts."""

    front: Mapping[str, Any]
    text: str


def split(text: str, name: str, problems: Problems) -> Page | None:
    """Front matter and text of a file; a rule of dashes that opens no mapping belongs to the text."""
    opened = _OPEN.match(text)
    closed = _CLOSE.search(text, opened.end()) if opened else None
    if opened is None or closed is None:
        return Page({}, text.strip("\n"))
    if closed.start() > FRONT:
        fix = "close it with a line of dashes; if these lines are no front matter, begin the file with an empty line"
        problems.add("input.front-matter", f"front matter is longer than {FRONT >> 10} kB", Where(name, 1), fix)
        return None
    read = _front(text[opened.end() : closed.start()], name, problems)
    if read is None:
        return None
    (front,) = read
    if not isinstance(front, dict):
        return Page({}, text.strip("\n"))
    return Page({str(key): value for key, value in front.items()}, text[closed.end() :].strip("\n"))


@cache
def _yaml() -> Any:
    """The YAML reader, imported only when a file has front matter."""
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True)


def _front(text: str, name: str, problems: Problems) -> tuple[Any] | None:
    """The value between the dashes, which may be null; None where there is no reading it, which is noted."""
    if not text.strip():
        return ({},)
    reader = _yaml()
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # YAML lets an anchor be given twice, its reader warns of it
            return (reader.load(text),)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # The opening line of dashes is not part of what was parsed, and marks count from 0.
        where = Where(name, mark.line + 2, mark.column + 1) if mark else Where(name, 1)
        what = str(error.problem or error.context)
    except (YAMLError, ValueError, RecursionError) as error:
        where, what = Where(name, 1), str(error)
    fix = "quote the value; if these lines are no front matter, begin the file with an empty line"
    problems.add("input.front-matter", f"front matter is not YAML: {what.splitlines()[0]}", where, fix)
    return None
