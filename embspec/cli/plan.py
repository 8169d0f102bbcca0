"""embspec plan"""
from __future__ import annotations

import click

from embspec.cli.common import Asked, plan_lines, put, say, set_option, spec_options
from embspec.errors import OK, WORK
from embspec.plan.price import price
from embspec.plan.values import Wish
from embspec.plan.words import plan_json


@click.command("plan")
@spec_options
@set_option
@click.option("--retrain", is_flag=True, help="As if the snapshot moved to the live documents.")
@click.option("--exit-code", is_flag=True, help="Exit 10 where there is work to do.")
def command(asked: Asked, sets: tuple[str, ...], retrain: bool, exit_code: bool) -> None:
    """Say what would run, be reused or stay, and because of which field.

    Example: embspec plan specs/handbook.yaml --set split.test=0.2
    """
    asked.words()
    of = asked.project(sets)
    now = of.plan(Wish(retrain=retrain))
    expected = of.seconds
    code = WORK if exit_code and now.todo else OK
    if asked.json:
        put(plan_json(of.at, now, of.lock.lock.blocks, code, expected=expected))
    else:
        for line in plan_lines(now, asked.verbose, expected):
            click.echo(line)
        cost = price(now, of.lock.lock.blocks, expected)
        text = f"{of.at.name}: {len(now.work)} of {len(now.steps)} stages to do"
        say(text + (f", {cost}" if cost else ""), asked.quiet)
        far = of.drift(now)
        if far:
            say(f"{of.at.name}: {far}", asked.quiet)
        for problem in of.refusals():
            say(f"refused at build: {problem}")
        if implied := of.implied():
            say(f"not part of this version, and left out: {', '.join(implied)}", asked.quiet)
    raise click.exceptions.Exit(code)
