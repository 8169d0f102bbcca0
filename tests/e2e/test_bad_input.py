"""Bad input of every kind: its own code and place, no traceback, and the last green build stays where it is."""
from __future__ import annotations

import codecs
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support import papers
from tests.support.command import embspec
from tests.support.harbour import LOCK, SPEC, edit, tree
from tests.support.tiny import tiny_transformer

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


def only(name: str, content: bytes) -> None:
    """Let the corpus be this one file."""
    data(f"specs/{name}", content)
    edit(SPEC, "docs/*.md", name)


def endless(path: str, start: bytes) -> None:
    """Write a file that begins so and goes on for longer than any line may; it takes no room on the disk."""
    with open(path, "wb") as file:
        file.write(start)
        file.truncate(65 << 20)


def bomb() -> bytes:
    """A DOCX of a few kilobytes that unpacks to 40 MB."""
    path = Path("bomb.zip")
    path.write_bytes(papers.docx(papers.words("ice")))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/more.xml", b"x" * (40 << 20))
    content = path.read_bytes()
    path.unlink()
    return content


def narrow() -> None:
    """Ask for chunks that the model's own marks fill, which are two."""
    tiny_transformer(Path("specs/base"))
    chunking = "  chunking: {strategy: structure, tokens: 2, overlap: 0}\n"
    edit(SPEC, "corpus:\n", f"model: {{base: ./base}}\ncorpus:\n{chunking}")


def hidden() -> None:
    """Let a guest ask for what the staff alone may see."""
    corpus({"id": "a", "text": "Salt is kept here.", "access": ["staff", "crew"]}, {"id": "b", "text": "Ice is cold."})
    edit(SPEC, "path: corpus.jsonl", "path: corpus.jsonl\n  metadata: [access]")
    rows(GOLD, {"query": "who goes", "positive": "b"}, {"query": "where is it", "positive": "a", "role": "guest"})


class Bad(NamedTuple):
    """One kind of bad input, and the first error that it must give."""

    kind: str
    harm: Callable[[], object]
    code: str
    place: tuple[str | None, int | None, int | None]
    words: str
    later: bool = False  # stages before the one that finds it have new results, which are in the lock then


