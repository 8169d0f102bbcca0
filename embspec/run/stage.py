"""Runs one stage: hands it what it declared, takes its bytes into the store, writes its record."""
from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from embspec.errors import EmbspecError, fail
from embspec.plan.canonical import plain, scalar
from embspec.plan.keys import key
from embspec.plan.nodes import Node
from embspec.plan.pins import ENV, TREE, files_of
from embspec.plan.plan import PACKAGES, Step
from embspec.plan.protocol import Made, Progress, is_address
from embspec.plan.values import Block, Record, Texts, digest_of
from embspec.run.absent import bring
from embspec.run.desk import Given, seed_of
from embspec.run.programs import Program
from embspec.run.task import Did, Task, work
from embspec.run.worker import Workers, log_path
from embspec.stages.street import handed
from embspec.store import records
from embspec.store.environment import check_packages, engine, env_id, environment, lacks_gpu
from embspec.store.environment import listing as packages_of
from embspec.store.live import LiveTree, tree_pin
from embspec.store.machine import CPU, DEVICE, PROFILE, SPARE, THREADS
from embspec.store.objects import listing
from embspec.store.world import DiskWorld

PIN = "pin."  # what the name of a pin begins with where a stage is handed it


class Ran(NamedTuple):
    """A finished stage: its block, the env block it names, and counts of its work."""

    block: Block
    env: Mapping[str, str]
    counts: Mapping[str, int]
    answered: str = ""  # where answers lie until the lock has them


def run_stage(
    step: Step, known: Mapping[str, str], world: DiskWorld, workers: Workers, tell: Callable[[Progress], None]
) -> Ran:
    """Do the work of one stage whose inputs are all at hand."""
    check_packages(step.node.packages)
    fetched = fetch(step.node, step.pin, world, tell)
    step = step._replace(pin={**step.pin, **fetched})
    with world.objects.scratch() as folder:
        task = _task(step, known, world, folder)
        copies = os.path.join(folder, "copies")
        for path in (task.out, task.scratch, copies):
            os.mkdir(path)
        live = _live_tree(step, world, copies)
        made = perform(task, live, workers, tell).made
        pins = _pins(step, made, live, world)
        outs = {artefact: world.objects.adopt(os.path.join(task.out, artefact)) for artefact in step.node.makes}
    ran = _finish(step, made, pins, outs, world)
    if task.given.program:
        return ran._replace(answered=task.given.kept)
    if task.given.kept:
        shutil.rmtree(task.given.kept, ignore_errors=True)
    return ran


def perform(task: Task, live: LiveTree | None, workers: Workers, tell: Callable[[Progress], None]) -> Did:
    """Here, or where its numerics are set."""
    if task.profile:
        return workers.run(task, tell)
    with named_by_path(live):
        return work(task, tell, live)


def _task(step: Step, known: Mapping[str, str], world: DiskWorld, folder: str) -> Task:
    node, params = step.node, _params(step)
    roles = [f.removeprefix("needs ") for f in step.named if f.startswith("needs ")]
    profile, threads = (params[f"{PIN}{name}"] for name in (PROFILE, THREADS)) if node.settles else ("", 0)
    digests = {handed(role): digest_of(known[role]) for role in roles}
    needs = _needs(step, digests, world, os.path.join(folder, "needs"))
    log = log_path(world.at.state, world.at.name, node.name)
    program = _program(node, world, log)
    kept = _kept(step, world) if profile else _answered(node, world) if program else ""
    given = Given(seed_of(node.typed, node.name), digests, world.objects.store, engine(profile) if profile else {},
                  kept, program)
    out, scratch = os.path.join(folder, "out"), os.path.join(folder, "scratch")
    return Task(node.name, node.stage.make, params, needs, out, scratch, given, node.packages, profile, threads,
                log, _device(step))


def _program(node: Node, world: DiskWorld, log: str) -> Program | None:
    """The command that a stage may have run, from the folder of the file that names it."""
    command = node.stage.asks(node.typed)
    if command is None:
        return None
    folder = os.path.normpath(os.path.join(world.at.folder, command.folder))
    return Program(command.field, command.words, folder, world.may_run_code, log)


def _answered(node: Node, world: DiskWorld) -> str:
    """What a program has answered is of use whatever became of the documents since; it is this spec's alone."""
    return os.path.join(world.at.state, "asked", f"{world.at.name}.{node.name}")


def _device(step: Step) -> str:
    """What the lock pins; a stage that has the field without a pin gives the same bytes on the GPU that is here."""
    if DEVICE in step.pin:
        return str(plain(step.pin[DEVICE]))
    return SPARE if step.node.typed.get(DEVICE, CPU) != CPU and not lacks_gpu() else ""


def _kept(step: Step, world: DiskWorld) -> str:
    """What an unfinished run leaves is of use under the same key and in the same environment alone."""
    env = env_id(environment(step.node.packages, step.pin))
    return os.path.join(world.objects.store, "work", f"{key(step.named)}-{env}")


@contextmanager
def named_by_path(live: LiveTree | None) -> Iterator[None]:
    """A stage knows its files by their names in the tree; a person opens them by path."""
    try:
        yield
    except EmbspecError as error:
        if live is None:
            raise
        problems = [
            p._replace(where=p.where._replace(file=live.shown(p.where.file))) if p.where else p for p in error.problems
        ]
        raise EmbspecError(*problems) from error.__cause__


