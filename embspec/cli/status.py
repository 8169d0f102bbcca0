"""embspec status"""
from __future__ import annotations

import click

from embspec.api import UNVERIFIED, verdict_exit
from embspec.cli.common import MARKS, Asked, put, say, spec_options
from embspec.cli.log import COMMIT
from embspec.errors import OK, WORK
from embspec.plan.words import gates, plan_json, stages


@click.command("status")
@spec_options
@click.option("--exit-code", is_flag=True, help="Exit 10 where there is work to do, 20 or 21 where the verdict is red.")
def command(asked: Asked, exit_code: bool) -> None:
    """Say whether everything is up to date, what the lock says, and what has moved.

    Example: embspec status specs/handbook.yaml
    """
    asked.words()
    of = asked.project()
    now, lock = of.plan(), of.lock
    code = (WORK if now.todo else verdict_exit(now)) if exit_code else OK
    past, count = of.history().models(lock.lock)
    if asked.json:
        put({**plan_json(of.at, now, lock.lock.blocks, code), "past": [each._asdict() for each in past]})
        raise click.exceptions.Exit(code)
    for step in now.steps:
        block = lock.lock.blocks.get(step.node.name)
        stat = ", ".join(f"{k} {v}" for k, v in block.stat.items()) if block and asked.verbose else ""
        again = of.reproduced(step.node, block) if block else ""
        more = "  ".join(filter(None, [again if asked.verbose or again != UNVERIFIED else "", stat]))
        click.echo(f"{MARKS[step.state]} {step.node.name:<16} {step.state}" + (f"  {more}" if more else ""))
        for text in filter(None, [step.note, of.other_environment(step.node, block) if block else ""]):
            click.echo(f"    {text}")
    for where, text in lock.figures.items():
        click.echo(f"  {where:<12} {text}")
    for row in gates(now, lock.lock.blocks):
        click.echo(f"  {row['verdict']:<12} {row['gate']}")
    for role, digest in now.lost:
        click.echo(f"! {role:<16} {digest} is nowhere to be found")
    for each in past:
        click.echo(f"  past {each.model}"[:19] + f"  {each.source:<7} {each.commit[:COMMIT]} {each.day} {each.subject}")
    if count > len(past):
        click.echo(f"  … and {count - len(past)} more: embspec log")
    to_do = f"{stages(len(now.work))} to do (see `embspec plan`)"
    click.echo(f"{of.at.name}: " + (to_do if now.todo else "up to date")
               + (f", the verdict is {now.verdict}" if now.verdict else ""))
    far = of.drift(now)
    if far:
        say(f"{of.at.name}: {far}", asked.quiet)
    raise click.exceptions.Exit(code)
