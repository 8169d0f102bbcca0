"""embspec log"""
from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from embspec.cli.common import Asked, lock_options, put, say
from embspec.errors import OK

if TYPE_CHECKING:
    from embspec.api import Past

COMMIT, MODEL = 8, 12  # letters of a name that tell it from the others


@click.command("log")
@lock_options
@click.option("-n", "most", type=click.IntRange(min=1), default=20, show_default=True, help="How many commits.")
@click.option("--all", "every", is_flag=True, help="Of all branches and tags, not of HEAD's history alone.")
def command(asked: Asked, most: int, every: bool) -> None:
    """The history of the model in git: each commit that changed the lock, newest first, with what it measured, its
    verdict, and where its model can be brought back from.

    `store`: `embspec get` fetches it. `git`: it can be built again, for its inputs are at hand. `lost`: it cannot.

    Example: embspec log specs/handbook.yaml -n 5
    """
    asked.words()
    of = asked.project()
    found = of.history().log(most, every)
    if asked.json:
        put({"exit": OK, "spec": of.at.shown(of.at.spec), "log": [past._asdict() for past in found]})
        return
    if not found:
        say(f"{of.at.name}: no commit has {of.at.shown(of.at.lock)} yet", asked.quiet)
    for past in found:
        for line in lines(past, asked.verbose):
            click.echo(line)


def lines(past: Past, verbose: bool = False) -> Iterable[str]:
    """One line a commit; under it what is lost, and with `verbose` every system."""
    head = f"{past.commit[:COMMIT]} {past.day}"
    if past.problem:
        yield f"{head}  ! {past.problem}: {past.subject}"
        return
    figure = "-" if past.value is None else f"{past.metric} {past.value:.4f} {past.system}"
    yield (f"{head}  {(past.model or '-')[:MODEL]:<{MODEL}}  {figure:<32} {past.verdict or '-':<12} "
           f"{past.source or '-':<6} {past.subject}").rstrip()
    if past.recut:
        yield ("    documents are cut otherwise than before: figures above and below this line are of other texts, but "
               "for those by document")
    yield from (f"    lost: {text}" for text in past.lost)
    if verbose:
        yield from (f"    {where:<12} {text}" for where, text in past.figures.items())
