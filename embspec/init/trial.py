"""A draft tried out: its inputs are read and its pairs are split as a build would do it, and nothing is kept."""
from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from embspec.errors import EmbspecError, Problem
from embspec.plan.nodes import expand
from embspec.run.dry import read_inputs
from embspec.spec.load import load
from embspec.stages.street import STREET
from embspec.store.files import disk
from embspec.store.opened import world
from embspec.store.places import Places, places

SPLIT = "split"


class Tried(NamedTuple):
    """What each stage counted, and what is wrong."""

    stats: Mapping[str, Mapping[str, Any]]
    problems: Sequence[Problem]

    def of(self, field: str) -> list[Problem]:
        """The problems that blame a field or section of the spec."""
        return [p for p in self.problems if p.field == field or p.field.startswith(field + ".")]


def tried(text: str, spec: str, split: bool) -> Tried:
    """Read the inputs of a spec that is not written yet, from where it will lie."""
    folder = os.path.dirname(spec)
    with disk(spec):
        draft = tempfile.NamedTemporaryFile("w", dir=folder, prefix=".init-", suffix=".yaml", encoding="utf-8")
    with draft as file:
        file.write(text)
        file.flush()
        at = places(spec)._replace(spec=file.name)
        return _read(at, split)


def _read(at: Places, split: bool) -> Tried:
    try:
        found = load(os.path.relpath(at.spec), (), root=at.root)
        stats, problems = read_inputs(expand(STREET, found.values), {}, world(at), (SPLIT,) if split else ())
    except EmbspecError as error:
        return Tried({}, error.problems)
    return Tried(stats, problems)


def number(problems: Sequence[Problem]) -> int:
    """How many there are, those too that were only counted."""
    more = [re.search(r"and (\d+) more", p.text) for p in problems if p.code == "input.more"]
    return sum(p.code != "input.more" for p in problems) + sum(int(found[1]) for found in more if found)
