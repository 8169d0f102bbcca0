"""From street and values to the stages of one spec."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embspec.plan.nodes import expand, items
from embspec.plan.protocol import Stage
from tests.support.toys import STREET, VALUES

NAMES = st.lists(st.sampled_from(["gold", "faq", "pairs", "path", "trust", "a-b"]), unique=True, max_size=4)


def test_a_stage_that_the_spec_does_not_need_is_not_there() -> None:
    """Without a rate there is no training, and what comes after needs none."""
    values = {k: v for k, v in VALUES.items() if k != "train.rate"}
    assert "train" not in [n.name for n in expand(STREET, values)]
    assert "train" in [n.name for n in expand(STREET, VALUES)]


@given(NAMES)
def test_the_order_of_named_items_is_free(names: list[str]) -> None:
    """Sources come by name, however the spec lists them; each sees its own path under one name."""
    values = {"corpus.path": ["d"], **{f"pairs.{n}.path": n.upper() for n in names}}
    found = [n for n in expand(STREET, dict(reversed(values.items()))) if n.name.startswith("pairs.")]
    assert [n.name for n in found] == [f"pairs.{n}" for n in sorted(names)]
    for node in found:
        own = node.name.removeprefix("pairs.")
        assert node.params == {f"pairs.{own}.path": own.upper()}
        assert node.typed == {"name": own, "pairs.path": own.upper()}


def test_an_empty_section_has_no_items() -> None:
    """`pairs: []` is no source."""
    assert items("pairs", {"pairs": [], "pairsome.x": 1}) == []


def test_a_section_brings_all_that_is_under_it_and_nothing_beside() -> None:
    """`split` takes `split.test`, not `splitting.x`; a star takes one field of each item."""
    stage = Stage("s", 1, ("split", "seed", "pairs.*.trust"), (), "")
    values = {
        "split.test": 1,
        "splitting.x": 2,
        "seed": 3,
        "seedling": 4,
        "pairs.b.trust": "t",
        "pairs.a.trust": "u",
        "pairs.a.path": "p",
    }
    (node,) = expand((stage,), values)
    assert dict(node.params) == {"split.test": "1", "seed": "3", "pairs.a.trust": "u", "pairs.b.trust": "t"}


@pytest.mark.parametrize("line", ["recall@10 >= base + 0.05 @95", "a.b <= 1"])
def test_a_gate_is_known_by_its_own_line(line: str) -> None:
    """The lock shows the line itself; the stage reads it under its section."""
    (node,) = expand((Stage("gates", 1, ("gates",), (), ""),), {f"gates.{line}": "on"})
    assert node.params == {line: "on"} and node.typed == {f"gates.{line}": "on"}
