"""Two locks side by side."""
from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.command import embspec
from tests.support.harbour import LOCK, SPEC, copied, edit
from tests.support.programs import run
from tests.support.scenario import GIT


def git(*args: str) -> None:
    """Run git in the project."""
    subprocess.run(["git", *args], check=True, capture_output=True)


@pytest.fixture(scope="session")
def two_builds(first_build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A first build in git as `first`; then other documents, another k1, another gate, built and not committed."""
    project = copied(first_build, tmp_path_factory.mktemp("diff"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        for name, value in GIT.items():
            patch.setenv(name, value)
        shutil.rmtree(".git")
        git("init", "-q", "-b", "main")
        git("add", ".")
        git("commit", "-q", "-m", "first")
        git("tag", "first")
    edit(project / "specs/docs/fire.md", "cast the boat off", "tow the boat off")
    (project / "specs/docs/gulls.md").write_text("# Gulls\n\nA boat of gulls burns no diesel.\n", encoding="utf-8")
    edit(project / SPEC, "  - recall@10 of bm25 >= 0.5\n", "  - recall@10 of bm25 >= 0.6\neval: {bm25: {k1: 0.2}}\n")
    assert run(project, "build", "-q", "--retrain").returncode == 0
    return project.parent


@pytest.fixture
def history(two_builds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project with its two builds, to change."""
    for name, value in GIT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(copied(two_builds, tmp_path))
    return tmp_path / "project"


def test_without_names_it_is_head_against_the_work_tree(history: Path) -> None:
    """Parameters, figures, documents, and each metric with its interval."""
    lines = embspec("diff").out.splitlines()
    assert "-   eval.bm25.k1: 1.2" in lines and "+   eval.bm25.k1: 0.2" in lines
    assert "-   recall@10 of bm25 >= 0.5: on" in lines and "+   recall@10 of bm25 >= 0.6: on" in lines
    assert "# documents of the snapshot: +1 −0 ~1" in lines
    assert any(line.startswith("# ndcg@10 bm25: ") and " won " in line and "n=17" in line for line in lines)


def test_by_revision_and_by_file_it_is_the_same(history: Path) -> None:
    """A revision names the lock of the spec in it; a file is a lock wherever it lies."""
    old = subprocess.run(["git", "show", "first:specs/harbour.lock"], check=True, capture_output=True).stdout
    Path("old.lock").write_bytes(old)
    ways = (["first"], ["old.lock"], ["old.lock", LOCK], [SPEC, "HEAD"])
    assert {embspec("diff", *way).out for way in ways} == {embspec("diff").out}
    assert embspec("diff", "first", "HEAD").out == "the locks say the same\n"


def test_two_ways_round(history: Path) -> None:
    """What was added one way is removed the other way."""
    shutil.copyfile(LOCK, "new.lock")
    there = embspec("diff", "first", "new.lock", "--json").json
    back = embspec("diff", "new.lock", "first", "--json").json
    assert there["documents"] == {"added": 1, "removed": 0, "changed": 1}
    assert back["documents"] == {"added": 0, "removed": 1, "changed": 1}
    for ahead, behind in zip(there["metrics"], back["metrics"], strict=True):
        assert (ahead["won"], ahead["lost"]) == (behind["lost"], behind["won"])


def test_the_machine_form(history: Path) -> None:
    """Keys that stay."""
    found = embspec("diff", "--json").json
    assert list(found) == ["exit", "stages", "documents", "metrics", "unknown"]
    assert found["unknown"] == []
    assert all(list(stage) == ["name", "state", "params", "pins", "outs", "stat"] for stage in found["stages"])
    keys = {"metric", "system", "suite", "before", "after", "low", "high", "p", "won", "lost", "n"}
    assert all(keys <= set(change) for change in found["metrics"])


def test_markdown_for_a_pull_request(history: Path) -> None:
    """A block that colours itself, or one sentence."""
    lines = embspec("diff", "--md").out.splitlines()
    assert lines[0] == "```diff" and lines[-1] == "```"
    assert lines[1:-1] == embspec("diff").out.splitlines()
    assert embspec("diff", "HEAD", "first", "--md").out == "The locks say the same.\n"


def test_what_the_store_lacks_is_said(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without bytes the text of the locks is compared, and the rest is named as not compared."""
    monkeypatch.setenv("EMBSPEC_STORE", str(history.parent / "empty"))
    said = embspec("diff")
    assert said.exit == 0
    assert "-   eval.bm25.k1: 1.2" in said.out
    assert "# not compared: snapshot/manifest of HEAD is not in the store" in said.out
    assert "# not compared: evaluate/scores of HEAD is not in the store" in said.out
    assert embspec("diff", "--json").json["documents"] is None


@pytest.mark.parametrize(("words", "code", "exit"), [
    (["nowhere"], "usage.revision", 2),
    (["before"], "usage.not-in-revision", 2),
    (["specs/docs/ice.md"], "lock.syntax", 12),
    (["first", "HEAD", "main"], "usage.arguments", 2),
])
def test_what_is_no_lock(words: list[str], code: str, exit: int, history: Path) -> None:
    """A revision that is none, one without the lock, a file that is no lock, one too many."""
    git("checkout", "-q", "--orphan", "before")
    git("rm", "-q", "-r", "-f", "--cached", ".")
    git("add", "specs/gold.jsonl")
    git("commit", "-q", "-m", "before")
    said = embspec("diff", *words, "--json")
    assert (said.exit, said.codes) == (exit, [code])
