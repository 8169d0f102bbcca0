"""What of a store is reached: by the locks that name it, by results that rest on it, or by having been used lately."""
from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from embspec.plan.pins import TREE
from embspec.plan.values import Record, digest_of
from embspec.store import records
from embspec.store.objects import Objects, entries
from embspec.store.roots import Known

RECENT, REPORTS = "the last {days} days", "pages written from what is kept"
_NEEDS = "needs "


class Root(NamedTuple):
    """Somebody who keeps things: sha256 of what a lock names, of those of them that list files, and keys of stages."""

    by: str
    digests: frozenset[str]
    trees: frozenset[str]
    keys: frozenset[str]


class Reach(NamedTuple):
    """All of them, and the projects whose folder is gone, which keep nothing."""

    roots: list[Root]
    gone: list[Known]


class Thing(NamedTuple):
    """Something in the store that may go: a file, or a folder as a whole."""

    what: str
    path: str
    files: int
    bytes: int


class Marks(NamedTuple):
    """The objects that are there, which of them are kept and by whom, and the records that nothing keeps."""

    sizes: Mapping[str, int]
    by: Mapping[str, frozenset[str]]
    kept: frozenset[str]
    wanted: frozenset[str]  # named by a lock, whether here or in the trash
    keys: frozenset[str]
    idle_records: Mapping[str, int]

    def wants(self, place: str) -> bool:
        """Whether something that lies in the trash has its place here again."""
        kind, *parts = place.split(os.sep)
        return "".join(parts) in self.wanted if kind == "obj" else kind == "act" and parts[1] in self.keys


class _Record(NamedTuple):
    path: str
    key: str
    size: int
    recent: bool
    said: Record | None  # None where it cannot be read: that is for fsck to say


def mark(store: str, reach: Reach, edge: int, unlocked: frozenset[str]) -> Marks:
    """Mark from the roots; `edge` is since when a thing is recent, in nanoseconds of the disk's clock."""
    objects, lists = Objects(store), dict[str, frozenset[str]]()
    sizes, recent = _scan(store, edge)
    by = {root.by: root.digests | _listed(root.trees, objects, lists) for root in reach.roots}
    keys = frozenset(key for root in reach.roots for key in root.keys)
    known = [r for r in _records(store, edge) if r.key not in keys]
    for each in known:
        if each.recent and each.said:
            recent |= _outs(each.said, objects, lists)
    wanted = frozenset(name for names in by.values() for name in names)
    pages, left = _pages([r for r in known if not r.recent], wanted | recent, unlocked, objects, lists)
    by = {**by, RECENT: frozenset(recent), REPORTS: pages - wanted}
    by = {who: frozenset(name for name in names if name in sizes) for who, names in by.items()}
    kept = frozenset(name for names in by.values() for name in names)
    return Marks(sizes, by, kept, wanted | pages, keys, {r.path: r.size for r in left if r.said})


def _pages(
    old: Sequence[_Record], kept: frozenset[str] | set[str], unlocked: frozenset[str], objects: Objects,
    lists: dict[str, frozenset[str]],
) -> tuple[frozenset[str], list[_Record]]:
    """What stages without a block in the lock wrote from things that are kept; and the records that are left."""
    pages: set[str] = set()
    left = list(old)
    while True:
        found = [r for r in left if r.said and r.said.ingredients.get("stage") in unlocked
                 and _needs(r.said) <= (pages | kept)]
        if not found:
            return frozenset(pages), left
        left = [r for r in left if r not in found]
        for each in found:
            pages |= _outs(each.said, objects, lists) if each.said else set()


def _needs(record: Record) -> set[str]:
    return {text.rpartition(":")[2] for name, text in record.ingredients.items() if name.startswith(_NEEDS)}


def _outs(record: Record, objects: Objects, lists: dict[str, frozenset[str]]) -> set[str]:
    """The bytes of a result, and those that it pinned."""
    outs = [digest_of(text) for text in record.out.values()]
    pins = {name: text.split(" ")[0] for name, text in record.pin.items() if text.startswith("sha256:")}
    trees = {d.rpartition(":")[2] for d in outs if d.startswith("tree ")}
    trees |= {text.rpartition(":")[2] for name, text in pins.items() if name == TREE}
    return {text.rpartition(":")[2] for text in (*outs, *pins.values())} | _listed(trees, objects, lists)


def _listed(trees: frozenset[str] | set[str], objects: Objects, lists: dict[str, frozenset[str]]) -> frozenset[str]:
    """The files that these list, as far as the lists are here."""
    for name in trees - lists.keys():
        text = objects.text(f"sha256:{name}")
        try:
            lists[name] = frozenset(digest for _, digest, _ in entries((text or "").encode()))
        except ValueError:
            lists[name] = frozenset()  # a lock names as a tree what is none
    return frozenset(file for name in trees for file in lists[name])


def _scan(store: str, edge: int) -> tuple[dict[str, int], set[str]]:
    """The size of each object by its name, and which of them are recent."""
    sizes, recent = {}, set()
    for folder in subfolders(os.path.join(store, "obj")):
        for entry in os.scandir(folder):
            name = os.path.basename(folder) + entry.name
            if len(name) != 64 or not entry.is_file(follow_symlinks=False):
                continue
            try:
                info = entry.stat()
            except FileNotFoundError:
                continue  # set aside by somebody just now
            sizes[name] = info.st_size
            if info.st_mtime_ns >= edge:
                recent.add(name)
    return sizes, recent


def _records(store: str, edge: int) -> Iterator[_Record]:
    for folder in key_folders(store):
        for entry in sorted(os.scandir(folder), key=lambda e: e.name):
            if not entry.name.endswith(".json") or entry.name.startswith("."):
                continue
            try:
                info = entry.stat()
                said = records.read(entry.path)
            except FileNotFoundError:
                continue
            except (ValueError, TypeError):
                said = None
            yield _Record(entry.path, os.path.basename(folder), info.st_size, info.st_mtime_ns >= edge, said)


def key_folders(store: str) -> list[str]:
    """The folder of each key that has results."""
    return [path for folder in subfolders(os.path.join(store, "act")) for path in subfolders(folder)]


def subfolders(folder: str) -> list[str]:
    """The folders in a folder, by name; none where it is not there."""
    try:
        return sorted(e.path for e in os.scandir(folder) if e.is_dir(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        return []
