"""What Python users hold; the commands are thin over it."""
from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from embspec.decide.locks import LockDiff, LockView, lock_diff
from embspec.errors import INCONCLUSIVE, NOWHERE, OK, RED, EmbspecError, Problem, fail
from embspec.lock.text import Lock
from embspec.plan.nodes import Node, expand
from embspec.plan.plan import RUN, Plan, Recipes, plan
from embspec.plan.refuse import Limits, consumed, refused
from embspec.plan.values import Block, Wish
from embspec.plan.words import Drift, drift
from embspec.run import absent, apart, fresh, locked, reach, repair, reproduce
from embspec.run.build import Event, Job, Order, Outcome, build, check
from embspec.run.inputs import committed
from embspec.run.merge import drive
from embspec.run.reproduce import Rebuilt, Reproduced
from embspec.run.upkeep import Upkeep
from embspec.serve.exchange import WRITERS, export, save
from embspec.serve.fetch import WHAT, Fetched, again, bring, bringing, default_folder, free, named, pages
from embspec.stages.forms import FORMS
from embspec.stages.limits import GATE_METRICS, GATE_REFUSED, LIMITS, REQUIRES, UNKEYED
from embspec.stages.street import INTRODUCED, SHARED, STREET
from embspec.store import memo, timings
from embspec.store.again import UNVERIFIED, known
from embspec.store.leases import lease
from embspec.store.memo import Resolved
from embspec.store.opened import world
from embspec.store.places import SPEC_ENDINGS, Places, candidates, find_spec, places, store_folder
from embspec.store.probe import numerics, store_probe

if TYPE_CHECKING:
    from embspec.decide.bisect import Drop as Drop
    from embspec.decide.bisect import Found as Found
    from embspec.decide.bisect import Measure as Measure
    from embspec.decide.chronicle import Chronicle
    from embspec.decide.history import Past as Past
    from embspec.decide.mined import Exported as Exported
    from embspec.decide.mined import Mined
    from embspec.decide.negative import Explained as Explained
    from embspec.decide.traces import Compared
    from embspec.git import Revision as Revision
    from embspec.serve.verify import Verified

# What the commands need of other rooms they take from here.
__all__ = [
    "FORMS",
    "GETTABLE",
    "PAIR_FORMATS",
    "SPEC_ENDINGS",
    "UNVERIFIED",
    "Event",
    "LockDiff",
    "LockView",
    "Order",
    "Outcome",
    "Project",
    "Rebuilt",
    "Reproduced",
    "candidates",
    "drive",
    "numerics",
    "places",
    "reach",
    "repair",
    "save",
    "store_folder",
    "store_probe",
    "verdict_exit",
]

GETTABLE = tuple(WHAT)
PAIR_FORMATS = tuple(WRITERS)
RECIPES = Recipes(SHARED, INTRODUCED)
BUILT = Limits(UNKEYED, LIMITS, REQUIRES, GATE_METRICS, GATE_REFUSED)


