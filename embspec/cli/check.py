"""embspec check"""
from __future__ import annotations

import click

from embspec.cli.common import print_error, project, put, say, set_option, spec_options, words
from embspec.errors import INVALID, OK


@click.command("check")
@spec_options
@set_option
def command(
    given: tuple[str, ...], spec: str | None, json_: bool, quiet: bool, verbose: bool, allow_outside: bool,
    sets: tuple[str, ...],
) -> None:
    """Validate the spec and read every input as a build would, without building.

    Example: embspec check specs/handbook.yaml
    """
    of = project(words(given, spec, 0, "a spec"), allow_outside, sets)
    stats, problems = of.check()
    if problems:
        raise click.exceptions.Exit(print_error(problems, INVALID, json_))
    if json_:
        put({"exit": OK, "spec": of.at.shown(of.at.spec), "inputs": stats,
             "refused": [p.field for p in of.refusals()]})
        return
    for name, stat in stats.items():
        say(f"{name}: " + ", ".join(f"{value} {key}" for key, value in stat.items()), quiet)
    for problem in of.refusals():
        say(f"refused at build: {problem}")
    say(f"{of.at.shown(of.at.spec)} is valid", quiet)
