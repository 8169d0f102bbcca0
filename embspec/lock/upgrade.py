"""What the lock keeps until somebody asks: which of it could be taken anew, and the lock without it."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from embspec.lock.text import FORMAT
from embspec.plan.canonical import plain
from embspec.plan.keys import Reason
from embspec.plan.nodes import Node
from embspec.plan.pins import AUTO, TREE
from embspec.plan.plan import Plan, Step
from embspec.plan.values import Block

ANEW = "as the next build finds it"
RECIPES, LAYOUT = "recipes", "format"
NOTHING = "null"  # found that there is nothing to pin


class Upgrade(NamedTuple):
    """One thing that can be asked for; `stages` are those whose blocks it is taken out of."""

    reason: Reason
    stages: tuple[str, ...]
    pins: tuple[str, ...] = ()

    @property
    def field(self) -> str:
        """What it is called on the command line."""
        return self.reason.field

    @property
    def newer(self) -> bool:
        """Whether it would come out otherwise, as far as that can be known before a build."""
        return self.reason.then != self.reason.now


def upgrades(now: Plan, blocks: Mapping[str, Block], settled: Callable[[str], str]) -> list[Upgrade]:
    """Pins that a machine settled, pins that a run found, what follows, older recipes, the format."""
    steps = [step for step in now.steps if step.node.name in blocks]
    found = _settled(steps, blocks, settled)
    for step in steps:
        found += _followed(step, now) if step.node.stage.follow else _found(step.node, blocks[step.node.name])
    older = [step for step in steps if step.note]
    for note in dict.fromkeys(step.note for step in older):
        names = tuple(step.node.name for step in older if step.note == note)
        found.append(Upgrade(Reason(RECIPES, note, "today's"), names))
    return [*found, Upgrade(Reason(LAYOUT, FORMAT, FORMAT), ())]


def _settled(steps: Sequence[Step], blocks: Mapping[str, Block], settled: Callable[[str], str]) -> list[Upgrade]:
    fields = dict.fromkeys(f for step in steps for f, value in step.node.settles.items() if value == AUTO)
    found = []
    for field in fields:
        pinned = {name: block.pin[field] for name, block in blocks.items() if field in block.pin}
        if pinned:
            then = " ".join(dict.fromkeys(pinned.values()))
            found.append(Upgrade(Reason(field, then, settled(field)), tuple(pinned), (field,)))
    return found


def _found(node: Node, block: Block) -> list[Upgrade]:
    """A pin is called by the field that it settles where there is one, else by its stage."""
    found = []
    for pin in (name for name in node.pins if block.pin.get(name, NOTHING) != NOTHING):
        own = f"{node.name}.{pin}"
        field = own if own in node.params else next((p for p in node.params if p.endswith(f".{pin}")), own)
        # Files that are known by what a pin says are pinned with it: they are not looked at while they are.
        names = (pin, TREE) if node.stage.sticky(node.typed) else (pin,)
        found.append(Upgrade(Reason(field, str(plain(block.pin[pin])), ANEW), (node.name,), names))
    return found


def _followed(step: Step, now: Plan) -> list[Upgrade]:
    """What is pinned of another stage, against what that stage has made since."""
    follow = step.node.stage.follow
    leader = next(s for s in now.steps if follow and s.node.name == follow.stage)
    names = step.node.makes
    then, live = ([out.get(a) for a in names] for out in (step.out, leader.out))
    first = next((at for at, _ in enumerate(names) if then[at] != live[at]), 0)
    return [Upgrade(Reason(step.node.name, then[first], live[first] or ANEW), (step.node.name,), names)]


def asked(found: Sequence[Upgrade], field: str) -> list[Upgrade]:
    """Those that a name stands for: itself, or all below it."""
    return [one for one in found if one.field == field or one.field.startswith(field + ".")]


def without(blocks: Mapping[str, Block], nodes: Sequence[Node], chosen: Sequence[Upgrade]) -> dict[str, Block]:
    """The blocks as the next build has to take them up; of an older recipe the pins alone stay."""
    sticky = {node.name: (*node.settles, *node.pins) for node in nodes}
    found = dict(blocks)
    for one in chosen:
        for name in one.stages:
            block = found[name]
            names = sticky[name] if one.field == RECIPES else [pin for pin in block.pin if pin not in one.pins]
            pins = {pin: block.pin[pin] for pin in names if pin in block.pin}
            found[name] = Block(block.recipe, block.uses, pin=pins) if one.field == RECIPES else block._replace(
                pin=pins)
    return found
