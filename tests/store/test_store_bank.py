"""The bank of rows: what it gives back is what was put in, and whatever happens to it is no error."""
from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.store import bank as module
from embspec.store.bank import Bank, BankRows

SPACE = {"model": "sha256:ab", "prompt": ""}


def name(number: int) -> bytes:
    """A name as texts get them."""
    return xxhash.xxh3_128_digest(str(number).encode())


def row(number: int, size: int = 24) -> bytes:
    """The row that belongs to it."""
    return (f"{number}:" * size)[:size].encode()


def rows_of(folder: Path) -> BankRows:
    """The rows of one space, opened anew."""
    return Bank(str(folder)).rows(SPACE)


def put(folder: Path, numbers: Sequence[int], size: int = 24) -> None:
    """Add some rows, as one segment."""
    rows = rows_of(folder)
    rows.add([name(n) for n in numbers], [row(n, size) for n in numbers])
    rows.close()


def segments(folder: Path) -> list[Path]:
    """The files of all spaces."""
    return sorted(folder.glob("vec/*/*.rows"))


@pytest.mark.parametrize("asked", [1, 40], ids=["few of many", "many at once"])
def test_names_that_begin_alike_are_told_apart(tmp_path: Path, asked: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are found by their first half where many are asked for, and one half may belong to several."""
    monkeypatch.setattr(module, "_WORTH", 2)
    names = [f"{first}{last:08}".encode() for first in ("aaaaaaaa", "aaaaaaab", "zzzzzzzz") for last in range(20)]
    rows = rows_of(tmp_path)
    rows.add(names[::2], names[::2])
    rows.close()
    for start in range(0, len(names), asked):
        wanted = names[start : start + asked]
        assert rows_of(tmp_path).find(wanted) == [name if name in names[::2] else None for name in wanted]


def test_what_was_put_in_is_found(tmp_path: Path) -> None:
    """In the order that was asked, twice where it was asked twice; from memory, from the disk, by another process."""
    rows = rows_of(tmp_path)
    rows.add([name(1), name(2)], [row(1), b""])
    wanted = [name(2), name(3), name(1), name(2)]
    for each in (rows, rows_of(tmp_path)):
        rows.flush()
        assert each.find(wanted) == ([b"", None, row(1), b""] if each is rows else [None] * 4)
    assert rows_of(tmp_path).find(wanted) == [b"", None, row(1), b""]
    assert rows.find([]) == []


def test_spaces_are_apart(tmp_path: Path) -> None:
    """Another model, or another prompt, has rows of its own; the order of what a space says does not count."""
    bank = Bank(str(tmp_path))
    bank.rows(SPACE).add([name(1)], [row(1)])
    bank.close()
    assert Bank(str(tmp_path)).rows(dict(reversed(SPACE.items()))).find([name(1)]) == [row(1)]
    for other in ({**SPACE, "prompt": "q: "}, {"model": "sha256:ab"}, {}):
        assert Bank(str(tmp_path)).rows(other).find([name(1)]) == [None]


def test_a_name_is_a_digest(tmp_path: Path) -> None:
    """Another length would be cut or run into its neighbour."""
    for wrong in (b"", b"short", b"x" * 17):
        with pytest.raises(ValueError, match="16 bytes"):
            rows_of(tmp_path).find([wrong])
        with pytest.raises(ValueError, match="16 bytes"):
            rows_of(tmp_path).add([wrong], [b""])


@given(batches=st.lists(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 40)), max_size=12), max_size=40),
       flushed=st.sets(st.integers(0, 40)))
def test_a_bank_is_a_mapping(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[int, int]]], flushed: set[int]
) -> None:
    """Whatever is added in whatever pieces, of whatever lengths: a row that was ever put under a name is found there.

    Rows of one name are equal where a bank is used as it should; here they are not, so that a mix would show.
    """
    folder = tmp_path_factory.mktemp("bank")
    rows, known = rows_of(folder), dict[bytes, set[bytes]]()
    for number, batch in enumerate(batches):
        rows.add([name(n) for n, _ in batch], [row(n, size) for n, size in batch])
        for n, size in batch:
            known.setdefault(name(n), set()).add(row(n, size))
        if number in flushed:
            rows.flush()
    asked = [name(n) for n in range(61)]
    before = rows.find(asked)
    rows.close()
    for each in (before, rows_of(folder).find(asked)):
        assert all(found in known[n] if n in known else found is None for n, found in zip(asked, each, strict=True))


def test_many_segments_are_merged(tmp_path: Path) -> None:
    """Their count stays small however often rows are added, and no row is lost by it."""
    for n in range(100):
        put(tmp_path, [n, n + 1])
        assert len(segments(tmp_path)) <= module.MANY
    assert rows_of(tmp_path).find([name(n) for n in range(101)]) == [row(n) for n in range(101)]


def test_a_large_segment_is_not_written_again_for_small_ones(tmp_path: Path) -> None:
    """A few rows more cost a few rows."""
    put(tmp_path, range(4000))
    (large,) = segments(tmp_path)
    for n in range(60):
        put(tmp_path, [10_000 + n])
    assert large in segments(tmp_path)
    assert rows_of(tmp_path).find([name(3999), name(10_059)]) == [row(3999), row(10_059)]


def test_what_is_held_back_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill costs no more than that: by count, and by bytes."""
    monkeypatch.setattr(module, "_FULL_ROWS", 10)
    rows = rows_of(tmp_path)
    for n in range(25):
        rows.add([name(n)], [row(n)])
    assert len(segments(tmp_path)) == 2
    monkeypatch.setattr(module, "_FULL_BYTES", 100)
    rows.add([name(n) for n in range(100, 104)], [row(n, 30) for n in range(100, 104)])
    assert len(segments(tmp_path)) == 3 and rows_of(tmp_path).find([name(103)]) == [row(103, 30)]


@settings(max_examples=120)
@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_is_a_miss(tmp_path_factory: pytest.TempPathFactory, at: int, bit: int) -> None:
    """Wherever it is: a row is right or it is not there; put in again it is found."""
    folder = tmp_path_factory.mktemp("bank")
    put(folder, range(40))
    (path,) = segments(folder)
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= 1 << bit
    path.chmod(0o644)
    path.write_bytes(data)
    asked = [name(n) for n in range(-5, 45)]
    right = [row(n) if 0 <= n < 40 else None for n in range(-5, 45)]
    found = rows_of(folder).find(asked)
    assert all(f in (None, r) for f, r in zip(found, right, strict=True)) and found != right
    put(folder, range(40))
    assert rows_of(folder).find(asked) == right


@pytest.mark.parametrize("keep", [0, 1, 15, 16, 100, 700, 1500, -1])
def test_a_segment_that_was_cut_off(tmp_path: Path, keep: int) -> None:
    """By a crash of the machine: what is whole is used, the rest is not there."""
    put(tmp_path, range(40))
    (path,) = segments(tmp_path)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:keep])
    found = rows_of(tmp_path).find([name(n) for n in range(40)])
    assert all(f in (None, row(n)) for n, f in enumerate(found)) and None in found


