"""Gc: what a lock reaches stays, the rest goes through the trash, and nobody at work loses anything."""
from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from embspec.errors import EmbspecError
from embspec.plan.keys import key
from embspec.plan.values import Record, digest_of
from embspec.store import gc, records
from embspec.store.bank import Bank
from embspec.store.gc import DAY, Collected, Wanted, collect
from embspec.store.leases import lease, one
from embspec.store.mark import Reach
from embspec.store.objects import Objects
from embspec.store.roots import Known
from tests.support.tenants import line, reached, sha, text_of

NOW = Wanted(days=0, now=True)


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store, and beside it a folder of locks."""
    (tmp_path / "locks").mkdir()
    return str(tmp_path / "store")


def name_in(store: str, name: str, digests: list[str], keys: list[str] = []) -> None:  # noqa: B006
    """Write a lock that names these."""
    Path(store).parent.joinpath("locks", f"{name}.lock").write_text(text_of(digests, keys))


def run(store: str, wanted: Wanted = NOW) -> Collected:
    """A gc that reads the locks beside the store."""
    return collect(store, lambda: reached(Path(store).parent / "locks"), wanted)


def put(store: str, *each: bytes) -> list[str]:
    """Store some bytes, long ago."""
    digests = [digest_of(Objects(store).put(data)) for data in each]
    age(store)
    return digests


def age(store: str, days: float = 100) -> None:
    """Nothing in the store was written or used for so long."""
    for path in Path(store).rglob("*"):
        info = path.stat()
        then = info.st_mtime_ns - int(days * DAY)
        os.utime(path, ns=(then, then))


def here(store: str, *digests: str) -> list[bool]:
    """Which of these lie in their place, without asking for them."""
    return [os.path.exists(Objects(store).path(digest)) for digest in digests]


def files(store: str, folder: str) -> list[str]:
    """The names below a folder of the store."""
    return sorted(p.name for p in Path(store, folder).rglob("*") if p.is_file())


def test_what_no_lock_names_goes(store: str) -> None:
    """Objects and the records of their keys; what is named stays, byte for byte."""
    kept, gone = put(store, b"kept", b"gone")
    for digest in (kept, gone):
        records.save(store, key(line(digest).ingredients), line(digest))
    age(store)
    name_in(store, "main", [kept], [key(line(kept).ingredients)])
    found = run(store)
    assert here(store, kept, gone) == [True, False] and files(store, "trash") == []
    assert Objects(store).text(kept) == "kept"
    assert [len(records.load(store, key(line(d).ingredients))) for d in (kept, gone)] == [1, 0]
    assert [(p.what, p.files) for p in found.freed] == [("objects", 1), ("records", 1)]
    assert (found.kept.files, found.kept.bytes) == (1, 4)
    assert [p.name for p in Path(store, "act").glob("*/*")] == [key(line(kept).ingredients)]


def test_a_tree_is_kept_with_its_files(store: str) -> None:
    """An artefact that is a folder, and the files that a stage read, which a list names."""
    objects = Objects(store)
    with objects.scratch() as folder:
        Path(folder, "t", "b").mkdir(parents=True)
        Path(folder, "t", "a").write_text("1")
        Path(folder, "t", "b", "c").write_text("2")
        tree = digest_of(objects.adopt(os.path.join(folder, "t")))
    (source,) = put(store, b"a question")
    listed = digest_of(objects.put(f"{source.rpartition(':')[2]} 10 pairs.jsonl\n".encode()))
    (lonely,) = put(store, b"nobody")
    Path(store).parent.joinpath("locks", "x.lock").write_text(
        f"# embspec.lock\ntrain:\n  pin:\n    tree: {listed} 1 file\n  out:\n    model: {tree} 2\n")
    run(store)
    assert Objects(store).has(tree) and here(store, source, listed, lonely) == [True, True, False]


def test_pages_are_kept_with_what_they_were_written_from(store: str) -> None:
    """A stage without a block in any lock: its record and bytes stay while all that it read does, and no longer."""
    read, page, late, other = put(store, b"scores", b"report", b"report of a page", b"older scores")
    for needs, out in ((read, page), (page, late), (other, late)):
        said = Record({"stage": "report", "needs x": needs}, "1", {}, {}, {"report.md": out + " 6"}, {}, {})
        records.save(store, key(said.ingredients), said)
    age(store)
    name_in(store, "main", [read])
    run(store, NOW._replace(unlocked=frozenset({"report"})))
    assert here(store, read, page, late, other) == [True, True, True, False]
    assert len(files(store, "act")) == 2
    run(store)
    assert here(store, read, page, late) == [True, False, False] and files(store, "act") == []


def test_what_was_used_lately_stays(store: str) -> None:
    """Written, read, or stored once more in the last days; the rest goes to the trash, and a day later for good."""
    old, read, again = put(store, b"old", b"read", b"again")
    assert Objects(store).verified(read) and digest_of(Objects(store).put(b"again")) == again
    found = run(store, Wanted(days=1))
    assert here(store, old, read, again) == [False, True, True]
    assert files(store, "trash") == sorted(["leases", old.rpartition(":")[2][2:]])
    assert (found.waiting.files, found.freed) == (1, [])
    assert run(store, Wanted(days=1)).waiting.files == 1
    for path in Path(store, "trash").rglob("leases"):
        os.utime(path, ns=(0, 0))
    assert run(store, Wanted(days=1)).freed[0].files == 1 and files(store, "trash") == []


def test_a_recent_result_is_kept_whole(store: str) -> None:
    """The bytes of a record of the last days are no younger than itself, and stay with it."""
    (out,) = put(store, b"made again and again")
    records.save(store, key(line(out).ingredients), line(out))
    run(store, Wanted(days=1, now=True))
    assert here(store, out) == [True] and len(files(store, "act")) == 1


def test_a_dry_run_moves_nothing(store: str) -> None:
    """It says what would go, and for each root what it keeps and what it alone keeps."""
    both, one_, two, idle = put(store, b"both", b"one", b"twice", b"idle")
    name_in(store, "main", [both, one_])
    name_in(store, "v1", [both, two])
    before = sorted(p for p in Path(store).rglob("*"))
    found = run(store, NOW._replace(dry=True))
    assert [p for p in sorted(Path(store).rglob("*")) if "lock" not in p.parts] == before
    assert [(s.by, s.bytes, s.only) for s in found.shares[:2]] == [("main.lock", 7, 3), ("v1.lock", 9, 5)]
    assert [(p.what, p.files, p.bytes) for p in found.moved] == [("objects", 1, 4)]
    assert here(store, idle) == [True]


def test_what_others_left_in_the_trash(store: str) -> None:
    """A file that some file manager wrote there is no batch, and keeps no gc from its work."""
    (idle,) = put(store, b"idle")
    os.makedirs(os.path.join(store, "trash"))
    Path(store, "trash", ".DS_Store").write_bytes(b"x")
    assert run(store).freed != [] and here(store, idle) == [False]
    assert os.listdir(os.path.join(store, "trash")) == [".DS_Store"]


def test_a_dry_run_says_what_a_run_would_delete(store: str) -> None:
    """What lies in the trash for less than a day stays there, unless asked otherwise; what a lock names comes back."""
    idle, named, late = put(store, b"idle", b"named", b"late")
    name_in(store, "main", [late])
    run(store, Wanted(days=0))
    name_in(store, "main", [named])

    def both(wanted: Wanted) -> tuple[Collected, Collected]:
        return run(store, wanted._replace(dry=True)), run(store, wanted)

    dry, done = both(Wanted(days=0))
    assert (dry.freed, done.freed) == ([], []) and dry.moved == done.moved and dry.waiting.files == 2
    assert here(store, idle, named, late) == [False, False, False] and done.waiting.files == 3
    dry, done = both(NOW)
    assert dry.freed == done.freed != [] and done.waiting == dry.waiting
    assert here(store, named) == [True]


def test_a_dry_run_of_a_gc_that_deletes_at_once(store: str) -> None:
    """What is not in the trash yet would go through it; beside a build it would stay there."""
    put(store, b"idle")
    with lease(store):
        assert run(store, NOW._replace(dry=True)).freed == []
    dry, done = run(store, NOW._replace(dry=True)), run(store)
    assert dry.freed == done.freed == done.moved != []


def test_what_lies_in_the_trash_comes_back_for_whoever_asks(store: str) -> None:
    """A file, a tree's file and a record, each by the first look at it."""
    (digest,) = put(store, b"missed")
    records.save(store, key(line(digest).ingredients), line(digest))
    age(store)
    run(store, Wanted(days=0))
    assert here(store, digest) == [False] and files(store, "act") == []
    assert Objects(store).has(digest) and here(store, digest) == [True]
    assert len(records.load(store, key(line(digest).ingredients))) == 1
    run(store, Wanted(days=1, now=True))
    assert Objects(store).text(digest) == "missed"  # what was asked for is in use


