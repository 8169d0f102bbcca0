"""embspec fsck"""
from __future__ import annotations

import os

import click

from embspec.api import repair, store_folder
from embspec.cli.common import Asked, lock_options, on_terminal, put, say
from embspec.cli.progress import telling
from embspec.errors import CORRUPT, OK
from embspec.plan.price import size


@click.command("fsck")
@lock_options
@click.option("--no-run", is_flag=True, help="Bring back what lies somewhere; run no stage.")
def command(asked: Asked, no_run: bool) -> None:
    """Hash all that the store holds; what is bad is set aside, then brought back or built again as the lock has it.

    0 where all is well or was repaired, 50 naming what is lost.

    Example: embspec fsck specs/handbook.yaml
    """
    asked.words()
    of = asked.any_project()
    with telling(asked.quiet or asked.json, asked.verbose) as tell:
        hear = repair.Hear(_read(asked), lambda text: say(text, asked.quiet), tell)
        found = of.fsck(not no_run, hear) if of else repair.check(store_folder(os.environ), [], _none, not no_run, hear)
    code = CORRUPT if found.lost else OK
    if asked.json:
        bad = [{"kind": b.kind, "name": b.name, "path": b.path} for b in found.bad]
        put({"exit": code, "store": found.store, "counts": found.counts, "bytes": found.bytes, "bad": bad,
             "repaired": found.repaired, "lost": found.lost})
    else:
        for name, where in found.repaired.items():
            click.echo(f"repaired sha256:{name}: {where}")
        for name, reason in found.lost.items():
            click.echo(f"lost sha256:{name}: {reason}")
        counts = ", ".join(f"{count} {kind}s" for kind, count in found.counts.items())
        say(f"{found.store}: {counts}, {size(found.bytes)}; {len(found.bad)} bad, {len(found.repaired)} repaired, "
            f"{len(found.lost)} lost", asked.quiet)
    raise click.exceptions.Exit(code)


def _read(asked: Asked) -> repair.Read:
    """How far the reading has come, on a terminal alone: many lines of it would be noise."""
    shown = on_terminal() and not (asked.quiet or asked.json)
    return lambda done, total: click.echo(f"\r{done} of {total} files read", err=True, nl=done == total) if (
        shown) else None


def _none(spec: str) -> repair.Side:
    raise AssertionError(spec)