def test_what_is_no_segment_holds_nothing(tmp_path: Path) -> None:
    """Files of others, folders, a count beyond all bounds, a bank that is a file."""
    put(tmp_path, [1])
    folder = segments(tmp_path)[0].parent
    (folder / "a.rows").mkdir()
    (folder / "b.rows").write_bytes(b"embrows1" + b"\xff" * 8 + b"x" * 99)
    (folder / "c.rows").write_bytes(b"something else entirely")
    (folder / ".embspec-1-000000000000.rows").write_bytes(b"")
    (folder / "notes.txt").write_text("mine")
    assert rows_of(tmp_path).find([name(1), name(2)]) == [row(1), None]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "vec").write_text("a file")
    put(tmp_path / "other", [1])
    assert rows_of(tmp_path / "other").find([name(1)]) == [None]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
@pytest.mark.parametrize("step", ["makedirs", "open", "replace", "fsync"])
def test_a_bank_that_takes_nothing_fails_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, step: str
) -> None:
    """Full or read-only: what is there is found, nothing half is left, and the disk is not asked for every row."""
    put(tmp_path, [1])
    asked: list[str] = []
    real = getattr(os, step)

    def refuse(*args: Any, **rest: Any) -> Any:
        if step == "open" and not str(args[0]).rpartition("/")[2].startswith(".embspec-"):
            return real(*args, **rest)
        asked.append(step)
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(module.os, step, refuse)
        rows = rows_of(tmp_path)
        for n in range(5):
            rows.add([name(10 + n)], [row(n)])
            rows.flush()
        rows.close()
    assert len(asked) == 1 and len(segments(tmp_path)) == 1
    assert [p.name for p in segments(tmp_path)[0].parent.iterdir()] == [segments(tmp_path)[0].name]
    assert rows_of(tmp_path).find([name(1), name(10)]) == [row(1), None]