def test_a_build_keeps_all_that_it_saw(store: str) -> None:
    """Found before a gc, moved and not deleted by it, there for the build; afterwards its lock decides."""
    named, idle = put(store, b"named", b"idle")
    with lease(store):
        assert Objects(store).has(named) and Objects(store).has(idle)
        found = run(store)
        assert found.builds == 1 and found.waiting.files == 2 and here(store, named, idle) == [False, False]
        assert run(store).waiting.files == 2
        with Objects(store).open(named) as file:
            assert file.read() == b"named"
        name_in(store, "main", [named])
    run(store)
    assert [Objects(store).has(named), Objects(store).has(idle)] == [True, False]


def test_what_a_build_makes_is_not_even_moved(store: str) -> None:
    """New bytes, and old ones that it made once more, are younger than its lease."""
    (old,) = put(store, b"old")
    with lease(store):
        new = digest_of(Objects(store).put(b"new"))
        assert digest_of(Objects(store).put(b"old")) == old
        assert run(store).moved == [] and here(store, old, new) == [True, True]


def between(monkeypatch: pytest.MonkeyPatch, step: str, do: Callable[[], None]) -> None:
    """Do something right before a step of the next gc, once."""
    real, left = getattr(gc, step), [do]

    def called(*args: Any) -> Any:
        while left:
            left.pop()()
        return real(*args)

    monkeypatch.setattr(gc, step, called)


