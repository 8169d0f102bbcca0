"""embspec build"""
from __future__ import annotations

import click

from embspec.api import verdict_exit
from embspec.cli.common import project, put, say, spec_options, words
from embspec.cli.progress import telling
from embspec.plan.values import Wish
from embspec.plan.words import gates, plan_json
from embspec.run import timings
from embspec.run.build import Order, Outcome
from embspec.store.places import Places


@click.command("build")
@spec_options
@click.option("--locked", is_flag=True, help="The lock may not change: check it, then build to its digests.")
@click.option("--no-run", is_flag=True, help="Run no stage; what is missing is an error.")
@click.option("--to", "to", default="", metavar="STAGE", help="Stop after this stage.")
@click.option("--refresh", multiple=True, metavar="STAGE", help="Run this stage again although its key is known.")
@click.option("--retrain", is_flag=True, help="Move the snapshot to the live documents.")
@click.option("--accept-test-change", is_flag=True, help="Take the test set anew; old and new results do not compare.")
@click.option("--wait", type=float, default=600.0, metavar="SECONDS", show_default=True, help="For another build.")
def command(
    given: tuple[str, ...], spec: str | None, json_: bool, quiet: bool, verbose: bool, allow_outside: bool, locked: bool,
    no_run: bool, to: str, refresh: tuple[str, ...], retrain: bool, accept_test_change: bool, wait: float,
) -> None:
    """Build what changed, update the lock, materialise out/.

    Example: embspec build specs/handbook.yaml --locked
    """
    found = words(given, spec, 0, "a spec")
    if locked and (refresh or retrain or accept_test_change or to):
        raise click.UsageError("--locked does not go with --refresh, --retrain, --accept-test-change or --to")
    forget = frozenset({"split test"}) if accept_test_change else frozenset[str]()
    order = Order(Wish(to, frozenset(refresh), retrain, forget), locked, no_run, wait)
    of = project(found, allow_outside)
    with telling(quiet or json_, verbose) as tell:
        outcome = of.build(order, tell)
    timings.save(of.at, {name: done.seconds for name, done in outcome.done.items() if done.state == "run"})
    code = verdict_exit(outcome.plan, outcome.lock.blocks)
    if json_:
        done = {name: (d.state, d.seconds, d.counts) for name, d in outcome.done.items()}
        put(plan_json(of.at, outcome.plan, outcome.lock.blocks, code, done))
    else:
        _say(of.at, outcome, str(of.drift(outcome.plan) or ""), quiet)
    raise click.exceptions.Exit(code)


def _say(at: Places, outcome: Outcome, drift: str, quiet: bool) -> None:
    """What came out of it: stages, gates, where things lie."""
    ran = sum(1 for done in outcome.done.values() if done.state == "run")
    rest = len(outcome.plan.steps) - len(outcome.done)
    say(f"{at.name}: {ran} stages run, {len(outcome.done) - ran} reused, {rest} up to date", quiet)
    for row in gates(outcome.plan, outcome.lock.blocks):
        span = f" [{row['low']}, {row['high']}]" if row["low"] is not None else ""
        more = f", about {row['needed']} more queries would settle it" if row["needed"] else ""
        say(f"  {row['verdict']:<12} {row['gate']}: {row['value']}{span} n={row['n']}{more}", quiet)
    if not outcome.plan.green:
        say(f"{at.name}: the verdict is {outcome.plan.verdict}; see {at.shown(at.out)}/report/report.md")
    if drift:
        say(f"{at.name}: {drift}", quiet)
    say(f"{at.name}: lock {at.shown(at.lock)}, report {at.shown(at.out)}/report/report.md", quiet)
