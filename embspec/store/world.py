"""The world as the plan asks for it: live files, the store, what `out/` holds."""
from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import xxhash

from embspec.plan.protocol import is_address
from embspec.plan.values import Record, Texts
from embspec.store import records
from embspec.store.files import keep
from embspec.store.live import Found, find, tree_pin
from embspec.store.objects import Objects, entries, file_digest
from embspec.store.places import Places

if TYPE_CHECKING:
    from embspec.store.fetched import Fetched

# A file changed this soon before it was read could change again under the same time stamp.
_RACY_NS = 100_000_000
_COARSE_NS = 2_000_000_000  # file systems that keep whole seconds

CANDIDATE = "candidate"  # beside the last green build, what a red one made


class DiskWorld:
    """Facts for the plan; the live tree is looked at once a command."""

    def __init__(self, at: Places, store: str, reread: bool, outside: bool = False) -> None:
        self.at = at
        self.objects = Objects(store)
        self._reread = reread  # every byte again, as in CI: a restored cache may carry any time stamp
        self._live: dict[tuple[str, ...], str] = {}
        self._listed: dict[tuple[str, ...], list[tuple[str, str, int]]] = {}
        self._believed: dict[tuple[str, ...], str] = {}
        self.hashed = 0
        self._outside = outside  # whether links may lead out of the project
        self.may_fetch = True  # whether files that lie elsewhere may be downloaded
        self.may_run_code = False  # whether commands that the spec names may be run

    def live(self, globs: Sequence[str]) -> str:
        """The pin of the files that match, from the stat cache where it may be trusted."""
        key = tuple(globs)
        if key not in self._live:
            self._live[key] = self._pin(key)
        return self._live[key]

    def find(self, globs: Sequence[str]) -> list[Found]:
        """The live files that match; what builds write into `out/` is no input, whatever a glob says of it."""
        afar = [glob for glob in globs if is_address(glob)]
        here = [glob for glob in globs if not is_address(glob)] if afar else globs
        found = find(self.at.folder, here, os.path.dirname(self.at.out), "" if self._outside else self.at.root)
        return sorted([*found, *self._fetched(afar)]) if afar else found

    def _fetched(self, globs: Sequence[str]) -> list[Found]:
        """What lies elsewhere is what is pinned of it, whether its bytes are here or not; unpinned it is nothing."""
        from embspec.store.remote import pin_of

        pins = {glob.partition("#")[0]: pin for glob in globs if (pin := pin_of(glob))}
        return [Found(address, self.objects.path(pin.digest), pin.size, 0, 0, 0, len(address), pin.sha256)
                for address, pin in pins.items()]

    @property
    def fetched(self) -> Fetched:
        """What was fetched with no pin, for all specs of the project."""
        from embspec.store.fetched import Fetched

        return Fetched(os.path.join(self.at.state, "fetched.cache"))

    def moved(self, globs: Sequence[str], pin: str) -> list[tuple[str, str | None, str | None]]:
        """Each live file that is not as it was under an earlier pin, where the store has that listing."""
        text = self.objects.text(pin.split(" ")[0])
        if text is None:
            return []
        key = tuple(globs)
        if key not in self._listed:  # the pin came from the cache, nobody asked for files yet
            self._listed[key] = self._rows(self.find(key))
        then = {name: f"sha256:{digest}" for name, digest, _ in entries(text.encode())}
        now = {name: f"sha256:{digest}" for name, digest, _ in self._listed[key]}
        names = sorted(n for n in then.keys() | now.keys() if then.get(n) != now.get(n))
        return [(name, then.get(name), now.get(name)) for name in names]

    def believe(self, globs: Sequence[str], pin: str) -> None:
        """The files are not here, and what is pinned of them stands."""
        self._believed[tuple(globs)] = pin
        self.settle(globs, pin)

    def believed(self, globs: Sequence[str]) -> str:
        """The pin of files that are not here; empty of those that are looked at."""
        return self._believed.get(tuple(globs), "")

    def settle(self, globs: Sequence[str], pin: str) -> None:
        """What a stage consumed is what the files were in this command."""
        self._live[tuple(globs)] = pin
        self._listed.pop(tuple(globs), None)

    def has(self, digest: str) -> bool:
        """Whether the store holds these bytes."""
        return self.objects.has(digest)

    def records(self, key: str) -> Sequence[Record]:
        """The results of a key."""
        return records.load(self.objects.store, key, self.objects.looking)

    def settled(self, field: str) -> str:
        """What `auto` means on this machine; asked once in the life of a lock."""
        from embspec.store import machine

        return machine.settled(field)

    def here(self, packages: Sequence[str], pins: Texts) -> Texts:
        """The environment that a result made now would record; the no-op asks for none and imports nothing for it."""
        from embspec.store.environment import environment

        return environment(packages, pins)

    def published(self, path: str, digest: str) -> bool:
        """Whether `out/` holds this artefact, by the stamp that publishing left and the stat of all files beside it."""
        top = top_of(path)
        stamp = self.stamps().get(top)
        if not isinstance(stamp, dict) or not isinstance(stamp.get("members"), dict):
            return False
        return bool(stamp["members"].get(path) == digest and stamp.get("files") == self.files(top))

    def files(self, top: str) -> list[list[Any]]:
        """The files below a path of `out/NAME`."""
        return stat_tree(os.path.join(self.at.out, top))

    def stamps(self) -> dict[str, Any]:
        """What was published, by what is exchanged as one under `out/NAME`."""
        return _load(os.path.join(self.at.state, f"{self.at.name}.out"))

    def stamp(self, stamps: dict[str, Any]) -> None:
        """Remember what was published."""
        keep(os.path.join(self.at.state, f"{self.at.name}.out"), json.dumps(stamps, sort_keys=True).encode())

    def _pin(self, globs: tuple[str, ...]) -> str:
        found, now = self.find(globs), time.time_ns()
        look = _look(found)
        path = os.path.join(self.at.state, "trees.cache")
        trees = _load(path)
        if not self._reread and look in trees:
            return str(trees[look])
        rows = self._listed[globs] = self._rows(found)
        pin = tree_pin(rows)
        if trees.get(look) != pin and not any(_racy(f, now) for f in found):
            recent = dict(list(trees.items())[-63:])
            keep(path, json.dumps({**recent, look: pin}).encode())
        return pin

    def digests(self, found: Sequence[Found]) -> dict[str, str]:
        """Name to sha256 of the files whose stat is that of a file that was read; of none where every byte counts."""
        known = {} if self._reread else _load(os.path.join(self.at.state, "files.cache"))
        seen = {f.name: entry[1] for f in found if (entry := known.get(f.path)) and entry[0] == _stamp(f)}
        return {**seen, **{f.name: f.pinned for f in found if f.pinned}}

    def _rows(self, found: Sequence[Found]) -> list[tuple[str, str, int]]:
        path = os.path.join(self.at.state, "files.cache")
        known = {} if self._reread else _load(path)
        now, rows, fresh = time.time_ns(), [], {}
        for f in found:
            if f.pinned:
                rows.append((f.name, f.pinned, f.size))
                continue
            stamp = _stamp(f)
            entry = known.get(f.path)
            if entry and entry[0] == stamp:
                digest, size = entry[1], f.size
            else:
                digest, size = file_digest(f.path)
                self.hashed += 1
                if size == f.size and not _racy(f, now):
                    fresh[f.path] = [stamp, digest]
            rows.append((f.name, digest, size))
        if fresh and not self._reread:
            keep(path, json.dumps({**known, **fresh}).encode())
        return rows


