"""The lock's file, builds side by side, and `--locked`."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from embspec.api import Project
from embspec.errors import EmbspecError
from embspec.lock.text import read
from embspec.plan.values import Block, digest_of
from embspec.run import locked
from embspec.run.build import Order
from embspec.store.places import places


def lock_of(spec: Path) -> Path:
    """The lock beside a spec."""
    return spec.with_suffix(".lock")


def lose(spec: Path, *roles: str) -> None:
    """The store no longer has these artefacts."""
    blocks = read(lock_of(spec).read_text(), "").blocks
    for role in roles:
        stage, artefact = role.split("/")
        os.unlink(Project(str(spec)).world.objects.path(digest_of(blocks[stage].out[artefact])))


def refusal(spec: Path, order: Order) -> tuple[list[str], int]:
    """Codes and exit of a build that is refused."""
    with pytest.raises(EmbspecError) as caught:
        Project(str(spec)).build(order)
    return [p.code for p in caught.value.problems], caught.value.exit


def test_a_second_build_waits_and_then_says_so(spec: Path) -> None:
    """Exit 60 when its time is up; nothing has to be removed by hand afterwards."""
    at = places(str(spec))
    waited = []
    path = os.path.join(at.state, "mini.build.flock")
    with locked.held(path, 0, lambda: None), pytest.raises(EmbspecError) as caught:
        Project(str(spec)).build(Order(wait=0), lambda event: waited.append(event.what))
    assert ([p.code for p in caught.value.problems], caught.value.exit) == (["waited.build"], 60) and waited == ["wait"]
    assert len(Project(str(spec)).build().done) == 10


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_lock_file_that_somebody_else_left_is_no_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two persons share a store: what a killed build of one left behind, the other can lock all the same."""
    path = Path("lock/key")
    monkeypatch.chdir(tmp_path)  # whose own path may be closed to others
    path.parent.mkdir()
    path.touch(0o644)  # of root; the test goes on as nobody
    tmp_path.chmod(0o755)
    path.parent.chmod(0o777)
    os.seteuid(65534)
    try:
        with locked.held(str(path), 0, lambda: None):
            assert path.exists()
    finally:
        os.seteuid(0)


def test_two_builds_at_once_make_one_lock(spec: Path) -> None:
    """Two processes: both succeed, the second finds the work done."""
    command = [sys.executable, "-m", "embspec", "build", str(spec), "--json"]
    each = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    said = [(p.communicate(), p.returncode) for p in each]
    assert [code for _, code in said] == [0, 0], said
    straight = lock_of(spec).read_bytes()
    lock_of(spec).unlink()
    Project(str(spec)).build()
    assert lock_of(spec).read_bytes() == straight


def test_a_lock_is_read_again_before_it_is_written(spec: Path) -> None:
    """What another command wrote in between is not lost."""
    at = places(str(spec))
    locked.save(at, ["a", "b"], lambda blocks: {**blocks, "b": Block("1")}, {})
    lock = locked.save(at, ["a", "b"], lambda blocks: {**blocks, "a": Block("2")}, {})
    assert {n: b.recipe for n, b in lock.blocks.items()} == {"a": "2", "b": "1"}
    assert list(locked.load(at).blocks) == ["a", "b"] and locked.load(at).blocks == lock.blocks


def test_no_lock_is_an_empty_one(spec: Path) -> None:
    """And a lock that is no text is refused with its place."""
    at = places(str(spec))
    assert locked.load(at).blocks == {}
    Path(at.lock).write_bytes(b"lock: 1\n\xff")
    with pytest.raises(EmbspecError) as caught:
        locked.load(at)
    assert (caught.value.problems[0].code, caught.value.exit) == ("lock.syntax", 12)


def test_locked_takes_what_is_there(spec: Path) -> None:
    """A fresh clone with a full store: nothing runs but the report, and the lock is not touched."""
    Project(str(spec)).build()
    before = lock_of(spec).read_bytes()
    assert not Project(str(spec)).build(Order(locked=True, no_run=True)).done
    for path in sorted((spec.parents[1] / "out").rglob("*.md")):
        path.unlink()
    Project(str(spec)).build(Order(locked=True, no_run=True))
    assert (spec.parents[1] / "out" / "mini" / "report" / "report.md").exists() and lock_of(spec).read_bytes() == before


def test_locked_refuses_a_lock_that_is_out_of_date(spec: Path) -> None:
    """Exit 11, every reason at once, nothing written."""
    Project(str(spec)).build()
    before = lock_of(spec).read_bytes()
    spec.write_text(spec.read_text().replace("test: 0.5", "test: 0.4").replace("resamples: 200", "resamples: 300"))
    with pytest.raises(EmbspecError) as caught:
        Project(str(spec)).build(Order(locked=True))
    said = " ".join(p.text for p in caught.value.problems)
    assert (
        caught.value.exit == 11 and "split.test: 0.5 → 0.4" in said and "eval.statistics.resamples: 200 → 300" in said
    )
    assert lock_of(spec).read_bytes() == before


