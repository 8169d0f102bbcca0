"""What git says of files and revisions, from a real repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from embspec import git
from embspec.errors import EmbspecError
from tests.support.repository import Repository


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """An empty repository."""
    return Repository(tmp_path / "repo")


def test_the_root_as_seen_from_a_folder(repo: Repository, tmp_path: Path) -> None:
    """Paths stay as the user has them, through links too; outside of a repository there is none."""
    (repo.folder / "specs" / "deep").mkdir(parents=True)
    assert git.top(str(repo.folder / "specs" / "deep")) == str(repo.folder)
    os.symlink(repo.folder, tmp_path / "link")
    assert git.top(str(tmp_path / "link" / "specs")) == str(tmp_path / "link")
    assert git.top(str(tmp_path)) == ""
    assert not git.shallow(str(repo.folder))


def test_a_revision_that_is_not_there(repo: Repository, tmp_path: Path) -> None:
    """What to do depends on why: a wrong name, a history that was cut off, or no repository at all."""
    repo.commit("first")
    repo.commit("second")
    repo.git("clone", "--quiet", "--depth", "1", f"file://{repo.folder}", str(tmp_path / "cut"))
    expected = {repo.folder: ("usage.revision", "git log"), tmp_path / "cut": ("usage.revision", "--unshallow"),
                tmp_path: ("usage.no-repository", "git init")}
    for folder, (code, fix) in expected.items():
        with pytest.raises(EmbspecError) as error:
            git.commit(str(folder), "HEAD~7")
        assert error.value.problems[0].code == code and fix in error.value.problems[0].fix


def test_revisions_in_which_a_line_came_or_went(repo: Repository) -> None:
    """Newest first, of all branches, of this file alone."""
    path = repo.folder / "a.lock"
    path.write_text("one: 1\ntwo: 2\n")
    first = repo.commit("first")
    (repo.folder / "other.lock").write_text("two: 2\n")
    repo.commit("another file")
    path.write_text("one: 9\ntwo: 2\n")
    repo.commit("another line")
    path.write_text("one: 9\n")
    last = repo.commit("gone")
    repo.git("checkout", "--quiet", "-b", "side", first)
    path.write_text("one: 1\ntwo: 2\ntwo: 2\n")
    side = repo.commit("twice")
    assert git.changes(str(path), "two: 2", 9) == [side, last, first]
    assert git.changes(str(path), "two: 2", 2) == [side, last]
    assert git.changes(str(path), "three", 9) == []


def test_revisions_that_touched_files(repo: Repository) -> None:
    """By the same globs as the live tree has, from the folder of the spec."""
    folder = repo.folder / "specs"
    (folder / "docs" / "deep").mkdir(parents=True)
    made = {}
    for name in ("docs/a.md", "docs/deep/b.md", "docs/c.txt", "../d.md"):
        (folder / name).write_text(name)
        made[name] = repo.commit(name)
    def asked(*globs: str) -> list[str]:
        return git.touching(str(folder), globs, 9)
    assert asked("docs/*.md") == [made["docs/a.md"]]
    assert asked("docs/**/*.md", "docs/[bc].*") == [made[n] for n in ("docs/c.txt", "docs/deep/b.md", "docs/a.md")]
    assert asked("../*.md") == [made["../d.md"]]
    assert asked("/outside/*.md") == [] and asked("nothing") == []


def test_the_files_of_a_revision_and_their_bytes(repo: Repository, tmp_path: Path) -> None:
    """Every file with its bytes, small and large, odd names and links between them."""
    held = {"a.md": b"one\n", "docs/\u00fc b.md": b"two", "empty": b"", "big": b"x\n" * (git.IN_MEMORY // 2 + 7)}
    for name, data in held.items():
        (repo.folder / name).parent.mkdir(exist_ok=True)
        (repo.folder / name).write_bytes(data)
    os.symlink("../a.md", repo.folder / "docs" / "link.md")
    os.symlink("link.md", repo.folder / "docs" / "twice.md")
    os.symlink("/etc/hostname", repo.folder / "out.md")
    os.symlink("ring.md", repo.folder / "ring.md")
    revision = repo.commit("all")
    (repo.folder / "a.md").write_bytes(b"changed")
    files = git.tree(revision, str(repo.folder))
    assert sorted(files) == sorted(str(repo.folder / n) for n in [*held, "docs/link.md", "docs/twice.md", "out.md",
                                                                 "ring.md"])
    with git.Blobs(str(repo.folder), str(tmp_path)) as blobs:
        found = git.linked(files, sorted(files), blobs)
        for name, data in {**held, "docs/link.md": b"one\n", "docs/twice.md": b"one\n"}.items():
            with blobs.open(found[str(repo.folder / name)]) as file:
                assert file.read() == data
    assert {str(repo.folder / n) for n in ("out.md", "ring.md")} == files.keys() - found.keys()
    assert git.tree("nowhere", str(repo.folder)) == {}


def test_an_export_holds_the_files_as_they_were(repo: Repository, tmp_path: Path) -> None:
    """Those with an ending that is asked for, below one folder, from that revision."""
    for name in ("specs/a.yaml", "specs/base/b.yml", "specs/c.md", "d.yaml"):
        (repo.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (repo.folder / name).write_text("then")
    os.symlink("a.yaml", repo.folder / "specs" / "e.yaml")
    repo.commit("then")
    (repo.folder / "specs" / "a.yaml").write_text("now")
    repo.commit("now")
    git.export("HEAD~1", str(repo.folder / "specs"), (".yaml", ".yml"), str(tmp_path / "out"))
    found = {str(p.relative_to(tmp_path / "out")): p.read_text() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert found == {"a.yaml": "then", "base/b.yml": "then", "e.yaml": "then"}
    for folder, revision, code in ((repo.folder, "nowhere", "revision"), (tmp_path, "HEAD", "no-repository")):
        with pytest.raises(EmbspecError) as caught:
            git.export(revision, str(folder), (".yaml",), str(tmp_path / "none"))
        assert caught.value.problems[0].code == f"usage.{code}"


def test_the_history_of_a_path(repo: Repository) -> None:
    """Newest first, with day and subject as they were given; of HEAD, of what is named, or of all branches."""
    lock = repo.folder / "specs" / "[a] b.lock"
    lock.parent.mkdir()
    for text in ("one", "two"):
        lock.write_text(text)
        repo.commit(f"{text}: «it» is\n\nmore of it")
    (repo.folder / "other").write_text("x")
    repo.commit("another file")
    repo.git("checkout", "--quiet", "-b", "side", "HEAD~2")
    lock.write_text("three")
    repo.commit("aside")
    repo.git("checkout", "--quiet", "main")

    def subjects(*how: str) -> list[str]:
        return [found.subject for found in git.history(str(lock.parent), [git.literal(str(lock))], *how)]

    assert subjects() == ["two: «it» is", "one: «it» is"]
    assert subjects("--all") == ["aside", "two: «it» is", "one: «it» is"]
    assert subjects("side", "--max-count=1") == ["aside"] and subjects("nowhere") == []
    newest = git.history(str(lock.parent), [git.literal(str(lock))])[0]
    assert newest.day == "2023-11-14" and newest.commit == git.commit(str(repo.folder), "HEAD~1")
    assert git.history(str(repo.folder), ["specs/a.lock"]) == []
    with pytest.raises(EmbspecError):
        git.commit(str(repo.folder), "nowhere")


def test_a_file_of_a_revision_by_its_name(repo: Repository, tmp_path: Path) -> None:
    """Blanks and brackets are letters like others; what is not there is None, and the next question is answered."""
    path = repo.folder / "specs" / "[a] b missing"
    path.parent.mkdir()
    path.write_text("held")
    first = repo.commit("first")
    with git.Blobs(str(path.parent), str(tmp_path)) as blobs:
        for name, expected in (("c", None), (path.name, b"held"), ("a missing", None), (path.name, b"held")):
            file = blobs.find(f"{first}:./{name}")
            assert (file.read() if file else None) == expected
        assert blobs.find(f"{'0' * 40}:./{path.name}") is None
