"""Frees what no lock reaches: marks, moves to the trash, and deletes later what nobody came back for.

Why a build beside it loses nothing. A build holds a lease from before its first look at the store. What it then finds,
or makes, or is told is there already, may be moved to the trash at any moment by a gc that has read other locks: while
the batch exists, whoever misses something in it links it back (`aside.recall`), and what a stage reads it holds by a
link of its own (`Objects.lend`). A batch is deleted only when every build that was at work when it was closed has
ended, and after the locks were read once more: what such a build wrote into its lock is linked back first. A build
that began later saw what lies in the trash as missing, and linked it back or made it again.
"""
from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence, Set
from typing import NamedTuple

from embspec.store import leases, mark
from embspec.store.aside import QUARANTINE, TRASH, batches, recall
from embspec.store.files import disk, replace, sweep, unique
from embspec.store.mark import Marks, Reach, Thing

DAY = 86_400 * 10**9
_CLOSED = "leases"  # in a batch: the builds that were at work when nothing more was moved into it
_KINDS = OBJECTS, RECORDS, WORK, BANK, SET_ASIDE, BATCHES = (
    "objects", "records", "unfinished work", "known rows", "set aside", "trash")


class Wanted(NamedTuple):
    """How a gc is wanted."""

    days: float = 14.0
    now: bool = False  # delete at once what nobody is at work with
    dry: bool = False
    unlocked: frozenset[str] = frozenset()  # stages that have a record and no block in a lock


class Pile(NamedTuple):
    """So many files of one kind."""

    what: str
    files: int
    bytes: int


class Share(NamedTuple):
    """What a branch, tag or other root keeps, and what of that nothing else does."""

    by: str
    bytes: int
    only: int


class Collected(NamedTuple):
    """What a gc found, moved and deleted; with `dry` what it would."""

    store: str
    dry: bool
    kept: Pile
    shares: list[Share]
    gone: list[str]  # projects whose folder is not there any more
    moved: list[Pile]
    freed: list[Pile]
    waiting: Pile  # what lies in the trash, for a day or for as long as a build is at work
    builds: int  # that are at work


def collect(store: str, read: Callable[[], Reach], wanted: Wanted) -> Collected:
    """One run; `read` reads every lock anew each time it is called."""
    with leases.one(store) as now:
        began = leases.live(store)
        edge = min([now - int(wanted.days * DAY), *began.values()])  # what was written or used since stays
        reach = read()
        marks = mark.mark(store, reach, edge, wanted.unlocked)
        kept = Pile(OBJECTS, len(marks.kept), sum(marks.sizes[name] for name in marks.kept))
        said = Collected(store, wanted.dry, kept, _shares(marks, wanted.days), [k.root for k in reach.gone], [], [],
                         Pile(BATCHES, 0, 0), len(began))
        idle = [*_objects(store, marks), *_records(marks), *_bank(store, edge), *_work(store, edge, began)]
        if wanted.dry:
            return _dry(said, idle, marks, wanted, now, edge)
        with disk(store):
            moved = _move(store, idle, edge, now)
            gone = [*_old(store, edge)]
            for thing in gone:
                os.unlink(thing.path)
            for known in reach.gone:
                if os.stat(known.file).st_mtime_ns < edge:
                    os.unlink(known.file)
            for folder in ("tmp", "lock"):
                sweep(os.path.join(store, folder), "" if folder == "tmp" else ".embspec-")
            gone += _sweep(store, read, wanted, now, edge)
        return said._replace(moved=_piles(moved), freed=_piles(gone), waiting=_pile(BATCHES, list(_trash(store))))


