"""embspec bisect"""
from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from embspec.cli.common import Asked, lock_options, put
from embspec.cli.log import COMMIT
from embspec.cli.progress import telling
from embspec.errors import OK, fail

if TYPE_CHECKING:
    from embspec.api import Drop, Found, Measure, Revision


@click.command("bisect")
@lock_options
@click.option("--good", default="", metavar="REV", help="Where it was still good; by default the best before the bad.")
@click.option("--bad", default="HEAD", metavar="REV", show_default=True, help="Where it is bad.")
def command(asked: Asked, good: str, bad: str) -> None:
    """Name the commit that lost a metric, and the fields it changed.

    METRIC is one that the locks have, as recall@10, of what ships, or as "recall@10 of tuned". The history is walked
    along first parents. The locks are read; a commit that changed the spec or an input and not the lock is built, in a
    folder apart, where the loss lies among such.

    Example: embspec bisect recall@10 specs/handbook.yaml --good v1.2
    """
    words = " ".join(asked.words(5, "a metric and a spec"))
    if not words:
        raise fail("usage.metric", "no metric was named", fix="name one, such as recall@10 or \"recall@10 of tuned\"")
    of = asked.project()
    with telling(asked.quiet or asked.json, asked.verbose) as tell:
        found = of.history(tell).bisect(words, good, bad)
    if asked.json:
        put({"exit": OK, "spec": of.at.shown(of.at.spec), **_json(found)})
        return
    for line in _lines(found, asked.verbose):
        click.echo(line)


def _lines(found: Found, verbose: bool) -> Iterable[str]:
    if found.drops:
        yield from _culprit(found, verbose)
    else:
        yield f"{found.asked} was not lost"
        yield from (f"  {_value(end)} in {_name(end.revision)}" for end in (found.good, found.bad))
    yield from (f"not built: {_name(revision)}: {why}" for revision, why in found.skipped)
    if found.recut:
        yield f"not compared: {_count(len(found.recut), 'commit')} up to {_name(found.recut[-1])}: {found.unalike}"
    yield f"{_count(found.read, 'lock')} read, {_count(found.built, 'commit')} built"


def _culprit(found: Found, verbose: bool) -> Iterable[str]:
    worst, *others = found.drops
    yield f"{found.asked} was lost in {_name(worst.after.revision)}"
    yield f"  {_value(worst.before)} → {_value(worst.after)}, −{worst.size:.4f}"
    if worst.between:
        which = "the commit" if len(worst.between) == 1 else f"one of the {len(worst.between)} commits"
        yield f"  or in {which} before it that could not be built"
    yield from _changed(worst, verbose)
    yield f"  the last good: {_name(worst.before.revision)}"
    for drop in others:
        yield f"also in {_name(drop.after.revision)}: {_value(drop.before)} → {_value(drop.after)}, −{drop.size:.4f}"
        yield from _changed(drop, verbose)


def _changed(drop: Drop, verbose: bool) -> Iterable[str]:
    changes = drop.changes
    yield from (f"  {reason}" for reason in changes.fields)
    if changes.documents:
        yield "  documents of the snapshot: +{} −{} ~{}".format(*changes.documents)
    yield from (f"  {reason}" for reason in changes.files)
    if verbose or not (changes.fields or changes.documents or changes.files):
        yield from (f"  {reason}" for reason in (*changes.pins, *changes.environment))


def _value(measure: Measure) -> str:
    return f"{measure.value:.4f} ({measure.system})"


def _name(revision: Revision) -> str:
    return f"{revision.commit[:COMMIT]}, {revision.day}: {revision.subject}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _json(found: Found) -> dict[str, Any]:
    return {
        "metric": found.asked.metric, "system": found.asked.system or None, "lost": bool(found.drops),
        "good": _measure(found.good), "bad": _measure(found.bad),
        "drops": [_drop(drop) for drop in found.drops], "read": found.read, "built": found.built,
        "skipped": [{**revision._asdict(), "why": why} for revision, why in found.skipped],
        "recut": [revision._asdict() for revision in found.recut],
    }


def _drop(drop: Drop) -> dict[str, Any]:
    changes = drop.changes
    documents = changes.documents and dict(zip(("added", "removed", "changed"), changes.documents, strict=True))
    reasons = {name: [reason._asdict() for reason in getattr(changes, name)]
               for name in ("fields", "files", "pins", "environment")}
    return {"before": _measure(drop.before), "after": _measure(drop.after),
            "between": [revision._asdict() for revision in drop.between], "documents": documents, **reasons}


def _measure(measure: Measure) -> dict[str, Any]:
    return {**measure.revision._asdict(), "value": measure.value, "system": measure.system}
