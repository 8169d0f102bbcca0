"""Objects: a crash leaves an orphan, never a lie."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from errno import EDQUOT, ENOSPC, EROFS
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embspec.errors import EmbspecError
from embspec.plan.values import digest_of
from embspec.store import objects as module
from embspec.store.objects import Objects, entries, file_digest, listing


@pytest.fixture
def store(tmp_path: Path) -> Objects:
    """An empty store."""
    return Objects(str(tmp_path / "store"))


def sha(data: bytes) -> str:
    """A digest as the store writes it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def whole(store: Objects) -> list[str]:
    """The names of all objects, each of which holds the bytes it is named after."""
    found = sorted(p for p in Path(store.store, "obj").rglob("*") if p.is_file())
    for path in found:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.parent.name + path.name
        assert path.stat().st_mode & 0o777 == 0o444
    return [p.parent.name + p.name for p in found]


def adopt(store: Objects, data: bytes) -> str:
    """Adopt a file with these bytes."""
    with store.scratch() as folder:
        Path(folder, "x").write_bytes(data)
        return store.adopt(str(Path(folder, "x")))


@given(st.lists(st.binary(max_size=40), max_size=3))
def test_a_file_is_kept_under_its_digest(tmp_path_factory: pytest.TempPathFactory, each: list[bytes]) -> None:
    """Digest and size come back, the same bytes are kept once."""
    store = Objects(str(tmp_path_factory.mktemp("store")))
    for data in each:
        assert adopt(store, data) == store.put(data) == f"{sha(data)} {len(data)}"
        assert store.has(sha(data)) and Path(store.path(sha(data))).read_bytes() == data
    assert len(whole(store)) == len(set(each))


def test_a_tree_is_its_listing(store: Objects, tmp_path: Path) -> None:
    """Names in order, whatever the folder's order or times; it is there when all its files are."""

    def fill(names: list[str], root: Path) -> str:
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(name)
        with store.scratch() as folder:
            os.rename(root, os.path.join(folder, "t"))
            return store.adopt(os.path.join(folder, "t"))

    Path(store.tmp).mkdir(parents=True)
    one = fill(["b.txt", "a/x.txt", "a/b/y.txt"], Path(store.tmp, "one"))
    assert one == fill(["a/b/y.txt", "b.txt", "a/x.txt"], Path(store.tmp, "two"))
    assert one.startswith("tree sha256:") and one.endswith(f" {len('b.txta/x.txta/b/y.txt')}")
    digest = digest_of(one)
    rows = entries(Path(store.path(digest)).read_bytes())
    assert [n for n, _, _ in rows] == ["a/b/y.txt", "a/x.txt", "b.txt"] and listing(rows) == Path(
        store.path(digest)
    ).read_bytes()
    store.copy(digest, str(tmp_path / "out"))
    assert {
        p.relative_to(tmp_path / "out").as_posix(): p.read_text() for p in (tmp_path / "out").rglob("*") if p.is_file()
    } == {n: n for n in ("a/b/y.txt", "a/x.txt", "b.txt")}
    os.unlink(store.path(sha(b"b.txt")))
    assert not store.has(digest)
    assert not store.has("tree sha256:" + "0" * 64)


def test_the_text_of_an_object(store: Objects) -> None:
    """None where it is not here."""
    assert store.text(digest_of(store.put("é".encode()))) == "é"
    assert store.text(sha(b"nobody")) is None


class Halt(BaseException):
    """The process dies here."""


