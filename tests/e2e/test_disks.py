"""Real disks that are full, read-only or gone: what is said, that nothing is lost, and that the next build goes on."""
from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import embspec
from tests.support.disks import Disk, disk
from tests.support.harbour import LOCK, SPEC, edit, tree

__all__ = ["disk"]

REPORT = Path("out/harbour/report/report.json")


@pytest.fixture
def undisturbed(first_build: Path) -> bytes:
    """The lock that a build of this project writes when nothing gets in its way."""
    return (first_build / "project" / LOCK).read_bytes()


@pytest.fixture
def store(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Disk:
    """A store on a small disk."""
    monkeypatch.setenv("EMBSPEC_STORE", str(disk.path))
    return disk


@pytest.mark.parametrize("room", [0, 16, 80, 120])
def test_a_full_store(room: int, store: Disk, harbour: Path, undisturbed: bytes) -> None:
    """So many kilobytes are left: 40, and what was finished is there; with room again the next build goes on."""
    filler = store.fill(room)
    said = embspec("build", "--json")
    assert (said.exit, said.codes) == (40, ["disk.full"])
    assert "no space is left for" in said.json["errors"][0]["text"]
    finished = re.findall(r"^(\w\S*):$", LOCK.read_text(encoding="utf-8"), re.M) if LOCK.exists() else []
    assert bool(finished) is (room >= 80)
    filler.unlink()
    after = embspec("build", "--json")
    assert after.exit == 0 and LOCK.read_bytes() == undisturbed
    assert not {stage["name"] for stage in after.json["stages"] if stage["state"] == "run"} & set(finished)
    assert embspec("fsck", "-q").exit == 0


def test_a_full_project(disk: Disk, built: Path) -> None:
    """`out/` is on a full disk: what was published stays, the results are in the store and come with room."""
    before = tree(Path("out"))
    shutil.copytree("out", disk.path / "out")
    shutil.rmtree("out")
    os.symlink(disk.path / "out", "out")
    edit(SPEC, "0.5", "0.6")
    filler = disk.fill(4)
    said = embspec("build", "--json")
    assert (said.exit, said.codes) == (40, ["disk.full"])
    assert {name: tree(Path("out"))[name] for name in before} == before
    filler.unlink()
    after = embspec("build", "--json")
    assert {stage["state"] for stage in after.json["stages"]} == {"clean"}
    assert tree(Path("out")).keys() == before.keys() and tree(Path("out")) != before


def test_a_store_that_may_only_be_read(store: Disk, built: Path) -> None:
    """Looking, getting and a build with nothing to do need no writing; anything else is 40, and nothing changes."""
    shutil.rmtree(store.path, ignore_errors=True)
    shutil.copytree(built.parent / "store", store.path, dirs_exist_ok=True)
    lock, out = LOCK.read_bytes(), tree(Path("out"))
    store.read_only(True)
    looking = [["build"], ["plan"], ["status"], ["lock", "--check"], ["get", "--what", "report", "-o", "got"],
               ["diff", LOCK]]
    assert [embspec(*words).exit for words in looking] == [0] * len(looking)
    assert tree(Path("got")) == {name: out[f"harbour/report/{name}"] for name in ("report.md", "report.json")}
    edit(SPEC, "0.5", "0.6")
    for words in (["build"], ["gc"]):
        said = embspec(*words, "--json")
        assert (said.exit, said.codes) == (40, ["disk.read-only"]), said
        assert "EMBSPEC_STORE" in said.json["errors"][0]["fix"]
    assert (LOCK.read_bytes(), tree(Path("out"))) == (lock, out)
    store.read_only(False)
    assert embspec("build", "-q").exit == 0


def test_out_comes_back_from_a_store_that_may_only_be_read(store: Disk, built: Path) -> None:
    """Nothing has to run, so nothing has to be written there."""
    shutil.copytree(built.parent / "store", store.path, dirs_exist_ok=True)
    before = tree(Path("out"))
    shutil.rmtree("out")
    store.read_only(True)
    assert embspec("build", "-q").exit == 0
    assert tree(Path("out")) == before


def test_corrupt_bytes_on_a_disk_that_may_only_be_read(store: Disk, built: Path) -> None:
    """They cannot be set aside: 50 names the file to delete, in a build and in fsck, and it is never believed."""
    shutil.copytree(built.parent / "store", store.path, dirs_exist_ok=True)
    report = REPORT.read_bytes()
    bad = next(p for p in (store.path / "obj").rglob("*") if p.is_file() and p.read_bytes() == report)
    bad.chmod(0o644)
    bad.write_bytes(b"{}")
    shutil.rmtree("out")
    store.read_only(True)
    said = embspec("build", "--json")
    assert (said.exit, said.codes) == (50, ["corrupt.object"])
    assert f"delete {bad}" in said.json["errors"][0]["fix"] and not REPORT.exists()
    said = embspec("fsck", "--json")
    assert said.exit == 50 and f"delete {bad}" in str(said.json["lost"])
    store.read_only(False)
    assert embspec("fsck", "-q").exit == 0 and embspec("build", "-q").exit == 0
    assert REPORT.read_bytes() == report


def test_a_project_that_may_only_be_read(disk: Disk, built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be planned, asked and got from; a build that has something to do is 40."""
    shutil.copytree(built, disk.path / "project", dirs_exist_ok=True)
    monkeypatch.chdir(disk.path / "project")
    edit(SPEC, "0.5", "0.6")
    disk.read_only(True)
    looking = [["plan"], ["status"], ["get", "--what", "report", "-o", built / "got"], ["gc", "--dry-run"], ["fsck"]]
    assert [embspec(*words).exit for words in looking] == [0] * len(looking)
    said = embspec("build", "--json")
    assert (said.exit, said.codes) == (40, ["disk.read-only"])
    assert str(disk.path / "project") in said.json["errors"][0]["text"]
    disk.read_only(False)
    assert embspec("build", "-q").exit == 0


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_store_that_vanishes(
    comes_back: bool, harbour: Path, undisturbed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a build, as a disk that is pulled out: 40 names it; the next build ends as it would have."""
    from embspec.stages.evaluate import make as evaluate

    made, store = evaluate.make, Path(os.environ["EMBSPEC_STORE"])

    def pulled(*args: Any) -> Any:
        found = made(*args)
        store.rename(store.with_name("away"))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(evaluate, "make", pulled)
        said = embspec("build", "--json")
    assert (said.exit, said.codes) == (40, ["disk.gone"])
    assert str(store) in said.json["errors"][0]["text"]
    if comes_back:
        shutil.rmtree(store, ignore_errors=True)
        store.with_name("away").rename(store)
    after = embspec("build", "--json")
    assert after.exit == 0 and LOCK.read_bytes() == undisturbed
    ran = [stage["name"] for stage in after.json["stages"] if stage["state"] == "run"]
    assert ("corpus" in ran) is not comes_back


def test_a_disk_that_is_pulled_out(
    store: Disk, harbour: Path, undisturbed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is still there, and empty: that is said too; with what it held lost, all is made again."""
    from embspec.stages.evaluate import make as evaluate

    made = evaluate.make

    def pulled(*args: Any) -> Any:
        found = made(*args)
        store.gone()
        return found

    with monkeypatch.context() as patch:
        patch.setattr(evaluate, "make", pulled)
        said = embspec("build", "--json")
    assert (said.exit, said.codes) == (40, ["disk.gone"])
    assert embspec("build", "-q").exit == 0 and LOCK.read_bytes() == undisturbed
