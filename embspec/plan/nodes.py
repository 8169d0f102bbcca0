"""From the street and the resolved values to the stages of one spec."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from embspec.plan.canonical import scalar
from embspec.plan.protocol import Names, Stage

ITEM = "{name}"
KEYED_ENV = "keys.env"


class Node(NamedTuple):
    """A stage of one spec: its name, and the parameters it may see."""

    name: str
    stage: Stage
    params: Mapping[str, str]  # canonical texts under the paths the lock shows
    typed: Mapping[str, Any]  # the same values as `make` reads them, the item's own name cut out
    makes: tuple[str, ...]  # the artefacts it writes with these parameters
    settles: Mapping[str, Any]  # fields that this machine may have to settle, as the spec has them
    packages: tuple[str, ...]  # what it imports with these values
    pins: tuple[str, ...]  # what only its run can find with these values
    out: Mapping[str, str]  # artefact -> its path under out/NAME
    keyed_env: bool  # whether the environment is pinned, so that another one makes it anew

    @property
    def ships(self) -> bool:
        """Whether what it makes goes to candidate/ while the verdict is red."""
        return self.stage.ships and bool(self.out)


def expand(street: Sequence[Stage], values: Mapping[str, Any]) -> list[Node]:
    """Every stage this spec has, in street order; named items sorted, so that their order in the spec is free."""
    return [
        _node(stage, name, values)
        for stage in street
        if stage.when(values)
        for name in (items(stage.name.split(".")[0], values) if ITEM in stage.name else [""])
    ]


def items(section: str, values: Mapping[str, Any]) -> list[str]:
    """The names of the items of a section: pairs.gold.path, pairs.faq.path → faq, gold."""
    head = section + "."
    return sorted({path.removeprefix(head).split(".")[0] for path in values if path.startswith(head)})


def _node(stage: Stage, name: str, values: Mapping[str, Any]) -> Node:
    params: dict[str, str] = {}
    typed: dict[str, Any] = {"name": name} if name else {}
    for pattern in stage.params:
        for path, value in _select(pattern.replace(ITEM, name), values):
            params[path.removeprefix("gates.")] = scalar(value)  # a gate is known by its own line
            typed[path.replace(f".{name}.", ".", 1) if name else path] = value
    for pattern in stage.unkeyed:
        typed |= _select(pattern, values)
    makes = tuple(a for a in stage.makes if a not in stage.optional or stage.optional[a](typed))
    settles = {field: values[field] for field in _names(stage.settles, values)}
    keyed = values.get(KEYED_ENV) == "pin" and stage.follow is None
    return Node(stage.name.replace(ITEM, name), stage, params, typed, makes, settles, _names(stage.packages, values),
                _names(stage.pins, {**values, **typed}), stage.out(values) if callable(stage.out) else stage.out, keyed)


def _names(names: Names, values: Mapping[str, Any]) -> tuple[str, ...]:
    return names(values) if callable(names) else names


def _select(pattern: str, values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """A field and all below it, with `*` of every item of a section, with `=` at its end nothing below it."""
    if "*" in pattern:
        head, tail = pattern.split("*")
        section = head.rstrip(".")
        return [pair for item in items(section, values) for pair in _select(head + item + tail, values)]
    field, exact, _ = pattern.partition("=")
    return [(p, value) for p, value in values.items() if p == field or (not exact and p.startswith(field + "."))]
