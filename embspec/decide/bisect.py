"""Which commit lost a metric, and which fields it changed: locks are read first, and only what is missing is built."""
from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import NamedTuple

from embspec import git
from embspec.decide.changes import Changes, changes
from embspec.decide.history import Declared, Entry, figures, read, shipped, stage_of, typed
from embspec.decide.units import CUT, WHOLE, comparable, suite_of
from embspec.errors import EmbspecError, fail
from embspec.git import Revision
from embspec.lock.text import Lock
from embspec.measure.metrics import full_name
from embspec.plan.nodes import Node
from embspec.plan.then import locked_ingredients
from embspec.plan.words import metrics
from embspec.store.live import anchored
from embspec.store.places import SPEC_ENDINGS, Places

EVALUATE = "evaluate"
_OURS = ("disk", "waited", "stopped", "bug")  # what is wrong with this machine, not with a commit


class Asked(NamedTuple):
    """The metric; the system is empty where what ships is meant, which may be another one in each lock."""

    metric: str
    system: str

    def __str__(self) -> str:
        return f"{self.metric} of {self.system or 'what ships'}"


class Measure(NamedTuple):
    """What one commit is worth: the value, of which system, by which lock."""

    revision: Revision
    value: float
    system: str
    lock: Lock


class Drop(NamedTuple):
    """Two neighbours with the worse one later; `between` are commits that could not be built."""

    before: Measure
    after: Measure
    between: tuple[Revision, ...]
    changes: Changes

    @property
    def size(self) -> float:
        """By how much it fell."""
        return round(self.before.value - self.after.value, 12)


class Found(NamedTuple):
    """What a search came to; `drops` is empty where nothing was lost, else the culprit is its first."""

    asked: Asked
    good: Measure
    bad: Measure
    drops: tuple[Drop, ...]
    read: int
    built: int
    skipped: tuple[tuple[Revision, str], ...]
    recut: tuple[Revision, ...] = ()  # commits whose figures are of other texts than those of the bad end

    @property
    def unalike(self) -> str:
        """Why the commits of `recut` are left out, and what would compare them."""
        return f"{CUT}; {WHOLE}"


class Point(NamedTuple):
    """A commit that changed the lock, the spec or an input; without a lock of its own nothing is known of it yet."""

    revision: Revision
    lock: Lock | None


Build = Callable[[str], tuple[Lock, bool]]
"""Builds a commit in a folder apart as far as the evaluation: its lock then, and whether a stage had to run."""


def search(
    at: Places, words: str, ends: tuple[str, str], declared: Declared, build: Build,
    text: Callable[[str], str | None],
) -> Found:
    """Find the two neighbours between good and bad with the largest drop."""
    good, bad = ends
    start = git.commit(at.folder, bad)
    points, count, paths = _points(at, start, declared)
    asked = _asked(words, points)
    row = _Row(points, asked, build)
    if not points:
        raise fail("usage.history", f"no commit behind {bad} has the lock {at.shown(at.lock)}",
                   fix="commit the lock, or name another end with --bad REV")
    last = len(points) - 1
    worse = row.known(last, bad)
    row.hold(worse)
    first = _position(at, good, points, paths) if good else row.best(last)
    if first > last:
        raise fail("usage.good", f"{good} is not before {bad}", fix="name an earlier one with --good REV")
    better = row.known(first, good or "the best commit")
    pairs = row.narrow(first, last) if worse.value < better.value else []
    introduced = declared.recipes.introduced
    drops = tuple(
        Drop(before, after, row.between(before, after), changes(before.lock, after.lock, text, introduced))
        for before, after in pairs
    )
    recut = tuple(points[n].revision for n in sorted(row.recut) if n < last)
    return Found(asked, better, worse, drops, count, row.built, tuple(row.skipped.values()), recut)


def _points(at: Places, start: str, declared: Declared) -> tuple[list[Point], int, list[str]]:
    """Every commit along first parents that could have moved the metric, oldest first; how many locks were read."""
    entries = read(at.lock, git.history(at.folder, [git.literal(at.lock)], "--first-parent", start))
    up = os.path.relpath(at.root, at.folder)
    specs = [f":(glob){os.path.normpath(os.path.join(up, '**', '*' + ending))}" for ending in SPEC_ENDINGS]
    paths = [git.literal(at.lock), *specs, *_inputs(entries, declared)]
    locks = {entry.revision.commit: entry for entry in entries}
    found = [
        Point(revision, _holding(locks.get(revision.commit), declared))
        for revision in reversed(git.history(at.folder, paths, "--first-parent", start))
    ]
    # Before the first lock there was nothing to lose.
    since = next((n for n, point in enumerate(found) if point.revision.commit in locks), len(found))
    return found[since:], len(entries), paths


def _inputs(entries: Sequence[Entry], declared: Declared) -> list[str]:
    """The files that the reading stages of any of the locks opened, as git names them."""
    globs = dict[str, None]()
    for entry in entries:
        for name, block in entry.lock.blocks.items() if entry.lock else []:
            stage, item = stage_of(name, declared.street)
            if stage and stage.live:
                globs |= dict.fromkeys(stage.live(typed(block, item)))
    mine = [anchored(glob) for glob in globs if not glob.startswith(("hub:", "package:"))]
    return [f":(glob){glob}" for glob in mine if not os.path.isabs(glob)]