def _dry(said: Collected, idle: Sequence[Thing], marks: Marks, wanted: Wanted, now: int, edge: int) -> Collected:
    """What a run now would move, what it would delete, and what would lie in the trash as before."""
    live = leases.live(said.store).keys()
    ready = [batch for batch in batches(said.store) if _ready(batch, _closed(batch) or frozenset(), live, wanted, now)]
    gone = [t for batch in ready for t in _things(batch) if not _wanted(t, _place(t, batch), marks, edge)]
    gone += [*_old(said.store, edge), *(idle if wanted.now and not live else [])]
    left = [t for batch in batches(said.store) if batch not in ready for t in _things(batch)]
    return said._replace(moved=_piles(idle), freed=_piles(gone), waiting=_pile(BATCHES, left))


def _move(store: str, idle: Sequence[Thing], edge: int, now: int) -> list[Thing]:
    """Into one batch, each by a rename; what came into use in the same moment comes back."""
    batch = os.path.join(store, TRASH, f"{now // 10**9:012d}-{unique()}")
    moved = []
    for thing in idle:
        if thing.what == WORK:
            continue
        target = os.path.join(batch, os.path.relpath(thing.path, store))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        try:
            if os.stat(thing.path).st_mtime_ns >= edge:
                continue
            os.rename(thing.path, target)
        except FileNotFoundError:
            continue  # set aside by somebody just now
        moved.append(thing)
        if thing.what != BANK and os.stat(target).st_mtime_ns >= edge:
            recall(store, thing.path)
    moved += _rest(store, batch, [thing for thing in idle if thing.what == WORK], edge)
    if os.path.isdir(batch):
        _close(batch, store)
    return moved


def _rest(store: str, batch: str, work: Sequence[Thing], edge: int) -> list[Thing]:
    """What only goes while no build is at work, nor begins: what one would go on from, and folders that are empty."""
    with leases.alone(store) as alone:
        if not alone:
            return []
        moved = []
        for thing in work:
            if _newest(thing.path) >= edge:
                continue  # a build came, and went without finishing it
            moved.append(thing)
            os.makedirs(os.path.join(batch, "work"), exist_ok=True)
            os.rename(thing.path, os.path.join(batch, "work", os.path.basename(thing.path)))
        for folder in mark.key_folders(store):
            try:
                os.rmdir(folder)
            except OSError:
                continue  # not empty
        return moved


def _close(batch: str, store: str) -> frozenset[str]:
    names = leases.live(store)
    replace(os.path.join(batch, _CLOSED), "".join(f"{name}\n" for name in names).encode())
    return frozenset(names)


def _closed(batch: str) -> frozenset[str] | None:
    """The builds that saw what is in a batch where it was; None where its gc was killed before it said so."""
    try:
        with open(os.path.join(batch, _CLOSED), encoding="utf-8") as file:
            return frozenset(file.read().splitlines())
    except FileNotFoundError:
        return None


def _at_work(batch: str, store: str) -> frozenset[str]:
    """The same; one whose gc was killed is closed now."""
    names = _closed(batch)
    return _close(batch, store) if names is None else names


def _ready(batch: str, names: frozenset[str], live: Set[str], wanted: Wanted, now: int) -> bool:
    """Whether a batch may be deleted: nobody who saw it is at work, and it lay for a day, or need not."""
    if names & live:
        return False
    path = os.path.join(batch, _CLOSED)
    return wanted.now or (os.path.exists(path) and os.stat(path).st_mtime_ns < now - DAY)


def _sweep(store: str, read: Callable[[], Reach], wanted: Wanted, now: int, edge: int) -> list[Thing]:
    """Delete the batches that nobody can want any more, after one more look at all locks."""
    at_work = {batch: _at_work(batch, store) for batch in batches(store)}
    live = leases.live(store).keys()
    ready = [batch for batch, names in at_work.items() if _ready(batch, names, live, wanted, now)]
    if not ready:
        return []
    marks = mark.mark(store, read(), edge, wanted.unlocked)  # with what those builds wrote into their locks
    deleted = []
    for batch in ready:
        for thing in _things(batch):
            place = _place(thing, batch)
            if _wanted(thing, place, marks, edge):
                recall(store, os.path.join(store, place))
            else:
                deleted.append(thing)
        shutil.rmtree(batch)
    return deleted


