"""The pins of a stage as they are now: looked at, settled, or taken from the lock."""
from __future__ import annotations

from collections.abc import Mapping

from embspec.plan.canonical import plain, scalar, short_hash
from embspec.plan.nodes import Node
from embspec.plan.values import Block, Texts, Wish, World

TREE = "tree"
AUTO = "auto"
ENV = "env"


def pins_of(
    node: Node, block: Block | None, blocks: Mapping[str, Block], world: World, wish: Wish
) -> tuple[dict[str, str], list[str]]:
    """The pins that are known before the stage runs, and the names of those that only a run can find."""
    had = block.pin if block else {}
    kept = {name: text for name, text in had.items() if f"{node.name} {name}" not in wish.forget}
    pins = _live(node, kept, bool(block and _fixed(node, block)), world)
    for field in node.settles:
        pins[field] = _settled(node, field, kept, blocks, world)
    if node.keyed_env:
        pins[ENV] = short_hash(world.here(node.packages, pins))
    missing = []
    for name in node.pins:
        if name in kept:
            pins[name] = kept[name]
        else:
            missing.append(name)
    return pins, missing


def _live(node: Node, kept: Mapping[str, str], fixed: bool, world: World) -> dict[str, str]:
    """The files of the work tree; what is known by a name that never moves, as a revision, is not looked at again."""
    if node.stage.live is None:
        return {}
    if fixed and TREE in kept:
        return {TREE: kept[TREE]}
    return {TREE: world.live(files_of(node, kept))}


def files_of(node: Node, pin: Texts) -> tuple[str, ...]:
    """The globs of a stage's files by what is pinned of their names, as it will read them: a branch may have moved."""
    named = {f"pin.{name}": plain(pin[name]) for name in node.pins if name in pin}
    return node.stage.live({**node.typed, **named}) if node.stage.live else ()


def _fixed(node: Node, block: Block) -> bool:
    """Whether the files are known by the same name as when they were pinned, and by one that never moves."""
    live, then = node.stage.live, {path: plain(text) for path, text in block.params.items()}
    return live is not None and node.stage.sticky(node.typed) and live(then) == live(node.typed)


def _settled(
    node: Node, field: str, kept: Mapping[str, str], blocks: Mapping[str, Block], world: World
) -> str:
    """A field that a machine settles once for the whole lock, unless the spec says it."""
    if node.settles[field] != AUTO:
        return scalar(node.settles[field])
    others = (block.pin[field] for block in blocks.values() if field in block.pin)
    return kept.get(field) or next(others, "") or world.settled(field)
