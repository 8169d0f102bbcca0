"""What the locks of all projects keep: read from their text, wherever they lie."""
from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from embspec.errors import EmbspecError
from embspec.run.reach import keep, reach, root
from embspec.store import roots
from embspec.store.places import Places
from tests.support.repository import Repository

ONE, TWO, TREE, LIST = ("1" * 64, "2" * 64, "3" * 64, "4" * 64)
KEY = "a" * 32
LOCK = f"""# embspec.lock: written by embspec
lock: 1

train:
  params:
    note: sha256 of nothing
  pin:
    tree: sha256:{LIST} 2 files
    test: sha256:{ONE} 12
  key: {KEY}
  out:
    model: tree sha256:{TREE} 99
  env: env-1

env-1:
  packages: sha256:{TWO}
"""


def test_what_a_lock_names() -> None:
    """Artefacts, pins and package lists; of them those that list files; and the keys."""
    found = root("main", LOCK)
    assert found == ("main", {ONE, TWO, TREE, LIST}, {TREE, LIST}, {KEY})


@pytest.mark.parametrize("text", [
    LOCK.replace("lock: 1", "lock: 9"), "<<<<<<< ours\n" + LOCK + "=======\n" + LOCK + ">>>>>>> theirs\n",
    LOCK.replace("  params:", "\tparams"), LOCK.replace("\n", "\r\n").replace(f"{KEY}\r", KEY),
])
def test_a_lock_that_no_build_would_read_keeps_as_much(text: str) -> None:
    """Of a newer embspec, in the middle of a merge, spoilt by an editor."""
    assert root("main", text) == root("main", LOCK)


@pytest.fixture
def store(tmp_path: Path) -> str:
    """An empty store."""
    (tmp_path / "store").mkdir()
    return str(tmp_path / "store")


def project(store: str, folder: Path, text: str = LOCK) -> Repository:
    """A project that built with the store, in a repository of its own."""
    made = Repository(folder)
    (folder / "specs").mkdir()
    (folder / "specs" / "x.lock").write_text(text)
    made.commit("one")
    roots.register(store, Places(str(folder / "specs" / "x.yaml"), str(folder), "x"))
    return made


def test_names_say_whose_branch(store: str, tmp_path: Path) -> None:
    """One project's branches by their names, those of several with the folder; each repository is read once."""
    first = project(store, tmp_path / "a")
    (tmp_path / "a" / "specs" / "poetry.lock").write_text(f"sha256:{'9' * 64}")
    first.git("branch", "old")
    assert [r.by for r in reach(store, str(tmp_path)).roots] == [
        f"work tree {tmp_path}/a", "branch main", "branch old"]
    assert all(r.digests == {ONE, TWO, TREE, LIST} for r in reach(store, str(tmp_path)).roots)
    project(store, tmp_path / "b")
    roots.register(store, Places(f"{tmp_path}/a/specs/y.yaml", f"{tmp_path}/a", "y"))
    assert sorted(r.by for r in reach(store, str(tmp_path)).roots) == sorted([
        f"work tree {tmp_path}/a", f"{tmp_path}/a: branch main", f"{tmp_path}/a: branch old",
        f"work tree {tmp_path}/b", f"{tmp_path}/b: branch main"])


def test_a_project_without_git_is_its_lock(store: str, tmp_path: Path) -> None:
    """And one whose folder is gone is named, and keeps nothing."""
    project(store, tmp_path / "a")
    shutil.rmtree(tmp_path / "a" / ".git")
    assert [r.by for r in reach(store, str(tmp_path)).roots] == [f"work tree {tmp_path}/a"]
    (tmp_path / "a" / "specs" / "x.lock").unlink()
    assert reach(store, str(tmp_path)) == ([], [])
    shutil.rmtree(tmp_path / "a")
    found = reach(store, str(tmp_path))
    assert (found.roots, [k.root for k in found.gone]) == ([], [str(tmp_path / "a")])


def test_a_lock_that_cannot_be_read(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may keep anything, so nothing is removed: 32."""
    project(store, tmp_path / "a")

    def refuse(path: str, *args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("embspec.run.reach.open", refuse, raising=False)
    with pytest.raises(EmbspecError) as caught:
        reach(store, str(tmp_path))
    assert caught.value.exit == 32 and "x.lock" in str(caught.value)


def test_keeping_a_lock(store: str, tmp_path: Path) -> None:
    """As it lies here, or as it was; one that is not there is no lock to keep."""
    made = project(store, tmp_path / "a")
    at = Places(str(tmp_path / "a" / "specs" / "x.yaml"), str(tmp_path / "a"), "x")
    then = made.git("rev-parse", "HEAD")
    Path(at.lock).write_text(LOCK.replace(ONE, "7" * 64))
    keep(store, at, "now", "")
    keep(store, at, "then", then)
    by = {r.by: r.digests for r in reach(store, str(tmp_path)).roots}
    assert by["kept then"] == {ONE, TWO, TREE, LIST} and by["kept now"] == {"7" * 64, TWO, TREE, LIST}
    os.unlink(at.lock)
    with pytest.raises(EmbspecError) as caught:
        keep(store, at, "none", "")
    assert caught.value.exit == 2
