"""The stat cache: files are known by their bytes, and read again only where their stat may have lied."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from embspec.plan.values import Record
from embspec.store import records
from embspec.store.live import find, tree_pin
from embspec.store.objects import file_digest, listing
from embspec.store.places import Places, places
from embspec.store.world import DiskWorld, stat_tree, top_of

HOUR = 3_600_000_000_000


@pytest.fixture
def at(tmp_path: Path) -> Places:
    """A project with three old documents."""
    for name in ("a", "b", "c"):
        (tmp_path / "p" / "specs" / "docs").mkdir(parents=True, exist_ok=True)
        put(tmp_path / "p" / "specs" / "docs" / name, name)
    (tmp_path / "p" / ".git").mkdir()
    (tmp_path / "p" / "specs" / "x.yaml").write_text("embspec: 1\n")
    return places(str(tmp_path / "p" / "specs" / "x.yaml"))


def put(path: Path, text: str, age: int = HOUR, odd: int = 123_456_789) -> None:
    """A file as it was written some time ago."""
    path.write_text(text)
    stamp = (time.time_ns() - age) // 1_000_000_000 * 1_000_000_000 + odd
    os.utime(path, ns=(stamp, stamp))


def look(at: Places, *globs: str, reread: bool = False) -> tuple[str, int]:
    """The pin a new command sees, and how many files it read for it."""
    world = DiskWorld(at, str(Path(at.root, "store")), reread)
    return world.live(globs or ("docs/*",)), world.hashed


def true(at: Places, *globs: str) -> str:
    """The pin by reading every byte."""
    return tree_pin([(f.name, *file_digest(f.path)) for f in find(at.folder, globs or ("docs/*",))])


def test_a_second_look_reads_nothing(at: Places) -> None:
    """Size, time and inode are as they were."""
    assert look(at) == (true(at), 3)
    assert look(at) == (true(at), 0)


def test_only_the_file_that_moved_is_read(at: Places) -> None:
    """The others are known."""
    look(at)
    put(Path(at.folder, "docs", "b"), "other")
    assert look(at) == (true(at), 1)
    put(Path(at.folder, "docs", "d"), "new")
    assert look(at) == (true(at), 1)
    os.unlink(Path(at.folder, "docs", "a"))
    assert look(at) == (true(at), 0)


def test_another_text_under_the_same_stat_is_read(at: Places) -> None:
    """Unpacking an archive of fixed times over a file keeps size, time and often the inode; the change time tells."""
    look(at)
    path = Path(at.folder, "docs", "b")
    before = path.stat()
    path.write_text("B")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert [before.st_size, before.st_mtime_ns, before.st_ino] == [after.st_size, after.st_mtime_ns, after.st_ino]
    assert look(at) == (true(at), 1)


def test_a_touched_file_is_read_and_is_the_same(at: Places) -> None:
    """Times are never content."""
    pin, _ = look(at)
    put(Path(at.folder, "docs", "b"), "b", age=HOUR // 2)
    assert look(at) == (pin, 1)


def test_a_young_file_is_not_trusted(at: Places) -> None:
    """It could change again under the same stamp: it is read again until it is old enough."""
    Path(at.folder, "docs", "b").write_text("young")
    os.utime(Path(at.folder, "docs", "b"), ns=(time.time_ns() + HOUR,) * 2)
    assert look(at) == (true(at), 3)
    assert look(at) == (true(at), 1)


def test_a_file_system_of_whole_seconds_is_trusted_later(at: Places) -> None:
    """A stamp without a fraction may stand for a whole second or two."""
    put(Path(at.folder, "docs", "b"), "b", age=1_000_000_000, odd=0)
    look(at)
    assert look(at) == (true(at), 1)


def test_a_lie_of_the_stat_cache_is_found_where_every_byte_is_read(at: Places) -> None:
    """In CI a restored cache may carry any stamp: there nothing is trusted."""
    pin, _ = look(at)
    cache = Path(at.state, "trees.cache")
    cache.write_text(cache.read_text().replace(pin, "sha256:lie 3 files"))
    assert look(at) == ("sha256:lie 3 files", 0)
    assert look(at, reread=True) == (pin, 3)


def test_a_file_that_takes_anothers_place_is_read(at: Places) -> None:
    """Same size and time, another inode: a move from elsewhere."""
    path = Path(at.folder, "docs", "b")
    look(at)
    stamp = path.stat().st_mtime_ns
    other = Path(at.root, "other")
    other.write_text("X")
    os.utime(other, ns=(stamp, stamp))
    os.replace(other, path)
    assert look(at) == (true(at), 1)


def test_two_specs_see_the_same_files_by_their_own_names(at: Places) -> None:
    """A file's name in the pin is the path from its spec: what one spec remembered is not the other's pin."""
    inner = Path(at.folder, "docs", "y.yaml")
    inner.write_text("embspec: 1\n")
    there = places(str(inner))
    assert there.state == at.state
    assert look(at, "docs/?") == (true(at, "docs/?"), 3)
    assert look(there, "?") == (true(there, "?"), 0)
    assert true(at, "docs/?") != true(there, "?")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"x": 1}', "\udcff".encode("utf-8", "surrogateescape").decode("latin-1")]
)
def test_a_broken_cache_is_no_cache(at: Places, text: str) -> None:
    """State may be deleted, cut or of another version: the files are read."""
    look(at)
    for name in ("files.cache", "trees.cache"):
        Path(at.state, name).write_text(text)
    assert look(at) == (true(at), 3)


def test_one_look_a_command(at: Places) -> None:
    """What a command saw stays, and what a stage consumed outranks it."""
    world = DiskWorld(at, str(Path(at.root, "store")), False)
    first = world.live(["docs/*"])
    put(Path(at.folder, "docs", "a"), "changed")
    assert world.live(["docs/*"]) == first
    world.settle(["docs/*"], "consumed")
    assert world.live(["docs/*"]) == "consumed"


PAGE = "report/report.md"


def test_what_is_published_is_known_by_stamp_and_stat(at: Places) -> None:
    """An edited, touched or removed file of `out/` is brought again, and so is the folder that it lies in."""
    world = DiskWorld(at, str(Path(at.root, "store")), False)
    path = Path(at.out, PAGE)
    assert not world.published(PAGE, "sha256:a 1")
    path.parent.mkdir(parents=True)
    path.write_text("x")
    members = {PAGE: "sha256:a 1", "report/report.json": "sha256:c 1"}
    world.stamp({"report": {"members": members, "files": stat_tree(str(path.parent))}})
    assert world.published(PAGE, "sha256:a 1") and world.published("report/report.json", "sha256:c 1")
    assert not world.published(PAGE, "sha256:b 1") and not world.published("report/other", "sha256:a 1")
    path.write_text("y!")
    assert not world.published(PAGE, "sha256:a 1")
    path.unlink()
    assert not world.published(PAGE, "sha256:a 1")
    world.stamp({"model": {"members": {"model": "tree sha256:a 1"}, "files": stat_tree(str(path.parent))}})
    assert stat_tree(str(path.parent)) == []


@pytest.mark.parametrize(("path", "top"), [
    ("model", "model"), ("model/onnx", "model"), ("model/a/b", "model"), ("candidate/model", "candidate/model"),
    ("candidate/model/README.md", "candidate/model"), ("report/report.md", "report"),
])
def test_what_lies_in_one_folder_is_exchanged_as_one(path: str, top: str) -> None:
    """A candidate is a folder of its own beside the last green build."""
    assert top_of(path) == top


@pytest.mark.parametrize("text", [
    "", "{", "[]", '{"report": 1}', '{"report": {}}', '{"report": {"members": 1}}', '{"report/report.md": {}}',
])
def test_broken_stamps_are_no_stamps(at: Places, text: str) -> None:
    """Nothing is taken for published."""
    os.makedirs(at.state)
    Path(at.state, "x.out").write_text(text)
    assert not DiskWorld(at, "store", False).published(PAGE, "sha256:a 1")


def test_what_auto_means_and_what_a_result_would_record(at: Places) -> None:
    """The world knows this machine: numerics for the lock, and the environment of a result made now."""
    world = DiskWorld(at, "store", False)
    profile, threads = (world.settled(f"numerics.{name}") for name in ("profile", "threads"))
    assert profile in ("avx2", "native") and 1 <= int(threads) <= 8
    here = world.here(("xxhash",), {"numerics.profile": profile, "numerics.threads": threads})
    assert list(here) == ["embspec", "python", "platform", "xxhash", "device", "math"]
    assert here["math"] == f"{profile} threads-{threads}"


@pytest.mark.parametrize("reread", [False, True])
def test_digests_that_need_no_reading(at: Places, reread: bool) -> None:
    """Those of files whose stat is that of one that was hashed; of none that changed, is too young, or in CI."""
    world = DiskWorld(at, str(Path(at.root, "store")), reread)
    put(Path(at.folder, "docs", "young"), "young", age=-HOUR)
    world.live(["docs/*"])
    put(Path(at.folder, "docs", "b"), "other")
    true = {f.name: file_digest(f.path)[0] for f in find(at.folder, ["docs/*"])}
    expected = {} if reread else {name: true[name] for name in true if name not in ("docs/b", "docs/young")}
    assert world.digests(world.find(["docs/*"])) == expected


def test_the_files_that_moved_since_a_pin(at: Places) -> None:
    """By the listing that the store keeps; nothing is said where it is not there."""
    world = DiskWorld(at, str(Path(at.root, "store")), False)
    pin = world.live(["docs/*"])
    assert world.moved(["docs/*"], pin) == []
    world.objects.put(listing([(f.name, *file_digest(f.path)) for f in find(at.folder, ["docs/*"])]))
    put(Path(at.folder, "docs", "b"), "other")
    put(Path(at.folder, "docs", "d"), "new")
    os.unlink(Path(at.folder, "docs", "a"))
    again = DiskWorld(at, str(Path(at.root, "store")), False)
    assert [(n, bool(then), bool(now)) for n, then, now in again.moved(["docs/*"], pin)] == [
        ("docs/a", True, False),
        ("docs/b", True, True),
        ("docs/d", False, True),
    ]


def test_what_builds_write_is_no_input(at: Places) -> None:
    """A glob over the whole project does not read the report of the last build."""
    Path(at.root, "out", "x", "report").mkdir(parents=True)
    Path(at.root, "out", "x", "report", "report.md").write_text("x")
    Path(at.root, "page.md").write_text("x")
    world = DiskWorld(at, str(Path(at.root, "store")), False)
    assert [f.name for f in world.find(["../**/*.md"])] == ["../page.md"]


RECORD = Record({"stage": "s"}, "1", {}, {}, {"a": "sha256:1 1"}, {"n": "1"}, {"python": "3"})


def test_records_of_a_key(tmp_path: Path) -> None:
    """One file per result, never rewritten, read in one order everywhere."""
    store = str(tmp_path)
    assert records.load(store, "ab12") == []
    others = [RECORD._replace(out={"a": f"sha256:{n} 1"}) for n in range(5)]
    for record in others:
        records.save(store, "ab12", record)
    found = records.load(store, "ab12")
    assert sorted(r.out["a"] for r in found) == [o.out["a"] for o in others]
    for record in reversed(others):
        records.save(store, "ab12", record._replace(stat={"n": "2"}))
    assert records.load(store, "ab12") == found and records.load(store, "ab13") == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"x": 1}'])
def test_a_broken_record_is_named(tmp_path: Path, text: str) -> None:
    """Never taken for a result, never passed over in silence: exit 50, once: it is set aside, and the stage runs."""
    from embspec.errors import EmbspecError

    records.save(str(tmp_path), "ab12", RECORD)
    next((tmp_path / "act" / "ab" / "ab12").iterdir()).write_text(text)
    with pytest.raises(EmbspecError) as caught:
        records.load(str(tmp_path), "ab12")
    assert (caught.value.problems[0].code, caught.value.exit) == ("corrupt.record", 50)
    assert records.load(str(tmp_path), "ab12") == []
    assert [p.read_text() for p in (tmp_path / "quarantine").iterdir()] == [text]


@pytest.mark.parametrize("reread", [False, True])
def test_naming_the_files_that_moved_reads_nothing_again(reread: bool, at: Places) -> None:
    """What was hashed for the pin is what the names come from; in CI no byte is read twice."""
    world = DiskWorld(at, str(Path(at.root, "store")), False)
    world.objects.put(listing([(f.name, *file_digest(f.path)) for f in world.find(("docs/*",))]))
    before = world.live(("docs/*",))
    put(Path(at.folder, "docs", "b"), "other")
    again = DiskWorld(at, str(Path(at.root, "store")), reread)
    again.live(("docs/*",))
    hashed = again.hashed
    assert hashed == (3 if reread else 1)
    assert [name for name, _, _ in again.moved(("docs/*",), before)] == ["docs/b"]
    assert again.hashed == hashed
