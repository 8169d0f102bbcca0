"""embspec search"""
from __future__ import annotations

import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import click

from embspec.cli.common import Asked, put, spec_options
from embspec.errors import OK, fail

WORDS = 64  # loose arguments: a question without quotes is one question too
BESIDE, GAP = 100, 3  # columns from which on two lists stand side by side, and the blanks between them
LINES = 2  # of a text
LEAST = 20  # columns: a narrower terminal breaks the lines itself


@click.command("search")
@spec_options
@click.option("-k", "k", type=click.IntRange(1, 100), default=5, show_default=True, help="Documents of each list.")
def command(asked: Asked, k: int) -> None:
    """Ask the index that was built, with the untuned base beside it.

    Example: embspec search "how do I reset a valve" specs/handbook.yaml
    """
    query = " ".join(asked.words(WORDS, "a question and a spec")).strip()
    if not query:
        raise fail("usage.query", "search needs a question", fix='say it in quotes: embspec search "how do I …"')
    of = asked.project()
    found = of.search(query, k)
    if asked.json:
        put({"exit": OK, "spec": of.at.shown(of.at.spec), **found})
        return
    width = max(shutil.get_terminal_size((BESIDE, 24)).columns, LEAST)
    for line in lines(found, width):
        click.echo(line)


def lines(found: Mapping[str, Any], width: int) -> list[str]:
    """Both lists, side by side where there is room for that."""
    if width < BESIDE:
        return [*_column("tuned", found["tuned"], width), "", *_column("base", found["base"], width)]
    half = (width - GAP) // 2
    left, right = (_column(name, found[name], half) for name in ("tuned", "base"))
    tall = max(len(left), len(right))
    both = zip(left + [""] * (tall - len(left)), right + [""] * (tall - len(right)), strict=True)
    return [f"{one:<{half}}{' ' * GAP}{other}".rstrip() for one, other in both]


def _column(name: str, hits: Sequence[Mapping[str, Any]], width: int) -> list[str]:
    said = [name]
    for rank, hit in enumerate(hits, 1):
        title = f"  {hit['title']}" if hit["title"] else ""
        head = f"{rank:>2}  {hit['score']:.3f}  {hit['id']}{title}"
        said.append(head if len(head) <= width else head[: width - 1] + "…")
        body = textwrap.wrap(hit["text"], width - 4, max_lines=LINES, placeholder="…") or [""]
        said += [f"    {line}" for line in body] + [""] * (LINES - len(body))
    return said
