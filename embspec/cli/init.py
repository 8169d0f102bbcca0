"""embspec init"""
from __future__ import annotations

import sys
from typing import Any

import click

from embspec.cli.common import put, say
from embspec.errors import OK, EmbspecError, fail
from embspec.init.begin import Begun, Order, begin
from embspec.init.settle import Question

PATHS = 6  # of the corpus that are said; the rest is counted


@click.command("init")
@click.argument("folder", default=".", metavar="[FOLDER]")
@click.option("-y", "--yes", is_flag=True, help="Ask nothing: take the defaults.")
@click.option("-o", "--out", "spec", default="", metavar="FILE", help="Where the spec goes; by default embspec.yaml.")
@click.option("--base", default="", metavar="MODEL", help="The base model: a hub id, ./FOLDER or package:NAME/FOLDER.")
@click.option("--force", is_flag=True, help="Write over a spec that is there.")
@click.option("--git", is_flag=True, help="Let git leave out what builds write, and merge locks.")
@click.option("--json", "json_", is_flag=True, help="One JSON object on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="Say only what is wrong.")
def command(folder: str, yes: bool, spec: str, base: str, force: bool, git: bool, json_: bool, quiet: bool) -> None:
    """Write a spec of what is in a folder: documents, pairs, FAQs, judgements. What it lacks stands in it.

    It is tried before it is written. Without --yes it asks what no file says.

    Example: embspec init docs --yes
    """
    silent = quiet or json_
    order = Order(folder, spec, base, force, git)
    done = begin(order, _default if yes else _asked, lambda text: say(text, silent))
    if json_ and not done.settled.problems:
        put(_object(done))
    for line in _lines(done):
        say(line, silent)
    if done.settled.problems:
        raise EmbspecError(*done.settled.problems)


def _default(question: Question) -> str:
    return question.default


def _asked(question: Question) -> str:
    """Ask a person, where one is there."""
    if not sys.stdin.isatty():
        raise fail("usage.no-terminal", f"there is nobody to ask: {question.text.splitlines()[0]}",
                   fix=f"--yes takes the defaults, here `{question.default}`")
    kind = click.Choice(question.choices) if question.choices else None
    answer: str = click.prompt(question.text, default=question.default, type=kind, err=True)
    return answer


def _lines(done: Begun) -> list[str]:
    """What was found, what is missing, and what to do next."""
    draft, spec = done.settled.draft, done.at.shown(done.at.spec)
    more = f" and {len(draft.paths) - PATHS} more paths" if len(draft.paths) > PATHS else ""
    lines = [f"documents: {done.survey.documents} in {', '.join(draft.paths[:PATHS])}{more}"]
    lines += [f"pairs.{one.name}: {one.queries} questions, {one.trust}, for {', '.join(one.roles)}"
              for one in draft.sources]
    if split := done.parts:
        lines.append("split: " + ", ".join(f"{part} {number}" for part, number in split.items()))
    lines += [f"git: {', '.join(done.git)}"] if done.git else []
    lines += ["left out:", *(f"  {one.what}: {one.why}" for one in draft.left)] if draft.left else []
    lines += ["missing:", *(f"  {text}" for text in draft.wants)] if draft.wants else []
    again = "mend what is said below, then let `embspec init --force` see it again"
    after = again if done.settled.problems else "`embspec build` builds it"
    return [*lines, f"{spec} is written; {after}"]


def _object(done: Begun) -> dict[str, Any]:
    draft = done.settled.draft
    return {
        "exit": OK, "spec": done.at.shown(done.at.spec), "documents": done.survey.documents,
        "sources": [{"name": one.name, "path": one.path or None, "queries": one.queries, "trust": one.trust,
                     "roles": list(one.roles)} for one in draft.sources],
        "split": done.parts, "missing": list(draft.wants), "left_out": [one._asdict() for one in draft.left],
    }
