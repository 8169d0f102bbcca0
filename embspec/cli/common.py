"""What the commands share: their spec argument, their options, how they print."""
from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FrameType
from typing import Any, NamedTuple, TypeVar

import click

from embspec.api import SPEC_ENDINGS, Project, candidates, places
from embspec.errors import Problem, fail
from embspec.plan.plan import CLEAN, HELD, REUSE, Plan, Step
from embspec.plan.words import as_json

F = TypeVar("F", bound=Callable[..., Any])

MARKS = {CLEAN: "=", REUSE: "<", HELD: "#", "run": "+"}


class Asked(NamedTuple):
    """What every command about a spec is asked with."""

    given: tuple[str, ...]
    spec: str | None
    json: bool
    quiet: bool
    verbose: bool
    allow_outside: bool

    def words(self, most: int = 0, what: str = "a spec") -> tuple[str, ...]:
        """The loose arguments that are not the spec."""
        others = tuple(w for w in self.given if not _is_spec(w))
        if len(others) > most:
            raise fail("usage.arguments", f"`{others[most]}` is one too many", fix=f"expected {what}")
        return others

    def project(self, sets: Sequence[str] = (), revision: str = "") -> Project:
        """The project; an argument that ends in .yaml or .yml is the spec, wherever it stands.

        What is asked of a revision may be asked of a spec that only the revision has.
        """
        specs = [w for w in self.given if _is_spec(w)] + ([self.spec] if self.spec else [])
        if len(specs) > 1:
            raise fail("usage.two-specs", f"two specs were named: {specs[0]} and {specs[1]}", fix="name one")
        signal.signal(signal.SIGTERM, _stop)
        at = places(specs[0]) if revision and specs and not os.path.exists(specs[0]) else None
        return Project(specs[0] if specs else None, sets, allow_outside=self.allow_outside, at=at)

    def any_project(self) -> Project | None:
        """A project here, whichever of its specs; None outside of any: what looks after a store needs none."""
        if self.spec or self.given:
            return self.project()
        found = candidates(".")
        return self._replace(spec=found[0]).project() if found else None


def _is_spec(word: str) -> bool:
    """A word that ends as specs do; a question about one has blanks in it, and is no file."""
    return word.endswith(SPEC_ENDINGS) and (" " not in word or os.path.isfile(word))


_Options = tuple[Callable[[Callable[..., None]], Callable[..., None]], ...]

_ABOUT_A_LOCK: _Options = (
    click.argument("given", nargs=-1, metavar="[SPEC] [...]"),
    click.option("--spec", metavar="FILE", help="The spec; may be left out where there is only one."),
    click.option("--json", "json_", is_flag=True, help="One JSON object on stdout."),
    click.option("-q", "--quiet", is_flag=True, help="Say only what is wrong."),
    click.option("-v", "--verbose", is_flag=True, help="Say more."),
)
_ABOUT_A_SPEC: _Options = (
    *_ABOUT_A_LOCK,
    click.option("--allow-outside", is_flag=True, help="Let paths of the spec leave the project."),
)


def spec_options(command: Callable[..., None]) -> Callable[..., None]:
    """--spec, the loose arguments, and how much is said, handed to the command as one `Asked`."""
    return _collected(command, _ABOUT_A_SPEC)


def lock_options(command: Callable[..., None]) -> Callable[..., None]:
    """The same for a command that looks at locks alone and reads no path of the spec."""
    return _collected(command, _ABOUT_A_LOCK)


def _collected(command: Callable[..., None], options: _Options) -> Callable[..., None]:
    @functools.wraps(command)
    def collected(
        given: tuple[str, ...], spec: str | None, json_: bool, quiet: bool, verbose: bool, allow_outside: bool = False,
        **rest: Any,
    ) -> None:
        command(Asked(given, spec, json_, quiet, verbose, allow_outside), **rest)

    wrapped: Callable[..., None] = collected
    for option in options:
        wrapped = option(wrapped)
    return wrapped


def set_option(command: F) -> F:
    """--set a.b=v"""
    return click.option("--set", "sets", multiple=True, metavar="A.B=V", help="Ask as if the spec said this.")(command)


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def say(text: str, quiet: bool = False) -> None:
    """Progress and sentences go to stderr; facts for machines to stdout."""
    if not quiet:
        click.echo(text, err=True)


def put(value: Any) -> None:
    """Machine output."""
    click.echo(as_json(value))


def print_error(problems: Sequence[Problem], code: int, json_: bool) -> int:
    """Every problem, for people or for machines; gives the exit code back."""
    if json_:
        put({"exit": code, "errors": [_error(p) for p in problems]})
    else:
        coloured = on_terminal() and not os.environ.get("NO_COLOR")
        word = click.style("error", fg="red") if coloured else "error"
        for problem in problems:
            click.echo(f"{word}: {problem}", err=True)
    return code


def _error(problem: Problem) -> dict[str, Any]:
    where = problem.where
    return {
        "code": problem.code, "text": problem.text, "file": where.file if where else None,
        "line": where.line or None if where else None, "column": where.column or None if where else None,
        "fix": problem.fix or None,
    }


def plan_lines(now: Plan, verbose: bool = False, expected: Mapping[str, float] | None = None) -> Iterable[str]:
    """One line a stage, its reasons under it; verbose with its key and the artefacts that are known."""
    for step in now.steps:
        yield f"{MARKS[step.state]} {step.node.name:<16} {_state(step, expected or {})}"
        yield from (f"    {reason}" for reason in step.why)
        if step.note:
            yield f"    {step.note}"
        if verbose:
            yield from ([f"    key {step.key}"] if step.key else [])
            yield from (f"    {artefact}: {text}" for artefact, text in step.out.items())
    yield from (f"- {name:<16} not in the spec any more" for name in now.dropped)
    yield from (f"! {role:<16} {digest} is nowhere to be found" for role, digest in now.lost)


def _state(step: Step, expected: Mapping[str, float]) -> str:
    if step.maybe:
        return "run, if its bytes change"
    seconds = expected.get(step.node.name)
    return step.state + (f", about {seconds:.1f} s" if step.state == "run" and seconds is not None else "")


def on_terminal() -> bool:
    """Bars and colour only where a person sees them."""
    return sys.stderr.isatty() and not os.environ.get("CI")
