"""Machine output: one object on stdout, of the shape that the schema promises."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from embspec.report.schemas import OUTPUT
from tests.support.command import Said, embspec
from tests.support.harbour import LOCK, SPEC, STAGES, edit

OBJECT = jsonschema.Draft202012Validator(OUTPUT)


def one(said: Said) -> Any:
    """The object, which is alone on stdout, with nothing beside it on stderr."""
    assert said.out.count("\n") == 1 and said.out.endswith("}\n")
    assert said.err == ""
    assert said.json["exit"] == said.exit
    return said.json


@pytest.mark.parametrize("words", [["plan"], ["build"], ["status"], ["lock", "--check"], ["plan", "--retrain"],
                                   ["plan", "--set", "split.test=0.5"], ["build", "--locked"], ["build", "--no-run"]])
@pytest.mark.parametrize("ready", [False, True])
def test_the_machine_form_of_a_plan(words: list[str], ready: bool, harbour: Path) -> None:
    """Whatever it comes to, it validates; where it is a plan, it has every stage in street order."""
    if ready:
        embspec("build", "-q")
    found = one(embspec(*words, "--json"))
    OBJECT.validate(found)
    if "stages" in found:
        assert [stage["name"] for stage in found["stages"]] == STAGES
        assert (found["spec"], found["lock"], found["out"]) == (str(SPEC), str(LOCK), "out/harbour")


def test_a_build_counts_its_work_and_gives_its_reasons(built: Path) -> None:
    """States, reasons, rows and files of what ran; zeros and nothing for what did not."""
    Path("specs/docs/ice.md").write_text("# Ice\n\nSalt is spread before dawn.\n", encoding="utf-8")
    found = one(embspec("build", "--json"))
    OBJECT.validate(found)
    corpus, *rest = found["stages"]
    assert corpus["state"] == "run"
    assert [why["field"] for why in corpus["why"]] == ["pin tree", "file docs/ice.md"]
    assert (corpus["counts"]["rows"], corpus["counts"]["files_read"]) == (22, 1)
    assert all(stage["state"] == "clean" and not stage["why"] and not stage["counts"]["rows"] for stage in rest)
    assert [(gate["gate"], gate["verdict"], gate["n"]) for gate in found["gates"]] == [
        ("recall@10 of bm25 >= 0.5", "pass", 17)]


def test_the_no_op_says_the_same_as_the_command(built: Path) -> None:
    """The door's short way and the command give the same object."""
    door = embspec("build", "--json")
    assert one(door) == one(embspec("build", "--json", "--wait", "9"))
    assert all(stage["state"] == "clean" for stage in door.json["stages"])


@pytest.mark.parametrize("words", [["plan", "--exit-code"], ["status", "--exit-code"]])
def test_exit_code_10_where_there_is_work(words: list[str], built: Path) -> None:
    """0 while all is up to date, 10 after an edit; without the option always 0."""
    assert embspec(*words, "--json").exit == 0
    edit(SPEC, "0.5", "0.6")
    assert one(embspec(*words, "--json"))["exit"] == 10
    assert embspec(words[0]).exit == 0


def test_check(harbour: Path) -> None:
    """Counts of every input, and the fields that a build would refuse."""
    edit(SPEC, "name: harbour", "name: harbour\nprices: {gpu_hour: 2.0}")
    found = one(embspec("check", "--json"))
    assert list(found) == ["exit", "spec", "inputs", "refused"]
    assert found["inputs"]["corpus"]["documents"] == 22
    assert found["inputs"]["pairs.gold"]["queries"] == 26
    assert found["refused"] == ["prices"]


def test_explain(built: Path) -> None:
    """Key, ingredients and reasons of one stage."""
    found = one(embspec("explain", "gates", "--json"))
    assert list(found) == ["exit", "spec", "stage", "state", "key", "why", "ingredients"]
    assert (found["state"], found["why"], len(found["key"])) == ("clean", [], 32)
    assert found["ingredients"]["recall@10 of bm25 >= 0.5"] == "on"
    edit(SPEC, "0.5", "0.6")
    found = one(embspec("explain", "gates", "--json"))
    assert [(why["field"], why["then"], why["now"]) for why in found["why"]] == [
        ("recall@10 of bm25 >= 0.5", "on", None), ("recall@10 of bm25 >= 0.6", None, "on")]


def test_doctor(harbour: Path) -> None:
    """What was looked at, with what to do where it is bad."""
    found = one(embspec("doctor", "--json"))
    assert [finding["what"] for finding in found["findings"]] == ["python", "packages", "numerics", "git", "store"]
    assert all(list(finding) == ["what", "good", "text", "fix"] for finding in found["findings"])


@pytest.mark.parametrize("line", ["build", "check", "plan", "status", "explain corpus", "lock --check"])
def test_an_error_of_the_spec_is_an_object_for_every_command(line: str, harbour: Path) -> None:
    """All errors at once, each with its code and place."""
    edit(SPEC, "test: 0.6", "test: much\n  tset: 0.6")
    found = one(embspec(*line.split(), "--json"))
    OBJECT.validate(found)
    assert found["exit"] == 3
    assert [(e["code"], e["file"], e["line"], e["column"]) for e in found["errors"]] == [
        ("spec.type", "specs/harbour.yaml", 8, 9), ("spec.unknown-key", "specs/harbour.yaml", 9, 3)]


def test_stale_fields_are_an_object(built: Path) -> None:
    """`--locked` and `lock --check` name the fields to machines too."""
    edit(SPEC, "0.5", "0.6")
    for words in (["build", "--locked"], ["lock", "--check"]):
        found = one(embspec(*words, "--json"))
        OBJECT.validate(found)
        assert found["exit"] == 11
        assert [e["code"] for e in found["errors"]] == ["lock-stale.stage"] * 2
        assert [e["text"] for e in found["errors"]] == [
            "gates: recall@10 of bm25 >= 0.5: on → (none)", "gates: recall@10 of bm25 >= 0.6: (none) → on"]
