"""A question to what was built, answered where the numerics of the lock hold; nothing is recorded."""
from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from embspec.errors import fail
from embspec.plan.canonical import plain
from embspec.plan.nodes import Node
from embspec.plan.values import Block
from embspec.run.desk import Given
from embspec.run.task import Task
from embspec.run.worker import Workers, log_path
from embspec.store.environment import engine
from embspec.store.machine import PROFILE, THREADS
from embspec.store.world import DiskWorld

ANSWER = "results.json"


class Question(NamedTuple):
    """What is asked, of which folders and trees."""

    name: str
    make: str  # "embspec.serve.search:make"; it writes its answer as `results.json`
    params: Mapping[str, Any]
    folders: Mapping[str, str]  # role -> a folder that was published
    digests: Mapping[str, str]  # role -> digest; a tree that is no folder yet is laid out from the store


def ask(question: Question, nodes: Sequence[Node], blocks: Mapping[str, Block], world: DiskWorld) -> dict[str, Any]:
    """Have it answered in a worker."""
    at = world.at
    node, pins = _float_node(nodes, blocks)
    profile, threads = plain(pins[PROFILE]), plain(pins[THREADS])
    with world.objects.scratch() as folder, Workers(at.state, at.name) as workers:
        out, scratch = (os.path.join(folder, name) for name in ("out", "scratch"))
        for path in (out, scratch):
            os.mkdir(path)
        needs = dict(question.folders)
        for number, (role, digest) in enumerate(question.digests.items()):
            if role not in needs:
                needs[role] = world.objects.lay(digest, os.path.join(folder, str(number)))
        given = Given(0, question.digests, world.objects.store, engine(profile))
        task = Task(question.name, question.make, question.params, needs, out, scratch, given, node.packages, profile,
                    threads, log_path(at.state, at.name, question.name))
        workers.run(task, lambda event: None)
        with open(os.path.join(out, ANSWER), "rb") as file:
            found: dict[str, Any] = json.load(file)
    return found


def _float_node(nodes: Sequence[Node], blocks: Mapping[str, Block]) -> tuple[Node, Mapping[str, str]]:
    """The last stage that computed with floats, and the numerics that it is pinned to."""
    found = [(node, blocks[node.name].pin) for node in nodes if node.settles and node.name in blocks]
    if not found:
        raise fail("nowhere.model", "the lock has no stage with a model", fix="run `embspec build`")
    return found[-1]
