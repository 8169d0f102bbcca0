"""Whether the files of then are at hand: here, kept in the store, or in git."""
from __future__ import annotations

from pathlib import Path

import pytest

from embspec.decide.hand import Hand
from embspec.decide.history import Patience
from embspec.store.live import tree_pin
from embspec.store.objects import file_digest, listing
from embspec.store.places import places
from embspec.store.world import DiskWorld
from tests.support.repository import Repository

GLOBS = ("docs/*.md",)


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """Two documents, committed."""
    found = Repository(tmp_path / "project")
    for name in ("a", "b"):
        lay(found, name, name)
    (found.folder / "specs/a.yaml").write_text("embspec: 1\n")
    return found


def lay(repo: Repository, name: str, text: str) -> None:
    """One document."""
    path = repo.folder / f"specs/docs/{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def world(repo: Repository) -> DiskWorld:
    """The project as a new command sees it."""
    return DiskWorld(places(str(repo.folder / "specs/a.yaml")), str(repo.folder.parent / "store"), reread=True)


def pin(repo: Repository) -> tuple[str, bytes]:
    """The pin of the documents as they lie there, and the listing behind it."""
    paths = sorted((repo.folder / "specs/docs").glob("*.md"))
    rows = [(f"docs/{path.name}", *file_digest(str(path))) for path in paths]
    return tree_pin(rows), listing(rows)


def test_here_and_in_git(repo: Repository) -> None:
    """As they lie there; as the commit has them; as some other commit had them; and as nobody ever had them."""
    first = repo.commit("first")
    then, _ = pin(repo)
    assert Hand(world(repo)).files(GLOBS, then, "no-commit", False)
    lay(repo, "a", "other")
    second = repo.commit("second")
    now, _ = pin(repo)
    lay(repo, "a", "third")
    assert Hand(world(repo)).files(GLOBS, then, first, False)
    assert Hand(world(repo)).files(GLOBS, now, first, False)
    assert Hand(world(repo)).files(GLOBS, then, second, False)
    assert not Hand(world(repo)).files(GLOBS, "sha256:" + "0" * 64 + " 2 files", first, True)
    assert not Hand(world(repo)).files(("docs/a.md",), then, first, False)


def test_kept_in_the_store(repo: Repository) -> None:
    """Of a stage that keeps what it reads: the listing, and each file that it names; of others that is no use."""
    objects = world(repo).objects
    then, rows = pin(repo)
    lay(repo, "a", "other")
    objects.put(rows)
    objects.put(b"a")
    assert not Hand(world(repo)).files(GLOBS, then, "HEAD", True)
    objects.put(b"b")
    assert Hand(world(repo)).files(GLOBS, then, "HEAD", True)
    assert not Hand(world(repo)).files(GLOBS, then, "HEAD", False)


def test_patience(repo: Repository) -> None:
    """No more files of git are read than was said, and no other revision is looked at."""
    first = repo.commit("first")
    then, _ = pin(repo)
    lay(repo, "a", "other")
    assert Hand(world(repo), 2).files(GLOBS, then, first, False)
    with pytest.raises(Patience):
        Hand(world(repo), 1).files(GLOBS, then, first, False)
    second = repo.commit("second")
    with pytest.raises(Patience):
        Hand(world(repo), 9).files(("docs/*.md", "more/*.md"), then, second, False)


def test_a_file_that_cannot_be_read_today(repo: Repository) -> None:
    """A link that points to nothing is not what was read then, and no error."""
    first = repo.commit("first")
    then, _ = pin(repo)
    (repo.folder / "specs/docs/c.md").symlink_to("nowhere")
    assert Hand(world(repo)).files(GLOBS, then, first, False)
