"""embspec check"""
from __future__ import annotations

import click

from embspec.cli.common import Asked, put, say, set_option, spec_options
from embspec.errors import OK, EmbspecError
from embspec.plan.canonical import scalar


@click.command("check")
@spec_options
@set_option
def command(asked: Asked, sets: tuple[str, ...]) -> None:
    """Validate the spec and read every input as a build would, without building.

    Example: embspec check specs/handbook.yaml
    """
    asked.words()
    of = asked.project(sets)
    stats, problems = of.check()
    if problems:
        raise EmbspecError(*problems)
    if asked.json:
        put({"exit": OK, "spec": of.at.shown(of.at.spec), "inputs": stats,
             "refused": [p.field for p in of.refusals()]})
        return
    for name, stat in stats.items():
        say(f"{name}: " + ", ".join(f"{value} {key}" for key, value in stat.items()), asked.quiet)
    if asked.verbose:
        for path, value in of.spec.values.items():
            say(f"{path}: {scalar(value)}")
    for problem in of.refusals():
        say(f"refused at build: {problem}")
    say(f"{of.at.shown(of.at.spec)} is valid", asked.quiet)
