"""`out/NAME`: whole or as it was, the user's own edits undone, a red model beside the green one."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

from embspec.errors import EmbspecError
from embspec.plan.nodes import Node
from embspec.plan.plan import CLEAN, HELD, Plan, Step
from embspec.plan.protocol import Stage
from embspec.run import publish as module
from embspec.run.publish import publish, repair
from embspec.store.places import Places
from embspec.store.world import DiskWorld
from tests.support.killed import kill

MODEL = Stage("train", 1, (), ("model",), "", ships=True, out={"model": "model"})
EXPORT = Stage("export", 1, (), ("onnx", "golden"), "", ships=True,
               out={"onnx": "model/onnx", "golden": "model/golden.safetensors"})
CARD = Stage("card", 1, (), ("page",), "", locked=False, ships=True, out={"page": "model/README.md"})
INDEX = Stage("index", 1, (), ("manifest",), "", gated=True, out={"manifest": "index/manifest.json"})
REPORT = Stage("report", 1, (), ("page",), "", locked=False, out={"page": "report/report.md"})
STAGES = {"train": MODEL, "export": EXPORT, "card": CARD, "index": INDEX, "report": REPORT}


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
    steps = []
    for name, made in outs.items():
        stage = STAGES[name]
        out = made if isinstance(made, dict) else {stage.makes[0]: made}
        held = name == "index" and verdict == "red"
        node = Node(name, stage, {}, {}, tuple(out), {}, (), (), stage.out, False)
        steps.append(Step(node, HELD if held else CLEAN, out=out))
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
    """Where names cannot be exchanged: the next publishing brings the new one."""
    monkeypatch.setattr(module, "exchange", lambda one, other: False)
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


def whole(world: DiskWorld, number: int, onnx: bool = True) -> dict[str, Any]:
    """All that one model's folder is made of, each file saying of which model it is."""
    text = f"model {number}"
    exported = tree(world, **({"model.onnx": text} if onnx else {}))
    return {
        "train": tree(world, weights=text, config=text),
        "export": {"onnx": exported, "golden": put(world, f"{text} ")},
        "card": put(world, f"{text}  "),
    }


FILES = ["model/README.md", "model/config", "model/golden.safetensors", "model/onnx/model.onnx", "model/weights"]


def test_one_folder_holds_what_several_stages_made(world: DiskWorld) -> None:
    """The card of a stage and the export of another lie in the model's folder; a second time nothing is written."""
    now = plan("green", **whole(world, 1))
    publish(now, world)
    assert list(shown(world)) == FILES and os.listdir(world.at.out) == ["model"]
    assert all(world.published(path, step.out[a]) for step in now.steps for a, path in step.node.out.items())
    before = {p: p.stat().st_mtime_ns for p in Path(world.at.root).rglob("*")}
    publish(now, world)
    assert {p: p.stat().st_mtime_ns for p in Path(world.at.root).rglob("*")} == before


def test_one_stale_member_is_a_stale_folder(world: DiskWorld) -> None:
    """Each of its paths is behind, and the folder is brought as one; what is no part of it any more is gone."""
    publish(plan("green", **whole(world, 1)), world)
    changed = whole(world, 1) | {"card": put(world, "another card")}
    publish(plan("green", **changed), world)
    assert shown(world)["model/README.md"] == "another card" and shown(world)["model/weights"] == "model 1"
    without = whole(world, 1, onnx=False)
    publish(plan("green", **without), world)
    assert list(shown(world)) == [f for f in FILES if "onnx" not in f] and not Path(world.at.out, "model/onnx").exists()
    without["export"].pop("onnx")
    publish(plan("green", **without), world)
    assert list(shown(world)) == [f for f in FILES if "onnx" not in f]
    Path(world.at.out, "model", "config").write_text("mine")
    assert not world.published("model/README.md", without["card"])


def test_a_folder_that_holds_nothing(world: DiskWorld) -> None:
    """It is there, and it is not brought again and again."""
    now = plan("green", train=tree(world))
    publish(now, world)
    assert os.listdir(world.at.out) == ["model"] and world.published("model", now.steps[0].out["model"])


def test_a_red_model_is_a_whole_folder_too(world: DiskWorld) -> None:
    """Under candidate/, while the green one stands; then it takes its place and the candidate is gone."""
    publish(plan("green", **whole(world, 1)), world)
    publish(plan("red", **whole(world, 2)), world)
    found = shown(world)
    assert {f: found[f].strip() for f in FILES} == dict.fromkeys(FILES, "model 1")
    assert {f: found[f"candidate/{f}"].strip() for f in FILES} == dict.fromkeys(FILES, "model 2")
    publish(plan("green", **whole(world, 2)), world)
    assert {f: text.strip() for f, text in shown(world).items()} == dict.fromkeys(FILES, "model 2")


@pytest.mark.parametrize("there", ["file", "folder", "link"])
def test_what_a_user_put_where_it_belongs(world: DiskWorld, tmp_path: Path, there: str) -> None:
    """A file for a folder, a folder for a file, a link: what the lock says stands there afterwards."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").write_text("kept")
    target = Path(world.at.out, "model")
    target.parent.mkdir(parents=True)
    if there == "file":
        target.write_text("mine")
    elif there == "folder":
        target.mkdir()
        Path(target, "mine").write_text("mine")
    else:
        target.symlink_to(tmp_path / "elsewhere")
    publish(plan("green", **whole(world, 1)), world)
    assert list(shown(world)) == FILES and not target.is_symlink()
    assert (tmp_path / "elsewhere" / "kept").read_text() == "kept"


PUBLISHED = """
import pickle, sys
from embspec.run import publish
if sys.argv[2] == "rename":
    publish.exchange = lambda one, other: False  # a disk that cannot
with open(sys.argv[1], "rb") as file:
    now, world = pickle.load(file)
publish.publish(now, world)
"""
KILLS = [("replace", 0), ("replace", 2), ("rename", 0), ("rename", 1), ("rmdir", 0), ("unlink", 1), ("fsync", 0)]


@pytest.mark.parametrize(("name", "after"), KILLS)
def test_a_kill_at_any_moment_leaves_one_model(world: DiskWorld, tmp_path: Path, name: str, after: int) -> None:
    """The old one or the new one; only where names cannot be exchanged there is a blink, which the next build mends."""
    publish(plan("green", **whole(world, 1)), world)
    now = plan("green", **whole(world, 2))
    (tmp_path / "now").write_bytes(pickle.dumps((now, world)))
    kill(PUBLISHED, name, after, str(tmp_path / "now"), name)
    before = {f.strip() for path, f in shown(world).items() if path.startswith("model/")}
    assert before in ({"model 1"}, {"model 2"}) or (before == set() and (name, after) == ("rename", 1))
    repair(world)
    found = shown(world)
    assert list(found) == FILES and {f.strip() for f in found.values()} == (before or {"model 1"})
    assert os.listdir(world.at.out) == ["model"]
    publish(now, world)
    assert {f.strip() for f in shown(world).values()} == {"model 2"} and os.listdir(world.at.out) == ["model"]


def test_repair_touches_nothing_of_the_users(world: DiskWorld) -> None:
    """Only places beside what was published are ours."""
    publish(plan("green", **whole(world, 1)), world)
    Path(world.at.out, "notes.old").mkdir()
    Path(world.at.out, "notes.old", "mine").write_text("mine")
    repair(world)
    assert shown(world)["notes.old/mine"] == "mine"
    shutil.rmtree(Path(world.at.out, "notes.old"))
