"""Merges two sides of a lock by what the plan says of their blocks: each stage keeps the side whose key is right."""
from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from embspec import git
from embspec.errors import EmbspecError, fail
from embspec.lock.merge import Sides, Texts, apart, blockwise, moved, pins, sides
from embspec.lock.text import Lock, write
from embspec.plan.nodes import Node
from embspec.plan.pins import AUTO
from embspec.plan.plan import CLEAN, HELD, Recipes, Step, plan
from embspec.plan.values import Block, Wish, World
from embspec.run import locked
from embspec.run.mend import environments
from embspec.stages.street import STREET
from embspec.store.files import replace
from embspec.store.places import Places
from embspec.store.world import DiskWorld

OURS, THEIRS, BOTH, BUILD = "ours", "theirs", "both", "to build"


class Merged(NamedTuple):
    """The lock that comes of it, what each stage kept, and what a person should hear beside."""

    lock: Lock
    kept: Mapping[str, str]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        words = list(self.kept.values())
        counts = [f"{words.count(word)} {word}" for word in (OURS, THEIRS, BOTH, BUILD) if word in words]
        return ", ".join(counts)


class _Still:
    """The world of a plan that only compares keys: no bytes are asked for, so that none has to be made again."""

    def __init__(self, world: World) -> None:
        self.live, self.records, self.settled, self.here = world.live, world.records, world.settled, world.here

    def moved(self, globs: Sequence[str], pin: str) -> Sequence[tuple[str, str | None, str | None]]:
        return ()

    def has(self, digest: str) -> bool:
        return True

    def published(self, path: str, digest: str) -> bool:
        return True


class _Table(NamedTuple):
    """What is decided so far, and what from."""

    given: Sides
    nodes: Sequence[Node]
    recipes: Recipes
    world: World
    settled: Mapping[str, str | None]  # what holds for the whole lock, of the fields that a machine settles
    blocks: dict[str, Block]
    kept: dict[str, str]
    notes: list[str]


def resolve(nodes: Sequence[Node], recipes: Recipes, world: DiskWorld) -> Merged | None:
    """Merge the lock of a spec where it lies; None where git and its text know of no conflict."""
    given = conflict(world.at)
    if given is None:
        return None
    merged = merge(given, nodes, recipes, world)
    lock = merged.lock._replace(envs={**merged.lock.envs, **environments(merged.lock, world.records)})
    locked.put(world.at, [node.name for node in nodes], lock)
    return merged._replace(lock=lock)


def conflict(at: Places) -> Sides | None:
    """The sides as git has them while the merge is open, else as the markers in the text tell; None without any."""
    shown = at.shown(at.lock)
    try:
        found = git.sides(at.lock)
    except EmbspecError:  # no git here: the text is all there is
        found = {}
    if found.keys() & {2, 3}:
        base, ours, theirs = (locked.text(found.get(side, b""), f":{side}:{shown}") for side in (1, 2, 3))
        return sides(Texts(ours, base, theirs), (f":2:{shown}", f":3:{shown}"))
    texts = apart(locked.text(locked.raw(at) or b"", shown), shown)
    return sides(texts, (f"{shown} (ours)", f"{shown} (theirs)")) if texts else None


def merge(given: Sides, nodes: Sequence[Node], recipes: Recipes, world: World) -> Merged:
    """Down the street: the side that is right over what was kept before it, else what its sticky pins say."""
    table = _Table(given, nodes, recipes, _Still(world), {}, {}, {}, [])
    table = table._replace(settled=_settled(table))
    for node in nodes:
        if node.stage.locked:
            _take(node, table)
    gone = [n for n in {**given.ours.blocks, **given.theirs.blocks} if n not in table.kept]
    table.notes.extend(f"{name}: not in the spec any more" for name in gone)
    return Merged(Lock(table.blocks, {**given.theirs.envs, **given.ours.envs}), table.kept, tuple(table.notes))


def _settled(table: _Table) -> dict[str, str | None]:
    """What holds for the whole lock is merged for the whole lock, or a stage of one side would bring its own."""
    found = {}
    for field in sorted({f for node in table.nodes for f, value in node.settles.items() if value == AUTO}):
        names = [node.name for node in table.nodes if field in node.settles]
        given = table.given
        base, ours, theirs = (_pinned(lock, field, names) for lock in (given.base, given.ours, given.theirs))
        unmoved = base[:1]  # what a side without any such stage says of it: nothing
        found[field], *other = moved(*((said or unmoved or (None,))[0] for said in (base, ours, theirs)))
        if other:
            table.notes.append(f"pin {field}: ours {found[field]}, theirs {other[0]}; kept ours")
    return found