def _holding(entry: Entry | None, declared: Declared) -> Lock | None:
    """The lock of a commit that changed it, if what it says of the evaluation was made from the rest that it says."""
    if entry is None or entry.lock is None or EVALUATE not in entry.lock.blocks:
        return None
    lock = entry.lock
    for name in lock.blocks:
        stage, _ = stage_of(name, declared.street)
        if stage and not stage.follow:
            node = Node(name, stage, {}, {}, (), {}, (), (), {}, False)
            if locked_ingredients(node, lock.blocks, declared.recipes) is None:
                return None
        if name == EVALUATE:
            break
    return lock


def _asked(words: str, points: Sequence[Point]) -> Asked:
    """`recall@10 of tuned`, held against what the locks have."""
    metric, _, system = (part.strip() for part in words.partition(" of "))
    with suppress(ValueError):  # no number behind the @: the locks have no such metric, which is said next
        metric = full_name(metric)
    lines = [figures(point.lock) for point in points if point.lock]
    every = [name for line in lines for name in metrics(line)]
    if not points or any(name.startswith(f"{metric} ") and system in ("", name.partition(" ")[2]) for name in every):
        return Asked(metric, system)
    known = dict.fromkeys(name.split(" ", 1)[0] for name in every)
    systems = dict.fromkeys(where for line in lines for where in line)
    raise fail("usage.metric", f"no lock in this history has `{Asked(metric, system) if system else metric}`",
               fix=f"metrics: {', '.join(known) or 'none'}; systems, behind ` of `: {', '.join(systems) or 'none'}")


def _position(at: Places, good: str, points: Sequence[Point], paths: Sequence[str]) -> int:
    """The commit of the row that a revision stands for: itself, or the last before it that changed anything."""
    start = git.commit(at.folder, good)
    found = git.history(at.folder, paths, "--first-parent", "--max-count=1", start)
    commits = [point.revision.commit for point in points]
    if not found or found[0].commit not in commits:
        raise fail("usage.good", f"{good} is not among the first parents of the bad end, or has no lock yet",
                   fix="see `embspec log`, or leave --good out")
    return commits.index(found[0].commit)


class _Row:
    """The commits in order with what is known of each; more becomes known by building."""

    def __init__(self, points: Sequence[Point], asked: Asked, build: Build) -> None:
        self._points, self._asked, self._build = points, asked, build
        self._at = {point.revision: n for n, point in enumerate(points)}
        self._known: dict[int, Measure] = {}
        self.skipped: dict[int, tuple[Revision, str]] = {}
        self.recut: set[int] = set()
        self._held: Measure | None = None
        self.built = 0
        for n, point in enumerate(points):
            if point.lock:
                self._measured(n, point.lock)

    def _measured(self, n: int, lock: Lock) -> Measure | None:
        system = self._asked.system or shipped(lock, self._asked.metric)
        value = metrics(figures(lock)).get(f"{self._asked.metric} {system}")
        if value is not None and self._held and not comparable(lock, self._held.lock, suite_of(self._held.system)):
            self.recut.add(n)
        elif value is not None:
            self._known[n] = Measure(self._points[n].revision, value, system, lock)
        return self._known.get(n)

    def hold(self, end: Measure) -> None:
        """From here on only what can be compared with this end counts."""
        self._held, known = end, self._known
        self._known = {}
        for n, measure in known.items():
            self._measured(n, measure.lock)

    def known(self, n: int, name: str) -> Measure:
        """What an end of the row is worth, built where no lock says it."""
        found = self._known.get(n) or (None if n in self.recut else self._make(n))
        if found is None and n in self.recut:
            raise fail("usage.good", f"{name} cannot be compared with the bad end: {CUT}",
                       fix=f"name one that cut them alike with --good REV; or a metric of documents: {WHOLE}")
        if found is None:
            revision, why = self.skipped[n]
            raise fail("nowhere.value", f"{name} ({revision.commit[:8]}) has no {self._asked}: {why}",
                       fix="name another end with --good REV or --bad REV")
        return found

    def best(self, last: int) -> int:
        """The newest of the best commits before the last one."""
        found = [n for n in self._known if n < last]
        return max(found, key=lambda n: (self._known[n].value, n), default=last)

    def narrow(self, first: int, last: int) -> list[tuple[Measure, Measure]]:
        """The largest drop between neighbours, then each other one larger than half of it; gaps are halved by building.

        A gap is looked into only while it is the largest drop: the loss lies there.
        """
        while True:
            pairs = list(pairwise(n for n in sorted(self._known) if first <= n <= last))
            worst = max(pairs, key=lambda pair: self._fall(pair))
            open_ = [n for n in range(worst[0] + 1, worst[1]) if n not in self.skipped and n not in self.recut]
            if not open_:
                break
            self._make(open_[len(open_) // 2])
        others = [pair for pair in pairs if pair != worst and self._fall(pair) > self._fall(worst) / 2]
        return [(self._known[a], self._known[b]) for a, b in [worst, *others]]

    def _fall(self, pair: tuple[int, int]) -> float:
        return round(self._known[pair[0]].value - self._known[pair[1]].value, 12)

    def between(self, before: Measure, after: Measure) -> tuple[Revision, ...]:
        """The commits in the gap of a drop."""
        inner = range(self._at[before.revision] + 1, self._at[after.revision])
        return tuple(self._points[n].revision for n in inner if n not in self.recut)

    def _make(self, n: int) -> Measure | None:
        """Build one commit; one that cannot be built is passed over, with its reason."""
        revision = self._points[n].revision
        try:
            lock, ran = self._build(revision.commit)
        except EmbspecError as error:
            problem = error.problems[0]
            if problem.code.split(".")[0] in _OURS:
                raise
            self.skipped[n] = revision, problem.text
            return None
        self.built += ran
        found = self._measured(n, lock)
        if found is None and n not in self.recut:
            self.skipped[n] = revision, "its evaluation does not measure it"
        return found
