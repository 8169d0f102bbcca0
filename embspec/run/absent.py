"""Inputs that a lock pins and that are not here: a build that may not change the lock goes on with the pinned bytes."""
from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

from embspec import git
from embspec.errors import EmbspecError, Problem
from embspec.plan.nodes import Node
from embspec.plan.pins import TREE, files_of
from embspec.plan.plan import RUN, Plan
from embspec.plan.protocol import is_address
from embspec.plan.values import Block
from embspec.run.inputs import Input, Inputs, Source
from embspec.store.live import Found, path_of, tree_pin
from embspec.store.objects import entries
from embspec.store.world import DiskWorld

MISSING = "input.missing"  # what a reading stage says of a path that no file matches


def believe(nodes: Sequence[Node], blocks: Mapping[str, Block], world: DiskWorld) -> None:
    """Take the lock's word for files that are not here; those that are here have to be what it says."""
    for node in nodes:
        pins = blocks.get(node.name, Block()).pin
        pin, globs = pins.get(TREE), files_of(node, pins)
        if node.stage.live and pin and _absent(globs, pin, world):
            world.believe(globs, pin)


def _absent(globs: Sequence[str], pin: str, world: DiskWorld) -> bool:
    """Whether what differs from the pin are paths that match nothing: one file fewer among others is a change."""
    if world.live(globs) == pin:
        return False
    if not world.find(globs):
        return True
    empty = [glob for glob in globs if not world.find([glob])]
    gone = world.moved(globs, pin)
    return bool(gone) and all(
        now is None and any(path_of(world.at.folder, glob, name) for glob in empty) for name, _, now in gone)


def look(now: Plan, world: DiskWorld) -> None:
    """Before anything runs: the absent files of every stage that has to run are somewhere, or all that are not."""
    problems: list[Problem] = []
    for step in now.steps:
        globs = files_of(step.node, step.pin)
        pin = world.believed(globs)
        if pin and step.state == RUN:
            with world.objects.scratch() as scratch, _inputs(world, scratch) as inputs:
                problems += [] if _source(globs, pin, inputs, world) else _nowhere(step.node, globs, pin, world)
    if problems:
        raise EmbspecError(*problems)


def bring(node: Node, globs: Sequence[str], pin: str, world: DiskWorld, folder: str) -> list[Found]:
    """The pinned files, each in a folder of its own, under the names that the stage knows; and what was fetched."""
    with _inputs(world, folder) as inputs:
        source = _source(globs, pin, inputs, world)
        if source is None:
            raise EmbspecError(*_nowhere(node, globs, pin, world))
        placed = [_place(name, file, os.path.join(folder, str(number)))
                  for number, (name, file) in enumerate(sorted(source.files().items()))]
        return sorted([*placed, *world.find(_afar(globs))])


def advised(error: EmbspecError, node: Node, pin: str, world: DiskWorld) -> EmbspecError:
    """Where a file is missing that the lock pins, what brings its bytes back, if anything does."""
    if not (node.stage.live and pin and any(p.code == MISSING for p in error.problems)):
        return error
    globs = node.stage.live(node.typed)
    with world.objects.scratch() as scratch, _inputs(world, scratch) as inputs:
        source = _source(globs, pin, inputs, world)
        files = source.files() if source else {}
    back = [file.back for name, file in sorted(files.items()) if not os.path.exists(file.path)]
    if not back:
        return error
    more = "\n  ".join(["the bytes that the lock pins are still there, and so they come back:", *back])
    return EmbspecError(*(p._replace(fix=f"{p.fix}\n  {more}") if p.code == MISSING else p for p in error.problems))


@contextmanager
def _inputs(world: DiskWorld, scratch: str) -> Iterator[Inputs]:
    os.makedirs(scratch, exist_ok=True)
    with git.Blobs(world.at.folder, scratch) if git.top(world.at.folder) else nullcontext() as blobs:
        yield Inputs(world, "", blobs)


def _source(globs: Sequence[str], pin: str, inputs: Inputs, world: DiskWorld) -> Source | None:
    """The first place that has every file as it is pinned; those of addresses are known by their own pins."""
    afar = [(f.name, f.pinned, f.size) for f in world.find(_afar(globs))]
    for source in inputs.sources([glob for glob in globs if not is_address(glob)], Block(pin={TREE: pin})):
        if tree_pin([*afar, *((name, file.sha256, file.size) for name, file in source.files().items())]) == pin:
            return source
    return None


def _afar(globs: Sequence[str]) -> list[str]:
    return [glob for glob in globs if is_address(glob)]


def _nowhere(node: Node, globs: Sequence[str], pin: str, world: DiskWorld) -> list[Problem]:
    """Each file that is nowhere, by name and digest; where the listing is gone too, the pattern and the pin."""
    text = world.objects.text(pin.split(" ")[0])
    lost = [f"{name} (sha256:{digest})" for name, digest, _ in entries((text or "").encode())
            if not (world.has(f"sha256:{digest}") or is_address(name))] or [f"{', '.join(globs)} ({pin})"]
    cut = ", whose history was cut off when it was cloned (`git fetch --unshallow` brings it)"
    looked = "git" + (cut if git.shallow(world.at.folder) else "")
    fix = "bring the file back as it was, or set EMBSPEC_STORE to a store that has it"
    field = next(iter(node.params), "")
    return [Problem("nowhere.input", f"stage {node.name} has to run, and {each}, which the lock pins, is neither here "
                    f"nor in the store nor in {looked}", fix=fix, field=field) for each in lost]


def _place(name: str, file: Input, folder: str) -> Found:
    os.makedirs(folder)
    cut = name.rfind("/") + 1
    with file.open() as source, open(os.path.join(folder, name[cut:]), "wb") as out:
        shutil.copyfileobj(source, out)
    return Found(name, folder, file.size, 0, 0, 0, cut)
