"""Builds at the same time: each key is made once, waiting is said, and nobody has to unlock anything."""
from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.harbour import LOCK, SPEC, STAGES, edit, settle, tree
from tests.support.programs import run, start

WORK = [stage for stage in STAGES if stage != "snapshot"]  # a snapshot is a pin: there is nothing to make
APART = {"split"}  # what it is keyed by is found by its run: a clone without a lock runs it for itself


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The harbour, with nothing built, and its store beside it."""
    return settle(tmp_path / "project")


@pytest.fixture(autouse=True)
def _heard() -> Iterator[None]:
    """A shell starts what runs in its background with SIGINT ignored, and so would the builds here ignore it."""
    patient = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, patient)


@pytest.fixture
def usual(first_build: Path) -> dict[str, bytes]:
    """What a build leaves that nobody disturbs: lock and out/."""
    return left(first_build / "project")


def left(project: Path) -> dict[str, bytes]:
    """The lock, and everything in out/."""
    return {**tree(project / "out"), "lock": (project / LOCK).read_bytes()}


def other(project: Path, name: str = "other") -> Path:
    """The same project in another work tree, with nothing built."""
    fresh = project.parent / name / "project"
    shutil.copytree(project, fresh)
    return fresh


def ends(builds: Sequence[subprocess.Popen[str]]) -> list[str]:
    """What each said, once all have ended well."""
    said = [build.communicate(timeout=120)[1] for build in builds]
    assert [build.returncode for build in builds] == [0] * len(builds), said
    return said


def runs(said: Sequence[str]) -> Counter[str]:
    """How often each stage ran, over all builds."""
    return Counter(re.findall(r"^(\S+): running", "\n".join(said), re.MULTILINE))


@contextmanager
def making(first_build: Path, store: Path, stage: str) -> Iterator[None]:
    """What another build does while it makes the key of a stage: it holds the lock of that key."""
    block = (first_build / "project" / LOCK).read_text(encoding="utf-8").split(f"\n{stage}:\n")[1]
    found = re.search(r"^  key: (\w+)$", block, re.MULTILINE)
    assert found
    path = store / "lock" / found[1]
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(handle)


def until(build: subprocess.Popen[str], line: str) -> str:
    """What a build says up to a line that begins so; it must not end before."""
    assert build.stderr
    heard = ""
    for said in build.stderr:
        heard += said
        if said.startswith(line):
            return heard
    raise AssertionError(f"ended without `{line}`:\n{heard}")


def test_two_builds_in_one_work_tree(project: Path, usual: dict[str, bytes]) -> None:
    """Every stage runs once, whichever of them runs it; lock and out/ are those of one build."""
    said = ends([start(project, "build"), start(project, "build")])
    assert runs(said) == dict.fromkeys(WORK, 1)
    assert left(project) == usual


def test_two_work_trees_on_one_store(project: Path, usual: dict[str, bytes]) -> None:
    """The same of two clones that have no lock yet, but for the stage whose key its run finds."""
    fresh, store = other(project), project.parent / "store"
    said = ends([start(project, "build"), start(fresh, "build", store=store)])
    assert runs(said) == {stage: 2 if stage in APART else 1 for stage in WORK}
    assert left(project) == left(fresh) == usual


def test_two_work_trees_that_have_the_lock(project: Path, first_build: Path, usual: dict[str, bytes]) -> None:
    """With the lock in both and an empty store each stage runs once, that one too."""
    shutil.copy(first_build / "project" / LOCK, project / LOCK)
    fresh, store = other(project), project.parent / "store"
    said = ends([start(project, "build", "--locked"), start(fresh, "build", "--locked", store=store)])
    assert runs(said) == dict.fromkeys(WORK, 1)
    assert left(project) == left(fresh) == usual


def test_two_specs_share_a_store(project: Path, usual: dict[str, bytes]) -> None:
    """Another gate: what comes before it is made once, the rest by each for itself; both locks are whole."""
    fresh, store = other(project), project.parent / "store"
    edit(fresh / SPEC, "0.5", "0.4")
    said = ends([start(project, "build"), start(fresh, "build", store=store)])
    twice = {"gates", "report", *APART}
    assert runs(said) == {stage: 2 if stage in twice else 1 for stage in WORK}
    assert left(project) == usual
    assert all(run(each, "lock", "--check").returncode == 0 for each in (project, fresh))


def test_a_key_that_another_makes_is_waited_for(project: Path, first_build: Path, usual: dict[str, bytes]) -> None:
    """It is said once, with the stage; when the other is done its result is taken, here there is none, so it runs."""
    with making(first_build, project.parent / "store", "evaluate"):
        build = start(project, "build")
        heard = until(build, "evaluate: waiting")
        assert heard.count("waiting") == 1 and "another build is making the same" in heard
    (said,) = ends([build])
    assert "evaluate: done" in said and "waiting" not in said
    assert left(project) == usual


def test_what_another_made_meanwhile_is_taken(project: Path, first_build: Path, usual: dict[str, bytes]) -> None:
    """The holder of the key finishes it: the one who waited runs nothing of it."""
    fresh, store = other(project), project.parent / "store"
    with making(first_build, store, "evaluate"):
        build = start(project, "build")
        until(build, "evaluate: waiting")
        done = run(fresh, "build")  # in a store of its own, whose record is brought over
        assert done.returncode == 0, done.stderr
        shutil.copytree(fresh.parent / "store/obj", store / "obj", dirs_exist_ok=True)
        shutil.copytree(fresh.parent / "store/act", store / "act", dirs_exist_ok=True)
    (said,) = ends([build])
    assert "evaluate: reused" in said and not runs([said])["evaluate"]
    assert left(project) == usual


@pytest.mark.parametrize("seconds", ["0", "0.2"])
def test_waited_too_long_for_a_key(seconds: str, project: Path, first_build: Path) -> None:
    """Exit 60 says how long; what was finished before is kept, and the next build goes on from there."""
    with making(first_build, project.parent / "store", "evaluate"):
        done = run(project, "build", "--wait", seconds)
        assert done.returncode == 60
        assert f"after {seconds} seconds" in done.stderr and "--wait" in done.stderr
    done = run(project, "build")
    assert (done.returncode, runs([done.stderr])) == (0, dict.fromkeys(["evaluate", "gates", "report"], 1))


@pytest.mark.parametrize(("number", "code"), [
    (signal.SIGTERM, 41), (signal.SIGINT, 41), (signal.SIGKILL, -signal.SIGKILL),
])
def test_the_end_of_one_lets_the_other_go_on(
    number: signal.Signals, code: int, project: Path, first_build: Path, usual: dict[str, bytes]
) -> None:
    """One build holds the work tree, another waits for it: whatever ends the first, the second does the rest."""
    with making(first_build, project.parent / "store", "evaluate"):
        first = start(project, "build")
        before = until(first, "evaluate: waiting")
        second = start(project, "build")
        assert "another build of this spec is running" in until(second, "waiting")
        first.send_signal(number)
        first.communicate(timeout=60)
        assert first.returncode == code
    (after,) = ends([second])
    assert runs([before, after]) == dict.fromkeys(WORK, 1)
    assert not runs([before])["evaluate"] and left(project) == usual


def test_no_lock_outlives_who_held_it(project: Path, first_build: Path, usual: dict[str, bytes]) -> None:
    """A build that held a key and its work tree is killed: the next does not wait for a moment."""
    with making(first_build, project.parent / "store", "gates"):
        build = start(project, "build")
        until(build, "gates: waiting")
        build.kill()
        build.communicate(timeout=60)
    done = run(project, "build", "--wait", "0")
    assert done.returncode == 0, done.stderr
    assert left(project) == usual
