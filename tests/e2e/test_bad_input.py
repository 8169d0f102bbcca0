"""Bad input of every kind: its own code and place, no traceback, and the last green build stays where it is."""
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.command import embspec
from tests.support.harbour import LOCK, SPEC, edit, tree

PAGE = "# Ice\n\nSalt is spread before dawn.\n"
GOLD = "specs/gold.jsonl"


def rows(path: str, *values: object) -> None:
    """Write a jsonl file; a text is written as it is."""
    text = "".join((v if isinstance(v, str) else json.dumps(v)) + "\n" for v in values)
    Path(path).write_text(text, encoding="utf-8")


def corpus(*values: object) -> None:
    """Let the corpus be a jsonl file with these rows."""
    rows("specs/corpus.jsonl", *values)
    edit(SPEC, "docs/*.md", "corpus.jsonl")


def gold(*values: object) -> None:
    """Add rows to the questions, which end at line 26."""
    rows(GOLD, *Path(GOLD).read_text(encoding="utf-8").splitlines(), *values)


def data(path: str, content: bytes) -> None:
    """Write a file of bytes."""
    Path(path).write_bytes(content)


def pages(count: int, text: str) -> None:
    """Write documents that are all wrong in the same way."""
    for number in range(count):
        Path(f"specs/docs/new{number:02}.md").write_text(text, encoding="utf-8")


class Bad(NamedTuple):
    """One kind of bad input, and the first error that it must give."""

    kind: str
    harm: Callable[[], object]
    code: str
    place: tuple[str | None, int | None, int | None]
    words: str


HERE = str(SPEC)
MATRIX = [
    Bad("an empty corpus file", lambda: corpus(), "input.empty", (HERE, 4, 3), "no document"),
    Bad("a duplicate id", lambda: corpus(*({"id": name, "text": f"text {n}"} for n, name in enumerate("aba"))),
        "input.duplicate", ("specs/corpus.jsonl", 3, None), "corpus.jsonl:1"),
    Bad("a row with a missing field", lambda: corpus({"id": "a", "text": "one"}, {"id": "b", "body": "two"}),
        "input.field", ("specs/corpus.jsonl", 2, None), "text"),
    Bad("a row that is broken JSON", lambda: corpus({"id": "a", "text": "one"}, '{"id": "b", "text": "two"'),
        "input.json", ("specs/corpus.jsonl", 2, 26), "not JSON"),
    Bad("a row that is no object", lambda: corpus({"id": "a", "text": "one"}, "[1, 2]"),
        "input.json", ("specs/corpus.jsonl", 2, None), "expected an object"),
    Bad("a document without text", lambda: data("specs/docs/ice.md", b"---\nseason: winter\n---\n"),
        "input.empty-text", ("specs/docs/ice.md", None, None), "no text"),
    Bad("a byte that is not UTF-8", lambda: data("specs/docs/ice.md", b"# Ice\n\nSalt \xff dawn.\n"),
        "input.encoding", ("specs/docs/ice.md", None, None), "byte 0xff at offset 12"),
    Bad("a byte that is not UTF-8 in a line", lambda: data(GOLD, Path(GOLD).read_bytes() + b'{"query": "\xe9"}\n'),
        "input.encoding", (GOLD, 27, 12), "0xe9"),
    Bad("front matter that is no YAML", lambda: data("specs/docs/ice.md", b"---\na: [\n---\n# Ice\n\nSalt.\n"),
        "input.front-matter", ("specs/docs/ice.md", 3, 1), "front matter"),
    Bad("a glob that matches nothing", lambda: edit(SPEC, "docs/*.md", "texts/*.md"),
        "input.missing", (HERE, 4, 3), "texts/*.md"),
    Bad("a file that is not there", lambda: edit(SPEC, "gold.jsonl", "silver.jsonl"),
        "input.missing", (HERE, 6, 18), "silver.jsonl"),
    Bad("a kind of file that is not read", lambda: edit(SPEC, "docs/*.md", "harbour.yaml"),
        "input.format", (HERE, None, None), ".yaml"),
    Bad("a link to nothing", lambda: Path("specs/docs/link.md").symlink_to("nowhere.md"),
        "input.dangling-link", (None, None, None), "points to nothing"),
    Bad("a pair that names a missing document", lambda: gold({"query": "who", "positive": "docs/whale.md"}),
        "input.dangling", (GOLD, 27, None), "docs/whale.md"),
    Bad("a pair without a query", lambda: gold({"positive": "docs/ice.md"}), "input.field", (GOLD, 27, None), "query"),
    Bad("a pair without an answer", lambda: gold({"query": "who goes there"}),
        "input.field", (GOLD, 27, None), "positive"),
    Bad("an empty file of pairs", lambda: rows(GOLD), "input.empty", (HERE, 6, 18), "no pair"),
    Bad("too few questions", lambda: edit(SPEC, "test: 5", "test: 500"),
        "input.too-few", (HERE, 10, 17), "500"),
    Bad("a spec that is no YAML", lambda: edit(SPEC, "split:", "split: ["), "spec.syntax", (HERE, 9, 13), ""),
    Bad("a misspelt field", lambda: edit(SPEC, "validation: 0.3", "validaton: 0.3"),
        "spec.unknown-key", (HERE, 9, 3), "validaton"),
    Bad("a path out of the project", lambda: edit(SPEC, "gold.jsonl", "../../gold.jsonl"),
        "spec.path", (HERE, 6, 24), "../../gold.jsonl"),
    Bad("a gate that is none", lambda: edit(SPEC, "recall@10 of bm25 >= 0.5", "recall of ten"),
        "spec.gate", (HERE, 12, 18), "recall of ten"),
]