HERE = str(SPEC)
MATRIX = [
    Bad("an empty corpus file", lambda: corpus(), "input.empty", (HERE, 4, 3), "no document"),
    Bad("a duplicate id", lambda: corpus(*({"id": name, "text": f"text {n}"} for n, name in enumerate("aba"))),
        "input.duplicate", ("specs/corpus.jsonl", 3, None), "corpus.jsonl:1"),
    Bad("a row with a missing field", lambda: corpus({"id": "a", "text": "one"}, {"id": "b", "body": "two"}),
        "input.field", ("specs/corpus.jsonl", 2, None), "text"),
    Bad("a row that is broken JSON", lambda: corpus({"id": "a", "text": "one"}, '{"id": "b", "text": "two"'),
        "input.json", ("specs/corpus.jsonl", 2, 26), "not JSON"),
    Bad("a row nested without end", lambda: corpus({"id": "a", "text": "one"}, '{"id": "b", "text": ' + "[" * 200_000),
        "input.json", ("specs/corpus.jsonl", 2, None), "nested too deeply"),
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
        "input.dangling-link", ("specs/docs/link.md", None, None), "points to nothing"),
    Bad("a link out of the project", lambda: Path("specs/docs/link.md").symlink_to("/etc/hostname"),
        "input.outside", ("specs/docs/link.md", None, None), "leads out of the project"),
    Bad("a link out of the project among pairs",
        lambda: (Path(GOLD).unlink(), Path(GOLD).symlink_to("/etc/hostname")),
        "input.outside", (GOLD, None, None), "leads out of the project"),
    Bad("a linked folder",
        lambda: (Path("specs/docs/more").symlink_to("/etc"), edit(SPEC, "docs/*.md", "docs/**/*.md")),
        "input.linked-folder", ("specs/docs/more", None, None), "links are not followed"),
    Bad("UTF-16", lambda: only("c.csv", codecs.BOM_UTF16_LE + "id,text\n1,ice\n".encode("utf-16-le")),
        "input.encoding", ("specs/c.csv", 1, 1), "UTF-16"),
    Bad("UTF-16 that does not say so", lambda: only("c.csv", "id,text\n1,ice\n".encode("utf-16-le")),
        "input.encoding", ("specs/c.csv", 1, None), "a zero byte at offset 1"),
    Bad("files with their marks put together",
        lambda: only("c.jsonl", 2 * (codecs.BOM_UTF8 + b'{"id":1,"text":"a"}\n')),
        "input.json", ("specs/c.jsonl", 2, 1), "byte order mark"),
    Bad("another delimiter", lambda: only("c.csv", b"id;text\n1;ice, and salt\n"),
        "input.delimiter", ("specs/c.csv", 1, None), "separated by semicolons, expected commas"),
    Bad("another delimiter and quotes", lambda: only("c.csv", b'"id";"text"\r\n"1";"ice"\r\n'),
        "input.delimiter", ("specs/c.csv", 1, None), "separated by semicolons, expected commas"),
    Bad("another delimiter beside ours", lambda: only("c.csv", b'"id";"text";"salt, ice"\n1;ice;2\n'),
        "input.delimiter", ("specs/c.csv", 1, None), "separated by semicolons, expected commas"),
    Bad("tabs in a csv", lambda: only("c.csv", b"id\ttext\n1\tice\n"),
        "input.delimiter", ("specs/c.csv", 1, None), "separated by tabs, expected commas"),
    Bad("a header and nothing below it", lambda: only("c.csv", b"id,text\n"), "input.empty", (HERE, 4, 3), "c.csv"),
    Bad("a column that is not there", lambda: only("c.csv", b"key,text\n1,ice\n"),
        "input.field", ("specs/c.csv", 1, None), "there are: key, text"),
    Bad("a line without an end",
        lambda: (only("c.jsonl", b""), endless("specs/c.jsonl", b'{"id": 1, "text": "a"}\n{"')),
        "input.too-long", ("specs/c.jsonl", 2, None), "longer than 64 MB"),
    Bad("a line without an end among pairs", lambda: endless(GOLD, Path(GOLD).read_bytes() + b'{"query": "'),
        "input.too-long", (GOLD, 27, None), "longer than 64 MB"),
    Bad("a page without an end", lambda: endless("specs/docs/ice.md", b"# Ice\n"),
        "input.too-long", ("specs/docs/ice.md", None, None), "longer than 64 MB"),
    Bad("a PDF without text", lambda: only("c.pdf", papers.pdf("", "")),
        "input.no-text", ("specs/c.pdf", None, None), "no text on 2 pages"),
    Bad("an encrypted PDF", lambda: only("c.pdf", papers.pdf("ice", locked=True)),
        "input.encrypted", ("specs/c.pdf", None, None), "opens with a password only"),
    Bad("a DOCX that is a bomb", lambda: only("c.docx", bomb()),
        "input.bomb", ("specs/c.docx", None, None), "it would be 40 MB of text, and 32 are the most"),
    Bad("chunks that the marks of the model fill", narrow,
        "spec.range", (HERE, 5, 35), "take 2 of 2 tokens", later=True),
    Bad("a positive that its role may not see", hidden, "input.not-visible", (GOLD, 2, None), "is crew, staff",
        later=True),
    Bad("a pair without positives", lambda: gold({"query": "who", "positives": []}),
        "input.no-positive", (GOLD, 27, None), "no positive document"),
    Bad("a pair of which nothing is relevant",
        lambda: gold({"query": "who", "positives": [{"id": "docs/ice.md", "grade": 0}]}),
        "input.no-positive", (GOLD, 27, None), "all grades are 0"),
    Bad("a path into an empty list",
        lambda: (edit(SPEC, "trust: gold,", "trust: gold, fields: {query: turns.0.said},"),
                 rows(GOLD, *({"turns": some, "positive": "docs/ice.md"} for some in ([{"said": "who"}], [])))),
        "input.field", (GOLD, 2, None), "turns.0.said"),
    Bad("an empty query", lambda: gold({"query": " ", "positive": "docs/ice.md"}),
        "input.empty-query", (GOLD, 27, None), "the query is empty"),
    Bad("two queries of one id", lambda: gold(*({"id": "q", "query": who, "positive": "docs/ice.md"} for who in "ab")),
        "input.duplicate", (GOLD, 28, None), "gold.jsonl:27"),
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
    """Exit 3, code, place, words and what to do; lock and out/ of the last green build are as they were."""
    lock, out = LOCK.read_bytes(), tree(Path("out"))
    bad.harm()
    said = embspec("build", "--json")
    assert said.exit == 3
    first = said.json["errors"][0]
    assert first["code"] == bad.code
    assert (first["file"], first["line"], first["column"]) == bad.place
    assert bad.words in first["text"]
    assert first["fix"] or bad.code == "spec.syntax"
    people = embspec("build")
    assert people.exit == 3
    assert "Traceback" not in people.both
    assert first["text"].splitlines()[0] in people.err
    assert tree(Path("out")) == out and (bad.later or LOCK.read_bytes() == lock)


