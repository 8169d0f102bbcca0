"""The live tree: which files a stage reads, what they hold, and the bytes it consumed."""
from __future__ import annotations

import hashlib
import io
import os
import re
import stat
from collections.abc import Callable, Sequence
from typing import IO, NamedTuple

from embspec.errors import Where, fail
from embspec.store.objects import listing

_GLOB = re.compile(r"[*?\[]")
_WORD = re.compile(r"([*?])|\[(!?)(\]?[^\]]*)\]|.", re.DOTALL)
_IN_CLASS = re.compile(r"[\\^\[\]&~|]|-(?=-)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Found(NamedTuple):
    """One live file: its name as a stage sees it, the folder that the name starts from, and its stat."""

    name: str
    base: str  # one string for all files of a glob, so that a million of them fit
    size: int
    mtime: int
    inode: int
    changed: int  # ctime: a file unpacked over another may keep size, mtime and inode

    @property
    def path(self) -> str:
        """Where it lies."""
        return f"{self.base}/{self.name}"


def find(folder: str, globs: Sequence[str], apart: str = "") -> list[Found]:
    """The files that the globs match, by name; hidden ones are left out, as a shell does, and the folder `apart`."""
    found = [each for glob in globs for each in _match(folder, *_split(glob), apart)]
    if len(globs) > 1:
        found = list({each.name: each for each in found}.values())
    return sorted(found)


def _split(glob: str) -> tuple[str, str]:
    """`folder//pattern`: the folder of the file that named the pattern, where that is not the spec's own."""
    anchor, mark, pattern = glob.partition("//")
    return (anchor, os.path.normpath(pattern)) if mark else ("", os.path.normpath(glob))


def _match(folder: str, anchor: str, pattern: str, apart: str) -> list[Found]:
    base = os.path.normpath(os.path.join(folder, anchor))
    parts = pattern.split("/")
    fixed = next((i for i, part in enumerate(parts) if _GLOB.search(part)), len(parts))
    if fixed == len(parts):
        path = os.path.join(base, pattern)
        return [_found(pattern, base, os.stat(path))] if os.path.isfile(path) else []
    head = "".join(part + "/" for part in parts[:fixed])
    walk = _Walk(base, _test(parts), apart, [])
    walk.into(os.path.normpath(os.path.join(base, head)), head, 0 if "**" in parts else len(parts) - fixed)
    return walk.found


def _test(parts: Sequence[str]) -> Callable[[str], object]:
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
    """A way through folders: where names start, which names pass, what is not entered, and what was found."""

    base: str
    test: Callable[[str], object]
    apart: str
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
                raise fail("input.linked-folder", f"`{entry.path}` is a link to a folder, and links are not followed",
                           fix="name the folder itself in the path, or take the link away")
            elif self.test(name):
                info = _stat(entry)
                if stat.S_ISREG(info.st_mode):
                    self.found.append(_found(name, self.base, info))


def _found(name: str, base: str, info: os.stat_result) -> Found:
    if not (name.isascii() and name.isprintable()):
        _writable(name)
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
        raise fail("input.dangling-link", f"`{entry.path}` points to nothing",
                   fix="remove the link, or restore what it points to") from None


def tree_pin(rows: Sequence[tuple[str, str, int]]) -> str:
    """The pin of a live tree: the sha256 of its listing, and the count that a person recognises."""
    word = "file" if len(rows) == 1 else "files"
    return f"sha256:{hashlib.sha256(listing(list(rows))).hexdigest()} {len(rows)} {word}"


class LiveTree:
    """What a reading stage gets: names and bytes, each byte hashed as it is consumed."""

    def __init__(self, found: Sequence[Found], keep: Callable[[], str] | None = None) -> None:
        self._found = {f.name: f for f in found}
        self._keep = keep  # gives a fresh path for a copy of each file, where the bytes become objects
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

    def shown(self, name: str) -> str:
        """A file's path as a person here would type it."""
        return os.path.relpath(self._found[name].path) if name in self._found else name

    def consumed(self) -> list[tuple[str, str, int]]:
        """Name, sha256 and size of every file as it was read; what a stage left unread is read now."""
        for name in self._found:
            if name not in self._seen:
                self.open(name).close()
        rows = [(name, *self._seen[name][0].finish()) for name in self._found]
        for name, digest, size in rows:
            if any(r.finish() != (digest, size) for r in self._seen[name]):
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
