"""Does what the plan says, one stage at a time, until there is nothing left to do."""
from __future__ import annotations

import os
import shutil
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from embspec.errors import EmbspecError, Problem
from embspec.lock.text import Lock, check_known
from embspec.plan.canonical import plain
from embspec.plan.keys import key
from embspec.plan.nodes import Node
from embspec.plan.pins import TREE
from embspec.plan.plan import RUN, VERDICT, Plan, Recipes, Step, plan
from embspec.plan.protocol import Progress
from embspec.plan.then import locked_ingredients
from embspec.plan.values import Block, Wish, digest_of
from embspec.plan.words import moved
from embspec.run import absent, locked
from embspec.run.mend import environments, figures
from embspec.run.merge import resolve
from embspec.run.past import awaited, recover
from embspec.run.publish import publish, repair
from embspec.run.stage import Ran, block_of, run_stage
from embspec.run.worker import Workers, failed, log_path
from embspec.store.bank import tidy
from embspec.store.environment import check_device, check_packages, env_id
from embspec.store.files import ignored, replace, room, sweep
from embspec.store.machine import DEVICE
from embspec.store.roots import at_work
from embspec.store.world import DiskWorld

WIDE = 100  # columns of what is said of a finished stage


class Event(NamedTuple):
    """What a person is told while a build goes on."""

    stage: str
    what: str  # start | progress | done | reuse | wait | note
    text: str = ""
    done: int = 0
    total: int = 0


class Order(NamedTuple):
    """How a build is wanted."""

    wish: Wish = Wish()
    locked: bool = False
    no_run: bool = False
    wait: float = 600.0
    no_fetch: bool = False
    allow_code: bool = False


class Job(NamedTuple):
    """One build: what is to be built, where, and who is told."""

    nodes: Sequence[Node]
    recipes: Recipes
    world: DiskWorld
    order: Order
    tell: Callable[[Event], None]
    workers: Workers | None = None  # those of the build that goes on


class Done(NamedTuple):
    """One stage that this build touched."""

    step: Step
    seconds: float
    counts: Mapping[str, int]


class Outcome(NamedTuple):
    """What a build came to: the last plan, and what was done on the way."""

    plan: Plan
    done: Mapping[str, Done]
    lock: Lock


def build(job: Job) -> Outcome:
    """Build under the spec's own lock file, so that two builds of one spec make nothing twice."""
    path = os.path.join(job.world.at.state, f"{job.world.at.name}.build.flock")
    waiting = Event("", "wait", "another build of this spec is running")
    at = job.world.at
    with locked.held(path, job.order.wait, lambda: job.tell(waiting)), at_work(job.world.objects.store, at), Workers(
            at.state, at.name) as workers:
        return _build(job._replace(workers=workers))


def _build(job: Job) -> Outcome:
    at = job.world.at
    for folder in (at.state, os.path.dirname(at.out)):
        ignored(folder)
    sweep(job.world.objects.tmp, "")
    tidy(job.world.objects.store)
    for folder in (at.state, at.folder):
        sweep(folder)
    repair(job.world)
    lock = _loaded(job)
    wish, done = job.order.wish, dict[str, Done]()
    job.world.may_fetch, job.world.may_run_code = not job.order.no_fetch, job.order.allow_code
    before = lock.blocks
    if job.order.locked:
        absent.believe(job.nodes, before, job.world)
    now = plan(job.nodes, lock.blocks, job.world, wish, job.recipes)
    if job.order.locked:
        check(now)
        absent.look(now, job.world)
    elif now.dropped or any(step.node.stage.locked for step in now.work):
        check_known(lock)  # before hours of work, not after
    if not job.order.no_run:
        running = [step for step in now.work if step.state == RUN and not step.maybe]
        check_packages(sorted({package for step in running for package in step.node.packages}))
        for kind in sorted({plain(step.pin[DEVICE]) for step in running if DEVICE in step.pin}):
            check_device(kind)
    try:
        now, lock = _work(now, lock, job, done)
    except EmbspecError:
        if wish.retrain and before:
            _save(job, lambda blocks: before, lock.envs)  # what could not move stays; what was built is in the store
        raise
    if not job.order.locked:
        lock = _tidied(now, lock, job, done)
    if wish.publish:
        publish(now, job.world)
    return Outcome(now, done, lock)


