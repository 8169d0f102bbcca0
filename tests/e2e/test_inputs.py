"""Inputs survive: what a lock pins is found in store or git where the work tree has lost it, or is named as lost."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import programs
from tests.support.command import Said, embspec
from tests.support.harbour import LOCK, SPEC, edit, settle, tree
from tests.support.repository import Repository
from tests.support.ship import LOCK as SHIP_LOCK
from tests.support.ship import OUT, ship

GOLD = Path("specs/gold.jsonl")
LOST = "is neither here nor in the store nor in git"


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """The harbour in git, built; its pairs are ignored by git, so no clone has them."""
    (settle(tmp_path / "project") / ".git").rmdir()
    repo = Repository(tmp_path / "project")
    monkeypatch.chdir(repo.folder)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    Path(".gitignore").write_text("specs/*.jsonl\n", encoding="utf-8")
    assert embspec("build", "-q").exit == 0
    repo.commit("built")
    return repo


def clone(repo: Repository, monkeypatch: pytest.MonkeyPatch, store: str = "store") -> Path:
    """A fresh clone; from now on commands run in it, on this store."""
    fresh = repo.folder.parent / "fresh"
    repo.git("clone", "--quiet", str(repo.folder), str(fresh))
    monkeypatch.chdir(fresh)
    monkeypatch.setenv("EMBSPEC_STORE", str(repo.folder.parent / store))
    return fresh


def states(said: Said) -> dict[str, str]:
    """What became of each stage."""
    assert said.exit == 0, said.both
    return {stage["name"]: stage["state"] for stage in said.json["stages"]}


def keep_alone(*kept: bytes) -> None:
    """Take everything out of the store but objects that hold these bytes."""
    store = Path(os.environ["EMBSPEC_STORE"])
    for path in sorted((store / "obj").rglob("*")):
        if path.is_file() and path.read_bytes() not in kept:
            path.unlink()
    shutil.rmtree(store / "act")


def listing() -> bytes:
    """What the lock's pin of the pairs stands for."""
    found = re.search(r"    tree: sha256:(\w\w)(\w+) 1 file", LOCK.read_text().split("\npairs.gold:\n")[1])
    assert found
    return Path(os.environ["EMBSPEC_STORE"], "obj", found[1], found[2]).read_bytes()


