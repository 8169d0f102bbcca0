"""embspec reproduce"""
from __future__ import annotations

from typing import Any

import click

from embspec.api import Rebuilt, Reproduced
from embspec.cli.common import Asked, put, say, spec_options
from embspec.cli.progress import telling


@click.command("reproduce")
@spec_options
@click.option("--stage", default="", metavar="STAGE", help="Only this stage; what it opens is taken by digest.")
@click.option("--fresh-env", is_flag=True, help="In a virtual environment made from the recorded packages.")
@click.option("--embspec", "wheel", default="", metavar="WHEEL", help="With --fresh-env: embspec from this file or "
              "folder, not by its recorded version.")
def command(asked: Asked, stage: str, fresh_env: bool, wheel: str) -> None:
    """Build every stage again in a store of its own, and compare the bytes with the lock.

    REV is a git revision; without it the lock of the work tree is reproduced. Nothing of the project changes.

    Example: embspec reproduce v1.2 specs/handbook.yaml
    """
    revision = next(iter(asked.words(1, "a revision and a spec")), "")
    if wheel and not fresh_env:
        raise click.UsageError("--embspec goes with --fresh-env")
    of = asked.project(revision=revision)
    with telling(asked.quiet or asked.json, asked.verbose) as tell:
        found = of.reproduce_fresh(revision, stage, wheel, tell) if fresh_env else of.reproduce(revision, stage, tell)
    if asked.json:
        put(_json(found))
    else:
        for row in found.stages:
            if not asked.quiet:
                click.echo(_line(row))
        say(f"{of.at.name}: {found.text}")
    raise click.exceptions.Exit(found.exit)


def _json(found: Reproduced) -> dict[str, Any]:
    return {"exit": found.exit, "class": found.alike, "text": found.text, "stages": [
        {"name": row.name, "equal": row.equal, "class": row.alike, "taken": row.taken or None,
         "first": row.first and row.first._asdict()}
        for row in found.stages]}


def _line(row: Rebuilt) -> str:
    if row.equal is None:
        return f"< {row.name:<16} taken by digest: {row.taken}"
    if row.first is None:
        return f"= {row.name:<16} equal ({row.alike})"
    return f"! {row.name:<16} differs ({row.alike}) in {row.first.artefact}: {row.first.text}"