def _loaded(job: Job) -> Lock:
    """The lock; where a merge left both sides in it and the lock may change, they are merged first."""
    try:
        return locked.load(job.world.at)
    except EmbspecError as error:
        if job.order.locked or error.problems[0].code != "lock.conflict":
            raise
        merged = resolve(job.nodes, job.recipes, job.world)
        if merged is None:
            raise
    for text in (f"both sides of a merge were in it: {merged}", *merged.notes):
        job.tell(Event("lock", "note", text))
    return merged.lock


def _tidied(now: Plan, lock: Lock, job: Job, done: Mapping[str, Done]) -> Lock:
    """What no stage writes: blocks that the spec has no stage for, lines that a merge or a hand spoilt."""
    records = job.world.records
    envs = environments(lock, records)
    wrote = any(did.step.node.stage.locked for did in done.values())

    def tidy(blocks: _Blocks) -> _Blocks:
        left = {name: block for name, block in blocks.items() if name not in now.dropped}
        return figures(left, records) if wrote else left

    same = tidy(lock.blocks) == lock.blocks and not envs
    return lock if same or lock.unknown else _save(job, tidy, envs)


def _work(now: Plan, lock: Lock, job: Job, done: dict[str, Done]) -> tuple[Plan, Lock]:
    """One step after another, and after each the plan anew, until there is none."""
    wish, before = job.order.wish, lock.blocks
    while True:
        if now.lost and not awaited(now):
            recover(now, job.world, lambda stage, text: job.tell(Event(stage, "note", text)))
            now = plan(job.nodes, lock.blocks, job.world, wish, job.recipes, before)
        step = next(iter(now.work), None)
        if step is None:
            return now, lock
        with _turn(step, job) as again:
            if again and not _still(step, now := plan(job.nodes, lock.blocks, job.world, wish, job.recipes, before)):
                continue
            name = step.node.name
            lock, done[name] = _do(step, now, lock, job)
        wish = wish._replace(refresh=wish.refresh - {name}, forget=frozenset(
            f for f in wish.forget if not f.startswith(name + " ")))
        now = plan(job.nodes, lock.blocks, job.world, wish, job.recipes, before)


@contextmanager
def _turn(step: Step, job: Job) -> Iterator[bool]:
    """One key is made by one build at a time, whoever shares the store; whether the plan has to be made anew then."""
    if step.state != RUN or step.node.stage.follow or job.order.no_run:
        yield False
        return
    waiting = Event(step.node.name, "wait", "another build is making the same")
    path = os.path.join(job.world.objects.store, "lock", key(step.named))
    with locked.held(path, job.order.wait, lambda: job.tell(waiting)):
        yield True


def _still(step: Step, now: Plan) -> bool:
    """Whether nobody made it meanwhile."""
    first = next(iter(now.work), None)
    return first is not None and (first.node.name, first.state) == (step.node.name, RUN)


def check(now: Plan) -> None:
    """`--locked`: the lock must say what spec and inputs say."""
    problems = [
        Problem("lock-stale.stage", f"{step.node.name}: {reason}")
        for step in now.stale if step.node.stage.locked for reason in step.why
    ]
    problems += [Problem("lock-stale.stage", f"{name}: not in the spec any more") for name in now.dropped]
    if problems:
        last = problems[-1]._replace(fix="run `embspec build` and commit the lock")
        raise EmbspecError(*problems[:-1], last)


def _do(step: Step, now: Plan, lock: Lock, job: Job) -> tuple[Lock, Done]:
    """One stage: taken from a record, pinned anew, or run."""
    name = step.node.name
    start = time.monotonic()
    before = lock.blocks.get(name, Block())
    if step.node.stage.follow:
        ran = Ran(Block(pin=step.pin), {}, {})
    elif step.state == RUN:
        if job.order.no_run and step.node.stage.locked:
            raise _not_run(now)
        job.tell(Event(name, "start", _reasons(step)))
        ran = _run(step, now, job, before.pin.get(TREE, ""))
    else:
        assert step.record
        ran = Ran(block_of(step, step.record), step.record.env, {})
    if step.node.stage.locked:
        lock = _update(step, ran, lock, job)
    if ran.answered:
        shutil.rmtree(ran.answered, ignore_errors=True)
    seconds = time.monotonic() - start
    text = _moved(before, step, job) if step.node.stage.follow else _stat(ran.block)
    job.tell(Event(name, "done" if step.state == RUN else "reuse", text))
    return lock, Done(step, seconds, ran.counts)


