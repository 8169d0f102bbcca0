"""Declared is read, both ways: for every stage of the street, on small real data."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest

from embspec.api import Project
from embspec.plan.nodes import ITEM
from embspec.plan.values import Wish
from embspec.run import stage as module
from embspec.run.build import Order
from embspec.run.desk import Declared
from embspec.stages.street import STREET
from tests.support.mini import SPEC, project

# A field or an artefact may matter only under some values of others: what one of these specs reads counts.
VARIANTS = {
    "mini": SPEC,
    "given": SPEC.replace("  test: 0.5\n", "  by: given\n  on_leak: report\n")
    .replace("[test, validation]", "[test]")
    .replace("trust: curated,", "trust: curated, roles: [train, validation],"),
    "words": SPEC.replace("eval:\n", "eval:\n  bm25: {tokenizer: words}\n"),
}


class Asked(Declared):
    """Counts what was asked for by name; walking over all names is not asking for each value."""

    made: dict[tuple[str, str], list[Asked]] = {}

    def __init__(self, values: Any, stage: str, what: str) -> None:
        super().__init__(values, stage, what)
        self.made.setdefault((stage, what), []).append(self)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    @property
    def names(self) -> set[str]:
        """What was handed over."""
        return set(self._values)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], list[Asked]]:
    """What every stage was handed and read, over all variants, in a first and a second run."""
    folder = tmp_path_factory.mktemp("declared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "Declared", Asked)
        patch.setattr(Asked, "made", {})
        for name, text in VARIANTS.items():
            spec = project(folder / name, text)
            for again in (frozenset[str](), frozenset({"split"})):  # the second run is handed the pins of the first
                Project(str(spec), store=str(folder / "store" / name)).build(Order(Wish(refresh=again)))
        return Asked.made


def of(asked: dict[tuple[str, str], list[Asked]], stage: str, what: str) -> list[Asked]:
    """Of a stage, or of all that stand for its items."""
    head = stage.split(ITEM)[0]
    return [
        one
        for (name, kind), each in asked.items()
        if kind == what
        for one in each
        if name == stage or (ITEM in stage and name.startswith(head))
    ]


WORKING = [s for s in STREET if not s.follow]


@pytest.mark.parametrize("stage", [s.name for s in WORKING])
def test_every_declared_parameter_is_read(asked: dict[tuple[str, str], list[Asked]], stage: str) -> None:
    """What no stage reads would make it run for nothing. A gate is its own name."""
    each = of(asked, stage, "parameter")
    handed, read = (set().union(*(getattr(one, which) for one in each)) for which in ("names", "read"))
    unread = {name for name in handed - read if not name.startswith("gates.")}
    assert each and unread == set()


@pytest.mark.parametrize("stage", [s.name for s in WORKING])
def test_every_declared_artefact_is_opened(asked: dict[tuple[str, str], list[Asked]], stage: str) -> None:
    """What no stage opens would make it run when those bytes move."""
    each = of(asked, stage, "artefact")
    handed, read = (set().union(*(getattr(one, which) for one in each)) for which in ("names", "read"))
    assert handed - read == set()


@pytest.mark.parametrize("stage", WORKING, ids=lambda s: s.name)
def test_nothing_undeclared_is_asked_for(asked: dict[tuple[str, str], list[Asked]], stage: Any) -> None:
    """Asking for a field that was not declared would always find it unset."""
    sections = [p.replace(f".{ITEM}", "").replace("*", "") for p in stage.params]
    for one in of(asked, stage.name, "parameter"):
        for name in one.read - one.names:
            assert any(name == s or name.startswith(s.rstrip(".") + ".") for s in sections), name
    for one in of(asked, stage.name, "artefact"):
        allowed = {f"pin.{pin}" for pin in stage.pins} | optional(stage)
        assert one.read - one.names <= allowed


def optional(stage: Any) -> set[str]:
    """Artefacts that a stage opens only where the spec has their stages."""
    everything = [s.name for s in STREET]
    return set(stage.needs({"eval.bm25.tokenizer": "auto"}, everything))


def test_every_stage_was_seen(asked: dict[tuple[str, str], list[Asked]]) -> None:
    """A new stage needs a variant that runs it."""
    for stage in WORKING:
        assert of(asked, stage.name, "parameter"), stage.name


def test_the_table_lists_makes_that_exist() -> None:
    """The name of the work of each stage is imported only when it runs, so a test imports it."""
    for stage in WORKING:
        file, name = stage.make.split(":")
        assert callable(getattr(importlib.import_module(file), name))