STEPS = ["fsync", "chmod", "makedirs", "link"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("after", [False, True])
def test_a_stop_at_any_step_leaves_no_half_object(
    store: Objects, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    """Before or after each step: what is under a final name is whole, and the next try succeeds."""
    real: Callable[..., Any] = getattr(os, step)
    with store.scratch() as folder:
        path = os.path.join(folder, "x")
        Path(path).write_bytes(b"some bytes")

        def halt(*args: Any, **more: Any) -> None:
            if after:
                real(*args, **more)
            raise Halt

        with monkeypatch.context() as patch:
            patch.setattr(module.os, step, halt)
            with pytest.raises(Halt):
                store.adopt(path)
    assert set(whole(store)) <= {hashlib.sha256(b"some bytes").hexdigest()}
    assert adopt(store, b"some bytes") == f"{sha(b'some bytes')} 10" and len(whole(store)) == 1


def test_killed_writers_leave_whole_objects(tmp_path: Path) -> None:
    """SIGKILL at any moment: every object that has a name has its bytes."""
    code = (
        "import sys\nfrom embspec.store.objects import Objects\nstore = Objects(sys.argv[1])\nprint('go', flush=True)\n"
        "for i in range(10 ** 6):\n    store.put(str(i % 50).encode() * 40_000)\n"
    )
    for turn in range(4):
        with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "s")], stdout=subprocess.PIPE) as process:
            assert process.stdout
            process.stdout.readline()
            while process.poll() is None and len(list((tmp_path / "s").glob("obj/*/*"))) < 3 * (turn + 1):
                pass
            process.kill()
    assert whole(Objects(str(tmp_path / "s")))


def test_a_folder_for_scratch_is_gone_afterwards(store: Objects) -> None:
    """Also when the work in it failed."""
    with pytest.raises(Halt), store.scratch() as folder:
        Path(folder, "x").write_text("x")
        raise Halt
    assert os.listdir(store.tmp) == []


def test_a_copy_is_verified_and_the_old_file_stays(store: Objects, tmp_path: Path) -> None:
    """Other bytes under the name: exit 50, the digest is named, what stood there still stands, and nothing else."""
    digest = digest_of(store.put(b"right"))
    os.chmod(store.path(digest), 0o644)
    Path(store.path(digest)).write_bytes(b"wrong")
    target = tmp_path / "out" / "file"
    target.parent.mkdir()
    target.write_text("old")
    with pytest.raises(EmbspecError) as caught:
        store.copy(digest, str(target))
    (problem,) = caught.value.problems
    assert (problem.code, caught.value.exit) == ("corrupt.object", 50) and digest in problem.text
    assert target.read_text() == "old" and os.listdir(target.parent) == ["file"]


def test_a_copy_can_be_written_to(store: Objects, tmp_path: Path) -> None:
    """`out/` is the user's: its files are plain copies, the object stays as it is."""
    digest = digest_of(store.put(b"bytes"))
    store.copy(digest, str(tmp_path / "out" / "file"))
    Path(tmp_path / "out" / "file").write_text("mine")
    assert Path(store.path(digest)).read_bytes() == b"bytes"


