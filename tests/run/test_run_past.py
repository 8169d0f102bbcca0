"""A snapshot that no store has: read from git, and only where every byte is the pinned one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from embspec import Project
from embspec.errors import NOWHERE, EmbspecError
from embspec.plan.values import Wish
from embspec.run.build import Order
from tests.support.mini import document, project
from tests.support.repository import Repository


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A project in git, built; documents, lock and all else are committed."""
    project(tmp_path / "mini")
    (tmp_path / "mini" / ".git").rmdir()
    repo = Repository(tmp_path / "mini")
    monkeypatch.chdir(repo.folder)
    (repo.folder / ".gitignore").write_text("out/\n.embspec/\n")
    Project().build()
    repo.commit("built")
    return repo


def edit(repo: Repository, number: int, more: str) -> None:
    """Another text of one document."""
    path = repo.folder / "specs" / "docs" / f"p{number:02}.md"
    path.write_text(document(number) + more, encoding="utf-8")


def wipe(repo: Repository) -> None:
    """A store with nothing in it, and no state: what a fresh clone has."""
    shutil.rmtree(repo.folder.parent / "store")
    shutil.rmtree(repo.folder / ".embspec")


def again() -> list[str]:
    """Build; what was said about git."""
    said: list[str] = []
    Project().build(tell=lambda event: said.append(f"{event.stage}: {event.text}"))
    return said


def lost() -> EmbspecError:
    """The error that a build ends in, git included."""
    with pytest.raises(EmbspecError) as caught:
        again()
    assert caught.value.exit == NOWHERE
    return caught.value


def test_a_snapshot_is_read_from_the_commit_that_pinned_it(repo: Repository) -> None:
    """Documents moved on, the store is gone: the build comes to the same lock as if nothing had been lost."""
    pinned = Project().lock.lock.blocks["snapshot"].pin
    edit(repo, 3, "more\n")
    Project().build()
    repo.commit("edited")
    lock = (repo.folder / "specs" / "mini.lock").read_bytes()
    wipe(repo)
    said = again()
    assert Project().lock.lock.blocks["snapshot"].pin == pinned
    assert (repo.folder / "specs" / "mini.lock").read_bytes() == lock
    assert [text.split(",")[0] for text in said if "looking" in text] == ["snapshot: not in the store"]
    assert any("read from revision" in text for text in said)
    assert not Project().plan().todo


def test_documents_that_were_committed_before_or_after_the_lock(repo: Repository) -> None:
    """No commit that touched the lock has them as they were pinned, another does."""
    edit(repo, 4, "late\n")
    repo.commit("documents alone")
    Project().build(Order(Wish(retrain=True)))
    edit(repo, 4, "later still\n")
    repo.commit("the lock, with documents that moved on")
    wipe(repo)
    assert any("read from revision" in text for text in again())


def test_a_history_that_has_no_such_documents(repo: Repository) -> None:
    """They were never committed: the error says how many revisions were looked at, and what to do."""
    edit(repo, 5, "never committed\n")
    Project().build(Order(Wish(retrain=True)))
    edit(repo, 5, "other\n")
    repo.commit("other")
    wipe(repo)
    error = lost()
    assert {p.code for p in error.problems} == {"nowhere.artefact"}
    assert "no revision of git does (2 looked at, 2 of them with other documents)" in str(error)
    assert "--retrain" in str(error)


def test_documents_of_an_older_recipe(repo: Repository) -> None:
    """Where today's recipe makes other bytes of the same documents, it is said that they were made by another."""
    edit(repo, 5, "never committed\n")
    Project().build(Order(Wish(retrain=True)))
    lock = repo.folder / "specs" / "mini.lock"
    now = lock.read_text(encoding="utf-8")
    recipe = Project().lock.lock.blocks["corpus"].recipe
    lock.write_text(now.replace(f"corpus:\n  recipe: {recipe}\n", "corpus:\n  recipe: 0\n"), encoding="utf-8")
    edit(repo, 5, "other\n")
    repo.commit("other")
    lock.write_text(now, encoding="utf-8")
    wipe(repo)
    assert f"; corpus was built by recipe 0 then, this embspec has {recipe}" in str(lost())


def test_an_amended_history(repo: Repository) -> None:
    """What no branch leads to any more is not history."""
    edit(repo, 6, "amended\n")
    repo.git("add", "--all")
    repo.git("commit", "--quiet", "--amend", "--message", "other")
    wipe(repo)
    assert "no revision of git does (1 looked at" in str(lost())


def test_without_git(repo: Repository) -> None:
    """A folder without history says so, and nothing else happens."""
    edit(repo, 7, "more\n")
    wipe(repo)
    shutil.rmtree(repo.folder / ".git")
    (repo.folder / ".git").mkdir()
    assert "no git history" in str(lost())


def test_a_revision_that_cannot_be_read_is_passed_over(repo: Repository) -> None:
    """A broken document in between is no reason to stop."""
    edit(repo, 8, "good\n")
    path = repo.folder / "specs" / "docs" / "p09.md"
    text = path.read_bytes()
    path.write_bytes(b"\xff\xfe")
    repo.commit("broken")
    path.write_bytes(text)
    repo.commit("whole")
    wipe(repo)
    assert any("read from revision" in text for text in again())