def test_a_reader_keeps_what_it_has_opened(tmp_path: Path) -> None:
    """Segments that another build merges away stay mapped."""
    for n in range(module.MANY):
        put(tmp_path, [n])
    reader = rows_of(tmp_path)
    put(tmp_path, [99])
    assert len(segments(tmp_path)) < module.MANY
    assert reader.find([name(n) for n in range(module.MANY)]) == [row(n) for n in range(module.MANY)]


def test_a_merge_that_another_build_did_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both write the same segment, and the second to remove the old ones finds them gone."""
    for n in range(module.MANY):
        put(tmp_path, [n])
    real = module._merge

    def twice(folder: str, segments: Any) -> None:
        real(folder, segments)
        real(folder, segments)

    monkeypatch.setattr(module, "_merge", twice)
    put(tmp_path, [99])
    asked = [*range(module.MANY), 99]
    assert rows_of(tmp_path).find([name(n) for n in asked]) == [row(n) for n in asked]


def test_a_segment_that_goes_while_the_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is read again, and the rows are found where they went."""
    put(tmp_path, [1])
    put(tmp_path, [2])
    real, seen = module._open, list[str]()

    def merged_first(path: str) -> Any:
        if not seen:
            seen.append(path)
            rows = rows_of(tmp_path)
            module._merge(os.path.dirname(path), rows._segments)
        return real(path)

    monkeypatch.setattr(module, "_open", merged_first)
    assert rows_of(tmp_path).find([name(1), name(2)]) == [row(1), row(2)]


WRITER = """
import sys
from tests.store.test_store_bank import name, put, row, rows_of
from embspec.store import bank
from pathlib import Path
bank.MANY = 4
print("go", flush=True)
for turn in range(int(sys.argv[2]), 10 ** 6):
    put(Path(sys.argv[1]), [turn % 300, (turn * 7) % 300], 2000)
    found = rows_of(Path(sys.argv[1])).find([name(n) for n in range(300)])
    assert all(f in (None, row(n, 2000)) for n, f in enumerate(found)), "a wrong row"
"""


def test_writers_that_are_killed_leave_right_rows(tmp_path: Path) -> None:
    """Three at once, each ended at some moment of writing or merging: a row is right, or it is not there."""
    root = Path(__file__).parents[2]
    env = {**os.environ, "PYTHONPATH": str(root)}
    for turn in range(3):
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(100 * i + turn)], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, env=env) for i in range(3)]
        for writer in writers:
            assert writer.stdout
            writer.stdout.readline()
        time.sleep(0.4 + 0.13 * turn)
        for writer in writers:
            assert writer.poll() is None, writer.communicate()[1].decode()
            writer.kill()
            writer.communicate()
        found = rows_of(tmp_path).find([name(n) for n in range(300)])
        assert all(f in (None, row(n, 2000)) for n, f in enumerate(found)) and any(found)
