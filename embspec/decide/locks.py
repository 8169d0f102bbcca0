"""What a person asks of a lock, and of two beside each other."""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from embspec.decide.units import CUT, WHOLE, comparable
from embspec.lock.diff import StageDiff, diff
from embspec.lock.text import Lock
from embspec.plan.canonical import plain
from embspec.plan.values import Block, Texts, digest_of
from embspec.plan.words import metrics, moved

if TYPE_CHECKING:
    from embspec.decide.compare import Change


class LockView(NamedTuple):
    """The lock as Python users read it."""

    lock: Lock

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics the last build measured, by name and system."""
        return metrics(self.figures)

    @property
    def figures(self) -> dict[str, str]:
        """The same as the lock has them: one line a system."""
        stat = self.lock.blocks["evaluate"].stat if "evaluate" in self.lock.blocks else {}
        return {where: str(plain(text)) for where, text in stat.items()}

    @property
    def verdict(self) -> str:
        """green, red or inconclusive; empty where nothing was judged."""
        return self.lock.blocks["gates"].stat.get("verdict", "") if "gates" in self.lock.blocks else ""


class LockDiff(NamedTuple):
    """Two locks side by side; `unknown` says what could not be compared: its bytes are not here, or it is not alike."""

    stages: list[StageDiff]
    documents: tuple[int, int, int] | None
    metrics: list[Change]
    unknown: list[str]


def lock_diff(
    before: tuple[str, Lock], after: tuple[str, Lock], introduced: Texts, text: Callable[[str], str | None]
) -> LockDiff:
    """Two locks with what each is called; `text` is a stored artefact, or None where it is not here."""
    from embspec.decide.compare import compare  # numpy, which a look at a lock does without

    (before_name, old), (after_name, new) = before, after
    unknown: list[str] = []

    def texts(stage: str, artefact: str) -> tuple[str, str] | None:
        """The bytes of one artefact in both, where they differ and both are here."""
        pair = [lock.blocks.get(stage, Block()) for lock in (old, new)]
        digests = [digest_of((b.out or b.pin).get(artefact, "")) for b in pair]
        if digests[0] == digests[1] or not all(digests):
            return None
        then, now = map(text, digests)
        if then is None or now is None:
            unknown.append(f"{stage}/{artefact} of {before_name if then is None else after_name} is not in the store")
            return None
        return then, now

    manifests, scores = texts("snapshot", "manifest"), texts("evaluate", "scores")
    changes = compare(*scores) if scores else []
    left = sorted({c.suite for c in changes if not comparable(old, new, c.suite)})
    unknown += [f"{suite}: {CUT}; {WHOLE}" for suite in left]
    changes = [change for change in changes if change.suite not in left]
    return LockDiff(diff(old, new, introduced), moved(*manifests) if manifests else None, changes, unknown)
