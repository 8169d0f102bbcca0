"""embspec lock"""
from __future__ import annotations

import click

from embspec.api import verdict_exit
from embspec.cli.common import Asked, plan_lines, put, say, spec_options
from embspec.errors import OK, fail
from embspec.plan.words import plan_json


@click.command("lock")
@spec_options
@click.option("--check", is_flag=True, help="Is the lock what spec and inputs say? Runs nothing.")
# The head of every lock names it, so whoever follows that is told what to do until it is built.
@click.option("--merge", is_flag=True, hidden=True)
def command(asked: Asked, check: bool, merge: bool) -> None:
    """Check the lock: 0, 11 naming the fields, 20 or 21 where the locked verdict is red.

    Example: embspec lock --check specs/handbook.yaml
    """
    asked.words()
    if merge:
        raise fail("usage.not-built", "`lock --merge` is not built yet",
                   fix="take one side (git checkout --ours or --theirs), then run `embspec build`")
    if not check:
        raise click.UsageError("lock needs --check")
    of = asked.project()
    now = of.check_lock()
    blocks = of.lock.lock.blocks
    code = verdict_exit(now)
    if asked.json:
        put(plan_json(of.at, now, blocks, code))
    else:
        if asked.verbose:
            for line in plan_lines(now, verbose=True):
                click.echo(line)
        said = "is what spec and inputs say" + ("" if code == OK else f"; the verdict is {now.verdict}")
        say(f"{of.at.shown(of.at.lock)} {said}", asked.quiet and code == OK)
    raise click.exceptions.Exit(code)
