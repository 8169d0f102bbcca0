"""embspec explain"""
from __future__ import annotations

import click

from embspec.cli.common import Asked, put, spec_options
from embspec.errors import OK, fail
from embspec.plan.plan import Step


@click.command("explain")
@spec_options
def command(asked: Asked) -> None:
    """Say why a stage is stale, or why it is not, from the ingredients of its key.

    Example: embspec explain split specs/handbook.yaml
    """
    given = asked.words(1, "a stage and a spec")
    of = asked.project()
    now = of.plan()
    names = [s.node.name for s in now.steps]
    if not given or given[0] not in names:
        wrong = f"this spec has no stage `{given[0]}`" if given else "explain needs a stage"
        raise fail("usage.stage", wrong, fix="its stages: " + ", ".join(names))
    step = now.steps[names.index(given[0])]
    if asked.json:
        put({"exit": OK, "spec": of.at.shown(of.at.spec), "stage": step.node.name, "state": step.state,
             "key": step.key or None, "why": [r._asdict() for r in step.why], "ingredients": dict(step.named)})
        return
    click.echo(f"{step.node.name}: {_headline(step)}")
    differ = {r.field: r for r in step.why}
    for reason in step.why:
        click.echo(f"  {reason}")
        if asked.verbose:
            click.echo(f"    then {_whole(reason.then)}\n    now  {_whole(reason.now)}")
    if asked.quiet:
        return
    click.echo("the key is made of" + (f" ({step.key})" if step.key else ""))
    for field in sorted(step.named):
        click.echo(f"  {'*' if field in differ else ' '} {field}: {step.named[field]}")
    if asked.verbose and step.out:
        click.echo("it made")
        for artefact, text in step.out.items():
            click.echo(f"    {artefact}: {text}")


_STATES = {
    "clean": "up to date: its key equals the lock's",
    "reuse": "taken from the store: this key was built before",
    "run": "has to run",
    "held": "held at the last green build while a gate is red",
}


def _whole(text: str | None) -> str:
    return "(none)" if text is None else text


def _headline(step: Step) -> str:
    if step.maybe:
        return "runs if an earlier stage's bytes change"
    return _STATES[step.state] + (f" ({step.note})" if step.note else "")