def test_a_stopped_copy_leaves_the_old_file(store: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new one takes its place only when it is whole."""
    digest = digest_of(store.put(b"new"))
    target = tmp_path / "file"
    target.write_text("old")

    def halt(*args: Any) -> None:
        raise Halt

    monkeypatch.setattr(module.os, "replace", halt)
    with pytest.raises(Halt):
        store.copy(digest, str(target))
    assert target.read_text() == "old" and sorted(os.listdir(tmp_path)) == ["file", "store"]


@pytest.mark.parametrize(
    ("number", "code"), [(ENOSPC, "disk.full"), (EDQUOT, "disk.full"), (EROFS, "disk.read-only"), (5, "disk.error")]
)
def test_a_disk_that_takes_no_more_says_so(
    store: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    """A sentence and exit 40; what was there stays."""
    digest = digest_of(store.put(b"kept"))

    def full(*args: Any, **more: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module.os, "link", full)
    monkeypatch.setattr(module.os, "replace", full)
    for attempt in (lambda: store.put(b"new"), lambda: store.copy(digest, str(tmp_path / "file"))):
        with pytest.raises(EmbspecError) as caught:
            attempt()
        assert (caught.value.problems[0].code, caught.value.exit) == (code, 40)
    assert whole(store) == [hashlib.sha256(b"kept").hexdigest()]


def test_the_digest_of_a_large_file(tmp_path: Path) -> None:
    """Read in pieces, it is that of the whole."""
    data = bytes(range(256)) * 10_000
    (tmp_path / "x").write_bytes(data)
    assert file_digest(str(tmp_path / "x")) == (hashlib.sha256(data).hexdigest(), len(data))


def test_bytes_are_verified_once_before_they_are_believed(store: Objects, tmp_path: Path) -> None:
    """A file, a file of a tree and a tree's listing: other bytes are corrupt, and good ones are hashed once."""
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "a").write_bytes(b"one")
    with store.scratch() as scratch:
        (Path(scratch) / "t").mkdir()
        (Path(scratch) / "t" / "a").write_bytes(b"one")
        tree = digest_of(store.adopt(os.path.join(scratch, "t")))
    fresh = Objects(store.store)
    assert fresh.verified(tree) == fresh.path(tree)
    for path in (store.path(sha(b"one")), store.path(tree)):
        before = Path(path).read_bytes()
        os.chmod(path, 0o644)
        Path(path).write_bytes(b"two")
        assert fresh.verified(tree)
        with pytest.raises(EmbspecError) as caught:
            Objects(store.store).verified(tree)
        assert caught.value.problems[0].code == "corrupt.object" and "set aside" in caught.value.problems[0].text
        assert adopt(store, before) == f"{sha(before)} {len(before)}" and Objects(store.store).verified(tree)


def grown(store: Objects, files: dict[str, str]) -> str:
    """A stored folder; its digest."""
    with store.scratch() as folder:
        for name, text in files.items():
            path = Path(folder, "t", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        Path(folder, "t").mkdir(exist_ok=True)
        return digest_of(store.adopt(os.path.join(folder, "t")))


@pytest.mark.parametrize("links", [True, False])
def test_a_tree_is_laid_out_to_be_read(
    store: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """A folder of the same files; where the disk links, no byte of it is written again."""
    digest, empty = grown(store, {"a": "1", "b/c": "2"}), grown(store, {})
    if not links:
        def refuse(*args: Any, **rest: Any) -> None:
            raise OSError(1, "no links here")

        monkeypatch.setattr(module.os, "link", refuse)
    folder = Path(Objects(store.store).lay(digest, str(tmp_path / "needs" / "0")))
    assert {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()} == {
        "a": "1", "b/c": "2"}
    assert os.path.samefile(folder / "a", store.path(sha(b"1"))) is links
    assert list(Path(Objects(store.store).lay(empty, str(tmp_path / "none"))).iterdir()) == []


def test_a_tree_is_verified_before_it_is_laid_out(store: Objects, tmp_path: Path) -> None:
    """Exit 50: no stage reads bytes that are not what their name says."""
    digest = grown(store, {"a": "1"})
    os.chmod(store.path(sha(b"1")), 0o644)
    Path(store.path(sha(b"1"))).write_bytes(b"2")
    with pytest.raises(EmbspecError) as caught:
        Objects(store.store).lay(digest, str(tmp_path / "needs"))
    assert caught.value.exit == 50 and not (tmp_path / "needs").exists()


@pytest.mark.parametrize("name", ["../a", "/etc/a", "b/../../a"])
def test_a_tree_names_no_file_outside_of_it(store: Objects, tmp_path: Path, name: str) -> None:
    """A listing that somebody made by hand writes nothing beside the folder, laid out or copied."""
    file = store.put(b"1")
    for attempt in (store.lay, store.copy):
        digest = "tree " + digest_of(store.put(f"{file.split(':')[1].split(' ')[0]} 1 {name}\n".encode()))
        with pytest.raises(EmbspecError) as caught:
            attempt(digest, str(tmp_path / "x" / "y"))
        assert caught.value.problems[0].code == "corrupt.object" and not store.has(digest)
    assert [p.name for p in tmp_path.rglob("*") if p.name in ("a", "etc")] == []
