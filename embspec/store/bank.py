"""The bank of rows: what was computed once for a text, kept by a digest of what it hangs on; a cache, never a truth."""
from __future__ import annotations

import mmap
import os
import struct
import sys
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence

import xxhash

from embspec.plan.canonical import short_hash
from embspec.store.aside import touch
from embspec.store.files import sweep, sync_folder, temporary

NAME = 16  # bytes of a row's name
MANY = 16  # segments, before the small ones are merged
_FEW = 8  # of them are merged at least
_MAGIC = b"embrows1"
_HEAD = struct.Struct("<8sQ")  # magic, count of rows
_PLACE = struct.Struct("<QQ")  # where a row ends in the data, checksum of its name and bytes
_ENDING = ".rows"
_FULL_ROWS, _FULL_BYTES = 4096, 1 << 23  # what is held back at most: a kill costs no more than this
_TRIES = 3
_WORTH = 64  # rows of a segment for each name that is asked for, up to which all its names are read


class Bank:
    """The `vec/` folder of a store; nothing in it, or nothing that may be written, is no error anywhere."""

    def __init__(self, store: str) -> None:
        self._folder = os.path.join(store, "vec")
        self._spaces: dict[str, BankRows] = {}

    def rows(self, space: Mapping[str, str]) -> BankRows:
        """The rows of one space: everything but the text that they hang on."""
        name = short_hash(space)
        if name not in self._spaces:
            self._spaces[name] = BankRows(os.path.join(self._folder, name))
        return self._spaces[name]

    def close(self) -> None:
        """Keep what was held back."""
        for rows in self._spaces.values():
            rows.close()
        self._spaces = {}


def tidy(store: str) -> None:
    """Remove what processes that are dead left half written in any space."""
    folder = os.path.join(store, "vec")
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        sweep(os.path.join(folder, name))


class BankRows:
    """The rows of one space, in files that are written once."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._new: dict[bytes, bytes] = {}
        self._size = 0
        self._refused = False  # a disk that takes nothing is not asked again
        self._segments = _opened(folder)
        if self._segments:
            touch(folder)  # gc lets go of what nobody asks for any more

    def find(self, names: Sequence[bytes]) -> list[bytes | None]:
        """The row of each name, or None; a row whose bytes are not what was written is not there."""
        found = {name: self._new[name] for name in names if name in self._new}
        left = sorted({_checked(name) for name in names} - found.keys())
        for segment in self._segments:
            found.update(segment.find(left))
            left = [name for name in left if name not in found]
        return [found.get(name) for name in names]

    def add(self, names: Sequence[bytes], rows: Sequence[bytes]) -> None:
        """Keep rows under their names."""
        for name, row in zip(names, rows, strict=True):
            if _checked(name) not in self._new:
                self._size += len(row)
            self._new[name] = bytes(row)
        if len(self._new) >= _FULL_ROWS or self._size >= _FULL_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what was held back as one more segment, and merge where there are many."""
        new, self._new, self._size = self._new, {}, 0
        if not new or self._refused:
            return
        try:
            os.makedirs(self._folder, exist_ok=True)
            _write(self._folder, sorted(new), lambda name: new[name])
            self._reopen()
            if len(self._segments) > MANY:
                _merge(self._folder, self._segments)
                self._reopen()
        except OSError:
            self._refused = True

    def close(self) -> None:
        """Write what was held back, and let go of the files."""
        self.flush()
        for segment in self._segments:
            segment.data.close()
        self._segments = []

    def _reopen(self) -> None:
        for segment in self._segments:
            segment.data.close()
        self._segments = _opened(self._folder)


