"""A model from its spec to the index that serves: what is trained, encoded, kept and published, and when."""
from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from tests.support.harbour import copied, edit, tree
from tests.support.programs import Stages, alone, built, clone, commit, git, ran, run, stages, start
from tests.support.ship import LOCK, OUT, SPEC, ship

RATE = "  per_device_train_batch_size: 4\n"
CRANE = Path("specs/docs/crane.md")
ONE_CORE = ("taskset", "-c", "0")


def encoded(stages: Stages) -> int:
    """Texts that went through a model."""
    return sum(stage["counts"]["encoded"] for stage in stages)


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A static model, built and committed once; tests take copies."""
    folder = tmp_path_factory.mktemp("ship")
    ship(folder / "project")
    shutil.rmtree(folder / "project/.git")
    git(folder / "project", "init", "-q")
    built(folder / "project")
    commit(folder / "project", "first")
    return folder


@pytest.fixture
def project(first: Path, tmp_path: Path) -> Path:
    """The project as it was committed, with its store."""
    return copied(first, tmp_path)


def test_a_second_build_does_nothing(project: Path) -> None:
    """Nothing is built, and the lock is not written."""
    before = (project / LOCK).stat().st_mtime_ns
    assert ran(built(project)) == []
    assert (project / LOCK).stat().st_mtime_ns == before


def test_one_edited_document_is_one_encoded_text(project: Path) -> None:
    """Nothing is trained; index and lock are those of a build from nothing in a fresh clone with an empty store."""
    (project / CRANE).write_text((project / CRANE).read_text() + "\nThe hook is greased in spring.\n")
    said = built(project)
    assert ran(said) == ["corpus", "index"]
    assert encoded(said) == 1
    commit(project, "an edit")
    fresh = clone(project)
    assert "train" in ran(built(fresh, "--locked"))
    assert (fresh / LOCK).read_bytes() == (project / LOCK).read_bytes()
    assert tree(fresh / OUT) == tree(project / OUT)


def test_another_learning_rate_is_a_short_diff(project: Path) -> None:
    """At most 24 lines of the lock, and the data are not touched again."""
    edit(project / SPEC, RATE, RATE + "  learning_rate: 0.3\n")
    said = built(project)
    assert set(ran(said)) == {"train", "export", "choose", "evaluate", "gates", "index", "report", "card"}
    added = int(git(project, "diff", "--numstat", str(LOCK)).split()[0])
    assert 0 < added <= 24


@pytest.mark.parametrize("kind", ["static", "transformer"])
def test_two_processes_make_the_same_bytes(kind: str, tmp_path: Path) -> None:
    """One that works for every test on all cores, and a fresh one on one core, both with two threads: all is equal."""
    made = []
    for name in ("free", "bound"):
        project = tmp_path / name / "project"
        ship(project, kind, "" if kind == "static" else "export: {onnx: {opset: 17}}\n")
        edit(project / SPEC, RATE, RATE + "  learning_rate: 0.01\n")
        words = "build", "--json"
        stages(run(project, *words) if name == "free" else alone(project, *words, before=ONE_CORE))
        made.append({**tree(project / OUT), "lock": (project / LOCK).read_bytes()})
    assert made[0] == made[1]
    assert "model/model.safetensors" in made[0] or "model/0_StaticEmbedding/model.safetensors" in made[0]


def test_what_was_encoded_before_changes_no_byte(project: Path) -> None:
    """An empty bank, a warm one, and one that was warmed under other values give the same lock."""
    lock = (project / LOCK).read_bytes()
    work = ["--refresh", "negatives", "--refresh", "choose", "--refresh", "evaluate", "--refresh", "index"]
    assert encoded(built(project, *work)) == 0
    assert (project / LOCK).read_bytes() == lock
    shutil.rmtree(project.parent / "store/vec")
    assert encoded(built(project, *work)) > 0
    assert (project / LOCK).read_bytes() == lock
    text = (project / SPEC).read_text()
    for other in ("prompts: {document: 'one '}", "prompts: {query: 'ask '}", "similarity_fn_name: dot"):
        edit(project / SPEC, "model:\n", f"model:\n  {other}\n")
        built(project, "--to", "negatives")
        (project / SPEC).write_text(text)
    built(project, *work)
    assert (project / LOCK).read_bytes() == lock


def test_a_red_gate_leaves_the_last_green_build(project: Path) -> None:
    """Model and index of the last green build stay; the new model is a candidate until a gate is green again."""
    green, lock = tree(project / OUT), (project / LOCK).read_text()
    edit(project / SPEC, RATE, RATE + "  learning_rate: 0.3\n")
    edit(project / SPEC, "recall@5 >= base - 0.9", "ndcg@10 >= base + 0.9")
    assert run(project, "build").returncode == 20
    red = tree(project / OUT)
    assert {n: b for n, b in red.items() if n.startswith(("model/", "index/"))} == {
        n: b for n, b in green.items() if n.startswith(("model/", "index/"))}
    weights = "model/0_StaticEmbedding/model.safetensors"
    assert red[f"candidate/{weights}"] != red[weights]
    assert block((project / LOCK).read_text(), "index") == block(lock, "index")
    assert run(project, "build").returncode == 20
    assert run(project, "lock", "--check").returncode == 20
    assert "held" in run(project, "status").stdout
    assert run(project, "build", "--index-anyway").returncode == 20
    manifest = json.loads((project / OUT / "candidate/index/manifest.json").read_text())
    assert manifest["model"] != json.loads(green["index/manifest.json"])["model"]
    edit(project / SPEC, "ndcg@10 >= base + 0.9", "recall@5 >= base - 0.9")
    built(project)
    again = tree(project / OUT)
    assert not [name for name in again if name.startswith("candidate/")]
    assert again[weights] == red[f"candidate/{weights}"]


def block(lock: str, stage: str) -> str:
    """The lines of a stage in a lock."""
    return lock.split(f"\n{stage}:\n")[1].split("\n\n")[0]


BEFORE = {"train": "", "export": "train", "evaluate": "choose", "index": "gates"}  # what is done when a stage begins


@pytest.mark.parametrize("stage", BEFORE)
def test_a_killed_build_leaves_the_last_green_one(stage: str, project: Path) -> None:
    """Whichever stage it was in: what was published stays whole, and the next build ends as if nothing had happened."""
    green = tree(project / OUT)
    edit(project / SPEC, RATE, RATE + "  learning_rate: 0.3\n")
    if BEFORE[stage]:  # in another work tree: this one finds it in the store
        shutil.copytree(project, project.parent / "other")
        assert run(project.parent / "other", "build", "--to", BEFORE[stage]).returncode == 0
    process = start(project, "build")
    assert process.stderr
    for line in process.stderr:
        if line.startswith(f"{stage}: running"):
            process.send_signal(signal.SIGKILL)
            break
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert tree(project / OUT) == green
    if stage == "index":
        built(project)
        assert tree(project / OUT) != green


def test_a_second_round_begins_where_the_first_ended(project: Path) -> None:
    """The first round is not run again; the second mines with its model and publishes its own; going back is free."""
    first = tree(project / OUT / "model")
    edit(project / SPEC, "  miners:\n", "  rounds: 2\n  miners:\n")
    before = (project / LOCK).read_text()
    names = ran(built(project))
    assert {"negatives.2", "train.2", "evaluate", "index"} <= set(names) and not {"negatives", "train"} & set(names)
    lock = (project / LOCK).read_text()
    assert block(lock, "train") == block(before, "train") and block(lock, "negatives") == block(before, "negatives")
    assert tree(project / OUT / "model") != first
    for folder in ("model", "index"):
        assert run(project, "verify", str(OUT / folder)).returncode == 0
    assert ran(built(project)) == []
    edit(project / SPEC, "  rounds: 2\n", "")
    assert not [name for name in ran(built(project)) if name.startswith(("negatives", "train"))]
    assert (project / LOCK).read_text() == before
    assert tree(project / OUT / "model") == first