@pytest.mark.parametrize("bad", MATRIX, ids=lambda bad: bad.kind.replace(" ", "-"))
def test_check_finds_it_without_building(bad: Bad, harbour: Path) -> None:
    """The same code and place before anything was built."""
    bad.harm()
    said = embspec("check", "--json")
    assert said.exit == 3
    first = said.json["errors"][0]
    assert (first["code"], (first["file"], first["line"], first["column"])) == (bad.code, bad.place)
    assert not LOCK.exists() and not Path("out").exists()


def test_a_mark_of_the_byte_order_is_no_text(harbour: Path) -> None:
    """What some editors put before a file changes neither its ids nor its texts, in any kind of file that is text."""
    kinds = {"c.csv": b"id,text\nsalt,ice\n", "c.tsv": b"id\ttext\nsalt\tice\n", "c.md": b"---\nid: a\n---\nice\n",
             "c.jsonl": b'{"id": "salt", "text": "ice"}\n', "c.txt": b"ice\n"}
    data(GOLD, codecs.BOM_UTF8 + b'{"query": "who", "positive": "salt"}\n')
    edit(SPEC, "docs/*.md", "c.txt")
    before, made = "c.txt", []
    for name, content in kinds.items():
        edit(SPEC, before, before := name)
        for start in (b"", codecs.BOM_UTF8):
            data(f"specs/{name}", start + content)
            assert embspec("build", "--to", "corpus").exit == 0
            lock = LOCK.read_text(encoding="utf-8").splitlines()
            made.append(next(line for line in lock if "documents.jsonl" in line))
    assert made[::2] == made[1::2]
    edit(SPEC, before, "c.csv")
    assert embspec("check", "--json").codes == ["input.too-few", "input.too-few"]


def test_many_problems_are_told_together_and_counted(built: Path) -> None:
    """Twenty of them, and how many more there are."""
    pages(23, "\n\n")
    errors = embspec("build", "--json").json["errors"]
    assert [e["code"] for e in errors] == ["input.empty-text"] * 20 + ["input.more"]
    assert "3 more" in errors[-1]["text"]


def test_problems_of_several_inputs_are_found_by_one_check(harbour: Path) -> None:
    """A bad document and a bad question: `check` reads on after the first, and does not call its documents lost."""
    data("specs/docs/ice.md", b"")
    rows("specs/asked.jsonl", {"query": "who"})
    edit(SPEC, "pairs:\n", "pairs:\n  - {name: asked, path: asked.jsonl, trust: curated, roles: [train]}\n")
    assert embspec("check", "--json").codes == ["input.empty-text", "input.field"]
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
