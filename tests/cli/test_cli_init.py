"""A folder becomes a spec, which is then built: small made folders of each kind."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from embspec.errors import INVALID, OK, USAGE
from embspec.report.schemas import OUTPUT
from embspec.spec.load import load
from tests.support.command import Said, embspec
from tests.support.mini import words
from tests.support.tiny import tiny_transformer

OBJECT = jsonschema.Draft202012Validator(OUTPUT)
Rows = Sequence[Mapping[str, Any]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a model in it, which is the base."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    tiny_transformer(folder / "base")
    (folder / "base" / "README.md").write_text("# The card of a model, which is no document\n", encoding="utf-8")
    return folder


def text(number: int) -> str:
    """What a document says; no two are alike."""
    plain = [*words(number), *words(number + 31)]
    return " ".join(word if place % 3 else f"{word}{number}" for place, word in enumerate(plain))


def question(number: int, part: int = 0) -> str:
    """What is asked of it."""
    return " ".join(text(number).split()[part::5]) + "?"


def lines(path: str, rows: Rows) -> None:
    """A file of jsonl."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write(path: str, said: str) -> None:
    """A file."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(said, encoding="utf-8")


def values() -> Mapping[str, Any]:
    """What the spec that was written says."""
    return load("embspec.yaml", (), root=".").values


def began(*words: str) -> Any:
    """The object that `init --yes` gives; the spec reads its inputs, and what it says of them is so."""
    said = embspec("init", "--yes", "--json", *words)
    OBJECT.validate(said.json)
    assert (said.exit, said.err) == (OK, ""), said.both
    checked = embspec("check", "--json")
    assert checked.exit == OK, checked.both
    assert checked.json["refused"] == []
    for source in said.json["sources"]:
        assert checked.json["inputs"][f"pairs.{source['name']}"]["queries"] == source["queries"]
    assert not [name for name in os.listdir() if name.startswith(".init")]
    return said.json


def roles(found: Any) -> dict[str, list[str]]:
    """Source to its parts."""
    return {source["name"]: source["roles"] for source in found["sources"]}


def test_pages_and_an_faq_are_built_to_the_end(here: Path) -> None:
    """No hand edits the spec: corpus, pairs, a verdict and an index come out, and the FAQ tests what headings train."""
    for number in range(24):
        head = f"## How {' '.join(words(number + 40)[:3])} works\n\n{text(number + 60)}\n"
        write(f"docs/p{number}.md", f"# Page {number}\n\n{text(number)}\n\n{head}")
    for part in "ab":
        own = range(8 * ord(part), 8 * ord(part) + 8)
        asked = [f"  - question: {question(n)}\n    answer: {text(n)}\n" for n in own]
        write(f"docs/{part}/faq.yml", "questions:\n" + "".join(asked))
    write("docs/mkdocs.yml", "nav: [a]\n")
    write("node_modules/x/readme.md", "# Not ours\n\nno page\n")
    found = began()
    assert found["documents"] == 26 and values()["corpus.path"] == ["docs/**/faq.yml", "docs/*.md"]
    assert roles(found) == {"faq": ["validation", "test"], "headings": ["train"]}
    assert found["split"] == {"train": 24, "validation": 8, "test": 8}
    assert any(line.startswith("test: 8 questions of 200") for line in found["missing"])
    assert values()["corpus.chunking.tokens"] == 64  # as much as this base reads
    done = embspec("build", "--json")
    assert done.exit == OK, done.both
    assert [gate["gate"] for gate in done.json["gates"]] == ["recall@10 >= base @95"]
    assert all(Path("out/embspec", name).is_dir() for name in ("index", "model", "report"))
    assert "up to date" in embspec("build").err


def test_rows_by_other_names(here: Path) -> None:
    """Columns are known by what they hold: an id is one that the documents have, whatever it is called."""
    lines("articles.jsonl", [
        {"doc": f"kb-{n}", "headline": f"P {n}", "body": text(n), "lang": "en"} for n in range(60)])
    lines("train_pairs.jsonl", [{"question": question(n, 1), "article": f"kb-{n}"} for n in range(30, 60)])
    lines("eval.jsonl", [{"question": question(n), "article": f"kb-{n}", "relevance": 2} for n in range(30)])
    lines("other.jsonl", [{"question": question(n), "topic": "roofs"} for n in range(30)])
    found = began()
    assert roles(found) == {"eval": ["validation", "test"], "train_pairs": ["train"]}
    spec = values()
    assert (spec["corpus.fields.id"], spec["corpus.fields.text"], spec["corpus.fields.title"]) == (
        "doc", "body", "headline")
    assert (spec["pairs.eval.fields.grade"], spec["corpus.metadata"]) == ("relevance", ["lang"])
    assert spec["corpus.chunking.strategy"] == "none"
    assert [left["what"] for left in found["left_out"]] == ["other.jsonl"]


def test_a_table_of_questions_and_answers_alone(here: Path) -> None:
    """Its answers are the documents, and its questions are divided into all three parts."""
    rows = "".join(f"{question(n)},{text(n)}\n" for n in range(40))
    write("faq.csv", "Question,Answer\n" + rows)
    found = began()
    assert (found["documents"], roles(found)) == (40, {"faq": ["train", "validation", "test"]})
    assert found["split"]["test"] == 6


def beir(shared: int) -> None:
    """A BEIR folder whose test shares documents with train."""
    lines("corpus.jsonl", [{"_id": f"d{n}", "title": "", "text": text(n)} for n in range(60)])
    lines("queries.jsonl", [{"_id": f"q{n}", "text": question(n % 60, n // 60)} for n in range(60 + shared)])
    for name, numbers in {"train": range(40), "dev": range(40, 48), "test": range(48, 60 + shared),
                          "test_small": range(48, 50)}.items():
        write(f"qrels/{name}.tsv", "query-id\tcorpus-id\tscore\n" + "".join(f"q{n}\td{n % 60}\t1\n" for n in numbers))
    write("notes.md", "# Notes\n\nWhere this comes from.\n")


@pytest.mark.parametrize("shared", [0, 5])
def test_a_published_split_stands_as_it_is(shared: int, here: Path) -> None:
    """Each table goes where its name says; one that leaks is reported, in the spec too, and still builds."""
    beir(shared)
    found = began()
    assert roles(found) == {"train": ["train"], "dev": ["validation"], "test": ["test"]}
    assert found["split"] == {"train": 40, "validation": 8, "test": 12 + shared}
    spec = values()
    assert (spec["split.by"], spec["split.on_leak"]) == ("given", "report" if shared else "error")
    assert Path("embspec.yaml").read_text().endswith(f"recall@10{' slice disjoint' * bool(shared)} >= base @95\n")
    leaks = [line for line in found["missing"] if line.startswith("split: ")]
    assert len(leaks) == bool(shared) and all(f"{shared} of {12 + shared} test queries share a positive" in one
                                              for one in leaks)
    assert {left["what"] for left in found["left_out"]} == {"qrels/test_small.tsv", "1 file below ./"}
    assert embspec("build", "--to", "split").exit == OK


def test_documents_without_pairs(here: Path) -> None:
    """Headings are pairs where there is nothing else, and said to flatter; without any the corpus alone is built."""
    for number in range(30):
        write(f"docs/p{number}.md", f"# The page of {words(number)[0]} {number}\n\n{text(number)}\n")
    found = began()
    assert roles(found) == {"headings": ["train", "validation", "test"]}
    assert any(line.startswith("gold: ") and "flatter" in line for line in found["missing"])
    for path in Path("docs").iterdir():
        path.rename(path.with_suffix(".txt"))
    found = began("--force")
    assert (found["sources"], found["split"]) == ([], {})
    assert found["missing"][0].startswith("pairs: ")
    assert embspec("build").exit == OK


def test_gold_about_one_document_tests_and_what_trains_validates(here: Path) -> None:
    """One FAQ cannot be divided: the split goes by document."""
    for number in range(60):
        write(f"docs/p{number}.md", f"# The page of {words(number)[0]} {number}\n\n{text(number)}\n")
    write("faq.yml", "".join(f"- question: {question(n)}\n  answer: {text(n)}\n" for n in range(70, 90)))
    found = began()
    assert roles(found) == {"faq": ["test"], "headings": ["train", "validation"]}
    assert found["split"]["test"] == 20 and found["split"]["validation"] > 0


def test_faults_of_the_inputs_are_told_and_the_spec_is_written(here: Path) -> None:
    """What cannot be read is left out where a path can say that; rows with faults are errors with their lines."""
    lines("kb.jsonl", [{"id": f"kb-{n}", "text": text(n)} for n in range(40)])
    lines("gold.jsonl", [{"query": question(n), "positive": f"kb-{n}" if n % 10 else "nowhere"} for n in range(40)])
    write("faq.csv", "question;answer\n" + "".join(f"{question(n)};{text(n)}\n" for n in range(9)))
    Path("old.md").write_bytes(b"# caf\xe9 and more\n")
    said = embspec("init", "--yes")
    assert said.exit == INVALID and said.err.count("gold.jsonl:") == 4
    assert "old.md: not UTF-8" in said.err and "faq.csv: the columns are separated by semicolons" in said.err
    assert "mend what is said below" in said.err
    lines("gold.jsonl", [{"query": question(n), "positive": f"kb-{n}"} for n in range(40)])
    assert began("--force")["split"] == {"train": 30, "validation": 4, "test": 6}


def test_nothing_is_written_over(here: Path) -> None:
    """A spec that is there stays, unless somebody says so; beside others one has to be named."""
    lines("kb.jsonl", [{"id": f"kb-{n}", "text": text(n)} for n in range(9)])
    write("embspec.yaml", "mine")
    assert embspec("init", "--yes", "--json").codes == ["usage.spec-exists"]
    assert Path("embspec.yaml").read_text() == "mine"
    Path("embspec.yaml").unlink()
    write("specs/a.yaml", "mine")
    assert embspec("init", "--yes", "--json").codes == ["usage.spec-exists"]
    assert embspec("init", "--yes", "-o", "specs/b.yaml").exit == OK
    assert load("specs/b.yaml", (), root=".").values["corpus.path"] == ["../kb.jsonl"]
    assert embspec("check", "specs/b.yaml").exit == OK


def test_links_and_odd_names_are_left_out(here: Path, tmp_path: Path) -> None:
    """What a build stops at when it meets it, as in the environment of a tool, keeps no spec from being written."""
    for name in ("README.md", "docs/a.md", "docs/b.md", "more/c.md", "more/x\x07.md"):
        write(name, f"# T\n\n{text(len(name))}\n")
    (tmp_path / "away.md").write_text("# Away\n\nfrom here\n", encoding="utf-8")
    links = {"venv/lib64": "lib", "venv/python": sys.executable, "docs/away.md": str(tmp_path / "away.md"),
             "gone.md": "nowhere"}
    Path("venv/lib").mkdir(parents=True)
    for name, target in links.items():
        os.symlink(target, name)
    said = embspec("init", "--yes", "--json", "-o", "specs/new.yaml")
    assert said.exit == OK, said.both
    assert said.json["documents"] == 4
    assert {one["what"] for one in said.json["left_out"]} == {"../docs/away.md", "../gone.md", "'../more/x\\x07.md'"}
    checked = embspec("check", "specs/new.yaml", "--json")
    assert checked.exit == OK and checked.json["inputs"]["corpus"]["documents"] == 4, checked.both


def test_a_folder_below_and_one_elsewhere(here: Path, tmp_path: Path) -> None:
    """The spec lies where the person stands; for a folder elsewhere in it, or else nowhere."""
    lines("data/kb.jsonl", [{"id": f"kb-{n}", "text": text(n)} for n in range(9)])
    assert embspec("init", "data", "--yes").exit == OK
    assert values()["corpus.path"] == ["data/kb.jsonl"]
    lines(str(tmp_path / "far/kb.jsonl"), [{"id": "a", "text": text(1)}])
    assert embspec("init", tmp_path / "far", "--yes").exit == OK
    assert (tmp_path / "far/embspec.yaml").exists()
    assert embspec("init", tmp_path / "far", "--yes", "-o", "x.yaml", "--json").codes == ["usage.outside"]
    assert embspec("init", "nowhere", "--yes", "--json").codes == ["usage.no-folder"]
    Path("bare").mkdir()
    assert embspec("init", "bare", "--yes", "--force", "--json").codes == ["input.no-documents"]


class Terminal:
    """A person who answers in order."""

    def __init__(self, answers: Sequence[str]) -> None:
        self._answers: Iterator[str] = iter(answers)

    def isatty(self) -> bool:
        return True

    def readline(self, *_: object) -> str:
        return next(self._answers) + "\n"


def asked(answers: Sequence[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> Said:
    """`init` with somebody at the terminal; every answer is used."""
    person = Terminal(answers)
    monkeypatch.setattr(sys, "stdin", person)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda prompt: person.readline().rstrip("\n"))
    said = embspec("init", *words)
    assert list(person._answers) == []
    return said


def test_it_asks_what_no_file_says(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The base, and who wrote the questions of a file whose name does not say; nobody there is an error."""
    lines("kb.jsonl", [{"id": f"kb-{n}", "text": text(n)} for n in range(60)])
    lines("gold.jsonl", [{"query": question(n), "positive": f"kb-{n}"} for n in range(30)])
    lines("more.jsonl", [{"query": question(n, 1), "positive": f"kb-{n}"} for n in range(30, 60)])
    said = embspec("init", "--json")
    assert (said.exit, said.codes) == (USAGE, ["usage.no-terminal"])
    assert not Path("embspec.yaml").exists()
    assert asked(["", "synthetic"], monkeypatch).exit == OK
    assert values()["pairs.more.trust"] == "synthetic" and values()["model.base"] == "./base"
    assert asked(["curated"], monkeypatch, "--base", "./base", "--force").exit == OK
    assert values()["pairs.more.trust"] == "curated"


