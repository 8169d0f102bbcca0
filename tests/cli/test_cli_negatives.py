"""`explain --negative` and `negatives export`: what people and machines are shown."""
from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from embspec.api import FORMS, Project
from embspec.decide.mined import Mined
from embspec.report.schemas import OUTPUT
from tests.support.command import embspec
from tests.support.mined import kept
from tests.support.mining import World, ask, mine, miner, params
from tests.support.tiny import tiny_static

OBJECT = jsonschema.Draft202012Validator(OUTPUT)
WORLD = World(
    {"a": "red boat", "b": "blue boat", "c": "old boat", "d": "red gate", "e": "oil"},
    (ask("1", "boat one", "a"), ask("2", "gate", "d"), ask("3", "Boat  one", "b")), (ask("t", "ship", "e"),),
)


@pytest.fixture
def mined(harbour: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mined:
    """The project's last build mined the world of this file."""
    spec = params([miner("bm25", 1)], negatives__guard__absolute_margin=0.01)
    found = kept(tmp_path / "kept", WORLD, spec, mine(WORLD, tiny_static(tmp_path / "static"), spec))
    monkeypatch.setattr(Project, "mined", found)
    return found


def test_explain_for_people(mined: Mined) -> None:
    """Query, answers with the weakest, document, miner and rank, guards with their figures, and the verdict last."""
    said = embspec("explain", "--negative", "1", "c", "specs/harbour.yaml")
    assert (said.exit, said.err) == (0, "")
    head, *guards = said.out.split("  positive")
    first = head.splitlines()
    assert first[0] == "query      1  boat one"
    assert [line.split()[:2] for line in first[1:3]] == [["answer", "a"], ["answer", "b"]]
    assert sum(line.endswith(" (the weakest)") for line in first) == 1
    assert first[3] == "document   c  old boat"
    assert first[4].startswith("found by   bm25 at rank ") and first[5].startswith("score      ")
    lines = guards[0].splitlines()
    assert lines[0].split() == ["passed"]
    assert lines[-1] in ("c is a negative", "c is no negative: refused by absolute_margin")
    margin = next(line for line in lines if "absolute_margin" in line)
    assert margin.endswith(" - 0.01  refused") == ("refused" in lines[-1])
    assert "relative_margin" not in said.out
    assert "relative_margin  not set" in embspec("explain", "--negative", "1", "c", "-v").out


def test_explain_for_machines(mined: Mined) -> None:
    """One object of the promised shape, a row for each training row that asks this."""
    said = embspec("explain", "--negative", "boat ONE", "c", "--json")
    OBJECT.validate(said.json)
    assert [one["query"] for one in said.json["explained"]] == ["1", "3"]
    assert said.json["spec"] == "specs/harbour.yaml"
    people = embspec("explain", "--negative", "boat ONE", "c")
    assert people.out.count("query  ") == 2 and "\n\nquery" in people.out
    held = embspec("explain", "--negative", "ship", "c")
    assert held.out.splitlines()[-2:] == [
        "c is no negative: not looked at:",
        "  the query is held out: it belongs to test, and only training queries get negatives"]


@pytest.mark.parametrize(("words", "exit", "code"), [
    (["1"], 2, "usage.query"), (["1", "c", "more"], 2, "usage.arguments"), (["boats two", "c"], 2, "usage.no-query"),
    (["1", "z"], 2, "usage.no-document"), (["1", "c", "--round", "2"], 2, "usage.round"),
])
def test_explain_refuses(mined: Mined, words: list[str], exit: int, code: str) -> None:
    """Too few or too many words, and what nobody knows."""
    said = embspec("explain", "--negative", *words, "--json")
    assert (said.exit, said.codes) == (exit, [code])


def test_a_round_is_of_negatives(mined: Mined) -> None:
    """A stage has no rounds to choose among."""
    assert embspec("explain", "split", "--round", "1").exit == 2


def test_a_build_without_negatives(built: Path) -> None:
    """A lock that mined nothing has nothing to explain or to export."""
    for words in (["explain", "--negative", "1", "c"], ["negatives", "export"]):
        said = embspec(*words, "--to", "x.jsonl", "--json") if words[0] == "negatives" else embspec(*words, "--json")
        assert (said.exit, said.codes) == (32, ["nowhere.negatives"])
    assert not Path("x.jsonl").exists()


def test_export(mined: Mined) -> None:
    """Lines on stdout and their count on stderr, or a file and one object; a form that is none is refused."""
    said = embspec("negatives", "export", "specs/harbour.yaml", "--format", "pairs")
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert rows == [{"query": "boat one", "positive": "red boat"}, {"query": "gate", "positive": "red gate"},
                    {"query": "Boat  one", "positive": "blue boat"}]
    assert said.err == "harbour: 3 lines of pairs\n"
    short = embspec("negatives", "export")
    assert "queries have too few negatives and were left out" in short.err
    done = embspec("negatives", "export", "--format", "n-tuple", "--negatives", "1", "--to", "to.jsonl", "--json")
    OBJECT.validate(done.json)
    assert done.json["lines"] == len(Path("to.jsonl").read_text(encoding="utf-8").splitlines())
    assert done.json["lines"] + done.json["left_out"] == 3 and done.json["negatives"] == 1
    for words in (["export", "--format", "csv"], ["export", "--json"], ["import"], [],
                  ["export", "--negatives", "2"], ["export", "more", "words"]):
        assert embspec("negatives", *words).exit == 2, words


def test_the_help_names_every_form() -> None:
    """Each form has its line in the help."""
    said = embspec("negatives", "--help").out
    assert all(f"  {name} " in said for name in FORMS)
