"""What Python users hold; the commands are thin over it."""
from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from embspec.errors import INCONCLUSIVE, OK, RED, EmbspecError, Problem, fail
from embspec.lock.diff import StageDiff, diff
from embspec.lock.text import Lock
from embspec.plan.canonical import plain
from embspec.plan.nodes import Node, expand
from embspec.plan.plan import RUN, Plan, Recipes, plan
from embspec.plan.refuse import Limits, consumed, refused
from embspec.plan.values import Block, Wish, digest_of
from embspec.plan.words import Drift, drift, metrics, moved
from embspec.run import locked
from embspec.run.build import Event, Job, Order, Outcome, build, check
from embspec.serve.fetch import WHAT, Fetched, bring, default_folder, named, pages
from embspec.stages.limits import GATE_METRICS, GATE_REFUSED, LIMITS, REQUIRES, UNKEYED
from embspec.stages.street import INTRODUCED, SHARED, STREET
from embspec.store import memo, timings
from embspec.store.memo import Resolved
from embspec.store.objects import Objects
from embspec.store.opened import world
from embspec.store.places import SPEC_ENDINGS, find_spec, places, store_folder

if TYPE_CHECKING:
    from embspec.decide.compare import Change
    from embspec.serve.verify import Verified

# What the commands need of other rooms they take from here.
__all__ = [
    "GETTABLE",
    "SPEC_ENDINGS",
    "Event",
    "LockDiff",
    "LockView",
    "Order",
    "Outcome",
    "Project",
    "numerics",
    "store_probe",
    "verdict_exit",
]

GETTABLE = tuple(WHAT)
RECIPES = Recipes(SHARED, INTRODUCED)
BUILT = Limits(UNKEYED, LIMITS, REQUIRES, GATE_METRICS, GATE_REFUSED)


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
    """Two locks side by side; `unknown` says what could not be compared because its bytes are not here."""

    stages: list[StageDiff]
    documents: tuple[int, int, int] | None
    metrics: list[Change]
    unknown: list[str]


class Project:
    """One spec, its lock and its store."""

    def __init__(
        self, spec: str | None = None, sets: Sequence[str] = (), *, store: str | None = None,
        allow_outside: bool = False, environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.at = places(find_spec(spec))
        self._sets = tuple(sets)
        self._outside = allow_outside
        self.world = world(self.at, store, environ)

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
        """Read every input as a build would: what was found, and what is wrong."""
        from embspec.run.dry import read_inputs

        stats, problems = read_inputs(self.nodes, self.lock.lock.blocks, self.world)
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
        problems = self.refusals()
        if problems:
            raise EmbspecError(*problems)
        self._stage_names([order.wish.to, *order.wish.refresh])
        with self._placed():
            outcome = build(Job(self.nodes, RECIPES, self.world, order, tell))
        timings.save(self.at, {name: did.seconds for name, did in outcome.done.items() if did.step.state == RUN})
        return outcome

    @property
    def seconds(self) -> Mapping[str, float]:
        """How long each stage took here when it last ran."""
        return timings.load(self.at)

    def check_lock(self) -> Plan:
        """Raise where the lock is not what spec and inputs say; keys only, nothing runs."""
        now = self.plan(Wish(publish=False))
        check(now)
        return now

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
        from embspec.decide.compare import compare

        old, new = self.lock_at(before), self.lock_at(after) if after else self.lock.lock
        unknown: list[str] = []

        def texts(stage: str, artefact: str) -> tuple[str, str] | None:
            """The bytes of one artefact in both, where they differ and both are here."""
            pair = [lock.blocks.get(stage, Block()) for lock in (old, new)]
            digests = [digest_of((b.out or b.pin).get(artefact, "")) for b in pair]
            if digests[0] == digests[1] or not all(digests):
                return None
            found = [self.world.objects.text(d) for d in digests]
            if found[0] is None or found[1] is None:
                unknown.append(f"{stage}/{artefact} of {before if found[0] is None else after or 'the work tree'} "
                               "is not in the store")
                return None
            return found[0], found[1]

        manifests, scores = texts("snapshot", "manifest"), texts("evaluate", "scores")
        return LockDiff(diff(old, new), moved(*manifests) if manifests else None,
                        compare(*scores) if scores else [], unknown)

    def get(self, what: str, revision: str = "", folder: str = "") -> Fetched:
        """Bring what the lock names, or that of a revision or lock file, into a folder of its own."""
        blocks = self._lock_of(revision).blocks
        roles = named(blocks)
        if what == "report":
            roles |= pages(expand(STREET, self._values_at(revision)), blocks, self.world.records, RECIPES, revision)
        return bring(what, roles, self.world.objects, folder or default_folder(self.at.name, what, revision), revision)

    def verify(self, folder: str, revision: str = "") -> Verified:
        """Hash a model or index folder against its manifest and the lock."""
        from embspec.serve.verify import verify

        return verify(folder, self._lock_of(revision).blocks, self.world.objects)

    def search(self, query: str, k: int = 5) -> dict[str, Any]:
        """Ask the published index, with the base of the lock beside it."""
        from embspec.run.ask import Question, ask
        from embspec.serve.manifest import model_digest

        if k < 1:
            raise fail("usage.k", f"{k} documents cannot be shown", fix="ask for one or more")
        query = query.encode("utf-8", "replace").decode()  # a terminal may hand over half a letter
        blocks, at = self.lock.lock.blocks, self.at
        folders = {"index/index": os.path.join(at.out, "index"), "train/model": os.path.join(at.out, "model")}
        gone = [path for path in folders.values() if not os.path.isdir(path)]
        if gone or "base" not in blocks:
            raise fail("nowhere.index", f"there is no index to ask: {at.shown((gone or [at.out])[0])} is not there",
                       fix="run `embspec build`; a spec without a model has none")
        base = digest_of(blocks["base"].out["base"])
        if not self.world.has(base):
            raise fail("nowhere.object", f"the base ({base}) is not in the store",
                       fix="run `embspec build --refresh base`: it is made again")
        digests = {"train/model": model_digest(folders["train/model"]), "base/base": base}
        question = Question("search", "embspec.serve.search:make", {"query": query, "k": k}, folders, digests)
        return ask(question, self.nodes, blocks, self.world)

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


def store_probe(environ: Mapping[str, str] = os.environ) -> tuple[str, bool]:
    """Where the store lies, and whether what is written there reads back the same."""
    objects = Objects(store_folder(environ))
    text = "embspec doctor\n"
    return objects.store, objects.text(digest_of(objects.put(text.encode()))) == text


def numerics() -> tuple[str, str, str]:
    """What `auto` means on this machine: profile, threads, and the device they are of."""
    from embspec.store.machine import PROFILE, THREADS, device, settled

    return plain(settled(PROFILE)), str(plain(settled(THREADS))), device()
