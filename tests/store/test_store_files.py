"""A file is the old one or the new one; a disk that takes no more is said in a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from errno import ENOSPC, EROFS
from pathlib import Path
from typing import Any

import pytest

from embspec.errors import EmbspecError
from embspec.store import files
from tests.support.killed import kill


def test_replace_writes_and_makes_the_folder(tmp_path: Path) -> None:
    """Readable by others, nothing left beside it."""
    path = tmp_path / "a" / "b"
    for data in (b"one", b"two"):
        files.replace(str(path), data)
        assert path.read_bytes() == data
    assert os.listdir(path.parent) == ["b"] and path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_stop_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Never half of either."""
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def halt(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, step, halt)
    with pytest.raises(KeyboardInterrupt):
        files.replace(str(path), b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(ENOSPC, "full"), "disk.full"),
        (OSError(EROFS, "ro"), "disk.read-only"),
        (PermissionError(13, "no"), "disk.read-only"),
    ],
)
def test_a_full_or_closed_disk_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, code: str
) -> None:
    """With what to do, exit 40, and the old file in place."""
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def full(*args: Any) -> None:
        raise error

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(EmbspecError) as caught:
        files.replace(str(path), b"new")
    (problem,) = caught.value.problems
    assert (problem.code, caught.value.exit) == (code, 40) and problem.fix and str(path) in problem.text
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["x"]


def test_a_read_only_folder_is_a_sentence(tmp_path: Path) -> None:
    """As a user meets it."""
    folder = tmp_path / "closed"
    folder.mkdir(0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(EmbspecError) as caught:
        files.replace(str(folder / "x"), b"new")
    assert caught.value.problems[0].code == "disk.read-only"


def test_what_dead_processes_left_is_swept(tmp_path: Path) -> None:
    """Half-done files of a process that is gone; not those of one that lives, nor fresh ones, nor other files."""
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    dead, mine = int(done.stdout), os.getpid()
    old = [f".embspec-{dead}-0123456789ab", f"{dead}-0123456789ab", f"{mine}-0123456789ab", "notes-0123456789ab"]
    for name in old:
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").write_text("x")
        os.utime(tmp_path / name, (1, 1))
    (tmp_path / f"{dead}-ba9876543210").write_text("fresh")
    assert files.sweep(str(tmp_path)) == 1 and not (tmp_path / old[0]).exists()
    (tmp_path / old[0]).mkdir()
    os.utime(tmp_path / old[0], (1, 1))
    assert files.sweep(str(tmp_path), "") == 2  # in a folder that is ours, with our prefix or without
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*old[2:], f"{dead}-ba9876543210"])
    assert files.sweep(str(tmp_path / "nowhere")) == 0


def test_a_record_that_was_cut_off_is_swept(tmp_path: Path) -> None:
    """A kill between writing and renaming leaves it where builds sweep, and not in a folder of its key."""
    save = "from embspec.store import records; from embspec.plan.values import Record; import sys\n" \
        "records.save(sys.argv[1], 'ab12', Record({}, '1', {}, {}, {}, {}, {}))"
    kill(save, "replace", 0, str(tmp_path))
    (left,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert left.parent == tmp_path / "tmp"
    os.utime(left, (1, 1))
    assert files.sweep(str(tmp_path / "tmp"), "") == 1 and not left.exists()


def test_two_names_change_places(tmp_path: Path) -> None:
    """At one moment, folders too; where one of them is not there nothing happens."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    swapped = files.exchange(str(tmp_path / "one"), str(tmp_path / "other"))
    assert (tmp_path / "one" / ("other" if swapped else "one")).exists()
    assert not files.exchange(str(tmp_path / "one"), str(tmp_path / "none"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one", "other"]
