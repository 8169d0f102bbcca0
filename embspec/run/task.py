"""A stage's work as plain values, so that it can be done in another process, and what comes back from there."""
from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from embspec.errors import EmbspecError, Problem, Where
from embspec.plan.protocol import Made, Make, Progress, Tree
from embspec.run.desk import Declared, Given, StageDesk
from embspec.run.programs import Program

FORK, ONCE = "fork", "once"  # once: where a fork after imports is not safe, a fresh server does one task itself


class Task(NamedTuple):
    """What is to be done, with what, and where."""

    stage: str
    make: str  # "embspec.stages.train.make:make"
    params: Mapping[str, Any]
    needs: Mapping[str, str]  # role -> path
    out: str
    scratch: str
    given: Given
    packages: tuple[str, ...]
    profile: str  # of the numerics, where the stage computes with floats
    threads: int
    log: str
    device: str = ""  # cuda, where the stage computes there; or a spare one, where it may search there


class Did(NamedTuple):
    """What a stage made, and what it asked for by name."""

    made: Made
    params: tuple[str, ...]
    needs: tuple[str, ...]


def make_of(name: str) -> Make:
    """The function that a declaration names."""
    module, function = name.split(":")
    found: Make = getattr(importlib.import_module(module), function)
    return found


def work(task: Task, tell: Callable[[Progress], None], live: Tree | None = None) -> Did:
    """Do it, here: hand the stage what it declared, and nothing else."""
    opened: dict[str, Any] = {role: Path(path) for role, path in task.needs.items()}
    params = Declared(task.params, task.stage, "parameter")
    needs = Declared({**opened, "live": live} if live else opened, task.stage, "artefact")
    desk = StageDesk(Path(task.scratch), task.given, tell)
    try:
        made = make_of(task.make)(params, needs, Path(task.out), desk)
    finally:
        desk.close()  # what was computed before a failure need not be computed again
    return Did(made, tuple(sorted(params.read)), tuple(sorted(needs.read)))


def task_line(task: Task) -> bytes:
    """A task as one line."""
    return json.dumps(task).encode() + b"\n"


def task_of(line: bytes) -> Task:
    """The task in a line."""
    task = Task(*json.loads(line))
    given = Given(*task.given)
    given = given._replace(program=Program(*given.program) if given.program else None)
    return task._replace(given=given, packages=tuple(task.packages))


def did_json(did: Did) -> Any:
    """What came of it, for a line."""
    made = did.made
    return [made.stat, made.pins, made.counts, {name: str(path) for name, path in made.keep.items()}], did[1:]


def did_of(value: Any) -> Did:
    """What came of it, from a line."""
    (stat, pins, counts, keep), (params, needs) = value
    made = Made(stat, pins, counts, {name: Path(path) for name, path in keep.items()})
    return Did(made, tuple(params), tuple(needs))


def problems_json(error: EmbspecError) -> Any:
    """All that is wrong, for a line."""
    return [problem._asdict() for problem in error.problems]


def error_of(value: Any) -> EmbspecError:
    """All that is wrong, from a line."""
    places = [Where(*problem["where"]) if problem["where"] else None for problem in value]
    return EmbspecError(*(Problem(**{**p, "where": where}) for p, where in zip(value, places, strict=True)))
