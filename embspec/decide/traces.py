"""Where the trainings of two locks part."""
from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from embspec.errors import EmbspecError, Problem, fail
from embspec.lock.text import Lock
from embspec.measure.trace import Parting, parting, steps
from embspec.plan.values import digest_of

TRACE = "trace"  # the artefact
ALONE = ""  # the name of a training that is known by its trace alone

Traces = Mapping[str, bytes]


class Compared(NamedTuple):
    """One training in both, how many steps each had, and where they part; None where they do not."""

    stage: str
    steps: tuple[int, int]
    parting: Parting | None

    @property
    def text(self) -> str:
        """In words."""
        return str(self.parting) if self.parting else f"the same for all {self.steps[0]} steps"


class Store(Protocol):
    """Where bytes are."""

    def has(self, digest: str) -> bool: ...
    def verified(self, digest: str) -> str: ...


def between(before: str, after: str, lock_of: Callable[[str], Lock], store: Store) -> list[Compared]:
    """Of two revisions, locks or trace files; the second is the work tree's where it is left out."""
    return compare(_traces(before, lock_of, store), _traces(after, lock_of, store))


def _traces(given: str, lock_of: Callable[[str], Lock], store: Store) -> Traces:
    if not os.path.isfile(given) or given.endswith(".lock"):
        return of_lock(lock_of(given), given or "the work tree", store)
    with open(given, "rb") as file:
        return {ALONE: file.read()}


def of_lock(lock: Lock, name: str, store: Store) -> Traces:
    """The traces that a lock names, by stage; those that are nowhere are said all at once."""
    digests = {stage: digest_of(block.out[TRACE]) for stage, block in lock.blocks.items() if TRACE in block.out}
    if not digests:
        raise fail("usage.no-training", f"{name} has no training: no stage of that lock has a trace",
                   fix="name a revision whose spec has a model")
    missing = [Problem("nowhere.artefact", f"{stage}/{TRACE} of {name} ({digest}) is not in the store",
                       fix="fetch it from a machine that built it")
               for stage, digest in digests.items() if not store.has(digest)]
    if missing:
        raise EmbspecError(*missing)
    found = {}
    for stage, digest in digests.items():
        with open(store.verified(digest), "rb") as file:
            found[stage] = file.read()
    return found


def compare(before: Traces, after: Traces) -> list[Compared]:
    """Stage by stage; a trace without a name is compared with the only one of the other side."""
    if ALONE in (*before, *after):
        if len(before) != 1 or len(after) != 1:
            raise fail("usage.which-training", "a trace is compared with one training, and that lock has several: "
                       + ", ".join([*before, *after]), fix="name two locks, or two traces")
        name = next(iter({*before, *after} - {ALONE}), TRACE)
        before, after = ({name: next(iter(side.values()))} for side in (before, after))
    pairs = [(stage, before[stage], after[stage]) for stage in before if stage in after]
    return [Compared(stage, (steps(then), steps(now)), parting(then, now)) for stage, then, now in pairs]
