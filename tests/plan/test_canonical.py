"""The one text of a value."""

from __future__ import annotations

import io
import json
import math
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from embspec.plan.canonical import canonical_json, plain, scalar, short_hash

YAML_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
WORDS = st.sampled_from(
    [
        "",
        "null",
        "Null",
        "~",
        "true",
        "True",
        "no",
        "on",
        "off",
        "yes",
        "1",
        "1.0",
        "1e3",
        "2e-5",
        "2e",
        ".5",
        "0x1f",
        "0b1",
        "0o7",
        "1_000",
        "NaN",
        "Infinity",
        "-Infinity",
        ">",
        ">a",
        "-",
        "- a",
        "--- ",
        "---",
        "...",
        "? a",
        ": a",
        "a: b",
        "a:",
        "a #b",
        "#a",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "%a",
        "@a",
        "`a",
        "2026-01-01",
        "2026-01-01 10:00",
        "12:30:45",
        "190:20:30",
        "=",
        "<<",
        ".inf",
        "-.inf",
        ".nan",
        ".NaN",
        "[]",
        "[a]",
        "{}",
        "{a: b}",
        "'a'",
        '"a"',
        "a\tb",
        "a\nb",
        " a",
        "a ",
        "\x85",
        "\u2028",
        "\ufeff",
        "é",
        "日本",
        "\x7f",
        "\ud800",
        "a,b",
        "0.1.2",
        "+1",
        "1:2",
        "e3",
        "-a",
        "1 2",
        "0",
        "00",
        "007",
        "0.10",
        "1,000",
        "_",
        "1_",
        "\\",
        "a\\n",
        "/x",
        "docs/**/*.md",
        "y",
        "N",
        "+",
        ".",
        "+.",
    ]
)
SCALARS: Any = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), YAML_TEXT, WORDS
)


def same(one: Any, other: Any) -> bool:
    """Equal, and of one type: 1, 1.0 and True are three values."""
    return type(one) is type(other) and one == other


@given(SCALARS)
@settings(max_examples=600)
def test_reads_back_as_the_same_value(value: Any) -> None:
    """The text of a scalar stands for that value and no other."""
    assert same(plain(scalar(value)), value)


@given(SCALARS)
@settings(max_examples=600)
def test_ruamel_reads_the_same_value(value: Any) -> None:
    """As a value in a YAML file the text is read by ruamel as we read it."""
    assume(not (isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value)))
    text = f"a:\n  b: {scalar(value)}\n"
    found = YAML(typ="safe", pure=True).load(io.StringIO(text))["a"]["b"]
    assert same(found, value)


@given(SCALARS, SCALARS)
@settings(max_examples=600)
def test_equal_texts_are_equal_values(one: Any, other: Any) -> None:
    """Two scalars have one text exactly when they are one value."""
    assert (scalar(one) == scalar(other)) == same(one, other)


@pytest.mark.parametrize("values", [(1, 1.0, True, "1", "1.0", "true"), (0, 0.0, False, None, "", "null"), ([], "[]")])
def test_look_alikes_differ(values: tuple[Any, ...]) -> None:
    """What Python or YAML may take for the same has texts of its own."""
    assert len({scalar(v) for v in values}) == len(values)


@given(st.lists(YAML_TEXT | WORDS, max_size=4), st.lists(YAML_TEXT | WORDS, max_size=4))
@settings(max_examples=400)
def test_lists_of_text_differ_where_their_items_do(one: list[str], other: list[str]) -> None:
    """Joining the items by spaces loses nothing."""
    assert (scalar(one) == scalar(other)) == (one == other)


@given(
    st.lists(
        st.one_of(YAML_TEXT, WORDS, st.integers(), st.floats(allow_nan=False, allow_infinity=False)),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=300)
def test_a_list_is_one_scalar_to_ruamel(values: list[Any]) -> None:
    """A list of scalars stands in the lock as one text, and ruamel and we read the same one."""
    text = scalar(values)
    assume(not any("\ud800" <= c <= "\udfff" for c in text))
    found = YAML(typ="safe", pure=True).load(io.StringIO(f"a: {text}\n"))["a"]
    assert same(found, plain(text))
    assert "\n" not in text


def test_a_list_is_written_as_people_read_it() -> None:
    """Items joined by one space, empty is `[]`, unset is `null`."""
    assert scalar([384, 192, 96]) == "384 192 96"
    assert scalar(["recall@10", "mrr@10"]) == "recall@10 mrr@10"
    assert (scalar([]), scalar(None), scalar(True), scalar(2e-05)) == ("[]", "null", "true", "2e-05")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused(value: float) -> None:
    """A key can hold no NaN: it would not equal itself."""
    with pytest.raises(ValueError):
        scalar(value)


def test_the_hashed_bytes_have_one_form() -> None:
    """The order in which a mapping was filled does not show; text stays text."""
    assert canonical_json({"b": "é", "a": "1"}) == '{"a":"1","b":"é"}'.encode()
    assert json.loads(canonical_json({"b": 1, "a": [1, None]})) == {"a": [1, None], "b": 1}
    assert short_hash({"a": "1", "b": "2"}) == short_hash({"b": "2", "a": "1"}) != short_hash({"a": "2", "b": "1"})
