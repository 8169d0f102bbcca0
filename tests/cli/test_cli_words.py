"""Where the spec may stand on the command line, and what is refused there."""
from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.command import embspec
from tests.support.harbour import SPEC, STAGES

ABOUT_A_SPEC = ["check", "plan", "status", "build", "explain split", "lock --check"]


@pytest.mark.parametrize("line", ABOUT_A_SPEC)
def test_the_spec_may_stand_anywhere_or_be_left_out(line: str, built: Path) -> None:
    """Before other words, after them, behind --spec, or not at all: the same answer."""
    name, *rest = line.split()
    plain = embspec(name, *rest)
    assert plain.exit == 0
    for words in ([SPEC, *rest], [*rest, SPEC], ["--spec", SPEC, *rest], [*rest, f"--spec={SPEC}"]):
        assert embspec(name, *words) == plain


@pytest.mark.parametrize("line", ABOUT_A_SPEC)
def test_two_specs_one_too_many_or_one_that_is_not_there(line: str, built: Path) -> None:
    """Each is refused by its own code."""
    name, *rest = line.split()
    twice = embspec(name, *rest, SPEC, "--spec", SPEC, "--json")
    assert (twice.exit, twice.codes) == (2, ["usage.two-specs"])
    more = embspec(name, *rest, "HEAD", "main", "--json")
    assert (more.exit, more.codes) == (2, ["usage.arguments"])
    gone = embspec(name, *rest, "specs/quay.yaml", "--json")
    assert (gone.exit, gone.codes) == (3, ["spec.missing"])
    assert gone.json["errors"][0]["fix"] == "name one of: specs/harbour.yaml"


def test_which_spec_is_meant_when_none_is_named(harbour: Path) -> None:
    """The only one under specs/, else embspec.yaml at the root; two are a question, none an error."""
    shutil.copyfile(SPEC, "specs/quay.yaml")
    said = embspec("plan", "--json")
    assert (said.exit, said.codes) == (2, ["usage.which-spec"])
    assert said.json["errors"][0]["fix"] == "name one of: specs/harbour.yaml, specs/quay.yaml"
    shutil.copyfile(SPEC, "embspec.yaml")
    shutil.copytree("specs/docs", "docs")
    shutil.copyfile("specs/gold.jsonl", "gold.jsonl")
    assert embspec("plan", "--json").json["spec"] == "embspec.yaml"
    assert embspec("plan", "--json", "specs/quay.yaml").json["spec"] == "specs/quay.yaml"
    shutil.rmtree("specs")
    Path("embspec.yaml").unlink()
    assert embspec("plan", "--json").codes == ["usage.no-spec"]


def test_a_spec_is_found_from_any_folder(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths in a spec count from the spec, and are shown from where the person stands."""
    monkeypatch.chdir(built / "specs" / "docs")
    said = embspec("build", "../harbour.yaml", "--json")
    assert (said.exit, said.json["lock"], said.json["out"]) == (0, "../harbour.lock", "../../out/harbour")


@pytest.mark.parametrize("words", [
    ["biuld"], ["build", "--lokced"], ["lock"], ["plan", "--set"], ["build", "--wait", "long"], ["schema", "specs"],
    ["build", "--locked", "--retrain"],
])
def test_usage_errors_exit_2_and_say_where_help_is(words: list[str], harbour: Path) -> None:
    """A word, an option or a value that is none: one sentence for people, one object for machines."""
    said = embspec(*words)
    assert (said.exit, said.out) == (2, "")
    assert said.err.startswith("error: ")
    machine = embspec("--json", *words) if words[-1] == "--set" else embspec(*words, "--json")
    assert (machine.exit, machine.json["exit"], machine.err) == (2, 2, "")
    assert all(code.startswith("usage.") for code in machine.codes)
    assert all(error["fix"] for error in machine.json["errors"])


def test_a_build_stops_after_each_stage(harbour: Path) -> None:
    """Every stage may be the last one; a report is promised only where there is something to report on."""
    for stage in STAGES:
        said = embspec("build", "--to", stage)
        assert said.exit == 0, said.both
        there = Path("out/harbour/report/report.md").exists()
        assert there == (stage != "corpus")
        assert there or "report.md" not in said.err


@pytest.mark.parametrize("words", [["--to", "tune"], ["--refresh", "tune"]])
def test_a_stage_that_is_none(words: list[str], harbour: Path) -> None:
    """The stages that there are stand in the answer, and nothing was begun."""
    said = embspec("build", *words, "--json")
    assert (said.exit, said.codes) == (2, ["usage.stage"])
    assert "corpus, snapshot, survey, pairs.gold" in said.json["errors"][0]["fix"]
    assert not Path("out").exists()
