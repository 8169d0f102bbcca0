"""What the lock keeps until somebody asks, and the lock that it is taken out of."""
from __future__ import annotations

from typing import Any

import pytest

from embspec.lock.upgrade import ANEW, Upgrade, asked, upgrades, without
from embspec.plan.keys import Reason
from embspec.plan.nodes import expand
from embspec.plan.protocol import Stage
from embspec.plan.values import Block
from tests.support.toys import STREET, Toys, moving, reasons, usual

FLOATS = ("train", "index")


def world(**values: Any) -> Toys:
    """Everything built, on a machine with two threads; the base is known by a revision, and its files are sticky."""
    toys = Toys()
    base = Stage("base", 1, ("model.revision",), ("base",), "", live=lambda params: ("weights",), pins=("revision",),
                 sticky=lambda params: True)
    rest = (s._replace(settles=("numerics.threads",)) if s.name in FLOATS else s for s in STREET)
    toys.street = (base, *rest)
    toys.files["weights"] = "w"
    toys.values |= {"numerics.threads": "auto", "model.revision": "main", **values}
    toys.build()
    return toys


def found(toys: Toys) -> list[Upgrade]:
    """What could be asked for now."""
    return upgrades(toys.plan(), toys.blocks, toys.settled)


def upgraded(toys: Toys, field: str) -> None:
    """The lock without a field's pins."""
    toys.blocks = without(toys.blocks, expand(toys.street, toys.values), asked(found(toys), field))


def said(toys: Toys, stage: str) -> list[str]:
    """The reasons of a stage, as a person reads them."""
    return [str(why) for step in toys.plan().steps if step.node.name == stage for why in step.why]


def test_each_pin_is_told_with_what_it_would_be() -> None:
    """A machine's with its value here, a run's as the next build finds it, a follower's with the live one."""
    toys = world()
    toys.machine = {"numerics.threads": "8"}
    toys.files["docs/c"] = "three"
    toys.build()
    told = {one.field: (one.reason, one.stages, one.newer) for one in found(toys)}
    assert list(told) == [
        "numerics.threads", "model.revision", "snapshot", "split.threshold", "format"]
    assert told["numerics.threads"] == (Reason("numerics.threads", "2", "8"), FLOATS, True)
    assert told["model.revision"] == (Reason("model.revision", "revision-1", ANEW), ("base",), True)
    assert told["snapshot"][0] == Reason(
        "snapshot", toys.blocks["snapshot"].pin["documents"], toys.blocks["corpus"].out["documents"])
    assert not told["format"][2]


def test_what_would_come_out_the_same_is_not_newer() -> None:
    """The same machine, the same documents, and a run that found that there is nothing to pin."""
    toys = world()
    toys.work["split"] = lambda work: usual(work)._replace(pins={"threshold": None})
    toys.blocks["split"] = toys.blocks["split"]._replace(pin={})
    toys.build()
    assert toys.blocks["split"].pin == {"threshold": "null"}
    assert {one.field: one.newer for one in found(toys)} == {
        "numerics.threads": False, "model.revision": True, "snapshot": False, "format": False}


def test_what_the_spec_says_itself_is_not_kept() -> None:
    """Only `auto` is settled once."""
    assert "numerics.threads" not in {one.field for one in found(world(**{"numerics.threads": 4}))}


def test_a_pin_is_taken_out_of_every_stage_and_named_as_the_reason() -> None:
    """Then and now, although the lock does not have the old one any more: its record does."""
    toys = world()
    toys.machine = {"numerics.threads": "8"}
    upgraded(toys, "numerics.threads")
    assert said(toys, "train") == ["pin numerics.threads: 2 → 8"]
    assert "pin numerics.threads: 2 → 8" in said(toys, "index")
    assert next(step for step in toys.plan().steps if step.node.name == "evaluate").maybe
    records, toys.acts = toys.acts, {}
    assert said(toys, "train") == ["pin numerics.threads: (none) → 8"]
    toys.acts = records
    toys.build()
    assert {toys.blocks[name].pin["numerics.threads"] for name in FLOATS} == {"8"}


def test_files_that_a_pin_names_are_looked_at_anew_with_it() -> None:
    """Or the stage would read the new revision and be held to the files of the old."""
    toys = world()
    assert set(toys.blocks["base"].pin) == {"tree", "revision"}
    toys.files["weights"] = "v"
    assert reasons(toys.plan(), "base") == []
    upgraded(toys, "model.revision")
    assert toys.blocks["base"].pin == {}
    assert reasons(toys.plan(), "base") == ["pin revision", "pin tree", "file weights"]
    assert toys.build() == ["base"] and moving(toys.plan()) == {}


def test_an_older_recipe_leaves_the_pins() -> None:
    """The stage runs by today's, over the threshold that it had; which recipe it was is the reason."""
    toys = world()
    toys.street = tuple(s._replace(recipe=2) if s.name == "split" else s for s in toys.street)
    (one,) = asked(found(toys), "recipes")
    assert one == Upgrade(Reason("recipes", "built by recipe 1, now 2", "today's"), ("split",))
    upgraded(toys, "recipes")
    assert toys.blocks["split"] == Block("1", {"sorting": "1"}, pin={"threshold": "threshold-1"})
    assert said(toys, "split") == ["recipe: 1 → 2"]
    assert toys.build()[0] == "split" and toys.blocks["split"].recipe == "2"


def test_a_shared_algorithm_is_named_too() -> None:
    """Its number moved under two stages; both are taken up again by the one word."""
    toys = world()
    toys.recipes = toys.recipes._replace(shared={"sorting": 2})
    (one,) = asked(found(toys), "recipes")
    assert one.stages == ("split", "evaluate")
    upgraded(toys, "recipes")
    assert said(toys, "split") == ["uses sorting: 1 → 2"]


@pytest.mark.parametrize(("field", "count"), [
    ("split", 1), ("split.threshold", 1), ("split.thresh", 0), ("numerics", 1), ("", 0), ("model", 1),
])
def test_a_name_stands_for_itself_and_what_is_below_it(field: str, count: int) -> None:
    """Whole words only."""
    assert len(asked(found(world()), field)) == count


def test_files_that_a_pin_names_are_those_of_the_pin() -> None:
    """A branch has moved since; by today's recipe a stage reads the files of the revision that it keeps."""
    toys = world()
    toys.street = tuple(
        s._replace(recipe=2, live=lambda params: (params.get("pin.revision") or "weights",)) if s.name == "base" else s
        for s in toys.street)
    toys.files |= {"weights": "v", "revision-1": "w"}
    upgraded(toys, "recipes")
    assert toys.blocks["base"].pin == {"revision": "revision-1"}
    step = next(step for step in toys.plan().steps if step.node.name == "base")
    assert step.pin["tree"] == toys.live(["revision-1"]) != toys.live(["weights"])
