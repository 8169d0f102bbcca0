"""What is written and not built is refused by name; what is only implied is not."""

from __future__ import annotations

from typing import Any

import pytest

from embspec.plan.refuse import Limits, consumed, refused
from tests.support.toys import STREET

LIMITS = Limits(
    ("keys.env",),
    {"split.by": ("document",), "pairs.*.form": ("a", "b"), "eval.k": ("1",), "keys.env": ("record",)},
    {"train": "model"},
    ("recall", "mrr"),
    ("dim", "base"),
)
VALUES: dict[str, Any] = {
    "seed": 1,
    "split.by": "document",
    "split.test": 0.1,
    "loss.name": "mnrl",
    "loss.deep.dims": [1],
    "loss.deep.n": 2,
    "pairs.gold.path": "p",
    "pairs.gold.weight": 1.0,
    "keys.env": "record",
    "prices": None,
}


def found(*written: str, **values: Any) -> dict[str, str]:
    """The refusals of a spec that writes these fields."""
    plain = {**VALUES, **{k.replace("__", "."): v for k, v in values.items()}}
    return dict(refused(plain, written, STREET, LIMITS))


def test_defaults_are_never_refused() -> None:
    """What nobody wrote is not refused, whether it is built or not."""
    assert found() == {}


@pytest.mark.parametrize(
    ("written", "named"),
    [
        (("seed", "split", "split.test", "keys.env", "pairs", "pairs.gold", "pairs.gold.path"), []),
        (("loss", "loss.name"), ["loss"]),
        (("loss", "loss.deep", "loss.deep.dims"), ["loss"]),
        (("loss.name",), ["loss.name"]),
        (("prices",), ["prices"]),
        (("pairs", "pairs.gold", "pairs.gold.weight", "pairs.gold.path"), ["pairs.gold.weight"]),
    ],
)
def test_a_written_field_is_named_at_its_highest_unbuilt_name(written: tuple[str, ...], named: list[str]) -> None:
    """A whole section that is not built is one line; a field of a built section is its own."""
    assert sorted(found(*written)) == named


def test_a_value_that_is_not_built_is_named_with_those_that_are() -> None:
    """The field is built, the value is not."""
    text = found("split", "split.by", split__by="time")["split.by"]
    assert "`time`" in text and "document" in text
    assert found("split", split__by="time") == {}  # a default that follows from elsewhere is not the writer's


def test_of_a_list_only_the_values_that_are_not_built_are_named() -> None:
    """And of a named item its own field."""
    values = {**VALUES, "pairs.gold.form": ["a", "x", "y"]}
    (text,) = dict(refused(values, ["pairs.gold.form"], STREET, LIMITS._replace(unkeyed=("pairs.*.form",)))).values()
    assert text.startswith("`x, y`") and "a, b" in text


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("recall@10 >= 0.8", ""),
        ("mrr >= 0.8 @95", ""),
        ("onnx_cosine >= 0.9", "onnx_cosine"),
        ("recall@10 >= base + 0.1", "base"),
        ("recall@10 dim 256 >= 0.8", "dim"),
        ("recall@10 >= run:vendor", "run:vendor"),
        ("truncated_fraction <= 0.02", "truncated_fraction"),
    ],
)
def test_a_gate_that_cannot_be_judged_is_refused(line: str, word: str) -> None:
    """By the word that needs what is not built."""
    rows = found(f"gates.{line}", **{f"gates__{line}": "on"})
    assert [text.split("`")[1] for text in rows.values()] == ([word] if word else [])


def test_consumed_by_a_stage_or_outside_it() -> None:
    """A section takes all that is under it, and nothing that only begins alike."""
    assert consumed(STREET, LIMITS, "split.anything.at.all") and consumed(STREET, LIMITS, "keys.env")
    assert consumed(STREET, LIMITS, "pairs.x.trust") and not consumed(STREET, LIMITS, "pairs.x.weight")
    assert not consumed(STREET, LIMITS, "pairs.x.deep.trust") and not consumed(STREET, LIMITS, "pairs")
    assert not consumed(STREET, LIMITS, "splitting") and not consumed(STREET, LIMITS, "seeds")


def test_a_section_that_does_nothing_by_itself_is_named() -> None:
    """What only another section gives a meaning is refused without that, and with it is not."""
    assert "without `model`" in found("train", "train.rate", train__rate=1)["train"]
    assert found("train", train__rate=1, model__method="full") == {}
    assert found("seed") == {}
