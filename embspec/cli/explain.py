"""embspec explain"""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from embspec.cli.common import Asked, put, spec_options
from embspec.errors import OK, fail
from embspec.plan.plan import Step

if TYPE_CHECKING:
    from embspec.api import Explained

SHOWN = 120  # characters of a text


@click.command("explain")
@spec_options
@click.option("--negative", is_flag=True, help="Of QUERY (id or text) and DOC (id): why it became a negative, or not.")
@click.option("--round", "only", type=click.IntRange(min=1), metavar="N", help="With --negative: one round of mining.")
def command(asked: Asked, negative: bool, only: int | None) -> None:
    """Say why a stage is stale, or why it is not, from the ingredients of its key; or why a document is a negative of
    a training query, or is none, from the ledger of the last build.

    Example: embspec explain split specs/handbook.yaml

    Example: embspec explain --negative "how do I reset a valve" valves.md specs/handbook.yaml
    """
    if only is not None and not negative:
        raise click.UsageError("--round goes with --negative")
    _negative(asked, only) if negative else _stage(asked)


def _negative(asked: Asked, only: int | None) -> None:
    given = asked.words(2, "a query, a document and a spec")
    if len(given) < 2:
        raise fail("usage.query", "explain --negative needs a query and a document",
                   fix='a query of several words stands in quotes: embspec explain --negative "how do I …" DOC')
    of = asked.project()
    found = of.mined.explain(given[0], given[1], only)
    if asked.json:
        rows = [{**one._asdict(), "guards": [guard._asdict() for guard in one.guards]} for one in found]
        put({"exit": OK, "spec": of.at.shown(of.at.spec), "explained": rows})
        return
    several = len({one.round for one in found}) > 1
    for at, one in enumerate(found):
        click.echo("\n" * bool(at) + "\n".join(lines(one, several, asked.verbose)))


def lines(one: Explained, several: bool = False, verbose: bool = False) -> Iterator[str]:
    """One row and document for people: what they are, what each guard said, and the verdict."""
    yield from [f"round      {one.round}"] if several else []
    yield f"query      {one.query}  {_beginning(one.text)}"
    weak = [row["score"] for row in one.positives if row["score"] is not None]
    for row in one.positives:
        score = "" if row["score"] is None else f"  {row['score']:g}"
        weakest = " (the weakest)" if len(weak) > 1 and row["score"] == one.weakest else ""
        yield f"answer     {row['id']}{score}{weakest}"
    yield f"document   {one.document}  {_beginning(one.passage)}"
    for row in one.found:
        yield f"found by   {row['miner']}" + ("" if row["rank"] is None else f" at rank {row['rank']}")
    yield from [f"score      {one.score:g}"] if one.score is not None else []
    for guard in one.guards:
        if verbose or guard.decision in ("passed", "refused"):
            yield f"  {guard.guard:<15}  {'  '.join(filter(None, (guard.text, guard.decision)))}"
    yield f"{one.document} {_VERDICTS[one.verdict].format(by=one.by)}" + (":" if one.because else "")
    yield from (f"  {text}" for text in one.because)


_VERDICTS = {
    "negative": "is a negative",
    "refused": "is no negative: refused by {by}",
    "dropped": "would be a negative",
    "not drawn": "is no negative: not drawn",
    "not looked at": "is no negative: not looked at",
}


def _beginning(text: str) -> str:
    plain = " ".join(text[: 2 * SHOWN].split())
    return plain if len(plain) <= SHOWN else plain[: SHOWN - 1].rstrip() + "…"


def _stage(asked: Asked) -> None:
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