class Project:
    """One spec, its lock and its store."""

    def __init__(
        self, spec: str | None = None, sets: Sequence[str] = (), *, store: str | None = None,
        allow_outside: bool = False, environ: Mapping[str, str] = os.environ, at: Places | None = None,
    ) -> None:
        self.at = at or places(find_spec(spec))
        self._sets = tuple(sets)
        self._outside = allow_outside
        self.world = world(self.at, store, environ, allow_outside)

    @cached_property
    def spec(self) -> Resolved:
        """The resolved values, and where each was written."""
        kept = None if self._sets or self._outside else memo.load(self.at)
        if kept:
            return kept
        from embspec.spec.load import load

        found = load(os.path.relpath(self.at.spec), self._sets, root=self.at.root, allow_outside=self._outside)
        spec = Resolved(found.values, found.written, found.files)
        # The no-op trusts what is remembered, so only a spec that may be built is.
        if not self._sets and not self._outside and not self._refused(spec):
            memo.save(self.at, spec, found.digests)
        return spec

    @property
    def nodes(self) -> list[Node]:
        """The stages of this spec."""
        return expand(STREET, self.spec.values)

    @property
    def lock(self) -> LockView:
        """What was built last."""
        return LockView(locked.load(self.at))

    def refusals(self) -> list[Problem]:
        """What the spec writes that this version does not build."""
        return self._refused(self.spec)

    def _refused(self, spec: Resolved) -> list[Problem]:
        return [
            Problem("spec.not-built", f"{path.removeprefix('gates.')}: {text}", spec.written[path],
                    "take it out of the spec, or wait for the version that builds it", path)
            for path, text in refused(spec.values, spec.written, STREET, BUILT)
        ]

    def implied(self) -> list[str]:
        """Sections that the vocabulary implies and this version leaves out."""
        sections: dict[str, bool] = {}
        for path in self.spec.values:
            name = path.split(".")[0]
            sections[name] = sections.get(name, False) or consumed(STREET, BUILT, path) or path in self.spec.written
        return [name for name, built in sections.items() if not built]

    def check(self) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
        """Read every input as a build would, and split them: what was found, and what is wrong."""
        from embspec.run.dry import read_inputs

        stats, problems = read_inputs(self.nodes, self.lock.lock.blocks, self.world, also=("split",))
        return stats, [self._place(p) for p in problems]

    def other_environment(self, node: Node, block: Block) -> str:
        """How the environment a block was built in differs from this one; it is recorded, not keyed."""
        if not block.env or not node.packages:
            return ""
        now = self.world.here(node.packages, block.pin)
        then = self.lock.lock.envs.get(block.env, {})
        differ = [f"{k} {then.get(k, '(none)')}, here {v}" for k, v in now.items() if then.get(k) != v]
        return f"built with {'; '.join(differ)} (not keyed)" if differ else ""

    def plan(self, wish: Wish = Wish()) -> Plan:  # noqa: B008
        """What a build would do, and because of what."""
        self._stage_names([wish.to, *wish.refresh])
        with self._placed():
            return plan(self.nodes, self.lock.lock.blocks, self.world, wish, RECIPES)

    def build(self, order: Order = Order(), tell: Callable[[Event], None] = lambda event: None) -> Outcome:  # noqa: B008
        """Build what changed, update the lock, publish; a red verdict is in the outcome, not an error."""
        if self._sets:
            raise fail("usage.what-if", "a project with `sets` says what if; it is not built",
                       fix="write the values into the spec, then build")
        outcome = self._built(order, tell, self.nodes)
        timings.save(self.at, {name: did.seconds for name, did in outcome.done.items() if did.step.state == RUN})
        return outcome

    def _built(self, order: Order, tell: Callable[[Event], None], nodes: Sequence[Node]) -> Outcome:
        problems = self.refusals()
        if problems:
            raise EmbspecError(*problems)
        self._stage_names([order.wish.to, *order.wish.refresh])
        with self._placed():
            return build(Job(nodes, RECIPES, self.world, order, tell))

    @property
    def seconds(self) -> Mapping[str, float]:
        """How long each stage took here when it last ran."""
        return timings.load(self.at)

    def check_lock(self) -> Plan:
        """Raise where the lock is not what spec and inputs say; keys only, nothing runs."""
        absent.believe(self.nodes, self.lock.lock.blocks, self.world)
        now = self.plan(Wish(publish=False))
        check(now)
        return now

    @property
    def upkeep(self) -> Upkeep:
        """Merge the lock, upgrade what it keeps, give it today's keys."""
        return Upkeep(self.nodes, RECIPES, self.world)

    def drift(self, now: Plan) -> Drift | None:
        """How far the live corpus has moved from the snapshot, and what moving the snapshot would run and cost."""
        retrained = partial(self.plan, Wish(retrain=True, publish=False))
        return drift(now, retrained, self.world.objects.text, self.seconds)

    def lock_at(self, given: str) -> Lock:
        """A lock by file, or by git revision."""
        if os.path.isfile(given):
            with open(given, "rb") as file:
                return locked.parse(file.read(), given)
        from embspec import git

        return locked.parse(git.show(given, self.at.lock), f"{given}:{self.at.shown(self.at.lock)}")

    def diff(self, before: str, after: str | None = None) -> LockDiff:
        """Two locks by revision or file; the second is the work tree's where it is left out."""
        old, new = self.lock_at(before), self.lock_at(after) if after else self.lock.lock
        return lock_diff((before, old), (after or "the work tree", new), INTRODUCED, self.world.objects.text)

    def get(
        self, what: str, revision: str = "", folder: str = "", run: bool = True,
        tell: Callable[[Event], None] = lambda event: None,
    ) -> Fetched:
        """Bring what the lock names, or that of a revision or lock file, into a folder of its own.

        What the store lacks is built again in a folder apart, and is what the lock says, or else an error.
        """
        folder = folder or default_folder(self.at.name, what, revision)
        with lease(self.world.objects.store):  # what was built for it stays until it is copied
            try:
                return self._bring(what, revision, folder)
            except EmbspecError as error:
                if not run or error.exit != NOWHERE or os.path.isfile(revision):
                    raise
                free(folder)
            with again(revision), self.apart(revision) as (past, _):
                past._build_alone(Order(bringing(what, past.lock.lock.blocks), locked=True), tell)
            return self._bring(what, revision, folder)

    def _bring(self, what: str, revision: str, folder: str) -> Fetched:
        blocks = self._lock_of(revision).blocks
        roles = named(blocks)
        if what == "report":
            roles |= pages(expand(STREET, self._values_at(revision)), blocks, self.world.records, RECIPES, revision)
        return bring(what, roles, self.world.objects, folder, revision)

    def pairs(self, source: str = "", form: str = PAIR_FORMATS[0], revision: str = "") -> Iterator[str]:
        """The pairs that the lock names, of one source or of all, as lines of another tool's format."""
        return export(self._lock_of(revision).blocks, self.world.objects, source, form)

    def history(self, tell: Callable[[Event], None] = lambda event: None) -> Chronicle:
        """The lock's past in git: its models, where they can be brought back from, and which commit lost a metric."""
        from embspec.decide.chronicle import Chronicle
        from embspec.decide.history import Declared

        return Chronicle(self.world, Declared(STREET, RECIPES, tuple(WHAT["model"])), partial(self._measured, tell))

    def _measured(self, tell: Callable[[Event], None], revision: str) -> tuple[Lock, bool]:
        """The lock of a revision as an evaluation leaves it, and whether a stage had to run for that."""
        with self.apart(revision, pinned=False) as (of, _):
            tell(Event("", "note", f"commit {revision[:8]}, in a folder apart"))
            outcome = of._build_alone(Order(Wish(to="evaluate", publish=False)), tell)
            return outcome.lock, any(did.step.state == RUN for did in outcome.done.values())

    def _build_alone(self, order: Order, tell: Callable[[Event], None]) -> Outcome:
        """Build one thing and what it stands on, without the pages that come with every build."""
        return self._built(order, tell, [n for n in self.nodes if n.stage.locked or n.name == order.wish.to])

    @property
    def mined(self) -> Mined:
        """What was mined in the last build: why a document is a negative or is none, and the examples."""
        from embspec.decide.mined import Mined

        return Mined(self.lock.lock.blocks, self.world.objects)

    def diff_traces(self, before: str, after: str = "") -> list[Compared]:
        """Where the trainings of two revisions, locks or trace files part."""
        from embspec.decide.traces import between

        return between(before, after, self._lock_of, self.world.objects)

    def reproduced(self, node: Node, block: Block) -> str:
        """What reproductions showed of a stage that computes with floats: `exact ×3, last 2026-11-20`."""
        return known(self.world.objects.store, block.key, block.out) if node.settles else ""

    def verify(self, folder: str, revision: str = "") -> Verified:
        """Hash a model or index folder against its manifest and the lock."""
        from embspec.serve.verify import verify

        return verify(folder, self._lock_of(revision).blocks, self.world.objects)

    def search(self, query: str, k: int = 5) -> dict[str, Any]:
        """Ask the published index, with the base of the lock beside it."""
        from embspec.run.ask import Question, ask
        from embspec.serve.published import published

        if k < 1:
            raise fail("usage.k", f"{k} documents cannot be shown", fix="ask for one or more")
        query, blocks = query.encode("utf-8", "replace").decode(), self.lock.lock.blocks  # half a letter, at times
        asked = Question("search", "embspec.serve.search:make", {"query": query, "k": k},
                         *published(blocks, self.world))
        return ask(asked, self.nodes, blocks, self.world)

    @contextmanager
    def apart(
        self, revision: str = "", store: str | None = None, only: str = "", pinned: bool = True,
    ) -> Iterator[tuple[Project, Mapping[str, str]]]:
        """This project as it was at a revision, in a folder that is gone afterwards; which inputs are taken, and why.

        Without a revision it is the work tree as the lock pins it. The store is this one, unless another is given;
        `only` names the one stage whose inputs are asked for. Inputs are those that the lock pins; else those that were
        committed with it, which a commit that was never built has otherwise.
        """
        with lease(self.world.objects.store), self.world.objects.scratch() as scratch, apart.opened(
                self.at, revision, lambda: self.spec.files, scratch) as at:
            of = Project(at=at, store=store or self.world.objects.store, allow_outside=self._outside)
            blocks = of.lock.lock.blocks if pinned else committed(of.nodes, of.lock.lock.blocks, self.world, revision)
            yield of, apart.lay(of.nodes, blocks, INTRODUCED, of.world, self.world, revision, only)

    def reproduce(
        self, revision: str = "", stage: str = "", tell: Callable[[Event], None] = lambda event: None,
    ) -> Reproduced:
        """Build a revision again in a store of its own, and compare what comes out with its lock."""
        from embspec.measure.difference import first
        from embspec.measure.trace import parting

        with self.world.objects.scratch() as store, self.apart(revision, store, stage) as (of, taken):
            of._stage_names([stage])
            lock, job = of.lock.lock, Job(of.nodes, RECIPES, of.world, Order(), tell)
            past = reproduce.Past(job, self.world, lock.blocks, lock.envs, taken, stage)
            return reproduce.reproduce(past, reproduce.Eyes(first, parting))

    def reproduce_fresh(
        self, revision: str = "", stage: str = "", wheel: str = "", tell: Callable[[Event], None] = lambda event: None,
    ) -> Reproduced:
        """The same in an environment that is made from the packages which the lock records."""
        order = fresh.Order(revision, stage, wheel, self._outside)
        return fresh.reproduce(order, self._lock_of(revision), self.world, tell)

    def fsck(self, run: bool, hear: repair.Hear) -> repair.Checked:
        """Read the whole store again; what is bad is brought back, or built again as a lock of this project has it."""
        others = sorted({*map(os.path.abspath, candidates(self.at.root))} - {self.at.spec})
        return repair.check(self.world.objects.store, [self.at.spec, *others], partial(self._side, hear), run, hear)

    def _side(self, hear: repair.Hear, spec: str) -> repair.Side:
        of = self if spec == self.at.spec else Project(spec, store=self.world.objects.store)
        return repair.Side(of.at.name, of.world, of.nodes, of.lock.lock.blocks,
                           lambda wish, apart: of._again(wish, apart, hear.built),
                           lambda: {s.node.name: s.out for s in of.plan().steps if not s.node.stage.locked})

    def _again(self, wish: Wish, apart: bool, tell: Callable[[Event], None]) -> None:
        if not apart:
            self.build(Order(wish, locked=True), tell)
            return
        with self.apart() as (of, _):
            of.build(Order(wish), tell)

    def _lock_of(self, revision: str) -> Lock:
        return self.lock_at(revision) if revision else self.lock.lock

    def _values_at(self, revision: str) -> Mapping[str, Any]:
        """What the spec said at a revision."""
        if not revision or os.path.isfile(revision):
            return self.spec.values
        import tempfile

        from embspec import git
        from embspec.spec.load import load

        with tempfile.TemporaryDirectory() as folder:
            git.export(revision, self.at.root, SPEC_ENDINGS, folder)
            spec = os.path.join(folder, os.path.relpath(self.at.spec, self.at.root))
            return load(spec, (), root=folder, allow_outside=self._outside).values

    def _stage_names(self, names: Sequence[str]) -> None:
        known = [n.name for n in self.nodes]
        for name in names:
            if name and name not in known:
                raise fail("usage.stage", f"this spec has no stage `{name}`", fix="its stages: " + ", ".join(known))

    def _place(self, problem: Problem) -> Problem:
        """A problem that names a field gets the place of that field, or of the section around it."""
        field = problem.field
        while field and field not in self.spec.written:
            field = field.rpartition(".")[0]
        return problem._replace(where=self.spec.written[field]) if field and not problem.where else problem

    @contextmanager
    def _placed(self) -> Iterator[None]:
        """Errors that name a spec field get the place where it was written."""
        try:
            yield
        except EmbspecError as error:
            raise EmbspecError(*map(self._place, error.problems)) from error.__cause__


def verdict_exit(now: Plan) -> int:
    """0, 20 or 21: what the verdict of the last judged build means for a command."""
    return {"": OK, "green": OK, "inconclusive": INCONCLUSIVE}.get(now.verdict, RED)
