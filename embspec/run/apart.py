"""A project in a folder of its own: spec, lock and inputs as they were at a revision; the work tree is not touched."""
from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import IO

from embspec import git
from embspec.errors import EmbspecError, Problem, Where, fail
from embspec.plan.nodes import Node
from embspec.plan.pins import TREE, files_of
from embspec.plan.protocol import is_address
from embspec.plan.values import Block, Texts, digest_of
from embspec.run.inputs import Input, Inputs
from embspec.run.stage import with_pins
from embspec.store.files import disk
from embspec.store.live import tree_pin
from embspec.store.objects import Objects, file_digest
from embspec.store.places import SPEC_ENDINGS, Places
from embspec.store.world import DiskWorld

_INSTALLED = ("package:", "hub:")  # read from where it lies, in this project as in any other


@contextmanager
def opened(at: Places, revision: str, spec_files: Callable[[], Sequence[str]], scratch: str) -> Iterator[Places]:
    """Spec, what it extends, and lock, as they lie in the project, below a folder on the store's disk."""
    top = os.path.realpath(scratch)
    # Its whole path again: what leaves the project by `..` leaves this one for a place that is as much its own.
    there = Places(top + at.spec, top + at.root, at.name)
    with disk(top):
        os.makedirs(there.folder)
        if revision:
            _exported(at, revision, there)
        else:
            for file in [*map(os.path.abspath, spec_files()), *([at.lock] if os.path.isfile(at.lock) else [])]:
                with open(file, "rb") as source:
                    _write(top + file, source)
        if inside := git.inside(at.root):
            # What is looked up in git from here is looked up in the project's: its history, not its work tree.
            _write(os.path.join(there.root, ".git"), io.BytesIO(os.fsencode(f"gitdir: {inside}\n")))
    try:
        yield there
    except EmbspecError as error:
        raise EmbspecError(*(_shown(p, there, at, revision) for p in error.problems)) from error.__cause__


def _exported(at: Places, revision: str, there: Places) -> None:
    git.export(revision, at.root, SPEC_ENDINGS, there.root)
    if not os.path.isfile(there.spec):
        others = sorted(os.path.relpath(os.path.join(folder, name), there.root)
                        for folder, _, names in os.walk(there.root) for name in names if name.endswith(SPEC_ENDINGS))
        raise fail("usage.not-in-revision", f"`{at.shown(at.spec)}` is not in revision {revision}",
                   fix=f"name the spec as it was called then: {', '.join(others[:10]) or 'there was none'}")
    _write(there.lock, io.BytesIO(git.show(revision, at.lock)))


def _write(path: str, source: IO[bytes]) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as out:
        shutil.copyfileobj(source, out)


def _shown(problem: Problem, there: Places, at: Places, revision: str) -> Problem:
    """What is said of a file of the folder is said of the project's: a person has never heard of the folder."""
    top = there.root[:-len(at.root)]
    where = problem.where
    path = os.path.abspath(where.file) if where else ""
    if where and path.startswith(there.state + "/"):
        kept = os.path.join(at.state, "runs", "apart." + os.path.basename(path))
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        shutil.copyfile(path, kept)  # the log of a stage outlives the folder
        where = Where(at.shown(kept))
    elif where and path.startswith(top + "/"):
        home = at.shown(path.removeprefix(top))
        where = where._replace(file=f"{revision}:{home}" if revision else home)
    return problem._replace(text=problem.text.replace(top, ""), fix=problem.fix.replace(top, ""), where=where)


def lay(
    nodes: Sequence[Node], blocks: Mapping[str, Block], introduced: Texts, world: DiskWorld, home: DiskWorld,
    revision: str, only: str = "",
) -> dict[str, str]:
    """Lay out what the reading stages opened, or only one of them; why not, where their results alone are left."""
    taken: dict[str, str] = {}
    with home.objects.scratch() as scratch, (
            git.Blobs(home.at.root, scratch) if git.inside(home.at.root) else nullcontext()) as blobs:
        inputs = Inputs(home, revision, blobs)
        for node in nodes:
            block = blocks.get(node.name, Block())
            if node.stage.live is None:
                continue
            if TREE not in block.pin or not _binds(node, block, introduced):
                globs, _ = _globs(node, block)
                _place(next(inputs.sources(globs, block)).files(), world, home)  # nothing says that it was otherwise
            elif only not in ("", node.name):
                _settle(node, block, world)
            elif reason := _laid(node, block, inputs, world, home):
                _brought(node, block, world, home, reason)
                taken[node.name] = reason
        for node in nodes:
            _pins(node, blocks.get(node.name, Block()), world.objects, home.objects)
    return taken


