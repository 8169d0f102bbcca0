"""What the reading stages share."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.errors import EmbspecError, Where
from embspec.stages import reading
from embspec.stages.reading import Problems, check_found, csv_rows, ending, json_rows, lines, matches, within
from embspec.store.live import find
from tests.support.trees import MemoryTree, brief


def test_problems_are_told_together_and_the_rest_counted() -> None:
    """Twenty problems are shown, the others are a number; none is no error."""
    collected = Problems()
    collected.stop()
    for number in range(33):
        collected.add("input.field", f"problem {number}", Where("a.jsonl", number + 1))
    with pytest.raises(EmbspecError) as caught:
        collected.stop()
    shown = caught.value.problems
    assert len(shown) == 21
    assert shown[-1].code == "input.more" and "13 more" in shown[-1].text
    assert caught.value.exit == 3


@pytest.mark.parametrize(
    ("path", "name", "found"),
    [
        ("data/a.jsonl", "data/a.jsonl", True),
        ("./data/a.jsonl", "data/a.jsonl", True),
        ("../data/a.jsonl", "../data/a.jsonl", True),
        ("../base//data/a.jsonl", "data/a.jsonl", True),
        ("data/a.jsonl", "data/b.jsonl", False),
        ("docs/**/*.md", "docs/x.md", True),
        ("docs/**/*.md", "docs/a/b/x.md", True),
        ("docs/*.md", "docs/a/x.md", False),
        ("docs/[ab]?.md", "docs/b1.md", True),
        ("docs/[!ab].md", "docs/a.md", False),
        ("a+b.csv", "aab.csv", False),
    ],
)
def test_matches(path: str, name: str, found: bool) -> None:
    """A path of the spec means the files that its glob describes, whatever folder it counts from."""
    assert matches(path, name) is found


def test_within() -> None:
    """A folder of the spec means the files under it."""
    assert within("data/set", "data/set/qrels/test.tsv")
    assert within("data/set/", "data/set/corpus.jsonl")
    assert within(".", "corpus.jsonl")
    assert not within("data/set", "data/settled/corpus.jsonl")


def test_ending() -> None:
    """An ending is what follows the last dot of a name, in small letters."""
    assert [ending(name) for name in ("a/b.JSONL", "a.b/c", ".hidden", "x.tar.gz")] == [".jsonl", "", "", ".gz"]


def test_line_ends_and_byte_order_mark() -> None:
    """A byte order mark and Windows line ends leave no trace; a last line needs no end."""
    tree = MemoryTree({"a": b"\xef\xbb\xbfone\r\ntwo\r\n\r\nthree"})
    assert list(lines(tree, "a", Problems())) == ["one\n", "two\n", "\n", "three"]


def test_byte_that_is_not_utf8() -> None:
    """The problem says byte, offset in the file, line and column in characters; reading ends there."""
    collected = Problems()
    tree = MemoryTree({"a": b"\xef\xbb\xbfone\n\xc3\xa9t\xe9 \n{}\n"})
    assert list(lines(tree, "a", collected)) == ["one\n"]
    assert brief(collected.shown) == [("input.encoding", "a:2:3")]
    assert "byte 0xe9 at offset 10" in collected.shown[0].text


def test_utf16_is_named() -> None:
    """A file saved as UTF-16 is told so, not that a byte is odd."""
    collected = Problems()
    assert list(lines(MemoryTree({"a": "id,text\n".encode("utf-16")}), "a", collected)) == []
    assert brief(collected.shown) == [("input.encoding", "a:1:1")]
    assert "UTF-16" in collected.shown[0].text


def test_long_line_is_never_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line over the limit is refused with its number after reading no more than the limit of it."""
    monkeypatch.setattr(reading, "LIMIT", 10)
    collected = Problems()
    tree = MemoryTree({"a": b"012345678\n0123456789ab\n"})
    assert list(lines(tree, "a", collected)) == ["012345678\n"]
    assert brief(collected.shown) == [("input.too-long", "a:2")]


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ('{"a": 1 2}', "a:2:9"),
        ('{"a": tru}', "a:2:7"),
        ("[1]", "a:2"),
        ('"text"', "a:2"),
        ('{"a": NaN}', "a:2"),
        ("[" * 100_000, "a:2"),
        ('{"a": ' + "9" * 5000 + "}", "a:2"),
    ],
)
def test_broken_json(line: str, where: str) -> None:
    """What is no JSON object has a place, and the lines after it are read all the same."""
    collected = Problems()
    rows = list(json_rows(MemoryTree({"a": f'{{"a": 0}}\n{line}\n\n{{"a": 2}}\n'}), "a", collected))
    assert [(row.where.line, row.values) for row in rows] == [(1, {"a": 0}), (4, {"a": 2})]
    assert [code for code, _ in brief(collected.shown)] == ["input.json"]
    assert brief(collected.shown)[0][1].startswith(where)