def test_locked_builds_again_what_nobody_has(spec: Path) -> None:
    """The same bytes: all is well."""
    Project(str(spec)).build()
    before = lock_of(spec).read_bytes()
    lose(spec, "evaluate/scores", "split/test.jsonl")
    for path in sorted((spec.parents[1] / "out").rglob("report.*")):
        path.unlink()
    for path in Path(os.environ["EMBSPEC_STORE"], "act").rglob("*.json"):
        path.unlink()
    assert {"evaluate", "split", "report"} <= set(Project(str(spec)).build(Order(locked=True)).done)
    assert lock_of(spec).read_bytes() == before


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize(
    ("right", "wrong", "code"), [("normalize: nfc", "normalize: none", 11), ("verdict: green", "verdict: red", 31)]
)
def test_locked_refuses_a_line_that_was_changed_by_hand(
    spec: Path, right: str, wrong: str, code: int, empty: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key or a record belies it (11), or, with an empty store, what is built again does (31); a build mends it."""
    Project(str(spec)).build()
    before = lock_of(spec).read_text()
    lock_of(spec).write_text(before.replace(right, wrong, 1))
    if empty:
        monkeypatch.setenv("EMBSPEC_STORE", str(tmp_path / "empty"))
        (spec.parents[1] / "out" / "mini" / "report" / "report.md").unlink()
    assert refusal(spec, Order(locked=True))[1] == (code if empty else 11)
    assert lock_of(spec).read_text() != before
    Project(str(spec)).build()
    assert lock_of(spec).read_text() == before


def test_no_run_names_what_is_nowhere(spec: Path) -> None:
    """Exit 32."""
    Project(str(spec)).build()
    lose(spec, "evaluate/scores")
    for path in Path(os.environ["EMBSPEC_STORE"], "act").rglob("*.json"):
        path.unlink()
    codes, code = refusal(spec, Order(locked=True, no_run=True))
    assert (codes, code) == (["nowhere.stage"], 32)


def test_locked_refuses_other_bytes(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Built again and different: exit 31, naming the artefact; lock and `out/` stay as they are."""
    Project(str(spec)).build()
    before = lock_of(spec).read_bytes()
    lose(spec, "evaluate/scores")
    for path in Path(os.environ["EMBSPEC_STORE"], "act").rglob("*.json"):
        path.unlink()
    module = importlib.import_module("embspec.stages.evaluate.make")
    real = module.make

    def other(*args: Any) -> Any:
        made = real(*args)
        with open(args[2] / "scores", "a") as file:
            file.write("\n")
        return made

    monkeypatch.setattr(module, "make", other)
    report = spec.parents[1] / "out" / "mini" / "report" / "report.json"
    shown = report.read_bytes()
    codes, code = refusal(spec, Order(locked=True))
    assert (codes, code) == (["differs.artefact"], 31)
    assert lock_of(spec).read_bytes() == before and report.read_bytes() == shown


def test_a_lock_with_conflict_markers_is_not_built_over(spec: Path) -> None:
    """Exit 12 with the line; the file stays as it is."""
    Project(str(spec)).build()
    text = lock_of(spec).read_text()
    lock_of(spec).write_text(text.replace("  key:", "<<<<<<< ours\n  key:", 1))
    with pytest.raises(EmbspecError) as caught:
        Project(str(spec)).build()
    assert caught.value.exit == 12 and caught.value.problems[0].code == "lock.conflict"
    assert "<<<<<<<" in lock_of(spec).read_text()


def test_a_lock_of_a_newer_minor_version_stays_unwritten(spec: Path) -> None:
    """It may be read; before anything runs a build says that it must not write it."""
    Project(str(spec)).build()
    lock_of(spec).write_text(lock_of(spec).read_text() + "\nnews:\n  recipe: 1\n  more: 2\n")
    spec.write_text(spec.read_text().replace("test: 0.5", "test: 0.4"))
    codes, code = refusal(spec, Order())
    assert (codes, code) == (["lock.unknown"], 12) and "more: 2" in lock_of(spec).read_text()


@pytest.mark.parametrize("wrong", ["foo", "sha256:ab 3", "sha256: 3", "3"])
@pytest.mark.parametrize("line", ["evaluate/scores", "gates/verdict.json", "snapshot/documents.jsonl"])
def test_a_digest_that_is_none_is_no_bytes(spec: Path, line: str, wrong: str) -> None:
    """A hand wrote it into the lock: what it stood for is made again, and the lock is as it was."""
    Project(str(spec)).build()
    before = lock_of(spec).read_text()
    stage, artefact = line.split("/")
    block = read(before, "").blocks[stage]
    lock_of(spec).write_text(before.replace((block.out or block.pin)[artefact], wrong))
    for path in (spec.parents[1] / "out").rglob("report.*"):
        path.unlink()
    found = Project(str(spec))
    if stage == "snapshot":
        with pytest.raises(EmbspecError) as caught:
            found.build()
        assert [p.code for p in caught.value.problems] == ["nowhere.artefact"]
    else:
        found.build()
        assert lock_of(spec).read_text() == before


def test_a_lock_that_is_a_folder_is_said(spec: Path) -> None:
    """Exit 12, and no traceback."""
    lock_of(spec).mkdir()
    assert refusal(spec, Order()) == (["lock.unreadable"], 12)
