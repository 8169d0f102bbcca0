"""What is set aside: out of the way, and back only when its bytes are right."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

from embspec.errors import EmbspecError
from embspec.plan.values import digest_of
from embspec.store.aside import batches, recall, recall_all, set_aside
from embspec.store.objects import Objects


def lay(path: Path, text: str) -> Path:
    """A file with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def spoil(store: Objects, digest: str) -> Path:
    """Other bytes under a name."""
    path = Path(store.path(digest))
    path.chmod(0o644)
    path.write_bytes(b"bad")
    return path


def test_a_store_without_a_trash(tmp_path: Path) -> None:
    """Nothing is missed and nothing made."""
    assert batches(str(tmp_path)) == [] and not recall(str(tmp_path), str(tmp_path / "obj" / "aa" / "b"))
    assert os.listdir(tmp_path) == []


def test_recall_takes_from_any_batch(tmp_path: Path) -> None:
    """The file comes back by a link; what is not in any batch does not."""
    lay(tmp_path / "trash/1-a/obj/aa/b", "one")
    there = lay(tmp_path / "trash/2-b/obj/aa/c", "two")
    place = tmp_path / "obj/aa/c"
    assert recall(str(tmp_path), str(place)) and os.path.samefile(place, there)
    assert not recall(str(tmp_path), str(tmp_path / "obj/aa/d"))
    there.unlink()
    assert place.read_text() == "two"


def test_recall_all_of_a_folder(tmp_path: Path) -> None:
    """Every record of a key, from whatever batches."""
    lay(tmp_path / "trash/1-a/act/k1/k1k/x.json", "x")
    lay(tmp_path / "trash/2-b/act/k1/k1k/y.json", "y")
    recall_all(str(tmp_path), str(tmp_path / "act/k1/k1k"))
    assert sorted(p.name for p in (tmp_path / "act/k1/k1k").iterdir()) == ["x.json", "y.json"]


def test_a_corrupt_file_does_not_come_back_from_the_trash(tmp_path: Path) -> None:
    """Its link in the trash holds the same bytes: it goes too, so that the file counts as missing."""
    store = Objects(str(tmp_path / "store"))
    digest = digest_of(store.put(b"right"))
    inside = os.path.relpath(store.path(digest), store.store)
    os.makedirs(Path(store.store, "trash/1-a", inside).parent)
    os.link(store.path(digest), Path(store.store, "trash/1-a", inside))
    spoil(store, digest)
    with pytest.raises(EmbspecError):
        Objects(store.store).verified(digest)
    assert not store.has(digest)
    assert digest_of(store.put(b"right")) == digest and Objects(store.store).text(digest) == "right"


def test_two_that_meet_the_same_corrupt_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sets it aside and makes it again before the other comes to it: the right bytes stay."""
    store = Objects(str(tmp_path / "store"))
    digest = digest_of(store.put(b"right"))
    path = spoil(store, digest)

    def mended(folder: str, at: str, name: str) -> str:
        set_aside(folder, at, name)
        Objects(store.store).put(b"right")
        return set_aside(folder, at, name)

    monkeypatch.setattr("embspec.store.aside.set_aside", mended)
    with pytest.raises(EmbspecError) as caught:
        Objects(store.store).verified(digest)
    assert caught.value.exit == 50
    assert path.read_bytes() == b"right" and path.stat().st_mode & 0o777 == 0o444
    assert len(list(Path(store.store, "quarantine").iterdir())) == 1


def test_whoever_only_looks_moves_nothing(tmp_path: Path) -> None:
    """The no-op leaves what is corrupt where it is, so that the command that follows says it."""
    store = Objects(str(tmp_path / "store"))
    digest = digest_of(store.put(b"right"))
    path = spoil(store, digest)
    door = Objects(store.store)
    door.looking = True
    with pytest.raises(EmbspecError) as caught:
        door.text(digest)
    assert path.exists() and str(path) in caught.value.problems[0].fix


def test_a_stage_that_runs_again_mends_what_lies_under_its_name(tmp_path: Path) -> None:
    """The same bytes stored once more take the place of others, which are set aside."""
    store = Objects(str(tmp_path / "store"))
    digest = digest_of(store.put(b"right"))
    spoil(store, digest)
    assert digest_of(Objects(store.store).put(b"right")) == digest
    assert Objects(store.store).text(digest) == "right"
    assert [p.read_bytes() for p in Path(store.store, "quarantine").iterdir()] == [b"bad"]


def test_a_file_that_is_lent_outlives_its_object(tmp_path: Path) -> None:
    """What a stage opened by path is there as long as its folder, whatever a gc moves or deletes."""
    store = Objects(str(tmp_path / "store"))
    digest = digest_of(store.put(b"read for hours"))
    path = store.lend(digest, str(tmp_path / "store/tmp/needs/0"))
    os.unlink(store.path(digest))
    assert Path(path).read_bytes() == b"read for hours"
