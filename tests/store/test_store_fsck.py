"""Fsck: everything is read, what is bad is found and set aside, what is good is untouched."""
from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from embspec.plan.keys import key
from embspec.plan.values import digest_of
from embspec.store import records
from embspec.store.bank import Bank
from embspec.store.fsck import OBJECT, RECORD, VECTORS, look, missed
from embspec.store.objects import Objects
from tests.support.tenants import line


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store with three objects, a record of each, and one segment of known vectors."""
    objects = Objects(str(tmp_path / "store"))
    for data in (b"one", b"two", b"three"):
        record = line(digest_of(objects.put(data)))
        records.save(objects.store, key(record.ingredients), record)
    bank = Bank(objects.store)
    bank.rows({"model": "a"}).add([b"n" * 16], [b"row"])
    bank.close()
    return objects.store


def held(store: str) -> dict[str, str]:
    """Every file but those set aside, by the hash of its bytes."""
    return {str(p.relative_to(store)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(Path(store).rglob("*")) if p.is_file() and "quarantine" not in p.parts}


def flip(path: Path, at: int = -1) -> None:
    """One bit is another."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)


def test_a_good_store_is_as_it_was(store: str) -> None:
    """All is read, nothing is bad, and nothing counts as used because it was read."""
    for path in Path(store).rglob("*"):
        os.utime(path, ns=(0, 0))
    before, seen = held(store), list[tuple[int, int]]()
    found = look(store, lambda done, total: seen.append((done, total)))
    assert found.counts == {OBJECT: 3, RECORD: 3, VECTORS: 1} and found.bad == []
    assert found.bytes == sum(os.stat(os.path.join(store, name)).st_size for name in before if name.startswith(
        ("obj", "act", "vec")))
    assert held(store) == before and {os.stat(os.path.join(store, name)).st_mtime_ns for name in before} == {0}
    assert seen == [(0, 7), (7, 7)]


@pytest.mark.parametrize(("folder", "kind"), [("obj", OBJECT), ("act", RECORD), ("vec", VECTORS)])
def test_one_bit(store: str, folder: str, kind: str) -> None:
    """Wherever it is flipped, that file alone is named and set aside."""
    path = sorted(p for p in Path(store, folder).rglob("*") if p.is_file())[0]
    size = path.stat().st_size
    before = held(store)
    flip(path, size // 2)
    (bad,) = look(store).bad
    assert (bad.kind, bad.path, bad.stays) == (kind, str(path), False)
    assert held(store) == {name: digest for name, digest in before.items() if name != str(path.relative_to(store))}
    assert len(list(Path(store, "quarantine").iterdir())) == 1
    assert look(store).bad == []
    assert missed(store) == ([bad.name] if kind == OBJECT else [])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"ingredients": 1, "recipe": "1", "uses": {}, "pin": {}, "out": {}, '
                                  '"stat": {}, "env": {}}'])
def test_a_record_that_is_none(store: str, text: str) -> None:
    """Whatever stands in the file, it is no failure of fsck."""
    path = sorted(p for p in Path(store, "act").rglob("*.json"))[0]
    path.write_text(text)
    assert [b.path for b in look(store).bad] == [str(path)]


def test_a_record_under_another_key(store: str) -> None:
    """A whole and readable record in the wrong place would be believed, so it is bad."""
    one, two = sorted(p for p in Path(store, "act").rglob("*.json"))[:2]
    two.write_bytes(one.read_bytes())
    assert [b.path for b in look(store).bad] == [str(two)]


def test_an_object_that_came_back_is_not_missed(store: str) -> None:
    """Stored once more, it is as good as any."""
    objects = Objects(store)
    digest = digest_of(objects.put(b"one"))
    flip(Path(objects.path(digest)))
    look(store)
    assert missed(store) == [digest.rpartition(":")[2]]
    Objects(store).put(b"one")
    assert missed(store) == []


def test_an_empty_store(tmp_path: Path) -> None:
    """Nothing is there and nothing is wrong."""
    assert look(str(tmp_path)).bad == [] and missed(str(tmp_path)) == []
