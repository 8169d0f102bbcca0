"""Every lock that somebody may come back to, read by one process of git."""
from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from embspec import git
from embspec.errors import EmbspecError
from tests.support.repository import Repository


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """An empty repository."""
    return Repository(tmp_path / "repo")


def write(repo: Repository, text: str, path: str = "specs/a.lock") -> None:
    """A file of the work tree."""
    (repo.folder / path).parent.mkdir(parents=True, exist_ok=True)
    (repo.folder / path).write_text(text)


def held(repo: Repository, tmp_path: Path) -> dict[str, set[str]]:
    """Who holds which text."""
    found: dict[str, set[str]] = {}
    for each in git.everywhere(str(repo.folder), ".lock", str(tmp_path)):
        found.setdefault(each.by.replace(str(tmp_path), "…"), set()).add(each.data.decode())
    return found


def test_an_empty_repository(repo: Repository, tmp_path: Path) -> None:
    """Nothing is held, and that is no failure."""
    assert held(repo, tmp_path) == {}


def test_branches_remotes_tags_stashes_and_work_trees(repo: Repository, tmp_path: Path) -> None:
    """Each by its name: light and annotated tags, every stash with its index and new files, heads without a branch."""
    write(repo, "one")
    write(repo, "not a lock", "specs/a.yaml")
    repo.commit("one")
    repo.git("tag", "light")
    repo.git("tag", "-a", "v1", "-m", "annotated")
    repo.git("branch", "old")
    write(repo, "two")
    second = repo.commit("two")
    repo.git("update-ref", "refs/remotes/origin/main", second)
    write(repo, "staged")
    repo.git("add", ".")
    write(repo, "stashed")
    write(repo, "new in the stash", "specs/b.lock")
    repo.git("stash", "push", "--include-untracked")
    write(repo, "second stash")
    repo.git("stash", "push")
    repo.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "side"), "old")
    (tmp_path / "side/specs/a.lock").write_text("detached")
    write(repo, "live")
    write(repo, "new", "deep/down/c.lock")
    assert held(repo, tmp_path) == {
        "branch main": {"two"}, "branch old": {"one"}, "tag light": {"one"}, "tag v1": {"one"},
        "remote branch origin/main": {"two"}, "stash@{0}": {"second stash", "two"},
        "stash@{1}": {"stashed", "staged", "new in the stash"},
        "work tree …/repo": {"two", "live", "new"}, "work tree …/side": {"one", "detached"},
    }


def test_both_sides_of_a_merge(repo: Repository, tmp_path: Path) -> None:
    """While a conflict is open, what each side had is held by the index."""
    write(repo, "base")
    repo.commit("base")
    repo.git("checkout", "--quiet", "-b", "side")
    write(repo, "theirs")
    repo.commit("theirs")
    repo.git("checkout", "--quiet", "main")
    write(repo, "ours")
    repo.commit("ours")
    with pytest.raises(AssertionError):
        repo.git("merge", "side")
    assert {"base", "ours", "theirs"} <= held(repo, tmp_path)["work tree …/repo"]


def test_a_folder_that_many_revisions_share_is_read_once(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process reads them all; what grows with the branches is one tree and the changed folders each."""
    for number in range(5):
        write(repo, "same", f"deep/{number}/a.lock")
    for number in range(12):
        write(repo, str(number))
        repo.commit(str(number))
        repo.git("branch", f"b{number}")
    asked, started = list[str](), list[Any]()
    find, popen = git.Blobs.find, subprocess.Popen

    def counted(self: git.Blobs, name: str) -> Any:
        asked.append(name)
        return find(self, name)

    def popened(args: Any, *more: Any, **rest: Any) -> Any:
        started.append(args)
        return popen(args, *more, **rest)

    monkeypatch.setattr(git.Blobs, "find", counted)
    monkeypatch.setattr(subprocess, "Popen", popened)
    assert len(held(repo, tmp_path)) == 14
    assert len([name for name in asked if name.endswith("^{tree}")]) == 12
    assert sum("cat-file" in args for args in started) == 1 and len(started) < 10
    trees = 12 * 2 + 2  # a root and specs/ for each; deep/ and what is alike in it once
    assert len(asked) == trees + 14 * 2 + 2  # and two locks for each name, and what is staged


def test_what_git_cannot_read_is_not_taken_for_nothing(repo: Repository, tmp_path: Path) -> None:
    """A lost tree, and a repository of somebody else: 32, so that nothing is removed on its account."""
    write(repo, "one")
    repo.commit("one")
    tree = repo.git("rev-parse", "HEAD:specs")
    lost = repo.folder / ".git/objects" / tree[:2] / tree[2:]
    lost.unlink()
    with pytest.raises(EmbspecError) as caught:
        held(repo, tmp_path)
    assert caught.value.exit == 32 and tree in str(caught.value)


def test_one_repository_for_all_its_work_trees(repo: Repository, tmp_path: Path) -> None:
    """They share one place, by which it is known; outside of any there is none."""
    write(repo, "one")
    repo.commit("one")
    repo.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "side"))
    assert git.common(str(repo.folder / "specs")) == git.common(str(tmp_path / "side")) != ""
    assert git.common(str(tmp_path)) == ""


def test_a_hook_of_another_repository(repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What git tells a hook of its own repository does not lead to that one."""
    write(repo, "one")
    repo.commit("one")
    other = Repository(tmp_path / "other")
    (other.folder / "b.lock").write_text("other")
    other.commit("other")
    inside = git.common(str(repo.folder))
    monkeypatch.setenv("GIT_DIR", str(other.folder / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.folder / ".git" / "index"))
    assert git.common(str(repo.folder)) == inside
    assert held(repo, tmp_path) == {"branch main": {"one"}, "work tree …/repo": {"one"}}


def test_what_is_there_stays_when_git_is_prepared(repo: Repository) -> None:
    """A line is added once, below bytes of any encoding, and no byte of what stood there changes."""
    path = repo.folder / ".gitignore"
    path.write_bytes(b"caf\xe9/\n*.log")
    for done in (["/out/ in .gitignore"], []):
        assert git.prepare(str(repo.folder), {".gitignore": ["*.log", "/out/"]}, {}) == done
        assert path.read_bytes() == b"caf\xe9/\n*.log\n/out/\n"
