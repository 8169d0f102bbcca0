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
from embspec.run.stage import named_by_path, with_pins
from embspec.run.task import Task, work
from embspec.store.live import LiveTree
from embspec.store.world import DiskWorld


def read_inputs(
    nodes: Sequence[Node], blocks: Mapping[str, Block], world: DiskWorld
) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """Run the reading stages over the live files into a folder that is thrown away."""
    stats: dict[str, dict[str, Any]] = {}
    problems: list[Problem] = []
    made: dict[str, Path] = {}
    follows = {n.stage.follow.stage: n.name for n in nodes if n.stage.follow}
    names = [node.name for node in nodes]
    with world.objects.scratch() as folder:
        for node in nodes:
            needs = node.stage.needs(node.params, names)
            if not node.stage.live or any(r not in made for r in needs):
                continue  # what it needs is broken, and said
            out = Path(folder, node.name)
            (out / "scratch").mkdir(parents=True)
            try:
                there = {role: str(made[role]) for role in needs}
                stats[node.name] = _read(node, blocks.get(node.name, Block()), there, out, world)
            except EmbspecError as error:
                problems += error.problems
                continue
            for name in [node.name, follows.get(node.name, node.name)]:
                made.update({f"{name}/{a}": out / a for a in node.makes})
    return stats, problems


def _read(node: Node, block: Block, needs: dict[str, str], out: Path, world: DiskWorld) -> dict[str, Any]:
    assert node.stage.live
    params = with_pins(node, block.pin)
    live = LiveTree(world.find(node.stage.live(params)))
    given = Given(seed_of(node.typed, node.name), {}, world.objects.store, {})
    task = Task(node.name, node.stage.make, params, needs, str(out), str(out / "scratch"), given, (), "", 0, "")
    with named_by_path(live):
        return dict(work(task, _silent, live).made.stat)


def _silent(event: Progress) -> None:
    return None