def _params(step: Step) -> dict[str, Any]:
    settled = {f"{PIN}{name}": plain(step.pin[name]) for name in step.node.settles}
    return {**with_pins(step.node, step.pin), **settled}


def with_pins(node: Node, pin: Texts) -> dict[str, Any]:
    """What a stage is handed: its parameters, and those of its pins that an earlier run found."""
    return {**node.typed, **{f"{PIN}{name}": _handed(pin.get(name)) for name in node.pins}}


def _handed(text: str | None) -> str | None:
    """A pin as the stage returned it: its text, without the quotes that the lock needs."""
    return json.loads(text) if text and text.startswith('"') else text


def _needs(step: Step, digests: Mapping[str, str], world: DiskWorld, folder: str) -> dict[str, str]:
    """The artefacts a stage declared, and of its pins those that are bytes; a tree is laid out as a folder."""
    return {
        role: world.objects.lay(digest, os.path.join(folder, str(number))) if digest.startswith("tree ")
        else world.objects.lend(digest, os.path.join(folder, str(number)))
        for number, (role, digest) in enumerate({**digests, **pinned_bytes(step.node, step.pin, world)}.items())
    }


def pinned_bytes(node: Node, pin: Texts, world: DiskWorld) -> dict[str, str]:
    """The pins of a stage that are bytes of their own and at hand, by the role they are handed in with."""
    found = {f"{PIN}{name}": digest_of(pin.get(name, "")) for name in node.pins if not is_address(name)}
    return {role: digest for role, digest in found.items() if digest.startswith("sha256:") and world.has(digest)}


def _live_tree(step: Step, world: DiskWorld, copies: str) -> LiveTree | None:
    stage = step.node.stage
    if not stage.live:
        return None
    count = iter(range(1 << 30))
    keep = (lambda: os.path.join(copies, str(next(count)))) if stage.keeps else None
    globs = stage.live(_params(step))
    if pin := world.believed(globs):
        return LiveTree(bring(step.node, globs, pin, world, os.path.join(copies, "brought")), keep)
    found = world.find(globs)
    return LiveTree(found, keep, {} if keep else world.digests(found))


def _pins(step: Step, made: Made, live: LiveTree | None, world: DiskWorld) -> dict[str, str]:
    """What the stage consumed, what the machine settled, and what the run found, in the order the street declares."""
    stage, pins = step.node.stage, {}
    if live and stage.live:
        rows = live.consumed()
        pins[TREE] = tree_pin(rows)
        if stage.sticky(step.node.typed) and pins[TREE] != step.pin.get(TREE):
            raise _other_files(step.node.name, step.pin.get(TREE, "nothing"), pins[TREE])
        for globs in {stage.live(step.node.typed), files_of(step.node, step.pin)}:
            world.settle(globs, pins[TREE])
        world.objects.put(listing(rows))  # so that a later plan can name the files that changed
        for copy in live.copies():
            world.objects.adopt(copy)
    pins |= {name: step.pin[name] for name in (*step.node.settles, ENV) if name in step.pin}
    for name in step.node.pins:
        if is_address(name):
            pins[name] = step.pin[name]
        else:
            pins[name] = world.objects.adopt(str(made.keep[name])) if name in made.keep else scalar(made.pins[name])
    return pins


def fetch(node: Node, pin: Texts, world: DiskWorld, tell: Callable[[Progress], None]) -> dict[str, str]:
    """What a stage reads from elsewhere, now in the store: address to pin."""
    found: dict[str, str] = {}
    for address in filter(is_address, node.pins):
        from embspec.store import remote

        wanted = remote.Wanted(address, pin.get(address, ""), node.name, next(iter(node.params), ""), world.may_fetch)
        found[address] = remote.bring(
            wanted, world.objects, lambda *said: tell(Progress(f"fetching {said[0]}", *said[1:])),
            world.fetched)
    return found


def _other_files(stage: str, then: str, now: str) -> EmbspecError:
    return fail("nowhere.files", f"the files of stage {stage} are pinned as {then}, and here they are {now}",
                fix="bring back the files that the lock pins")


def _finish(step: Step, made: Made, pins: Texts, outs: Texts, world: DiskWorld) -> Ran:
    """Record the result under the key that the pins it returned give."""
    packages = world.objects.put(packages_of(step.node.packages))
    env = {**environment(step.node.packages, pins), PACKAGES: digest_of(packages)}
    named = {k: v for k, v in step.named.items() if not k.startswith("pin ")} | {f"pin {n}": t for n, t in pins.items()}
    stat = {name: scalar(value) for name, value in made.stat.items()}
    record = Record(named, step.recipe, step.uses, pins, outs, stat, env)
    records.save(world.objects.store, key(named), record)
    return Ran(block_of(step, record), env, made.counts)


def block_of(step: Step, record: Record) -> Block:
    """The lock's block for a result."""
    return Block(record.recipe, record.uses, step.node.params, record.pin, key(record.ingredients), record.out,
                 record.stat, env_id(record.env))
