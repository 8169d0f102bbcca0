"""Reads every input as a build would, keeps nothing: what is wrong with them, all at once."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from embspec.errors import EmbspecError, Problem
from embspec.plan.nodes import Node
from embspec.plan.protocol import Progress
from embspec.plan.values import Block
from embspec.run.desk import Given, seed_of
from embspec.run.stage import fetch, named_by_path, with_pins
from embspec.run.task import Task, work
from embspec.store.live import LiveTree
from embspec.store.world import DiskWorld

# What is said of one input in the light of another: nothing of it holds where that other could not be read.
SEEN = ("input.dangling", "input.quote", "input.span", "input.ambiguous", "input.not-visible", "input.more")
UNCUT = {"corpus.chunking.strategy": "none"}  # documents are read all the same where nobody is there to count tokens


def read_inputs(
    nodes: Sequence[Node], blocks: Mapping[str, Block], world: DiskWorld, also: Sequence[str] = ()
) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """Run the reading stages over the live files into a folder that is thrown away; and those named by `also`."""
    stats: dict[str, dict[str, Any]] = {}
    problems: list[Problem] = []
    made: dict[str, Path] = {}
    names = [n.name for n in nodes]
    follows = {n.stage.follow.stage: n.name for n in nodes if n.stage.follow}
    with world.objects.scratch() as folder:
        empty = Path(folder, "empty")
        empty.touch()
        for node in nodes:
            if not node.stage.live and node.name not in also:
                continue
            cut, node = node, _uncut(node, names, made)
            also = also if node is cut else ()  # of texts that were not cut nobody can say where they go
            needed = node.stage.needs(node.params, names)
            blind = [role for role in needed if role not in made]  # made by a stage that is broken, and said to be
            if blind and (node.name in also or not all(role.endswith(".jsonl") for role in blind)):
                continue
            out = Path(folder, node.name)
            (out / "scratch").mkdir(parents=True)
            try:
                given = made | dict.fromkeys(blind, empty)
                needs = {role: str(given[role]) for role in needed}
                block = blocks.get(node.name, Block())
                stat = _read(node, block if node.stage.live else _unfrozen(block), needs, out, world)
            except EmbspecError as error:
                problems += [p for p in error.problems if not blind or not _unsure(p)]
                continue
            if not blind:
                stats[node.name] = stat
                for name in [node.name, follows.get(node.name, node.name)]:
                    made.update({f"{name}/{a}": out / a for a in node.makes})
    return stats, problems


def _uncut(node: Node, names: Sequence[str], made: Mapping[str, Path]) -> Node:
    """A stage that cannot cut documents as one that need not, where that is all it lacks."""
    if all(role in made for role in node.stage.needs(node.params, names)) or not UNCUT.keys() <= node.params.keys():
        return node
    bare = node._replace(params={**node.params, **UNCUT}, typed={**node.typed, **UNCUT})
    return bare if all(role in made for role in bare.stage.needs(bare.params, names)) else node


def _unsure(problem: Problem) -> bool:
    """Whether a problem may be one of what could not be read: headings come out of the documents."""
    return problem.code in SEEN or problem.field.endswith(".from")


def _read(node: Node, block: Block, needs: dict[str, str], out: Path, world: DiskWorld) -> dict[str, Any]:
    params = with_pins(node, {**block.pin, **fetch(node, block.pin, world, _silent)})
    live = LiveTree(world.find(node.stage.live(params)) if node.stage.live else ())
    given = Given(seed_of(node.typed, node.name), {}, str(out / "bank"), {})  # a check leaves nothing in the store
    task = Task(node.name, node.stage.make, params, needs, str(out), str(out / "scratch"), given, (), "", 0, "")
    with named_by_path(live):
        return dict(work(task, _silent, live).made.stat)


def _unfrozen(block: Block) -> Block:
    """Without the pins that are bytes: whether the test set is the frozen one is what a build says."""
    return block._replace(pin={name: text for name, text in block.pin.items() if not text.startswith("sha256:")})


def _silent(event: Progress) -> None:
    return None
