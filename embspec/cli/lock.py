"""embspec lock"""
from __future__ import annotations

import click

from embspec.api import verdict_exit
from embspec.cli.common import project, put, say, spec_options, words
from embspec.errors import OK
from embspec.plan.words import plan_json


@click.command("lock")
@spec_options
@click.option("--check", is_flag=True, required=True, help="Is the lock what spec and inputs say? Runs nothing.")
def command(
    given: tuple[str, ...], spec: str | None, json_: bool, quiet: bool, verbose: bool, allow_outside: bool, check: bool,
) -> None:
    """Check the lock: 0, 11 naming the fields, 20 or 21 where the locked verdict is red.

    Example: embspec lock --check specs/handbook.yaml
    """
    of = project(words(given, spec, 0, "a spec"), allow_outside)
    now = of.check_lock()
    blocks = of.lock.lock.blocks
    code = verdict_exit(now, blocks)
    if json_:
        put(plan_json(of.at, now, blocks, code))
    else:
        said = "is what spec and inputs say" + ("" if code == OK else f"; the verdict is {now.verdict}")
        say(f"{of.at.shown(of.at.lock)} {said}", quiet and code == OK)
    raise click.exceptions.Exit(code)
