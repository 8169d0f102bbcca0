"""Runs one stage: hands it what it declared, takes its bytes into the store, writes its record."""
from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from embspec.errors import EmbspecError
from embspec.plan.canonical import scalar
from embspec.plan.keys import key
from embspec.plan.nodes import Node
from embspec.plan.plan import Step
from embspec.plan.protocol import Desk, Made, Make, Progress
from embspec.plan.values import Block, Record, digest_of
from embspec.run.desk import Declared, StageDesk
from embspec.run.environment import env_id, environment
from embspec.store import records
from embspec.store.live import LiveTree, tree_pin
from embspec.store.objects import listing
from embspec.store.world import DiskWorld


class Ran(NamedTuple):
    """A finished stage: its block, the env block it names, and counts of its work."""

    block: Block
    env: Mapping[str, str]
    counts: Mapping[str, int]


def run_stage(step: Step, known: Mapping[str, str], world: DiskWorld, tell: Callable[[Progress], None]) -> Ran:
    """Do the work of one stage whose inputs are all at hand."""
    stage, objects = step.node.stage, world.objects
    with objects.scratch() as folder:
        out, scratch, copies = Path(folder, "out"), Path(folder, "scratch"), Path(folder, "copies")
        for path in (out, scratch, copies):
            path.mkdir()
        live = _live_tree(step, world, copies)
        needs = _needs(step, known, world)
        made = call(step.node, _params(step), needs, live, out, StageDesk(scratch, tell))
        pins = _pins(step, made, live, world)
        outs = {artefact: objects.adopt(str(out / artefact)) for artefact in stage.makes}
    return _finish(step, made, pins, outs, world)


def call(
    node: Node, params: Mapping[str, Any], needs: Mapping[str, Any], live: LiveTree | None, out: Path, desk: Desk
) -> Made:
    """Import a stage's `make` and hand it what it declared, and nothing else."""
    module, name = node.stage.make.split(":")
    make: Make = getattr(importlib.import_module(module), name)
    opened = {**needs, "live": live} if live else needs
    with _named_by_path(live):
        return make(Declared(params, node.name, "parameter"), Declared(opened, node.name, "artefact"), out, desk)


@contextmanager
def _named_by_path(live: LiveTree | None) -> Iterator[None]:
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
    pins = {f"pin.{name}": _handed(step.pin.get(name)) for name in step.node.stage.pins}
    return {**step.node.typed, **pins}


def _handed(text: str | None) -> str | None:
    """A pin as the stage returned it: its text, without the quotes that the lock needs."""
    return json.loads(text) if text and text.startswith('"') else text


def _needs(step: Step, known: Mapping[str, str], world: DiskWorld) -> dict[str, Any]:
    """The artefacts a stage declared, and of its pins those that are bytes."""
    needs = {f[len("needs "):]: "" for f in step.named if f.startswith("needs ")}
    found: dict[str, Any] = {r: Path(world.objects.verified(digest_of(known[r]))) for r in needs}
    for name in step.node.stage.pins:
        text = step.pin.get(name, "")
        if text.startswith("sha256:") and world.has(digest_of(text)):
            found[f"pin.{name}"] = Path(world.objects.verified(digest_of(text)))
    return found


def _live_tree(step: Step, world: DiskWorld, copies: Path) -> LiveTree | None:
    stage = step.node.stage
    if not stage.live:
        return None
    count = iter(range(1 << 30))
    keep = (lambda: str(copies / str(next(count)))) if stage.keeps else None
    return LiveTree(world.find(stage.live(step.node.typed)), keep)


def _pins(step: Step, made: Made, live: LiveTree | None, world: DiskWorld) -> dict[str, str]:
    """What the stage consumed and found, in the order the street declares."""
    stage, pins = step.node.stage, {}
    if live and stage.live:
        rows = live.consumed()
        pins["tree"] = tree_pin(rows)
        world.settle(stage.live(step.node.typed), pins["tree"])
        world.objects.put(listing(rows))  # so that a later plan can name the files that changed
        for copy in live.copies():
            world.objects.adopt(copy)
    for name in stage.pins:
        pins[name] = world.objects.adopt(str(made.keep[name])) if name in made.keep else scalar(made.pins[name])
    return pins


def _finish(step: Step, made: Made, pins: Mapping[str, str], outs: Mapping[str, str], world: DiskWorld) -> Ran:
    """Record the result under the key that the pins it returned give."""
    env, packages = environment(step.node.stage.packages)
    env = {**env, "packages": digest_of(world.objects.put(packages))}
    named = {k: v for k, v in step.named.items() if not k.startswith("pin ")} | {f"pin {n}": t for n, t in pins.items()}
    stat = {name: scalar(value) for name, value in made.stat.items()}
    record = Record(named, step.recipe, step.uses, pins, outs, stat, env)
    records.save(world.objects.store, key(named), record)
    return Ran(block_of(step, record), env, made.counts)


def block_of(step: Step, record: Record) -> Block:
    """The lock's block for a result."""
    return Block(record.recipe, record.uses, step.node.params, record.pin, key(record.ingredients), record.out,
                 record.stat, env_id(record.env))


def log_path(state: str, name: str) -> str:
    """Where the log of a failed stage goes."""
    return os.path.join(state, "runs", f"{name}.log")