@pytest.mark.parametrize("bad", MATRIX, ids=lambda bad: bad.kind.replace(" ", "-"))
def test_bad_input(bad: Bad, built: Path) -> None:
    """Exit 3, the code, the place, the words; lock and out/ of the last green build are as they were."""
    lock, out = LOCK.read_bytes(), tree(Path("out"))
    bad.harm()
    said = embspec("build", "--json")
    assert said.exit == 3
    first = said.json["errors"][0]
    assert first["code"] == bad.code
    assert (first["file"], first["line"], first["column"]) == bad.place
    assert bad.words in first["text"]
    people = embspec("build")
    assert people.exit == 3
    assert "Traceback" not in people.both
    assert first["text"].splitlines()[0] in people.err
    assert (LOCK.read_bytes(), tree(Path("out"))) == (lock, out)


@pytest.mark.parametrize("bad", [bad for bad in MATRIX if bad.code not in ("input.too-few", "input.dangling-link")],
                         ids=lambda bad: bad.kind.replace(" ", "-"))
def test_check_finds_it_without_building(bad: Bad, harbour: Path) -> None:
    """The same code and place before anything was built."""
    bad.harm()
    said = embspec("check", "--json")
    assert said.exit == 3
    first = said.json["errors"][0]
    assert (first["code"], (first["file"], first["line"], first["column"])) == (bad.code, bad.place)
    assert not LOCK.exists() and not Path("out").exists()


def test_many_problems_are_told_together_and_counted(built: Path) -> None:
    """Twenty of them, and how many more there are."""
    pages(23, "\n\n")
    errors = embspec("build", "--json").json["errors"]
    assert [e["code"] for e in errors] == ["input.empty-text"] * 20 + ["input.more"]
    assert "3 more" in errors[-1]["text"]


def test_problems_of_several_inputs_are_found_by_one_check(harbour: Path) -> None:
    """A bad document and a bad question: `check` reads on after the first."""
    data("specs/docs/ice.md", b"")
    rows("specs/asked.jsonl", {"query": "who"})
    edit(SPEC, "pairs:\n", "pairs:\n  - {name: asked, path: asked.jsonl, trust: curated, roles: [train]}\n")
    assert embspec("check", "--json").codes == ["input.empty-text"]
    data("specs/docs/ice.md", PAGE.encode())
    gold("nothing")
    assert sorted(embspec("check", "--json").codes) == ["input.field", "input.json"]


def test_all_errors_of_a_spec_at_once(built: Path) -> None:
    """Three mistakes in three sections are three errors, in the order of the file."""
    edit(SPEC, "name: harbour", "nam: harbour")
    edit(SPEC, "test: 0.6", "test: 2")
    edit(SPEC, ">= 0.5", "=> 0.5")
    errors = embspec("build", "--json").json["errors"]
    assert [(e["line"], e["code"].split(".")[0]) for e in errors] == [(2, "spec"), (8, "spec"), (12, "spec")]
    assert all(e["fix"] or e["text"] for e in errors)


def test_the_project_is_well_again_after_the_input_is(built: Path) -> None:
    """Bad input leaves nothing behind: with the old bytes back there is nothing to do."""
    before = Path("specs/docs/ice.md").read_bytes()
    data("specs/docs/ice.md", b"\xff")
    assert embspec("build").exit == 3
    data("specs/docs/ice.md", before)
    said = embspec("build", "--json")
    assert said.exit == 0
    assert {stage["state"] for stage in said.json["stages"]} == {"clean"}
