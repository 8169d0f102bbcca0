"""`out/NAME`: whole or as it was, the user's own edits undone, a red model beside the green one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from embspec.errors import EmbspecError
from embspec.plan.nodes import Node
from embspec.plan.plan import CLEAN, HELD, Plan, Step
from embspec.plan.protocol import Stage
from embspec.run import publish as module
from embspec.run.publish import publish
from embspec.store.places import Places
from embspec.store.world import DiskWorld

MODEL = Stage("train", 1, (), ("model",), "", ships=True, out={"model": "model"})
INDEX = Stage("index", 1, (), ("manifest",), "", gated=True, out={"manifest": "index/manifest.json"})
REPORT = Stage("report", 1, (), ("page",), "", locked=False, out={"page": "report/report.md"})


@pytest.fixture
def world(tmp_path: Path) -> DiskWorld:
    """A project without a spec: publishing asks only for steps."""
    at = Places(str(tmp_path / "specs" / "x.yaml"), str(tmp_path), "x")
    return DiskWorld(at, str(tmp_path / "store"), False)


def tree(world: DiskWorld, **files: str) -> str:
    """A stored folder."""
    with world.objects.scratch() as folder:
        root = Path(folder, "t")
        root.mkdir()
        for name, text in files.items():
            (root / name).write_text(text)
        return world.objects.adopt(str(root))


def put(world: DiskWorld, text: str) -> str:
    """A stored file."""
    return world.objects.put(text.encode())


def plan(verdict: str, **outs: Any) -> Plan:
    """A plan in which these stages are settled."""
    stages = {"train": MODEL, "index": INDEX, "report": REPORT}
    steps = [
        Step(
            Node(n, stages[n], {}, {}),
            HELD if n == "index" and verdict == "red" else CLEAN,
            out={stages[n].makes[0]: d},
        )
        for n, d in outs.items()
    ]
    return Plan(tuple(steps), (), (), verdict)


def shown(world: DiskWorld) -> dict[str, str]:
    """What lies in `out/`."""
    out = Path(world.at.out)
    return {p.relative_to(out).as_posix(): p.read_text() for p in sorted(out.rglob("*")) if p.is_file()}


def test_files_and_folders_are_brought(world: DiskWorld) -> None:
    """A second time nothing is written."""
    now = plan("green", train=tree(world, a="1", b="2"), report=put(world, "page"))
    publish(now, world)
    assert shown(world) == {"model/a": "1", "model/b": "2", "report/report.md": "page"}
    before = {p: p.stat().st_mtime_ns for p in Path(world.at.root).rglob("*")}
    publish(now, world)
    assert {p: p.stat().st_mtime_ns for p in Path(world.at.root).rglob("*")} == before


def test_a_new_folder_takes_the_place_of_the_old(world: DiskWorld) -> None:
    """Whole: no file of the old one is left in it, nothing is left beside it."""
    publish(plan("green", train=tree(world, a="1", old="x")), world)
    publish(plan("green", train=tree(world, a="2")), world)
    assert shown(world) == {"model/a": "2"} and os.listdir(world.at.out) == ["model"]


@pytest.mark.parametrize("damage", ["edit", "remove", "add"])
def test_what_a_user_did_to_out_is_undone(world: DiskWorld, damage: str) -> None:
    """`out/` is what the lock says."""
    now = plan("green", train=tree(world, a="1", b="2"))
    publish(now, world)
    path = Path(world.at.out, "model", "a" if damage != "add" else "c")
    if damage == "remove":
        path.unlink()
    else:
        path.write_text("mine")
    publish(now, world)
    assert shown(world) == {"model/a": "1", "model/b": "2"}


def test_a_damaged_object_leaves_the_old_one_in_place(world: DiskWorld) -> None:
    """Exit 50; the model that stands stays whole."""
    publish(plan("green", train=tree(world, a="1")), world)
    new = tree(world, a="2", b="3")
    path = world.objects.path(put(world, "3").split(" ")[0])
    os.chmod(path, 0o644)
    Path(path).write_text("4")
    with pytest.raises(EmbspecError) as caught:
        publish(plan("green", train=new), world)
    assert caught.value.exit == 50
    assert {k: v for k, v in shown(world).items() if k.startswith("model/")} == {"model/a": "1"}


def test_a_stop_between_the_two_renames_is_mended(world: DiskWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next publishing brings the new one."""
    publish(plan("green", train=tree(world, a="1")), world)
    now = plan("green", train=tree(world, a="2"))
    real, count = os.rename, iter(range(9))

    def halt(*args: Any) -> None:
        if next(count) == 1:
            raise KeyboardInterrupt
        real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(module.os, "rename", halt)
        with pytest.raises(KeyboardInterrupt):
            publish(now, world)
    publish(now, world)
    assert shown(world) == {"model/a": "2"}


def test_red_and_green(world: DiskWorld) -> None:
    """A red model goes to candidate/, index and model stay; the next green one removes the candidate."""
    one, two = tree(world, a="1"), tree(world, a="2")
    publish(plan("green", train=one, index=put(world, "i1"), report=put(world, "r1")), world)
    publish(plan("red", train=two, index=put(world, "i1"), report=put(world, "r2")), world)
    assert shown(world) == {
        "model/a": "1",
        "candidate/model/a": "2",
        "index/manifest.json": "i1",
        "report/report.md": "r2",
    }
    publish(plan("green", train=two, index=put(world, "i2"), report=put(world, "r3")), world)
    assert shown(world) == {"model/a": "2", "index/manifest.json": "i2", "report/report.md": "r3"}
    assert "candidate/model" not in world.stamps()