class _Segment:
    """Sorted names, then where each row ends and its checksum, then the rows."""

    def __init__(self, path: str, data: mmap.mmap, rows: int) -> None:
        self.path, self.data, self.rows = path, data, rows
        self._heads: array[int] | None = None

    def find(self, names: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """Of sorted names, those that are here, with their rows."""
        low = 0
        heads = self._known_heads(len(names))
        for name, head in zip(names, _heads(b"".join(names)), strict=True):
            if heads is None:
                low = bisect_left(range(self.rows), name, low, key=self.name)
            else:
                low = bisect_left(heads, head, low)
                while low < self.rows and heads[low] == head and self.name(low) < name:
                    low += 1
            if low < self.rows and self.name(low) == name and (row := self.row(low)) is not None:
                yield name, row

    def _known_heads(self, asked: int) -> array[int] | None:
        """The first half of every name as numbers, which are found at once; not for a few names of many."""
        if self._heads is None and asked * _WORTH >= self.rows:
            self._heads = _heads(self.data[_HEAD.size : _HEAD.size + self.rows * NAME])
        return self._heads

    def name(self, at: int) -> bytes:
        """The name of a row."""
        start = _HEAD.size + at * NAME
        return self.data[start : start + NAME]

    def row(self, at: int) -> bytes | None:
        """The bytes of a row, if they are those that were written."""
        places = _HEAD.size + self.rows * NAME
        first = _PLACE.unpack_from(self.data, places + (at - 1) * _PLACE.size)[0] if at else 0
        end, sum_ = _PLACE.unpack_from(self.data, places + at * _PLACE.size)
        start = places + self.rows * _PLACE.size
        if not first <= end <= len(self.data) - start:
            return None
        row = self.data[start + first : start + end]
        return row if _sum(self.name(at), row) == sum_ else None


def _heads(names: bytes) -> array[int]:
    """The first half of each name, in numbers of the names' order."""
    found = array("Q", names)[::2]
    if sys.byteorder == "little":
        found.byteswap()
    return found


def damaged(path: str) -> bool:
    """Whether a segment is not what was written: its name is the hash of all its bytes."""
    hashed = xxhash.xxh3_128()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            hashed.update(chunk)
    return os.path.basename(path) != hashed.hexdigest() + _ENDING


def _checked(name: bytes) -> bytes:
    if len(name) != NAME:
        raise ValueError(f"a row's name has {NAME} bytes, not {len(name)}")
    return name


def _sum(name: bytes, row: bytes) -> int:
    return xxhash.xxh3_64_intdigest(name + row)


def _opened(folder: str) -> list[_Segment]:
    """The segments of a folder, the large ones first; read anew where one was merged away in between."""
    found: list[_Segment] = []
    for _ in range(_TRIES):
        try:
            paths = [os.path.join(folder, n) for n in sorted(os.listdir(folder)) if n.endswith(_ENDING)]
        except OSError:
            return []
        maybe = [_open(path) for path in paths if not os.path.basename(path).startswith(".")]
        found = [segment for segment in maybe if segment]
        if all(os.path.exists(path) for path in paths):
            break
    return sorted(found, key=lambda s: (-len(s.data), s.path))


def _open(path: str) -> _Segment | None:
    """A mapped segment; a file that is none, or was cut off in its index, holds no rows."""
    try:
        with open(path, "rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None
    if len(data) >= _HEAD.size:
        magic, count = _HEAD.unpack_from(data)
        if magic == _MAGIC and _HEAD.size + count * (NAME + _PLACE.size) <= len(data):
            return _Segment(path, data, count)
    data.close()
    return None


def _write(folder: str, names: Sequence[bytes], row: Callable[[bytes], bytes]) -> str:
    """One segment under the name of its content; whole, or not there."""
    handle, fresh = temporary(folder)
    try:
        hashed = xxhash.xxh3_128()
        with os.fdopen(handle, "wb") as file:
            for chunk in _content(names, row):
                hashed.update(chunk)
                file.write(chunk)
            file.flush()
            os.fchmod(file.fileno(), 0o444)
            os.fsync(file.fileno())
        path = os.path.join(folder, hashed.hexdigest() + _ENDING)
        os.replace(fresh, path)
    except BaseException:
        os.unlink(fresh)
        raise
    sync_folder(folder)
    return path


def _content(names: Sequence[bytes], row: Callable[[bytes], bytes]) -> Iterator[bytes]:
    """Rows are asked for twice, so that only the index is ever held."""
    yield _HEAD.pack(_MAGIC, len(names))
    yield b"".join(names)
    end = 0
    for name in names:
        each = row(name)
        end += len(each)
        yield _PLACE.pack(end, _sum(name, each))
    for name in names:
        yield row(name)


def _merge(folder: str, segments: Sequence[_Segment]) -> None:
    """The small segments as one, and a larger one only where it is not much larger than they are together."""
    small = sorted(segments, key=lambda s: (len(s.data), s.path))
    size, count = 0, 0
    for segment in small:
        if count >= _FEW and len(segment.data) > 2 * size:
            break
        size, count = size + len(segment.data), count + 1
    places: dict[bytes, tuple[_Segment, int]] = {}
    for segment in small[:count]:
        for at in range(segment.rows):
            if segment.name(at) not in places and segment.row(at) is not None:
                places[segment.name(at)] = segment, at

    def row(name: bytes) -> bytes:
        segment, at = places[name]
        return segment.row(at) or b""

    path = _write(folder, sorted(places), row)
    for segment in small[:count]:
        if segment.path != path:  # its rows are in the new one, which will outlast a power cut
            try:
                os.unlink(segment.path)
            except FileNotFoundError:
                continue  # another build merged it too
