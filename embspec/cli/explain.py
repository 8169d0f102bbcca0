"""embspec explain"""
from __future__ import annotations

import click

from embspec.cli.common import project, put, spec_options, words
from embspec.errors import OK, fail
from embspec.plan.plan import Step


@click.command("explain")
@spec_options
def command(
    given: tuple[str, ...], spec: str | None, json_: bool, quiet: bool, verbose: bool, allow_outside: bool,
) -> None:
    """Say why a stage is stale, or why it is not, from the ingredients of its key.

    Example: embspec explain split specs/handbook.yaml
    """
    found = words(given, spec, 1, "a stage and a spec")
    of = project(found, allow_outside)
    now = of.plan()
    names = [s.node.name for s in now.steps]
    if not found.others or found.others[0] not in names:
        asked = f"this spec has no stage `{found.others[0]}`" if found.others else "explain needs a stage"
        raise fail("usage.stage", asked, fix="its stages: " + ", ".join(names))
    step = now.steps[names.index(found.others[0])]
    if json_:
        put({"exit": OK, "spec": of.at.shown(of.at.spec), "stage": step.node.name, "state": step.state, "key": step.key or None,
             "why": [r._asdict() for r in step.why], "ingredients": dict(step.named)})
        return
    click.echo(f"{step.node.name}: {_headline(step)}")
    differ = {r.field: r for r in step.why}
    for reason in step.why:
        click.echo(f"  {reason}")
    click.echo("the key is made of" + (f" ({step.key})" if step.key else ""))
    for field in sorted(step.named):
        click.echo(f"  {'*' if field in differ else ' '} {field}: {step.named[field]}")


def _headline(step: Step) -> str:
    if step.maybe:
        return "runs if an earlier stage's bytes change"
    known = {"clean": "up to date: its key equals the lock's", "reuse": "taken from the store: this key was built before",
             "run": "has to run", "held": "held at the last green build while a gate is red"}
    return known[step.state] + (f" ({step.note})" if step.note else "")
