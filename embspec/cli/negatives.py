"""embspec negatives"""
from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from embspec.api import FORMS
from embspec.cli.common import Asked, put, say, spec_options
from embspec.errors import OK, fail

if TYPE_CHECKING:
    from embspec.api import Exported

EXPORT = "export"


@click.command("negatives")
@spec_options
@click.option("--format", "form", type=click.Choice(list(FORMS)), default="triplet", show_default=True)
@click.option("--to", default="", metavar="FILE", help="Where to; without it the lines go to stdout.")
@click.option("--negatives", "number", type=click.IntRange(min=1), metavar="N",
              help="For n-tuple: how many in each line; without it as many as the query has that has most.")
@click.option("--round", "only", type=click.IntRange(min=1), metavar="N", help="Of one round of mining, not the last.")
def command(asked: Asked, form: str, to: str, number: int | None, only: int | None) -> None:
    """Write the mined examples of the last build as JSON lines, in a form that losses and other trainers read: texts as
    the model reads them, without prompts.

    \b
    pairs    {query, positive}, a line for each positive
    triplet  {query, positive, negative}, a line for each positive and negative
    n-tuple  {query, positive, negative_1, …, negative_N}, a line for each positive
    scored   {query, documents, scores} by a cross-encoder, else {query, documents, labels} with 1 for an answer

    Queries with too few negatives for a line are left out, and counted on stderr.

    Example: embspec negatives export specs/handbook.yaml --format n-tuple --to mined.jsonl
    """
    if next(iter(asked.words(1, f"`{EXPORT}` and a spec")), "") != EXPORT:
        raise fail("usage.negatives", f"negatives needs the word `{EXPORT}`",
                   fix="embspec negatives export specs/handbook.yaml")
    if asked.json and not to:
        raise click.UsageError("--json goes with --to: stdout has room for the examples or for one object")
    if number is not None and form != "n-tuple":
        raise click.UsageError("--negatives goes with --format n-tuple: other forms have no fixed number")
    of = asked.project()
    write = sys.stdout.write
    try:
        done = of.mined.export_to(to, form, number, only) if to else of.mined.export(form, write, number, only)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read has enough; so has the exit
        return
    if asked.json:
        put({"exit": OK, "spec": of.at.shown(of.at.spec), "to": to, **done._asdict()})
        return
    say(f"{of.at.name}: {_said(done)}" + (f" in {to}" if to else ""), asked.quiet)


def _said(done: Exported) -> str:
    each = f" with {done.negatives} negatives each" if done.negatives is not None else ""
    left = f"; {done.left_out} queries have too few negatives and were left out" if done.left_out else ""
    return f"{done.lines} lines of {done.format}{each}{left}"