def test_a_base_that_is_not_here(here: Path) -> None:
    """The spec names it all the same, is tried without it, and says how it comes here."""
    lines("kb.jsonl", [{"id": f"kb-{n}", "text": text(n)} for n in range(60)])
    lines("gold.jsonl", [{"query": question(n), "positive": f"kb-{n}"} for n in range(60)])
    said = embspec("init", "--yes", "--base", "acme/none", "--json")
    assert said.exit == OK and said.json["split"]["test"] == 9
    assert said.json["missing"][0] == "the model acme/none is not on this machine: `hf download acme/none` brings it"


def test_git_is_told_only_when_asked(here: Path) -> None:
    """`--git` leaves out what builds write, has git merge locks, begins a repository where none is; twice is once."""
    lines("kb.jsonl", [{"id": f"kb-{n}", "text": text(n)} for n in range(9)])
    write(".gitignore", "*.pyc")
    assert embspec("init", "--yes").exit == OK
    assert not Path(".git").exists() and Path(".gitignore").read_text() == "*.pyc"
    for _ in range(2):
        assert embspec("init", "--yes", "--force", "--git").exit == OK
        assert Path(".gitignore").read_text() == "*.pyc\n/out/\n/.embspec/\n"
        assert Path(".gitattributes").read_text() == "embspec.lock merge=embspec\n"
    told = subprocess.run(["git", "config", "merge.embspec.driver"], capture_output=True, text=True, check=True)
    assert told.stdout == "embspec lock --driver %O %A %B\n"
