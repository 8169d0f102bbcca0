"""Disks that are full, processes that are killed, builds at the same time, files that change: nothing built is lost."""
from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from embspec.api import Project
from embspec.run.build import Event, Order
from tests.support.command import embspec
from tests.support.harbour import LOCK, SPEC, STAGES, edit, tree
from tests.support.killed import kill

REPORT = Path("out/harbour/report/report.json")
BUILD = Path(".embspec/harbour.build.flock")


@pytest.fixture
def undisturbed(first_build: Path) -> bytes:
    """The lock that a build of this project writes when nothing gets in its way."""
    return (first_build / "project" / LOCK).read_bytes()


def failing(call: Callable[..., Any], code: int, after: int) -> Callable[..., Any]:
    """The call as it is `after` times, from then on refused by the disk."""
    left = iter(range(after))

    def called(*args: Any, **rest: Any) -> Any:
        if next(left, None) is None:
            raise OSError(code, os.strerror(code))
        return call(*args, **rest)

    return called


@pytest.mark.parametrize("after", [0, 1, 7, 12])
@pytest.mark.parametrize("name", ["link", "fsync", "replace"])
def test_a_full_disk_is_said_and_the_build_goes_on_later(
    name: str, after: int, harbour: Path, undisturbed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever write is one too many: exit 40, the place, and with space again the lock of an undisturbed build."""
    with monkeypatch.context() as patch:
        patch.setattr(os, name, failing(getattr(os, name), errno.ENOSPC, after))
        said = embspec("build", "--json")
    assert (said.exit, said.codes) == (40, ["disk.full"])
    assert "no space is left for" in said.json["errors"][0]["text"]
    assert "EMBSPEC_STORE" in said.json["errors"][0]["fix"]
    assert embspec("build", "-q").exit == 0
    assert LOCK.read_bytes() == undisturbed


def test_a_disk_that_fills_up_under_a_stage(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage's own file is cut off by a full disk: the same sentence, and the last green build stays."""
    lock, out = LOCK.read_bytes(), tree(Path("out"))
    edit(SPEC, "gates:", "eval: {metrics: [ndcg@5]}\ngates:")

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("embspec.stages.evaluate.make.make", full)
    said = embspec("build", "--json")
    assert (said.exit, said.codes) == (40, ["disk.full"])
    assert (LOCK.read_bytes(), tree(Path("out"))) == (lock, out)


@pytest.mark.parametrize(("code", "said_as"), [
    (errno.EROFS, "disk.read-only"), (errno.EACCES, "disk.read-only"), (errno.EIO, "disk.error"),
])
def test_a_store_that_takes_nothing(code: int, said_as: str, built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read-only, not ours, or broken: exit 40, and what was built stays."""
    lock, out = LOCK.read_bytes(), tree(Path("out"))
    edit(SPEC, "0.5", "0.6")
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", failing(os.link, code, 0))
        said = embspec("build", "--json")
    assert (said.exit, said.codes) == (40, [said_as])
    assert (LOCK.read_bytes(), tree(Path("out"))) == (lock, out)


def test_a_store_that_is_no_folder(harbour: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file stands where the store belongs."""
    Path("taken").write_text("", encoding="utf-8")
    monkeypatch.setenv("EMBSPEC_STORE", str(harbour / "taken"))
    said = embspec("build", "--json")
    assert (said.exit, said.codes) == (40, ["disk.error"])
    assert str(harbour / "taken") in said.json["errors"][0]["text"]


@pytest.mark.parametrize(("name", "after"), [("link", 1), ("replace", 5), ("fsync", 30), ("unlink", 20)])
def test_a_killed_build_is_finished_by_the_next_one(name: str, after: int, harbour: Path, undisturbed: bytes) -> None:
    """SIGKILL in the middle of a write: no lock to remove by hand, nothing half, and the same end."""
    kill("from embspec.__main__ import main\nmain()", name, after, "build", "-q")
    assert not REPORT.exists()
    assert embspec("plan", "--exit-code").exit == 10
    said = embspec("build", "--wait", "0", "--json")
    assert said.exit == 0
    assert LOCK.read_bytes() == undisturbed
    assert embspec("build", "--locked").exit == 0


def test_two_builds_at_once(harbour: Path, undisturbed: bytes) -> None:
    """Both end well, and they made the same."""
    command = [sys.executable, "-m", "embspec", "build"]
    builds = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [build.communicate()[1] for build in builds]
    assert [build.returncode for build in builds] == [0, 0], said
    assert LOCK.read_bytes() == undisturbed
    assert sum(text.count("corpus: running") for text in said) == 1


def _hold() -> int:
    """What another build of this spec does while it runs."""
    handle = os.open(BUILD, os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def test_a_build_waits_for_another_and_says_so(built: Path) -> None:
    """It is told, once; when the other one ends it goes on."""
    edit(SPEC, "0.5", "0.6")
    handle, told = _hold(), list[Event]()

    def tell(event: Event) -> None:
        told.append(event)
        if event.what == "wait":
            os.close(handle)

    assert Project().build(Order(wait=60.0), tell).plan.green
    assert [event.what for event in told].count("wait") == 1
    assert "another build" in told[0].text


def test_a_build_that_has_waited_too_long(built: Path) -> None:
    """Exit 60 names how long; nothing was touched."""
    lock = LOCK.read_bytes()
    edit(SPEC, "0.5", "0.6")
    handle = _hold()
    said = embspec("build", "--wait", "0", "--json")
    assert (said.exit, said.codes) == (60, ["waited.build"])
    assert "--wait" in said.json["errors"][0]["fix"]
    assert LOCK.read_bytes() == lock
    os.close(handle)
    assert embspec("build", "--wait", "0", "-q").exit == 0


def test_looking_does_not_wait(built: Path) -> None:
    """plan, status and a no-op need nothing that a running build holds."""
    handle = _hold()
    assert [embspec(*words).exit for words in (["build"], ["plan"], ["status"], ["lock", "--check"])] == [0, 0, 0, 0]
    os.close(handle)


@pytest.mark.parametrize("late", [False, True])
def test_a_document_edited_while_the_build_runs(late: bool, harbour: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock says what was read: read before the edit, the next plan sees it; read after, there is nothing to do."""
    from embspec.stages.corpus import make as corpus

    made = corpus.make

    def edited(*args: Any) -> Any:
        found = made(*args) if late else None
        page = Path("specs/docs/ice.md")
        page.write_text(page.read_text(encoding="utf-8") + "\nSalt is spread before dawn.\n", encoding="utf-8")
        return found if late else made(*args)

    with monkeypatch.context() as patch:
        patch.setattr(corpus, "make", edited)
        assert embspec("build", "-q").exit == 0
    states = {stage["name"]: stage["state"] for stage in embspec("plan", "--json").json["stages"]}
    assert states == {name: "run" if late and name == "corpus" else "clean" for name in STAGES}


def test_a_file_that_changes_between_two_readings(harbour: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage that read two different contents under one name made nothing that can be named."""
    from embspec.stages.corpus import make as corpus

    made = corpus.make

    def twice(params: Any, needs: Any, out: Path, desk: Any) -> Any:
        with needs["live"].open("docs/ice.md") as file:
            file.read()
        Path("specs/docs/ice.md").write_text("# Ice\n\nSalt.\n", encoding="utf-8")
        return made(params, needs, out, desk)

    monkeypatch.setattr(corpus, "make", twice)
    said = embspec("build", "--json")
    assert (said.exit, said.codes) == (3, ["input.changed"])
    assert not LOCK.exists()


def _object_of(stage: str, artefact: str) -> Path:
    """Where the store keeps an artefact that the lock names."""
    text = LOCK.read_text(encoding="utf-8").split(f"\n{stage}:\n")[1]
    found = re.search(rf"    {re.escape(artefact)}: sha256:(\w\w)(\w+) ", text)
    assert found
    return Path(os.environ["EMBSPEC_STORE"], "obj", found[1], found[2])


def test_a_corrupt_object_never_reaches_out(built: Path) -> None:
    """The report's bytes in the store are changed: 50, they are set aside, and the next build makes them again."""
    report = REPORT.read_bytes()
    store = Path(os.environ["EMBSPEC_STORE"], "obj")
    bad = next(p for p in store.rglob("*") if p.is_file() and p.read_bytes() == report)
    bad.chmod(0o644)
    bad.write_bytes(report.replace(b"harbour", b"herbour"))
    shutil.rmtree("out")
    said = embspec("build", "--json")
    assert (said.exit, said.codes) == (50, ["corrupt.object"])
    assert "it was set aside" in said.json["errors"][0]["text"]
    assert not REPORT.exists() and not bad.exists()
    assert embspec("build", "-q").exit == 0
    assert REPORT.read_bytes() == report


def test_a_corrupt_object_is_never_believed_by_a_stage(built: Path) -> None:
    """A stage that runs opens changed bytes: 50, nothing is measured on them; the next build makes them again."""
    lock = LOCK.read_bytes()
    bad = _object_of("split", "test.jsonl")
    good = bad.read_bytes()
    bad.chmod(0o644)
    bad.write_bytes(good.replace(b"query", b"quary"))
    said = embspec("build", "--refresh", "evaluate", "--json")
    assert (said.exit, said.codes) == (50, ["corrupt.object"])
    assert not bad.exists() and LOCK.read_bytes() == lock
    assert embspec("build", "--refresh", "evaluate", "-q").exit == 0
    assert bad.read_bytes() == good and LOCK.read_bytes() == lock


def test_locked_refuses_what_is_built_again_with_other_bytes(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """31 names the artefact and both digests; lock and out/ are untouched."""
    lock, out = LOCK.read_text(encoding="utf-8"), tree(Path("out"))
    found = re.search(r"verdict\.json: (sha256:\w+)", lock)
    assert found
    tampered = lock.replace(found[1], "sha256:" + "0" * 64)
    LOCK.write_text(tampered, encoding="utf-8")
    monkeypatch.setenv("EMBSPEC_STORE", str(built.parent / "empty"))
    said = embspec("build", "--locked", "--json")
    assert (said.exit, said.codes) == (31, ["differs.artefact"])
    error = said.json["errors"][0]
    assert "gates/verdict.json" in error["text"] and found[1] in error["text"] and "0" * 64 in error["text"]
    assert (LOCK.read_text(encoding="utf-8"), tree(Path("out"))) == (tampered, out)


def test_what_was_deleted_from_out_comes_back(built: Path) -> None:
    """out/ may be deleted or edited by hand at any time: the next build puts it right and runs nothing."""
    before = tree(Path("out"))
    REPORT.write_text("{}", encoding="utf-8")
    said = embspec("build", "--json")
    assert {stage["state"] for stage in said.json["stages"]} == {"clean"}
    shutil.rmtree("out")
    assert embspec("build", "-q").exit == 0
    assert tree(Path("out")) == before


def test_one_lost_object_is_made_again(built: Path) -> None:
    """An artefact that somebody needs and the store lost: its stage runs again, and no lock is written."""
    lock = (LOCK.read_bytes(), LOCK.stat().st_mtime_ns)
    _object_of("lexical", "tokenizer.json").unlink()
    assert embspec("plan", "--exit-code").exit == 0
    said = embspec("build", "--refresh", "evaluate", "--json")
    states = {stage["name"]: stage["state"] for stage in said.json["stages"]}
    assert [name for name, state in states.items() if state == "run"] == ["lexical", "evaluate"]
    assert (LOCK.read_bytes(), LOCK.stat().st_mtime_ns) == lock


def test_ci_trusts_no_time_stamp(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that was restored with the stat of today and the digest of then is believed; in CI all is read again."""
    page = Path("specs/docs/ice.md")
    for path in Path("specs").rglob("*"):
        os.utime(path, ns=(10**18, 10**18 + 1))
    assert embspec("build", "-q").exit == 0  # looks at each file, and keeps what it found
    page.write_text(page.read_text(encoding="utf-8").replace("frost", "thaws"), encoding="utf-8")
    os.utime(page, ns=(10**18, 10**18 + 1))
    cache = Path(".embspec/trees.cache")
    before = json.loads(cache.read_bytes())
    assert embspec("plan", "--exit-code").exit == 10
    after = json.loads(cache.read_bytes())
    (then,) = {pin for pin in before.values() if pin.endswith(" 22 files")}
    cache.write_text(json.dumps({look: before.get(look, then) for look in after}))
    assert embspec("plan", "--exit-code").exit == 0
    monkeypatch.setenv("CI", "true")
    assert embspec("plan", "--exit-code").exit == 10
    assert embspec("lock", "--check").exit == 11