def _place(thing: Thing, batch: str) -> str:
    return os.path.relpath(thing.path, batch)


def _wanted(thing: Thing, place: str, marks: Marks, edge: int) -> bool:
    """Whether what lies in the trash comes back: a lock names it by now, or it was used."""
    return marks.wants(place) or (thing.what != BATCHES and os.stat(thing.path).st_mtime_ns >= edge)


def _objects(store: str, marks: Marks) -> Iterator[Thing]:
    names = sorted(marks.sizes.keys() - marks.kept)
    yield from (Thing(OBJECTS, os.path.join(store, "obj", n[:2], n[2:]), 1, marks.sizes[n]) for n in names)


def _records(marks: Marks) -> Iterator[Thing]:
    yield from (Thing(RECORDS, path, 1, size) for path, size in sorted(marks.idle_records.items()))


def _bank(store: str, edge: int) -> Iterator[Thing]:
    """Vectors are computed again where they are missed, so their age alone decides."""
    yield from (_folder(BANK, path) for path in _folders(os.path.join(store, "vec")) if _newest(path) < edge)


def _work(store: str, edge: int, began: dict[str, int]) -> Iterator[Thing]:
    """What unfinished stages left, as long as nobody is at work who could go on from it."""
    if not began:
        yield from (_folder(WORK, path) for path in _folders(os.path.join(store, "work")) if _newest(path) < edge)


def _old(store: str, edge: int) -> Iterator[Thing]:
    """What was corrupt, and nobody looked at since."""
    folder = os.path.join(store, QUARANTINE)
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        info = os.stat(os.path.join(folder, name))
        if info.st_mtime_ns < edge:
            yield Thing(SET_ASIDE, os.path.join(folder, name), 1, info.st_size)


def _trash(store: str) -> Iterator[Thing]:
    for batch in batches(store):
        yield from _things(batch)


def _things(batch: str) -> Iterator[Thing]:
    """Every file of a batch but the list of who was at work; only objects and records can be wanted back."""
    for at, _, names in os.walk(batch):
        for name in sorted(names):
            path = os.path.join(at, name)
            place = os.path.relpath(path, batch)
            if place != _CLOSED and os.path.exists(path):  # what was found corrupt is taken out here too
                what = {"obj": OBJECTS, "act": RECORDS}.get(place.split(os.sep)[0], BATCHES)
                yield Thing(what, path, 1, os.stat(path).st_size)


def _folder(what: str, path: str) -> Thing:
    files = [os.path.join(at, name) for at, _, names in os.walk(path) for name in names]
    return Thing(what, path, len(files), sum(os.path.getsize(file) for file in files if os.path.exists(file)))


def _folders(folder: str) -> list[str]:
    return sorted(e.path for e in os.scandir(folder) if e.is_dir()) if os.path.isdir(folder) else []


def _newest(folder: str) -> int:
    paths = [folder, *(os.path.join(at, name) for at, _, names in os.walk(folder) for name in names)]
    try:
        return max(os.lstat(path).st_mtime_ns for path in paths)
    except FileNotFoundError:
        return sys.maxsize  # somebody is at work there


def _pile(what: str, things: Sequence[Thing]) -> Pile:
    return Pile(what, sum(t.files for t in things), sum(t.bytes for t in things))


def _piles(things: Sequence[Thing]) -> list[Pile]:
    by = {kind: [t for t in things if t.what == kind] for kind in _KINDS}
    return [_pile(kind, found) for kind, found in by.items() if found]


def _shares(marks: Marks, days: float) -> list[Share]:
    """By name; `only` is what would be free without it."""
    count: dict[str, int] = {}
    for names in marks.by.values():
        for name in names:
            count[name] = count.get(name, 0) + 1
    return [
        Share(by.replace("{days}", f"{days:g}"), sum(marks.sizes[n] for n in names),
              sum(marks.sizes[n] for n in names if count[n] == 1))
        for by, names in marks.by.items()
    ]
