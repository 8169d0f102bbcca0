"""Builders as a store sees them: they take, make and name objects, and ask for what their lock names."""
from __future__ import annotations

import hashlib
import os
import random
import sys
from functools import partial
from pathlib import Path

from embspec.plan.keys import key
from embspec.plan.values import Record, digest_of
from embspec.run.reach import root
from embspec.store import records
from embspec.store.files import replace
from embspec.store.gc import Collected, Wanted, collect
from embspec.store.leases import lease
from embspec.store.mark import Reach
from embspec.store.objects import Objects

CONTENTS = [f"content {number}\n".encode() * (1 + number % 50) for number in range(24)]


def sha(data: bytes) -> str:
    """A digest as the store writes it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def line(text: str) -> Record:
    """A result that names one object."""
    return Record({"stage": "s", "needs a": text}, "1", {}, {}, {"a": text}, {}, {})


def text_of(digests: list[str], keys: list[str]) -> str:
    """A lock that names these."""
    outs = "".join(f"    a{n}: {digest} 1\n" for n, digest in enumerate(digests))
    blocks = "".join(f"\ns{n}:\n  key: {key}\n" for n, key in enumerate(keys))
    return f"# embspec.lock\nlock: 1\n\ns:\n  out:\n{outs}{blocks}"


def reached(locks: Path) -> Reach:
    """What every lock in a folder names."""
    return Reach([root(p.name, p.read_text()) for p in sorted(locks.glob("*.lock"))], [])


def sweep(store: str, locks: Path) -> Collected:
    """A gc that keeps nothing for its age and deletes at once."""
    return collect(store, partial(reached, locks), Wanted(days=0, now=True))


def build(store: str, lock: Path, chance: random.Random) -> int:
    """One build: whatever it found or made is there until it ends, and what its lock names is there ever after."""
    objects, needed, keys, reused = Objects(store), dict[str, bytes](), list[str](), 0
    with lease(store), objects.scratch() as folder:
        for number, data in enumerate(chance.sample(CONTENTS, 6)):
            digest, record = sha(data), line(sha(data))
            if objects.has(digest):
                reused += 1
            else:
                assert digest_of(objects.put(data)) == digest
            if not records.load(store, key(record.ingredients)):
                records.save(store, key(record.ingredients), record)
            needed[digest] = data
            keys.append(key(record.ingredients))
            path = objects.lend(digest, os.path.join(folder, "needs", str(number)))
            for each, wanted in needed.items():
                assert objects.has(each), f"{each} went away under a build"
                with objects.open(each) as file:
                    assert file.read() == wanted
            assert Path(path).read_bytes() == data
        replace(str(lock), text_of(list(needed), keys).encode())
    return reused


def check(store: str, lock: Path) -> None:
    """What a lock names is there when no build is: bytes and records."""
    if not lock.exists():
        return
    found = root("", lock.read_text())
    objects = Objects(store)
    with lease(store):
        assert [d for d in sorted(found.digests) if not objects.has(f"sha256:{d}")] == []
        assert [k for k in sorted(found.keys) if not records.load(store, k)] == []


def main(store: str, lock: str, seed: str, rounds: str) -> None:
    """A builder as a process of its own."""
    chance, reused = random.Random(int(seed)), 0
    for _ in range(int(rounds)):
        check(store, Path(lock))
        reused += build(store, Path(lock), chance)
    check(store, Path(lock))
    print(reused)


if __name__ == "__main__":
    main(*sys.argv[1:])