def carry(digest: str, home: Objects, to: Objects) -> bool:
    """Bring bytes from one store into another, verified; whether they are there now."""
    if home.store == to.store or to.has(digest) or not home.has(digest):
        return to.has(digest)
    if not digest.startswith("tree "):
        return digest_of(to.adopt(home.verified(digest))) == digest
    with to.scratch() as folder:
        return digest_of(to.adopt(home.lay(digest, os.path.join(folder, "tree")))) == digest


def _binds(node: Node, block: Block, introduced: Texts) -> bool:
    """Whether the lock's pin is of the files that this spec names: an edited path pins nothing yet."""
    return {path: introduced[path] for path in node.params if path in introduced} | dict(block.params) == node.params


def _globs(node: Node, block: Block) -> tuple[list[str], list[str]]:
    """Of a stage: those of the project's files, and those of what is read from where it lies."""
    assert node.stage.live
    globs = node.stage.live(with_pins(node, block.pin))
    away = [g for g in globs if g.startswith(_INSTALLED) or is_address(g) or os.path.isabs(g.rpartition("//")[2])]
    return [g for g in globs if g not in away], away


def _laid(node: Node, block: Block, inputs: Inputs, world: DiskWorld, home: DiskWorld) -> str:
    """Empty where the pinned files lie there now; else where they were looked for, in words."""
    assert node.stage.live
    globs, away = _globs(node, block)
    there = world.find(away) if away else []
    fixed = {f.name: (f.name, f.pinned, f.size) if f.pinned else (f.name, *file_digest(f.path)) for f in there}
    looked = dict[str, None]()
    for source in inputs.sources(globs, block):
        found = source.files()
        rows = fixed | {name: (name, file.sha256, file.size) for name, file in found.items()}
        if tree_pin(sorted(rows.values())) == block.pin[TREE]:
            _place(found, world, home)
            _settle(node, block, world)
            return ""
        looked[source.name] = None
    pattern = ", ".join([*globs, *away])
    return f"{pattern} as the lock pins it ({block.pin[TREE]}) is nowhere: {', '.join(looked)} were looked at"


def _place(found: Mapping[str, Input], world: DiskWorld, home: DiskWorld) -> None:
    """Each file at its place: the folder mirrors the disk."""
    top = world.at.root[:-len(home.at.root)]
    with disk(top):
        for each in found.values():
            with each.open() as source:
                _write(top + each.path, source)


def _brought(node: Node, block: Block, world: DiskWorld, home: DiskWorld, reason: str) -> None:
    """What the stage made, from the store; and the plan is told that its files are as they were."""
    assert node.stage.live
    if not block.out or not all(carry(digest_of(text), home.objects, world.objects) for text in block.out.values()):
        raise fail("nowhere.input", f"stage {node.name}: {reason}, and what it made is not in the store",
                   fix="bring back the files that the lock pins, or the store of a machine that built it")
    _settle(node, block, world)


def _settle(node: Node, block: Block, world: DiskWorld) -> None:
    """The plan is told that the files are what the lock pins, by whichever name it asks for them."""
    assert node.stage.live
    for globs in {node.stage.live(node.typed), files_of(node, block.pin)}:
        world.settle(globs, block.pin[TREE])


def _pins(node: Node, block: Block, to: Objects, home: Objects) -> None:
    """Pins that are bytes of their own, as a frozen test set or what was fetched, are handed in like any input."""
    for name in node.pins:
        carry(digest_of(block.pin.get(name, "")), home, to)
