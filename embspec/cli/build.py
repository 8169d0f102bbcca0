"""embspec build"""
from __future__ import annotations

import click

from embspec.api import Order, Outcome, Project, verdict_exit
from embspec.cli.common import Asked, put, say, spec_options
from embspec.cli.progress import telling
from embspec.plan.plan import RUN
from embspec.plan.values import Wish
from embspec.plan.words import Did, gates, plan_json, stages, up_to_date


@click.command("build")
@spec_options
@click.option("--locked", is_flag=True, help="The lock may not change: check it, build to its digests.")
@click.option("--no-run", is_flag=True, help="Run no stage; what is missing is an error.")
@click.option("--no-fetch", is_flag=True, help="Download nothing; what is not in the store is an error.")
@click.option("--to", "to", default="", metavar="STAGE", help="Stop after this stage.")
@click.option("--refresh", multiple=True, metavar="STAGE", help="Run this stage again although its key is known.")
@click.option("--retrain", is_flag=True, help="Move the snapshot to the live documents.")
@click.option("--accept-test-change", is_flag=True, help="Take the test set anew.")
@click.option("--index-anyway", is_flag=True, help="Build the index although a gate is red; it goes to candidate/.")
@click.option("--any-env", is_flag=True, help="Take what another environment built rather than train again.")
@click.option("--allow-code", is_flag=True, help="Let commands that the spec names be run.")
@click.option("--wait", type=float, default=600.0, metavar="SECONDS", show_default=True, help="For another build.")
def command(
    asked: Asked, locked: bool, no_run: bool, no_fetch: bool, to: str, refresh: tuple[str, ...], retrain: bool,
    accept_test_change: bool, index_anyway: bool, any_env: bool, allow_code: bool, wait: float,
) -> None:
    """Build what changed, update the lock, materialise out/.

    Example: embspec build specs/handbook.yaml --locked
    """
    asked.words()
    if locked and (refresh or retrain or accept_test_change or index_anyway or to):
        others = "--refresh, --retrain, --accept-test-change, --index-anyway or --to"
        raise click.UsageError(f"--locked does not go with {others}")
    forget = frozenset({"split test"}) if accept_test_change else frozenset[str]()
    wish = Wish(to, frozenset(refresh), retrain, forget, index_anyway=index_anyway, any_env=any_env)
    order = Order(wish, locked, no_run, wait, no_fetch, allow_code)
    of = asked.project()
    with telling(asked.quiet or asked.json, asked.verbose) as tell:
        outcome = of.build(order, tell)
    code = verdict_exit(outcome.plan)
    if asked.json:
        done = {name: Did(d.step.state, d.step.why, d.seconds, d.counts) for name, d in outcome.done.items()}
        put(plan_json(of.at, outcome.plan, outcome.lock.blocks, code, done))
    elif not outcome.done and outcome.plan.green:
        say(up_to_date(of.at.name, outcome.plan, of.drift(outcome.plan)), asked.quiet)
    else:
        _say(of, outcome, asked)
    raise click.exceptions.Exit(code)


def _say(of: Project, outcome: Outcome, asked: Asked) -> None:
    """What came out of it: stages, gates, where things lie."""
    at, drift = of.at, of.drift(outcome.plan)
    ran = sum(did.step.state == RUN for did in outcome.done.values())
    rest = len(outcome.plan.steps) - len(outcome.done)
    kept = f"{len(outcome.done) - ran} reused, {rest} up to date"
    say(f"{at.name}: {stages(ran)} run, {kept}", asked.quiet)
    for row in gates(outcome.plan, outcome.lock.blocks):
        span = f" [{row['low']}, {row['high']}]" if row["low"] is not None else ""
        more = f", about {row['needed']} more queries would settle it" if row["needed"] else ""
        say(f"  {row['verdict']:<12} {row['gate']}: {row['value']}{span} n={row['n']}{more}", asked.quiet)
    if not outcome.plan.green:
        say(f"{at.name}: the verdict is {outcome.plan.verdict}; see {at.shown(at.out)}/report/report.md")
    if drift:
        say(f"{at.name}: {drift}", asked.quiet)
    reports = any(step.node.out for step in outcome.plan.steps)  # `--to corpus` leaves nothing to report on
    report = f", report {at.shown(at.out)}/report/report.md" if reports else ""
    say(f"{at.name}: lock {at.shown(at.lock)}{report}", asked.quiet)
