"""Key and reason come from one value."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.plan.canonical import scalar
from embspec.plan.keys import Reason, ingredients, key, why

WORD = st.sampled_from(["a", "b", "split.test", "split.late", "tree"])
VALUE = st.sampled_from([scalar(v) for v in (None, 1, 1.0, True, "1", "x y", "→", "")])
TEXTS = st.dictionaries(WORD, VALUE, max_size=3)
INGREDIENTS = st.builds(
    ingredients,
    st.sampled_from(["split", "train"]),
    st.sampled_from(["1", "2"]),
    TEXTS,
    TEXTS,
    TEXTS,
    TEXTS,
    st.sampled_from([{}, {"split.late": "null"}]),
)


@given(INGREDIENTS, INGREDIENTS)
@settings(max_examples=500)
def test_keys_are_equal_exactly_when_there_is_no_reason(one: Mapping[str, str], other: Mapping[str, str]) -> None:
    """A key and its reasons cannot disagree."""
    assert (key(one) == key(other)) == (why(one, other) == ())


@given(INGREDIENTS, INGREDIENTS)
@settings(max_examples=200)
def test_reasons_lead_from_one_to_the_other(one: Mapping[str, str], other: Mapping[str, str]) -> None:
    """All the reasons are shown: applied to the old ingredients they give the new ones."""
    moved = {**one, **{r.field: r.now for r in why(one, other) if r.now is not None}}
    for reason in why(one, other):
        assert one.get(reason.field) == reason.then
        if reason.now is None:
            del moved[reason.field]
    assert moved == dict(other)


def test_names_of_one_kind_are_not_those_of_another() -> None:
    """A parameter, a pin, a need and a shared algorithm of one name are four ingredients."""
    found = [ingredients("s", "1", *(({"x": "1"} if at == n else {}) for n in range(4)), {}) for at in range(4)]
    assert len({key(one) for one in found}) == 4


def test_a_field_at_its_introduced_value_is_left_out() -> None:
    """A new field makes no old lock stale; another value of it does."""
    old = ingredients("s", "1", {}, {"a": "1"}, {}, {}, {})
    assert key(ingredients("s", "1", {}, {"a": "1", "new": "null"}, {}, {}, {"new": "null"})) == key(old)
    now = ingredients("s", "1", {}, {"a": "1", "new": "2"}, {}, {}, {"new": "null"})
    assert why(old, now) == (Reason("new", None, "2"),)


def test_a_reason_is_short_enough_to_read() -> None:
    """A long text is cut, a missing one is said."""
    assert str(Reason("a", None, "1")) == "a: (none) → 1"
    assert len(str(Reason("a", "x" * 500, None))) < 80
