"""Reads a whole store again: which objects, action records and known vectors are not what their names say."""
from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from embspec.plan.canonical import short_hash
from embspec.plan.keys import key
from embspec.store import records
from embspec.store.aside import QUARANTINE, set_aside
from embspec.store.bank import damaged
from embspec.store.mark import key_folders, subfolders
from embspec.store.objects import file_digest

OBJECT, RECORD, VECTORS = "object", "record", "segment"
EVERY = 1000  # files, after which it is said how far this has come


class Bad(NamedTuple):
    """One thing whose bytes are not what its name says; `stays` where the disk would not let it be moved."""

    kind: str
    name: str  # of an object its sha256, else its place in the store
    path: str
    stays: bool = False


class Looked(NamedTuple):
    """How much was read, and what of it is bad."""

    counts: dict[str, int]
    bytes: int
    bad: list[Bad]


def look(store: str, tell: Callable[[int, int], None] = lambda done, total: None) -> Looked:
    """Read everything, and set aside what is bad; builds and a gc may go on beside it."""
    every = [*_objects(store), *_records(store), *_vectors(store)]
    counts = dict.fromkeys((OBJECT, RECORD, VECTORS), 0)
    size, bad = 0, list[Bad]()
    for done, each in enumerate(every):
        if done % EVERY == 0:
            tell(done, len(every))
        try:
            size += os.stat(each.path).st_size
            good = _good(each)
        except (FileNotFoundError, NotADirectoryError):
            continue  # moved away meanwhile
        counts[each.kind] += 1
        if not good:
            bad += _aside(store, each)
    tell(len(every), len(every))
    return Looked(counts, size, bad)


def missed(store: str) -> list[str]:
    """The sha256 of each object that was set aside, by whomever, and that nobody has put right since."""
    folder = os.path.join(store, QUARANTINE)
    names = sorted({name.split("-")[0] for name in (os.listdir(folder) if os.path.isdir(folder) else [])})
    return [n for n in names if len(n) == 64 and not os.path.exists(os.path.join(store, "obj", n[:2], n[2:]))]


def _good(each: Bad) -> bool:
    if each.kind == OBJECT:
        return file_digest(each.path)[0] == each.name
    if each.kind == VECTORS:
        return not damaged(each.path)
    try:
        said = records.read(each.path)
        folder, name = os.path.split(each.path)
        return name == short_hash(said.out) + ".json" and os.path.basename(folder) == key(said.ingredients)
    except (ValueError, TypeError, AttributeError):
        return False


def _aside(store: str, each: Bad) -> Sequence[Bad]:
    """Out of the way, unless another process has put the right bytes there in between."""
    moved = set_aside(store, each.path, each.name if each.kind == OBJECT else os.path.basename(each.path))
    if moved and each.kind == OBJECT and file_digest(moved)[0] == each.name:
        os.link(moved, each.path)
        os.unlink(moved)
        return []
    return [each._replace(stays=not moved and os.path.exists(each.path))]


def _objects(store: str) -> Iterator[Bad]:
    for folder in subfolders(os.path.join(store, "obj")):
        for name in sorted(os.listdir(folder)):
            if len(os.path.basename(folder) + name) == 64:
                yield Bad(OBJECT, os.path.basename(folder) + name, os.path.join(folder, name))


def _records(store: str) -> Iterator[Bad]:
    for folder in key_folders(store):
        yield from _files(store, RECORD, folder, ".json")


def _vectors(store: str) -> Iterator[Bad]:
    for folder in subfolders(os.path.join(store, "vec")):
        yield from _files(store, VECTORS, folder, ".rows")


def _files(store: str, kind: str, folder: str, ending: str) -> Iterator[Bad]:
    for name in sorted(os.listdir(folder)):
        if name.endswith(ending) and not name.startswith("."):
            path = os.path.join(folder, name)
            yield Bad(kind, os.path.relpath(path, store), path)
