"""What two locks say differently: parameters and figures, from their text alone."""
from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

from embspec.lock.text import Lock
from embspec.plan.keys import Reason, why
from embspec.plan.values import Block, Texts


class StageDiff(NamedTuple):
    """One stage: what was asked of it, what it stood on, what it measured."""

    name: str
    state: str  # added | removed | changed
    params: tuple[Reason, ...]
    pins: tuple[Reason, ...]
    outs: tuple[Reason, ...]
    stat: tuple[Reason, ...]


def diff(before: Lock, after: Lock, introduced: Texts = MappingProxyType({})) -> list[StageDiff]:
    """Every stage that differs, in the order of the newer lock; a field that is new and says what always was does not.

    `introduced` has of each such field the value that stands for its absence.
    """
    names = [*after.blocks, *(n for n in before.blocks if n not in after.blocks)]
    found = [_stage(name, before.blocks.get(name), after.blocks.get(name), introduced) for name in names]
    return [d for d in found if d.state != "changed" or d.params or d.pins or d.outs or d.stat]


def _stage(name: str, before: Block | None, after: Block | None, introduced: Texts) -> StageDiff:
    state = "added" if before is None else "removed" if after is None else "changed"
    old, new = before or Block(), after or Block()
    asked = why(_asked(old, introduced), _asked(new, introduced))
    return StageDiff(name, state, asked, why(old.pin, new.pin), why(old.out, new.out), why(old.stat, new.stat))


def _asked(block: Block, introduced: Texts) -> Texts:
    recipe = {"recipe": block.recipe} if block.recipe else {}
    params = {path: text for path, text in block.params.items() if introduced.get(path) != text}
    return {**recipe, **{f"uses {name}": number for name, number in block.uses.items()}, **params}