def _pinned(lock: Lock, field: str, names: Sequence[str]) -> tuple[str | None, ...]:
    """What the stages of a lock say of a field; None where somebody took it out, to have it found anew."""
    said = [lock.blocks[name].pin.get(field) for name in names if name in lock.blocks]
    return tuple(sorted(said, key=lambda text: text is None))


def _take(node: Node, table: _Table) -> None:
    """One stage: the first side that holds, or would if nothing before it changes; else its pins alone."""
    name, given = node.name, table.given
    base, ours, theirs = (lock.blocks.get(name) for lock in (given.base, given.ours, given.theirs))
    first, *other = moved(base, ours, theirs)
    sided = [(block, word, lock) for block, word, lock in ((ours, OURS, given.ours), (theirs, THEIRS, given.theirs))
             if block is not None]
    sided.sort(key=lambda one: one[0] != first)
    tried = [(block, word, _step(node, block, lock, table)) for block, word, lock in sided
             if not _outdated(node, block, word, table)]
    for holds in (lambda step: step.state in (CLEAN, HELD), lambda step: step.maybe):
        for block, word, step in tried:
            if holds(step):
                if node.stage.follow and other and len(sided) > 1:
                    table.notes.append(f"{name}: both sides moved it; kept {word}")
                table.blocks[name], table.kept[name] = block, BOTH if ours == theirs else word
                return
    table.kept[name] = BUILD
    kept = first if node.stage.gated or node.stage.follow else _pins(node, table) if sided else None
    if kept:
        table.blocks[name] = kept


def _step(node: Node, block: Block, lock: Lock, table: _Table) -> Step:
    """What the plan says of a side's block over what was kept so far."""
    later = {n: b for n, b in lock.blocks.items() if n not in table.kept}
    blocks = {**later, **table.blocks, node.name: block}
    wish = Wish(to=node.name, publish=False)
    now = plan(table.nodes, blocks, table.world, wish, table.recipes, lock.blocks)
    return next(step for step in now.steps if step.node.name == node.name)


def _outdated(node: Node, block: Block, word: str, table: _Table) -> bool:
    """Whether a pin was moved on purpose elsewhere: the block is right by its key, and not what was asked for."""
    settled = (f for f in node.settles if f in table.settled)
    if any(block.pin.get(field) != table.settled[field] for field in settled):
        return True
    base = table.given.base.blocks.get(node.name)
    other = (table.given.theirs if word == OURS else table.given.ours).blocks.get(node.name)
    if base is None or other is None or (other.params and other.params != base.params):
        return False  # with other parameters its pins were found for those
    names = [name for name in node.pins if name in base.pin]
    return any(block.pin.get(name) == base.pin[name] != other.pin.get(name) for name in names)


def _pins(node: Node, table: _Table) -> Block | None:
    """What must not be taken anew is all that stays of a block that no side has right."""
    given = table.given
    base = given.base.blocks.get(node.name, Block())
    ours, theirs = (lock.blocks.get(node.name, base) for lock in (given.ours, given.theirs))
    found, both = pins(base, ours, theirs, node.pins)
    table.notes.extend(f"{node.name}: both sides moved its pin {name}; kept ours" for name in both)
    settled = {field: table.settled.get(field) for field in node.settles}
    kept = {**{field: text for field, text in settled.items() if text is not None}, **found}
    if kept or not any(n.stage.follow and node.name in n.stage.follow.anchors for n in table.nodes):
        return Block(pin=kept) if kept else None
    return Block(ours.recipe or theirs.recipe)  # a line that stands for it: without, the snapshot would move by itself


def drive(base: str, ours: str, theirs: str) -> None:
    """The work of a git merge driver: three files, the result in the second."""
    texts = Texts(*(locked.text(_file(path), path) for path in (ours, base, theirs)))
    lock = blockwise(sides(texts, (ours, theirs)))
    replace(os.path.abspath(ours), write(lock, _order(lock)).encode())


def _file(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise fail("usage.file", f"`{path}` cannot be read: {error.strerror}",
                   fix="git calls this with three files: git config merge.embspec.driver "
                   '"embspec lock --driver %O %A %B"') from None


def _order(lock: Lock) -> list[str]:
    """The blocks as they stand along the street, without a spec to say which there are."""
    places = {stage.name: number for number, stage in enumerate(STREET)}
    # A source of pairs stands where all of them do; a round has a place of its own, unless this version knows fewer.
    for number, stage in enumerate(STREET):
        places.setdefault(stage.name.partition(".")[0], number)
    last = len(STREET)
    return sorted(lock.blocks, key=lambda n: (places.get(n, places.get(n.partition(".")[0], last)), n))