@pytest.mark.parametrize("step", ["_move", "_close", "_sweep"])
def test_a_build_that_came_and_went_during_a_gc(store: str, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """It found old bytes and wrote them into its lock after the gc had read the locks: they stay."""
    found, idle = put(store, b"found", b"idle")

    def build() -> None:
        with lease(store):
            assert Objects(store).has(found)
            name_in(store, "main", [found])

    between(monkeypatch, step, build)
    run(store)
    assert Objects(store).has(found) and not Objects(store).has(idle)


@pytest.mark.parametrize("step", ["_move", "_close", "_sweep"])
def test_a_build_that_began_during_a_gc(store: str, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """It found old bytes, which are in no lock yet: while it is at work they are there for it."""
    (found,) = put(store, b"found")
    began = lease(store)

    def begin() -> None:
        began.__enter__()
        assert Objects(store).has(found)

    between(monkeypatch, step, begin)
    run(store)
    assert Objects(store).has(found)
    run(store)
    assert Objects(store).has(found)
    began.__exit__(None, None, None)
    age(store)
    run(store)
    assert not Objects(store).has(found)


def test_bytes_stored_again_in_the_moment_they_are_moved(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old bytes that are made again between look and move are in use: they come back at once."""
    (again,) = put(store, b"again")
    real = os.rename

    def rename(old: str, new: str) -> None:
        if "/obj/" in old:
            Objects(store).put(b"again")
        real(old, new)

    monkeypatch.setattr(gc.os, "rename", rename)
    run(store, Wanted(days=0))
    assert here(store, again) == [True]


def test_a_gc_that_was_killed_is_finished_by_the_next(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped before its batch was closed: nothing is deleted unseen, and what a lock names comes back first."""
    named, idle = put(store, b"named", b"idle")

    def halt(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(gc, "_close", halt)
        with pytest.raises(KeyboardInterrupt):
            run(store)
    assert here(store, named, idle) == [False, False]
    name_in(store, "main", [named])
    run(store)
    assert [Objects(store).has(named), Objects(store).has(idle)] == [True, False]


def test_one_at_a_time(store: str) -> None:
    """A second gc waits, and says so where it waits too long: 60; the first one's end lets it go on."""
    (idle,) = put(store, b"idle")
    with one(store), pytest.raises(EmbspecError) as caught, one(store, 0.0):
        pass
    assert caught.value.exit == 60
    with one(store):
        thread = threading.Thread(target=run, args=(store,))
        thread.start()
    thread.join()
    assert here(store, idle) == [False]


def work(store: str, name: str) -> Path:
    """What an unfinished stage left."""
    folder = Path(store, "work", name)
    folder.mkdir(parents=True)
    (folder / "checkpoint").write_text("half")
    return folder


def test_unfinished_work_and_known_vectors_go_by_age(store: str) -> None:
    """Old ones go, where nobody is at work; one that was written to, or asked, stays."""
    put(store, b"x")
    spaces = [{"model": "a"}, {"model": "b"}]
    bank = Bank(store)
    for space in spaces:
        bank.rows(space).add([b"n" * 16], [b"row"])
    bank.close()
    old, new = work(store, "k1-env-1"), work(store, "k2-env-1")
    age(store)
    (new / "checkpoint").write_text("more")
    assert Bank(store).rows(spaces[0]).find([b"n" * 16]) == [b"row"]
    with lease(store):
        run(store, Wanted(days=1))
        assert old.exists()
    run(store, Wanted(days=1))
    assert (old.exists(), new.exists()) == (False, True)
    assert [Bank(store).rows(space).find([b"n" * 16])[0] for space in spaces] == [b"row", None]


def test_work_that_a_build_left_during_a_gc(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped while the gc was at it: what the next build goes on from is there."""
    put(store, b"x")
    folder = work(store, "k1-env-1")
    age(store)
    between(monkeypatch, "_rest", lambda: os.utime(folder / "checkpoint"))
    run(store)
    assert folder.exists()


def test_what_was_set_aside_goes_by_age(store: str) -> None:
    """Corrupt bytes are kept for a while, for whoever wants to know."""
    for data in (b"one", b"two"):
        (digest,) = put(store, data)
        path = Path(Objects(store).path(digest))
        path.chmod(0o644)
        path.write_bytes(b"bad")
        with pytest.raises(EmbspecError):
            Objects(store).verified(digest)
        if data == b"one":
            age(store)
    found = run(store, Wanted(days=1))
    assert [(p.what, p.files) for p in found.freed] == [("set aside", 1)] and len(files(store, "quarantine")) == 1


def test_a_project_that_is_gone_keeps_nothing(store: str, tmp_path: Path) -> None:
    """It is named, and its entry goes when nothing of it can be recent."""
    put(store, b"x")
    entry = tmp_path / "entry"
    entry.write_text("{}")
    gone = Reach([], [Known(str(entry), "/there", "/there/x.lock")])
    assert collect(store, lambda: gone, Wanted()).gone == ["/there"] and entry.exists()
    os.utime(entry, ns=(0, 0))
    collect(store, lambda: gone, Wanted())
    assert not entry.exists()


def test_sha_is_what_the_store_says() -> None:
    """The helper's digests are the store's."""
    assert sha(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
