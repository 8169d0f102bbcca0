"""embspec plan"""
from __future__ import annotations

import click

from embspec.cli.common import plan_lines, project, put, say, set_option, spec_options, words
from embspec.errors import OK, WORK
from embspec.plan.values import Wish
from embspec.plan.words import plan_json
from embspec.run import timings


@click.command("plan")
@spec_options
@set_option
@click.option("--retrain", is_flag=True, help="As if the snapshot moved to the live documents.")
@click.option("--exit-code", is_flag=True, help="Exit 10 where there is work to do.")
def command(
    given: tuple[str, ...], spec: str | None, json_: bool, quiet: bool, verbose: bool, allow_outside: bool,
    sets: tuple[str, ...], retrain: bool, exit_code: bool,
) -> None:
    """Say what would run, be reused or stay, and because of which field.

    Example: embspec plan specs/handbook.yaml --set split.test=0.2
    """
    of = project(words(given, spec, 0, "a spec"), allow_outside, sets)
    now = of.plan(Wish(retrain=retrain))
    expected = timings.load(of.at)
    code = WORK if exit_code and (now.work or now.dropped or now.lost) else OK
    if json_:
        put(plan_json(of.at, now, of.lock.lock.blocks, code, expected=expected))
    else:
        for line in plan_lines(now, verbose, expected):
            click.echo(line)
        seconds = [expected[s.node.name] for s in now.work if s.node.name in expected]
        say(f"{of.at.name}: {len(now.work)} of {len(now.steps)} stages to do"
            + (f", about {sum(seconds):.1f} s by the last runs here" if seconds else ""), quiet)
        far = of.drift(now)
        if far:
            say(f"{of.at.name}: {far}", quiet)
        for problem in of.refusals():
            say(f"refused at build: {problem}")
        if of.implied():
            say(f"not part of this version, and left out: {', '.join(of.implied())}", quiet)
    raise click.exceptions.Exit(code)