def _stamp(file: Found) -> str:
    """What of a file changes when its bytes do."""
    return f"{file.size} {file.mtime} {file.inode} {file.changed}"


def _racy(file: Found, now: int) -> bool:
    return now - file.mtime < (_RACY_NS if file.mtime % 1_000_000_000 else _COARSE_NS)


def _look(found: Sequence[Found]) -> str:
    """What can be known of files without opening them; in blocks, so that a million names are never one text."""
    digest = xxhash.xxh3_128()
    for at in range(0, len(found), 1000):
        block = [f"{f.base}\0{f.name}\0{f.size} {f.mtime} {f.inode} {f.changed}\n" for f in found[at:at + 1000]]
        digest.update(os.fsencode("".join(block)))
    return digest.hexdigest()


def top_of(path: str) -> str:
    """What of `out/NAME` is exchanged as one: its first folder, under candidate/ the second."""
    parts = path.split("/")
    return "/".join(parts[:2] if parts[0] == CANDIDATE else parts[:1])


def stat_tree(path: str) -> list[list[Any]]:
    """Name, size and mtime of a file, or of every file below a folder; empty where nothing is there."""
    if os.path.isfile(path):
        info = os.stat(path)
        return [["", info.st_size, info.st_mtime_ns]]
    rows = []
    for at, folders, files in os.walk(path):
        folders.sort()
        for name in sorted(files):
            try:
                info = os.lstat(os.path.join(at, name))
            except FileNotFoundError:
                continue  # somebody is at work there
            rows.append([os.path.relpath(os.path.join(at, name), path), info.st_size, info.st_mtime_ns])
    return rows


def _load(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            value = json.load(file)
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
