"""The live tree: which files a stage reads, what they hold, and the bytes it consumed."""
from __future__ import annotations

import hashlib
import io
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import IO, NamedTuple

from embspec.errors import fail
from embspec.store.objects import listing


class Found(NamedTuple):
    """One live file: its name as a stage sees it, where it lies, and its stat."""

    name: str
    path: str
    size: int
    mtime: int
    inode: int


def find(folder: str, globs: Sequence[str]) -> list[Found]:
    """The files that the globs match, by name; hidden files and folders are left out, as a shell does."""
    found: dict[str, Found] = {}
    for glob in globs:
        anchor, pattern = _split(glob)
        base = os.path.normpath(os.path.join(folder, anchor))
        for name, path, info in _match(base, pattern):
            found[name] = Found(name, path, info.st_size, info.st_mtime_ns, info.st_ino)
    return [found[name] for name in sorted(found)]


def _split(glob: str) -> tuple[str, str]:
    """`folder//pattern`: the folder of the file that named the pattern, where that is not the spec's own."""
    anchor, mark, pattern = glob.partition("//")
    return (anchor, pattern) if mark else ("", glob)


def _match(base: str, pattern: str) -> Iterator[tuple[str, str, os.stat_result]]:
    pattern = os.path.normpath(pattern)
    parts = pattern.split("/")
    fixed = 0
    while fixed < len(parts) - 1 and not re.search(r"[*?\[]", parts[fixed]):
        fixed += 1
    head = "/".join(parts[:fixed])
    if fixed == len(parts) - 1 and not re.search(r"[*?\[]", parts[-1]):
        path = os.path.join(base, pattern)
        if os.path.isfile(path):
            yield pattern, path, os.stat(path)
        return
    test = re.compile(_regex(parts[fixed:])).fullmatch
    deep = len(parts) - fixed if "**" not in parts else 0
    prefix = head + "/" if head else ""
    for name, path, info in _walk(os.path.join(base, head), "", deep):
        if test(name):
            yield prefix + name, path, info


def _regex(parts: Sequence[str]) -> str:
    words = []
    for i, part in enumerate(parts):
        if part == "**":
            words.append("(?:[^/]+/)*" if i < len(parts) - 1 else ".*")
        else:
            text = re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
            text = re.sub(r"\\\[(!?)(.*?)\\\]", lambda m: f"[{'^' if m[1] else ''}{m[2]}]", text)
            words.append(text + ("/" if i < len(parts) - 1 else ""))
    return "".join(words)


def _walk(folder: str, prefix: str, deep: int) -> Iterator[tuple[str, str, os.stat_result]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda e: e.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.name[0] == ".":
            continue
        if entry.is_dir(follow_symlinks=False):
            if deep != 1:
                yield from _walk(entry.path, f"{prefix}{entry.name}/", max(deep - 1, 0))
            continue
        try:
            info = entry.stat()
        except FileNotFoundError:
            raise fail("input.dangling-link", f"`{entry.path}` points to nothing",
                       fix="remove the link, or restore what it points to") from None
        if stat.S_ISREG(info.st_mode):
            yield prefix + entry.name, entry.path, info


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
