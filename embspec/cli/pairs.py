"""embspec pairs"""
from __future__ import annotations

import click

from embspec.api import PAIR_FORMATS, save
from embspec.cli.common import Asked, lock_options, put, say
from embspec.errors import OK, fail


@click.command("pairs")
@lock_options
@click.option("--source", default="", metavar="NAME", help="The pairs of one source; by default of all, merged.")
@click.option("--format", "form", type=click.Choice(PAIR_FORMATS), default=PAIR_FORMATS[0], show_default=True)
@click.option("-o", "--out", "file", default="", metavar="FILE", help="Where to; by default stdout.")
def command(asked: Asked, source: str, form: str, file: str) -> None:
    """Hand out the pairs of the lock in another tool's format: `embspec pairs export [REV]`.

    What two sources ask in the same words is one question. REV is a git revision or a lock file.

    Example: embspec pairs export specs/handbook.yaml --source faq --format bge -o train.jsonl
    """
    words = asked.words(2, "`export`, a revision and a spec")
    if words[:1] != ("export",):
        raise fail("usage.arguments", f"`{words[0]}` is not known" if words else "what of the pairs?",
                   fix="write `embspec pairs export`")
    revision = words[1] if len(words) > 1 else ""
    of = asked.project(revision=revision)
    if asked.json and not file:
        raise fail("usage.arguments", "both the pairs and --json go to stdout", fix="name a file with -o")
    lines = of.pairs(source, form, revision)
    if not file:
        for line in lines:
            click.echo(line)
        return
    number = save(file, lines)
    if asked.json:
        put({"exit": OK, "spec": of.at.shown(of.at.spec), "file": file, "format": form, "lines": number})
    else:
        say(f"{file}: {number} lines, {form}", asked.quiet)