def _moved(before: Block, step: Step, job: Job) -> str:
    """How many documents a pin that moved has otherwise."""
    pins = [pin["manifest"] for pin in (before.pin, step.pin) if "manifest" in pin]
    then, *now = [job.world.objects.text(digest_of(pin)) for pin in pins]
    if then is None or not now or now[0] is None:
        return ""
    return "+{} −{} ~{} documents".format(*moved(then, now[0]))


def _not_run(now: Plan) -> EmbspecError:
    """`--no-run`: every stage whose bytes are nowhere, at once."""
    steps = [s for s in now.work if s.state == RUN and s.node.stage.locked and not s.node.stage.follow]
    return EmbspecError(*(
        Problem("nowhere.stage", f"stage {s.node.name} would have to run: {_reasons(s)}",
                fix="leave out --no-run to build it" if s is steps[-1] else "")
        for s in steps))


def _reasons(step: Step) -> str:
    return "; ".join(map(str, step.why)) or "its record is not in the store"


def _stat(block: Block) -> str:
    """The first few figures of a stage, as far as a line goes: the rest is in the lock."""
    text, *rest = [f"{name} {plain(value)}" for name, value in block.stat.items()] or [""]
    while rest and len(text) + len(rest[0]) < WIDE:
        text += f", {rest.pop(0)}"
    return text + (", …" if rest else "")


def _run(step: Step, now: Plan, job: Job, pinned: str) -> Ran:
    name, at = step.node.name, job.world.at
    known = {f"{s.node.name}/{a}": d for s in now.steps for a, d in s.out.items()}

    def tell(event: Progress) -> None:
        job.tell(Event(name, "progress", event.text, event.done, event.total))

    assert job.workers
    try:
        with room(job.world.objects.store):
            return run_stage(step, known, job.world, job.workers, tell)
    except EmbspecError as error:
        raise absent.advised(error, step.node, pinned, job.world) from error.__cause__
    except Exception as error:
        path = log_path(at.state, at.name, name)
        replace(path, traceback.format_exc().encode())
        raise failed(name, f"{type(error).__name__}: {error}", path) from error


def _update(step: Step, ran: Ran, lock: Lock, job: Job) -> Lock:
    """Write one block, unless the lock has the same result already."""
    name, block, old = step.node.name, ran.block, lock.blocks.get(step.node.name)
    if old and _same(old, block) and locked_ingredients(step.node, lock.blocks, job.recipes):
        return lock  # what holds and is as it was stays, the environment it names included
    if job.order.locked:
        raise _differs(name, block, old)
    if old and old.key and old.key == block.key and old.out != block.out:
        back = f"`git checkout {job.world.at.shown(job.world.at.lock)}` takes the old back"
        text = f"other bytes under the same key: built in {old.env}, now in {block.env}; {back}"
        job.tell(Event(name, "note", text))
    envs = {env_id(ran.env): ran.env} if ran.env else {}
    return _save(job, lambda blocks: {**blocks, name: block}, envs)


def _same(old: Block, block: Block) -> bool:
    """Whether a stage made what the lock has of it; of the figures only the verdict decides anything."""
    return (old.key, old.out, old.pin, old.stat.get(VERDICT)) == (
        block.key, block.out, block.pin, block.stat.get(VERDICT))


def _differs(name: str, block: Block, old: Block | None) -> EmbspecError:
    """`--locked`: what was built again is not what the lock says."""
    then, now = (
        {**b.out, **b.pin, **{n: text for n, text in b.stat.items() if n == VERDICT}} for b in (old or Block(), block))
    return EmbspecError(*(
        Problem("differs.artefact", f"{name}/{part}: {text} when built again, the lock says {then.get(part)}",
                fix="out/ is untouched; build without --locked to take the new bytes")
        for part, text in now.items() if then.get(part) != text))


_Blocks = Mapping[str, Block]


def _save(job: Job, change: Callable[[_Blocks], _Blocks], envs: Mapping[str, Mapping[str, str]]) -> Lock:
    return locked.save(job.world.at, [n.name for n in job.nodes], change, envs)
