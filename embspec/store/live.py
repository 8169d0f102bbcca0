"""The live tree: which files a stage reads, what they hold, and the bytes it consumed."""
from __future__ import annotations

import hashlib
import io
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import IO, NamedTuple

from embspec.errors import Where, fail
from embspec.plan.protocol import PROGRAM
from embspec.store.objects import listing

_GLOB = re.compile(r"[*?\[]")
_WORD = re.compile(r"([*?])|\[(!?)(\]?[^\]]*)\]|.", re.DOTALL)
_IN_CLASS = re.compile(r"[\\^\[\]&~|]|-(?=-)")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Found(NamedTuple):
    """One live file: its name as a stage sees it, the folder that the name starts from, and its stat."""

    name: str
    base: str  # one string for all files of a glob, so that a million of them fit
    size: int
    mtime: int
    inode: int
    changed: int  # ctime: a file unpacked over another may keep size, mtime and inode
    cut: int = 0  # letters of the name that stand for the folder, so that no name holds a path of this machine
    pinned: str = ""  # sha256 of what was fetched: known before it is read, and then held to it

    @property
    def path(self) -> str:
        """Where it lies; what was fetched has a place that its name says nothing of."""
        return self.base if self.pinned else f"{self.base}/{self.name[self.cut:]}"


def find(folder: str, globs: Sequence[str], apart: str = "", root: str = "") -> list[Found]:
    """The files that the globs match, by name; hidden ones are left out, as a shell does, and the folder `apart`.

    A link out of the folder `root`, where one is given, is an error.
    `package:NAME/…` are files of an installed package, `hub:NAME@REVISION//…` those of the hub's cache.
    """
    found = [each for glob in globs for each in _anywhere(folder, glob, apart, root)]
    if len(globs) > 1:
        found = list({each.name: each for each in found}.values())
    return sorted(found)


def selected(folder: str, globs: Sequence[str], paths: Iterable[str], apart: str = "") -> dict[str, str]:
    """Which of these absolute paths `find` would take if they lay on the disk: name to path."""
    patterns = [_Pattern.of(folder, glob) for glob in globs]
    below = apart + "/" if apart else "\0"
    rest = [path for path in paths if not path.startswith(below)]
    return {name: path for pattern in patterns for path in rest if (name := pattern.name(path))}


def path_of(folder: str, glob: str, name: str) -> str:
    """Where the file lies that a glob would give this name; empty where it gives that name to none."""
    pattern = _Pattern.of(folder, glob)
    path = os.path.normpath(os.path.join(pattern.base, name.removeprefix(pattern.mark)))
    return path if pattern.name(path) == name else ""


def anchored(glob: str) -> str:
    """A glob as a path from the spec's folder, whichever file named it."""
    anchor, mark, pattern = glob.removeprefix(PROGRAM).partition("//")
    return os.path.normpath(os.path.join(anchor, pattern) if mark else anchor)


def _anywhere(folder: str, glob: str, apart: str, root: str) -> list[Found]:
    scheme, mark, rest = glob.partition(":")
    if mark and scheme == "package":
        name, _, pattern = rest.partition("/")
        return _under(f"package:{name}/", package_folders(name), pattern)
    if mark and scheme == "hub":
        place, _, pattern = rest.partition("//")
        snapshot = hub_snapshot(place)
        return _under(f"hub/{os.path.basename(snapshot)}/", [snapshot], pattern) if snapshot else []
    where = _Pattern.of(folder, glob)
    _stays(where.start, root)
    return [_marked(where.mark, each) for each in _match(where, apart, root)]


def _under(prefix: str, folders: Sequence[str], pattern: str) -> list[Found]:
    """What lies in the first of these folders that has any of it, under names that begin with the prefix."""
    found = (_match(_Pattern.of(folder, pattern), "") for folder in folders)
    first: list[Found] = next(filter(None, found), [])
    return [f._replace(name=prefix + f.name, cut=len(prefix)) for f in first if not f.name.startswith(("../", "/"))]


def package_folders(name: str) -> list[str]:
    """Where an installed package lies; nothing of it is imported."""
    if not name.isidentifier():
        return []
    from importlib.machinery import PathFinder  # only a spec that names a package pays for it

    spec = PathFinder.find_spec(name)
    return list(spec.submodule_search_locations or []) if spec else []


def hub_snapshot(place: str) -> str:
    """The folder of `OWNER/NAME@REVISION` in the hub's cache; empty where it was not downloaded."""
    name, _, revision = place.rpartition("@")
    folder = os.path.join(hub_cache(os.environ), "models--" + name.replace("/", "--"))
    if not _COMMIT.fullmatch(revision):
        try:
            with open(os.path.join(folder, "refs", revision), encoding="ascii") as file:
                revision = file.read().strip()
        except (OSError, ValueError):
            return ""
    path = os.path.join(folder, "snapshots", revision)
    return path if _COMMIT.fullmatch(revision) and os.path.isdir(path) else ""