def test_a_locked_build_goes_on_without_the_pair_file(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing runs, the lock stays, and `lock --check` agrees: a file that is not here contradicts nothing."""
    clone(repo, monkeypatch)
    before = LOCK.read_bytes()
    assert set(states(embspec("build", "--locked", "--json")).values()) == {"clean"}
    assert embspec("build", "--locked", "--no-run").exit == 0
    assert embspec("lock", "--check").exit == 0
    assert LOCK.read_bytes() == before and not GOLD.exists()


def test_the_pairs_are_read_again_from_the_store(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was made of the file is lost, its bytes are not: the stage runs on them and makes what the lock says."""
    clone(repo, monkeypatch)
    before = LOCK.read_bytes()
    keep_alone(listing(), (repo.folder / GOLD).read_bytes())
    assert states(embspec("build", "--locked", "--json"))["pairs.gold"] == "run"
    assert LOCK.read_bytes() == before and not GOLD.exists()


@pytest.mark.parametrize("listed", [True, False])
def test_a_pair_file_that_is_nowhere(listed: bool, repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """32 before anything runs: by name and digest, or by pattern and pin where even the listing is gone."""
    clone(repo, monkeypatch, "store" if listed else "empty")
    if listed:
        keep_alone(listing())
    said = embspec("build", "--locked", "--json")
    assert (said.exit, said.codes) == (32, ["nowhere.input"])
    error = said.json["errors"][0]
    assert LOST in error["text"] and "EMBSPEC_STORE" in error["fix"]
    assert re.search(r"gold\.jsonl \(sha256:\w{64}( 1 file)?\)", error["text"])
    assert ("1 file" in error["text"]) != listed
    assert error["file"] == str(SPEC) and not Path("out/harbour").exists()


def test_a_pair_file_that_git_had_once(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Committed by mistake and taken out again: a fresh clone with an empty store builds from that commit."""
    repo.git("add", "--force", str(GOLD))
    repo.commit("the pairs, by mistake")
    repo.git("rm", "--quiet", "--cached", str(GOLD))
    repo.commit("without the pairs")
    clone(repo, monkeypatch, "empty")
    assert not GOLD.exists()
    before = LOCK.read_bytes()
    assert states(embspec("build", "--locked", "--json"))["pairs.gold"] == "run"
    assert LOCK.read_bytes() == before
    assert tree(Path("out/harbour")) == tree(repo.folder / "out/harbour")


def test_a_pair_file_of_other_bytes_is_no_missing_one(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is here is the input, whatever the store has: 11 names it."""
    clone(repo, monkeypatch)
    GOLD.write_bytes((repo.folder / GOLD).read_bytes().rpartition(b"\n{")[0] + b"\n")
    said = embspec("build", "--locked", "--json")
    assert said.exit == 11
    assert any("gold.jsonl" in error["text"] for error in said.json["errors"])


def test_one_file_fewer_among_others_is_a_change(repo: Repository) -> None:
    """A document that was deleted is a corpus without it: 11, and nothing is brought back."""
    Path("specs/docs/ice.md").unlink()
    said = embspec("build", "--locked", "--json")
    assert said.exit == 11
    assert any("docs/ice.md" in error["text"] for error in said.json["errors"])


def test_documents_that_are_gone_altogether(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """No document is left in the work tree, git has them: a locked build in an empty store comes to the same."""
    repo.git("rm", "--quiet", "-r", "specs/docs")
    repo.commit("the documents live elsewhere now")
    clone(repo, monkeypatch, "empty")
    shutil.copy(repo.folder / GOLD, GOLD)
    before = LOCK.read_bytes()
    assert states(embspec("build", "--locked", "--json"))["corpus"] == "run"
    assert LOCK.read_bytes() == before


@pytest.mark.parametrize("by", ["store", "git"])
def test_without_locked_a_missing_file_is_said_with_what_brings_it_back(
    by: str, repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """3, and the last line is a command that works: after it the build finds what the lock pins."""
    if by == "git":
        repo.git("add", "--force", str(GOLD))
        repo.commit("the pairs, by mistake")
        repo.git("rm", "--quiet", "--cached", str(GOLD))
        repo.commit("without the pairs")
    clone(repo, monkeypatch, "store" if by == "store" else "empty")
    said = embspec("build", "--json")
    assert (said.exit, said.codes) == (3, ["input.missing"])
    back = said.json["errors"][0]["fix"].splitlines()[-1].strip()
    assert back.startswith("install -m 644 " if by == "store" else "git cat-file blob ")
    subprocess.run(back, shell=True, check=True)
    assert GOLD.read_bytes() == (repo.folder / GOLD).read_bytes()
    assert embspec("build", "-q").exit == 0
    assert embspec("lock", "--check").exit == 0


def test_a_missing_file_that_nobody_has_is_an_input_error(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """3 without a promise: no command would bring it back."""
    clone(repo, monkeypatch, "empty")
    said = embspec("build", "--json")
    assert (said.exit, said.codes) == (3, ["input.missing"])
    assert "come back" not in said.json["errors"][0]["fix"]


def test_a_file_that_no_lock_pins_is_missing(harbour: Path) -> None:
    """Before the first build there is nothing to bring back, with --locked neither."""
    GOLD.unlink()
    assert embspec("build", "--json").codes == ["input.missing"]
    assert embspec("build", "--locked").exit == 11


@pytest.mark.parametrize("kind", ["static", "transformer"])
def test_a_model_is_built_again_from_git_alone(kind: str, tmp_path: Path) -> None:
    """Documents were edited, moved and deleted since the snapshot, by commits with and without a build: same lock."""
    project = tmp_path / "project"
    ship(project, kind)
    edit(project / "specs/ship.yaml", "docs/*.md", "docs/**/*.md")
    shutil.rmtree(project / ".git")
    programs.git(project, "init", "-q")
    programs.built(project)
    programs.commit(project, "built")
    docs = project / "specs/docs"
    (docs / "later").mkdir()
    (docs / "crane.md").write_text((docs / "crane.md").read_text() + "\nThe hook is greased in spring.\n")
    sorted(docs.glob("*.md"))[-1].rename(docs / "later/last.md")
    assert programs.ran(programs.built(project)) == ["corpus", "index"]
    programs.commit(project, "moved on")
    fresh = programs.clone(project)
    assert "train" in programs.ran(programs.built(fresh, "--locked"))
    assert (fresh / SHIP_LOCK).read_bytes() == (project / SHIP_LOCK).read_bytes()
    assert tree(fresh / OUT) == tree(project / OUT)
    (docs / "ice.md").unlink()
    programs.commit(project, "a document fewer, not built")
    later = programs.clone(project, "later")
    assert programs.run(later, "build", "--locked").returncode == 11
    assert "train" in programs.ran(programs.built(later))
    train = [(each / SHIP_LOCK).read_text().split("\ntrain:\n")[1].split("\n\n")[0] for each in (later, project)]
    assert train[0] == train[1]
