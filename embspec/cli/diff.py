"""embspec diff"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from embspec.api import LockDiff
from embspec.cli.common import Asked, lock_options, put
from embspec.errors import OK
from embspec.lock.diff import StageDiff


@click.command("diff")
@lock_options
@click.option("--md", is_flag=True, help="Markdown, for a pull request.")
@click.option("--trace", is_flag=True, help="Only where the two trainings part, step by step.")
def command(asked: Asked, md: bool, trace: bool) -> None:
    """Compare two locks, by git revision or file: parameters, data, metrics. Without names: HEAD and the work tree.

    Example: embspec diff main specs/handbook.yaml --md
    """
    locks = asked.words(2, "two revisions or lock files, and a spec")
    if trace:
        _traces(asked, locks or ("HEAD",))
        return
    diff = asked.project().diff(*(locks or ("HEAD",)))
    if asked.json:
        put({"exit": OK, **_json(diff)})
        return
    lines = list(_lines(diff, asked.verbose))
    if md:
        click.echo("\n".join(["```diff", *lines, "```"]) if lines else "The locks say the same.")
    else:
        for line in lines or ([] if asked.quiet else ["the locks say the same"]):
            click.echo(line)


def _traces(asked: Asked, locks: tuple[str, ...]) -> None:
    found = asked.project().diff_traces(*locks)
    if asked.json:
        put({"exit": OK, "traces": [
            {"stage": c.stage, "steps": c.steps, "parting": c.parting and c.parting._asdict(), "text": c.text}
            for c in found]})
        return
    for c in found:
        click.echo(f"{c.stage}: {c.text}")


_PARTS = ("params", "pins", "outs", "stat")


def _json(diff: LockDiff) -> dict[str, Any]:
    return {
        "stages": [
            {"name": d.name, "state": d.state, **{k: [r._asdict() for r in getattr(d, k)] for k in _PARTS}}
            for d in diff.stages
        ],
        "documents": diff.documents and dict(zip(("added", "removed", "changed"), diff.documents, strict=True)),
        "metrics": [c._asdict() for c in diff.metrics],
        "unknown": list(diff.unknown),
    }


def _lines(diff: LockDiff, verbose: bool) -> Iterable[str]:
    for stage in diff.stages:
        yield from _stage(stage, verbose)
    if diff.documents:
        yield "# documents of the snapshot: +{} −{} ~{}".format(*diff.documents)
    for c in diff.metrics if verbose else [c for c in diff.metrics if c.won or c.lost or c.unpaired]:
        where = "" if c.suite == "domain" else f" on {c.suite}"
        span = "" if c.low is None or c.high is None else f" [{c.low:+.4f}, {c.high:+.4f}]"
        unpaired = f", {c.unpaired} in one build only" if c.unpaired else ""
        yield (f"# {c.metric} {c.system}{where}: {c.before:.4f} → {c.after:.4f}, {c.after - c.before:+.4f}{span}, "
               f"p={c.p:.3f}, won {c.won}, lost {c.lost}, n={c.n}{unpaired}")
    yield from (f"# not compared: {text}" for text in diff.unknown)


def _stage(stage: StageDiff, verbose: bool) -> Iterable[str]:
    yield {"added": "+ ", "removed": "- ", "changed": "# "}[stage.state] + stage.name
    rows = [*stage.params, *stage.stat]
    for reason in rows if not verbose else [*stage.params, *stage.pins, *stage.outs, *stage.stat]:
        if reason.then is not None:
            yield f"-   {reason.field}: {reason.then}"
        if reason.now is not None:
            yield f"+   {reason.field}: {reason.now}"
    if not rows and stage.outs and not verbose:
        yield f"#   other bytes: {', '.join(r.field for r in stage.outs)}"