def table(text: str, *needed: str, name: str = "a.csv") -> tuple[list[tuple[int, dict[str, str]]], Problems]:
    """Rows of a table and the problems met."""
    collected = Problems()
    rows = csv_rows(MemoryTree({name: text}), name, [(column,) for column in needed], collected)
    return [(row.where.line, dict(row.values)) for row in rows], collected


def test_table_with_quotes_and_line_breaks() -> None:
    """A quoted cell may hold the delimiter and line breaks; a row's place is the line where it starts."""
    rows, collected = table('id, text \n1,"a, b\r\nc"\n\n2,d\n', "id", "text")
    assert rows == [(2, {"id": "1", "text": "a, b\nc"}), (5, {"id": "2", "text": "d"})]
    assert not collected.shown


def test_long_cell_is_read() -> None:
    """The csv module's own limit on a cell, 128 KB, does not hold, and is left as it was."""
    rows, collected = table(f"id,text\n1,{'x' * 200_000}\n", "id")
    assert len(rows[0][1]["text"]) == 200_000 and not collected.shown


@pytest.mark.parametrize(
    ("text", "name", "code", "word"),
    [
        ("id;text\n1;a\n", "a.csv", "input.delimiter", "semicolons"),
        ("id\ttext\n1\ta\n", "a.csv", "input.delimiter", "tabs"),
        ("id,text\n1,a\n", "a.tsv", "input.delimiter", "commas"),
        ("id,texts\n1,a\n", "a.csv", "input.field", "id, texts"),
        ("id,text,id\n1,a,2\n", "a.csv", "input.header", "'id'"),
    ],
)
def test_header_that_cannot_serve(text: str, name: str, code: str, word: str) -> None:
    """A header of another delimiter, without a needed column, or with one twice is told at line 1."""
    rows, collected = table(text, "id", "text", name=name)
    assert rows == []
    assert brief(collected.shown) == [(code, f"{name}:1")]
    assert word in collected.shown[0].text


def test_rows_that_do_not_fit_the_header() -> None:
    """A row with too few or too many cells is told with its line; the others are read."""
    rows, collected = table("id,text\n1\n2,b\n3,c,d\n", "id")
    assert [line for line, _ in rows] == [3]
    assert brief(collected.shown) == [("input.row", "a.csv:2"), ("input.row", "a.csv:4")]


@pytest.mark.parametrize("text", ['id,text\n1,a\n2,"b\n3,c\n', 'id,text\n1,a\n2,"b" c\n'])
def test_broken_quotes(text: str) -> None:
    """Quotes that are not closed are told at the line where the row starts, not at the end of the file."""
    rows, collected = table(text, "id")
    assert [line for line, _ in rows] == [2]
    assert brief(collected.shown) == [("input.csv", "a.csv:3")]


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=5), st.text(st.characters(exclude_categories=["Cs"])), max_size=3)))
def test_json_rows_read_what_json_writes(values: list[dict[str, str]]) -> None:
    """Any objects written as lines are read back, also where texts hold odd line separators."""
    collected = Problems()
    text = "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values).encode("utf-8", "surrogatepass")
    rows = [row.values for row in json_rows(MemoryTree({"a": text}), "a", collected)]
    assert rows == values and not collected.shown


@pytest.mark.parametrize("glob", [
    "docs/*.md", "./docs/*.md", "docs/../docs/*.md", "docs/[^a].md", "docs/[!a].md", "docs/[]a].md", "docs/[a-b].md",
    "docs/?.md", "**/*.md", "docs/**", "docs/**/b.md", "../specs/docs/*.md", "common//docs/a.md", "../common//docs/*",
])
def test_what_the_live_tree_finds_is_not_called_missing(glob: str, tmp_path: Path) -> None:
    """Both sides read a glob alike, however it is spelt."""
    for folder in ("specs", "common", "specs/common"):
        (tmp_path / folder / "docs").mkdir(parents=True)
        for name in "ab]^":
            (tmp_path / folder / "docs" / f"{name}.md").write_text("text", encoding="utf-8")
    names = [each.name for each in find(str(tmp_path / "specs"), [glob])]
    assert names and all(matches(glob, name) for name in names)
    problems = Problems()
    check_found([glob], names, "corpus.path", problems, "")
    problems.stop()


def test_a_folder_with_a_slash_at_its_end_is_that_folder() -> None:
    """It does not stand for every folder."""
    assert within("docs/", "docs/a.md") and within("docs", "docs/a.md") and within("../", "a.md")
    assert not within("docs/", "texts/a.md")
