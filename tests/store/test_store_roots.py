"""Roots: which projects used a store, and what is kept by name."""
from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from embspec.errors import EmbspecError
from embspec.store import roots
from embspec.store.leases import live
from embspec.store.places import Places


@pytest.fixture
def at(tmp_path: Path) -> Places:
    """A project's places."""
    (tmp_path / "p" / "specs").mkdir(parents=True)
    return Places(str(tmp_path / "p" / "specs" / "x.yaml"), str(tmp_path / "p"), "x")


def test_a_build_names_its_project(tmp_path: Path, at: Places) -> None:
    """Under its lease, once; a second spec of the project is an entry of its own."""
    store = str(tmp_path / "store")
    for each in (at, at, at._replace(name="y")):
        with roots.at_work(store, each):
            assert len(live(store)) == 1
    assert sorted(k.lock for k in roots.projects(store)) == [at.lock, at._replace(name="y").lock]
    assert {k.root for k in roots.projects(store)} == {at.root} and live(store) == {}


def test_an_entry_is_as_young_as_the_last_build(tmp_path: Path, at: Places) -> None:
    """Its time stamp says when the project was last at work."""
    store = str(tmp_path / "store")
    roots.register(store, at)
    (known,) = roots.projects(store)
    os.utime(known.file, ns=(0, 0))
    roots.register(store, at)
    assert os.stat(known.file).st_mtime_ns > 0


def test_a_folder_in_the_scratch_of_the_store_is_no_project(tmp_path: Path, at: Places) -> None:
    """It is gone when its command ends, and nobody wants to hear of it ever after."""
    store = str(tmp_path / "store")
    roots.register(store, at._replace(root=f"{store}/tmp/1-a/home/p"))
    assert list(roots.projects(store)) == []


def test_a_project_whose_folder_is_gone(tmp_path: Path, at: Places) -> None:
    """Known by its folder alone: a lock that is not there yet is no reason."""
    store = str(tmp_path / "store")
    roots.register(store, at)
    (known,) = roots.projects(store)
    assert not known.gone
    shutil.rmtree(at.root)
    assert known.gone


def test_a_project_that_may_not_be_looked_at(tmp_path: Path, at: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not taken for one that is gone: 32, and how to go on without it."""
    store = str(tmp_path / "store")
    roots.register(store, at)
    (known,) = roots.projects(store)

    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(roots.os, "stat", refuse)
    with pytest.raises(EmbspecError) as caught:
        known.gone  # noqa: B018
    assert caught.value.exit == 32 and "--drop" in caught.value.problems[0].fix


def test_an_entry_that_says_nothing(tmp_path: Path, at: Places) -> None:
    """Nobody knows what it kept: 50, with the file to delete."""
    store = str(tmp_path / "store")
    roots.register(store, at)
    (known,) = roots.projects(store)
    for text in ("", "[]", json.dumps({"root": "x"})):
        Path(known.file).write_text(text)
        with pytest.raises(EmbspecError) as caught:
            list(roots.projects(store))
        assert caught.value.exit == 50 and known.file in str(caught.value)


def test_kept_by_name(tmp_path: Path, at: Places) -> None:
    """A name stands for the lock as it was given last, until it is dropped; a project is dropped by its folder."""
    store = str(tmp_path / "store")
    roots.keep(store, "v1", "one")
    roots.keep(store, "v1", "two")
    roots.keep(store, "1.0", "three")
    roots.register(store, at)
    assert roots.kept(store) == {"1.0": "three", "v1": "two"}
    roots.drop(store, "v1")
    roots.drop(store, at.root)
    assert roots.kept(store) == {"1.0": "three"} and list(roots.projects(store)) == []
    with pytest.raises(EmbspecError) as caught:
        roots.drop(store, "v1")
    assert caught.value.exit == 2 and "1.0" in caught.value.problems[0].fix


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "two words", "-v"])
def test_a_name_is_a_name(tmp_path: Path, name: str) -> None:
    """It is part of a path, and an argument of a command."""
    with pytest.raises(EmbspecError) as caught:
        roots.keep(str(tmp_path), name, "")
    assert caught.value.exit == 2 and list(tmp_path.iterdir()) == []


def test_a_kept_lock_with_a_flipped_byte(tmp_path: Path) -> None:
    """What else it names stays kept."""
    store = str(tmp_path / "store")
    roots.keep(store, "v1", "one two")
    (path,) = (tmp_path / "store" / "roots").iterdir()
    path.write_bytes(b"one \xff two")
    assert roots.kept(store)["v1"].split()[::2] == ["one", "two"]