def hub_cache(environ: Mapping[str, str]) -> str:
    """The folder that huggingface_hub downloads to, by the same variables."""
    given = environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE")
    if given:
        return os.path.abspath(os.path.expanduser(given))
    home = environ.get("HF_HOME") or os.path.join(environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    return os.path.join(os.path.abspath(os.path.expanduser(home)), "hub")


class _Pattern(NamedTuple):
    """A glob taken apart: the folder that names start from, the part without stars, and all of its parts."""

    base: str
    head: str
    parts: tuple[str, ...]
    plain: bool  # no stars at all: one file
    mark: str = ""  # what names begin with beside the path, so that a program is no document

    @classmethod
    def of(cls, folder: str, glob: str) -> _Pattern:
        """`folder//pattern` names the folder of the file that named the pattern, where that is not the spec's own."""
        begins = PROGRAM if glob.startswith(PROGRAM) else ""
        anchor, mark, pattern = glob.removeprefix(begins).partition("//")
        base = os.path.normpath(os.path.join(folder, anchor if mark else ""))
        parts = os.path.normpath(pattern if mark else anchor).split("/")
        fixed = next((i for i, part in enumerate(parts) if _GLOB.search(part)), len(parts))
        return cls(base, "".join(part + "/" for part in parts[:fixed]), tuple(parts), fixed == len(parts), begins)

    @property
    def start(self) -> str:
        """The folder to walk."""
        return os.path.normpath(os.path.join(self.base, self.head))

    @property
    def deep(self) -> int:
        """How many folders down the files lie; 0 is all the way."""
        return 0 if "**" in self.parts else len(self.parts) - self.head.count("/")

    def name(self, path: str) -> str:
        """The name that a walk would give the file at this path; empty where it would not take it."""
        if self.plain:
            return self.mark + "/".join(self.parts) if path == self.start else ""
        start = self.start.rstrip("/") + "/"
        rest = path.removeprefix(start)
        if not path.startswith(start) or rest.startswith(".") or "/." in rest:
            return ""
        name = self.head + rest
        return self.mark + name if _test(self.parts)(name) else ""


def _match(pattern: _Pattern, apart: str, root: str = "") -> list[Found]:
    if pattern.plain:
        path = pattern.start
        return [_found("/".join(pattern.parts), pattern.base, os.stat(path))] if os.path.isfile(path) else []
    walk = _Walk(pattern.base, _test(pattern.parts), apart, root, [])
    walk.into(pattern.start, pattern.head, pattern.deep)
    return walk.found


def _marked(mark: str, found: Found) -> Found:
    return found._replace(name=mark + found.name, cut=len(mark)) if mark else found


@lru_cache
def _test(parts: tuple[str, ...]) -> Callable[[str], object]:
    try:
        return re.compile(_regex(parts)).fullmatch
    except re.error:
        raise fail("input.glob", f"the path `{'/'.join(parts)}` has a range that runs backwards",
                   fix="write the smaller character first, as in [a-z]") from None


def _regex(parts: Sequence[str]) -> str:
    words = []
    for i, part in enumerate(parts):
        if part == "**":
            words.append("(?:[^/]+/)*" if i < len(parts) - 1 else ".*")
        else:
            words.append(_WORD.sub(_word, part) + ("/" if i < len(parts) - 1 else ""))
    return "".join(words)


def _word(found: re.Match[str]) -> str:
    """A star, a question mark, a class such as [a-f] or [!0-9], or a character that stands for itself."""
    if found[1]:
        return "[^/]*" if found[1] == "*" else "[^/]"
    if found[3]:
        return f"[{'^' if found[2] else ''}{_IN_CLASS.sub(_escaped, found[3])}]"
    return re.escape(found[0])


def _escaped(found: re.Match[str]) -> str:
    return "\\" + found[0]


class _Walk(NamedTuple):
    """A way through folders: where names start, which pass, what is not entered or left, and what was found."""

    base: str
    test: Callable[[str], object]
    apart: str
    root: str
    found: list[Found]

    def into(self, folder: str, prefix: str, deep: int) -> None:
        """Take what is below a folder; `deep` 0 goes all the way down."""
        try:
            with os.scandir(folder) as listed:
                entries = sorted(listed, key=lambda e: e.name)
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            if entry.name[0] == ".":
                continue
            name = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                if deep != 1 and entry.path != self.apart:
                    self.into(entry.path, name + "/", max(deep - 1, 0))
            elif deep != 1 and entry.is_symlink() and entry.is_dir():
                raise fail("input.linked-folder", "this is a link to a folder, and links are not followed",
                           _shown(entry.path), "name the folder itself in the path, or take the link away")
            elif self.test(name):
                if entry.is_symlink():
                    _stays(entry.path, self.root)
                info = _stat(entry)
                if stat.S_ISREG(info.st_mode):
                    self.found.append(_found(name, self.base, info))


def _stays(path: str, root: str) -> None:
    """A path in the project may not lead out of it by a link; one whose letters say so was asked about before."""
    if not root or not _below(path, root) or _below(os.path.realpath(path), os.path.realpath(root)):
        return
    raise fail("input.outside", "this is a link that leads out of the project", _shown(path),
               "copy what it points to into the project; --allow-outside permits it")


def _shown(path: str) -> Where:
    """A path as a person here would type it."""
    return Where(os.path.relpath(path))


def _below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def _found(name: str, base: str, info: os.stat_result) -> Found:
    if not (name.isascii() and name.isprintable()):
        _writable(name)
    if name.startswith(PROGRAM):
        raise fail("input.file-name", f"`{PROGRAM}` is how a program's file is called", Where(name), "rename it")
    return Found(name, base, info.st_size, info.st_mtime_ns, info.st_ino, info.st_ctime_ns)


def _writable(name: str) -> None:
    """A name becomes an id and part of a line of text, so it has to be text, and on one line."""
    try:
        name.encode()
    except UnicodeEncodeError:
        shown = name.encode(errors="backslashreplace").decode()
        raise fail("input.file-name", "the name of this file is not UTF-8", Where(shown), "rename it") from None
    if _CONTROL.search(name):
        raise fail("input.file-name", "the name of this file has a control character", Where(ascii(name)), "rename it")


def _stat(entry: os.DirEntry[str]) -> os.stat_result:
    try:
        return entry.stat()
    except FileNotFoundError:
        raise fail("input.dangling-link", "this link points to nothing", _shown(entry.path),
                   "remove the link, or restore what it points to") from None


def tree_pin(rows: Sequence[tuple[str, str, int]]) -> str:
    """The pin of a live tree: the sha256 of its listing, and the count that a person recognises."""
    word = "file" if len(rows) == 1 else "files"
    return f"sha256:{hashlib.sha256(listing(list(rows))).hexdigest()} {len(rows)} {word}"


class LiveTree:
    """What a reading stage gets: names and bytes, each byte hashed as it is consumed."""

    def __init__(
        self, found: Sequence[Found], keep: Callable[[], str] | None = None, known: Mapping[str, str] | None = None
    ) -> None:
        self._found = {f.name: f for f in found}
        self._keep = keep  # gives a fresh path for a copy of each file, where the bytes become objects
        self._known = known or {}  # sha256 of files that need not be read for it
        self._told: set[str] = set()  # files that the stage took by their digest
        self._seen: dict[str, list[_Reader]] = {}

    def names(self) -> Sequence[str]:
        """The files that match, by name."""
        return list(self._found)

    def open(self, name: str) -> IO[bytes]:
        """A stream over one of them."""
        if name not in self._found:
            raise KeyError(f"`{name}` is not among the files this stage declared")
        copy = self._keep() if self._keep else ""
        reader = _Reader(self._found[name].path, copy)
        self._seen.setdefault(name, []).append(reader)
        return io.BufferedReader(reader, 1 << 18)  # type: ignore[type-var]

    def digest(self, name: str) -> str:
        """The sha256 of a file that was read, or that need not be read for it; else empty."""
        if name in self._seen:
            return self._seen[name][0].finish()[0]
        if self._keep or name not in self._known:
            return ""
        self._told.add(name)
        return self._known[name]

    def shown(self, name: str) -> str:
        """A file's path as a person here would type it."""
        here = name in self._found and not self._found[name].pinned
        return os.path.relpath(self._found[name].path) if here else name

    def consumed(self) -> list[tuple[str, str, int]]:
        """Name, sha256 and size of every file as it was read, or taken by its digest; the rest is read now."""
        for name in self._found:
            if name not in self._seen and name not in self._told:
                self.open(name).close()
        rows = [
            (name, *self._seen[name][0].finish()) if name in self._seen else (name, self._known[name], found.size)
            for name, found in self._found.items()
        ]
        for name, digest, size in rows:
            if self._found[name].pinned not in ("", digest):
                raise fail("corrupt.object", f"what the store has of `{name}` holds other bytes ({digest[:12]}…)",
                           fix="run the command again: it is fetched anew")
            if any(r.finish() != (digest, size) for r in self._seen.get(name, ())):
                raise fail("input.changed", f"`{name}` changed while it was read", fix="run the command again")
        return rows

    def copies(self) -> list[str]:
        """The copies made while reading."""
        return [r.copy for readers in self._seen.values() for r in readers[:1] if r.copy]


class _Reader(io.RawIOBase):
    """A file that hashes, and where asked copies, all that is read from it."""

    def __init__(self, path: str, copy: str) -> None:
        self._file = open(path, "rb", buffering=0)
        self.copy = copy
        self._out = open(copy, "wb") if copy else None
        self._hash = hashlib.sha256()
        self._size = 0
        self._done: tuple[str, int] | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        count = self._file.readinto(buffer)
        data = memoryview(buffer)[:count]
        self._hash.update(data)
        self._size += count
        if self._out:
            self._out.write(data)
        return count

    def close(self) -> None:
        if not self.closed:
            self.finish()
        super().close()

    def finish(self) -> tuple[str, int]:
        """Read what is left, so that the digest is of the whole file."""
        if self._done is None:
            buffer = bytearray(1 << 20)
            while self.readinto(buffer):
                pass
            self._file.close()
            if self._out:
                self._out.close()
            self._done = self._hash.hexdigest(), self._size
        return self._done
