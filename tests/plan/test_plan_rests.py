"""Whatever was edited, and whatever happened to the lock: a build comes to rest, at the same place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.plan.keys import key
from embspec.plan.plan import REUSE
from embspec.plan.values import Block, Wish
from tests.support.toys import Toys, built, moving, usual

EDITS = st.lists(
    st.sampled_from(
        [
            ("seed", 42),
            ("seed", 7),
            ("train.rate", 0.1),
            ("train.rate", 0.2),
            ("gates.k >= 2", "on"),
            ("corpus.train_on", "live"),
            ("file docs/a", "one"),
            ("file docs/a", "o ne"),
            ("file docs/c", "three"),
            ("file gold", "q2"),
            ("corpus.path", ["docs/a"]),
        ]
    ),
    max_size=5,
)


@given(EDITS, st.sampled_from([Wish(), Wish(retrain=True), Wish(refresh=frozenset({"split"})), Wish(to="evaluate")]))
@settings(max_examples=60)
def test_every_build_comes_to_rest(edits: list[tuple[str, Any]], wish: Wish) -> None:
    """Whatever was edited, a build ends, the plan after it is clean, and each block says what it was built from."""
    toys = built()
    for name, value in edits:
        if name.startswith("file "):
            toys.files[name.removeprefix("file ")] = value
        else:
            toys.values[name] = value
        toys.build(wish)
    toys.build()
    now = toys.plan()
    assert moving(now) == {} and not now.dropped and not now.lost
    assert all(key(s.named) == toys.blocks[s.node.name].key for s in now.steps if s.node.name in toys.blocks and s.key)


@given(EDITS)
@settings(max_examples=40)
def test_a_build_is_a_function_of_spec_pins_and_inputs(edits: list[tuple[str, Any]]) -> None:
    """The way there does not show: an empty world with the same pins builds the same lock."""
    toys = built()
    for name, value in edits:
        if name.startswith("file "):
            toys.files[name.removeprefix("file ")] = value
        else:
            toys.values[name] = value
        toys.build()
    toys.build(Wish(retrain=True))
    fresh = Toys(toys.files)
    fresh.values = dict(toys.values)
    fresh.build()
    assert fresh.blocks == toys.blocks


@given(st.data())
@settings(max_examples=80)
def test_a_lock_with_lines_missing_is_built_again(data: st.DataObject) -> None:
    """A hand or a merge took lines out of the lock: a build says and mends it, and ends at the same lock."""
    toys = built()
    before = dict(toys.blocks)
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from(sorted(toys.blocks)))
        block = toys.blocks[name]
        field = data.draw(
            st.sampled_from([f for f in ("params", "pin", "out", "key", "recipe", "uses") if getattr(block, f)] or [""])
        )
        value = getattr(block, field) if field else ""
        if isinstance(value, str) and field:
            toys.blocks[name] = block._replace(**{field: ""})
        elif field:
            gone = data.draw(st.sampled_from(sorted(value)))
            toys.blocks[name] = block._replace(**{field: {k: v for k, v in value.items() if k != gone}})
        else:
            toys.blocks.pop(name)
            toys.blocks[name] = Block()
    now = toys.plan()
    assert all(s.why for s in now.steps if s.stale)
    toys.build()
    assert moving(toys.plan()) == {}
    assert {n: b.out or b.pin for n, b in toys.blocks.items()} == {n: b.out or b.pin for n, b in before.items()}


@pytest.mark.parametrize(
    "change",
    [{"params": {"train.rate": "0.3"}}, {"params": {}}, {"recipe": "7"}, {"uses": {"encode": "7"}}],
)
def test_a_line_that_the_key_belies_is_written_right_again(change: dict[str, Any]) -> None:
    """The lock is read in reviews: where its lines say another thing than its key, it is out of date, and mended."""
    toys = built()
    right = toys.blocks["train"]
    toys.blocks["train"] = right._replace(**change)
    step = next(s for s in toys.plan().steps if s.node.name == "train")
    assert step.state == REUSE and step.stale and step.why
    toys.build()
    assert toys.blocks["train"] == right and moving(toys.plan()) == {}


@pytest.mark.parametrize(("then", "now"), [("red", "green"), ("green", "red")])
def test_a_verdict_other_than_its_record_is_not_believed(then: str, now: str) -> None:
    """No key covers the figures: a red build does not become green by a merge, where the store knows better."""
    toys = Toys()
    toys.work["gates"] = lambda work: usual(work)._replace(stat={"verdict": then})
    toys.build()
    right = toys.blocks["gates"]
    toys.blocks["gates"] = right._replace(stat={"verdict": now})
    found = toys.plan()
    step = next(s for s in found.steps if s.node.name == "gates")
    assert (step.state, step.stale, found.verdict) == (REUSE, True, then)
    assert step.why == (("stat verdict", now, then),)
    toys.build()
    assert toys.blocks["gates"] == right
