"""YAML text to a tree: YAML 1.2, and a place for everything that is wrong."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embspec.errors import EmbspecError, Where
from embspec.spec.text import decode, parse, parse_value

SCALARS = [
    ("null", None), ("~", None), ("", None), ("true", True), ("False", False), ("yes", "yes"), ("no", "no"),
    ("1", 1), ("-7", -7), ("+7", 7), ("0x10", 16), ("0o17", 15), ("010", 10), ("1_000", "1_000"), ("0b1", "0b1"),
    ("2e-5", 0.00002), ("0.00002", 0.00002), (".5", 0.5), ("1.", 1.0), ("1e3", 1000.0), ("-.inf", float("-inf")),
    ("2026-01-01", "2026-01-01"), ('"1"', "1"), ("'true'", "true"), ("off", "off"), ("!!str 1", "1"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), SCALARS)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    """`no`, dates and sexagesimals are text, 0o and 0x are numbers, quotes make text."""
    found = parse(f"key: {text}\n", "x.yaml").value["key"].value
    assert found == value
    assert type(found) is type(value)


def test_every_value_knows_its_place() -> None:
    """A key's place is where the key stands, a value's where the value begins; both count from 1."""
    root = parse("a:\n  bc: [1, 'two']\nd: &x {e: 3}\nf: *x\n", "x.yaml").value
    assert root["a"].value["bc"].key == Where("x.yaml", 2, 3)
    assert root["a"].value["bc"].at == Where("x.yaml", 2, 7)
    assert [item.at.column for item in root["a"].value["bc"].value] == [8, 11]
    assert root["f"].plain() == {"e": 3}


def test_a_value_that_is_left_out_stands_at_its_key() -> None:
    """YAML puts an empty value on the next line, where nobody would look for it."""
    assert parse("a:\nb: 1\n", "x.yaml").value["a"].at == Where("x.yaml", 1, 1)


WRONG = [
    ("", "spec.empty", 1, 1),
    ("# only words\n", "spec.empty", 1, 1),
    ("a:\n\tb: 1\n", "spec.tab", 2, 1),
    ("a: b: c\n", "spec.syntax", 1, 5),
    ("a: [1\nb: 3\n", "spec.syntax", 2, 2),
    ("a: {b: 1\n", "spec.syntax", 1, 4),
    ("a: 'open\nb: 2\n", "spec.syntax", 1, 4),
    ("a:\n  b: 1\n c: 2\n", "spec.syntax", 3, 2),
    ("name\nb: 1\n", "spec.syntax", 2, 2),
    ("a: @x\n", "spec.syntax", 1, 4),
    ("a: *nowhere\n", "spec.syntax", 1, 4),
    ("a: &x [*x]\n", "spec.syntax", 1, 4),
    ("a: !py x\n", "spec.syntax", 1, 4),
    ("<<: {a: 1}\n", "spec.syntax", 1, 1),
    ("? [a]\n: 1\n", "spec.syntax", 1, 3),
    ("a: 1\n---\nb: 2\n", "spec.syntax", 2, 1),
    ("%YAML 3.0\n---\na: 1\n", "spec.syntax", 1, 1),
    ("a: x\x00\n", "spec.syntax", 1, 5),
    ("a: 1\n<<<<<<< ours\nb: 2\n", "spec.conflict-marker", 2, 1),
    ("a: " + "[" * 3000, "spec.syntax", 1, 1),
    ("a: }\n", "spec.syntax", 1, 4),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "line", "column"), WRONG)
def test_text_that_is_no_yaml_is_refused_at_its_place(text: str, code: str, line: int, column: int) -> None:
    """One sentence in plain words, with line and column, and never the reader's own words."""
    with pytest.raises(EmbspecError) as caught:
        parse(text, "x.yaml")
    problem = caught.value.problems[0]
    assert (problem.code, problem.where) == (code, Where("x.yaml", line, column))
    assert "token" not in problem.text and "node" not in problem.text


def test_every_key_that_stands_twice_is_told() -> None:
    """A second value would silently win; each repetition names the first."""
    with pytest.raises(EmbspecError) as caught:
        parse("a: 1\nb: {c: 1, c: 2}\na: 3\n", "x.yaml")
    assert [(p.code, p.where and (p.where.line, p.where.column)) for p in caught.value.problems] == [
        ("spec.duplicate-key", (2, 11)),
        ("spec.duplicate-key", (3, 1)),
    ]
    assert "x.yaml:1:1" in caught.value.problems[1].text


def test_aliases_do_not_grow_without_bound() -> None:
    """Nine anchors of nine aliases each would be a billion values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    with pytest.raises(EmbspecError) as caught:
        parse("\n".join(lines), "x.yaml")
    assert caught.value.problems[0].code == "spec.syntax"


def test_bytes_that_are_no_text_are_named() -> None:
    """The offset of the byte, and the line and column an editor shows."""
    with pytest.raises(EmbspecError) as caught:
        decode("é: 1\nname: ".encode() + b"\xff\n", "x.yaml")
    problem = caught.value.problems[0]
    assert (problem.code, problem.where) == ("spec.encoding", Where("x.yaml", 2, 7))
    assert "byte 12 " in problem.text
    with pytest.raises(EmbspecError) as caught:
        decode("a: 1".encode("utf-16"), "x.yaml")
    assert "UTF-16" in caught.value.problems[0].text


def test_a_byte_order_mark_is_no_key() -> None:
    """Editors on Windows write one; it moves no column."""
    assert parse(decode(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n", "x.yaml"), "x.yaml").value["a"].key.column == 1


def test_a_value_from_the_command_line_lies_where_it_was_set() -> None:
    """Every part of it has the same place, and nothing is null."""
    where = Where("--set a=[1, 2]")
    assert [item.at for item in parse_value("[1, 2]", where).value] == [where, where]
    assert parse_value("", where).value is None


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text a person can save ends in a traceback."""
    try:
        parse(text, "x.yaml")
    except EmbspecError as error:
        assert all(problem.code.startswith("spec.") for problem in error.problems)
