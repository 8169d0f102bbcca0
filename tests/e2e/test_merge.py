"""Two branches, each built, merged by git: nothing that either side built runs again, and a wrong merge is caught."""
from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from embspec.lock.text import read
from tests.support.harbour import copied, edit, tree
from tests.support.programs import ran, run, stages
from tests.support.scenario import GIT
from tests.support.ship import LOCK, OUT, SPEC, ship

RATE = "  per_device_train_batch_size: 4\n"
GATE = "  - recall@5 of bm25 >= 0.2\n"
GATES = "gates:\n  - recall@5 >= base - 0.9\n" + GATE
PAGES = ["report", "card"]

Edit = Callable[[Path], None]


def spec(old: str, new: str) -> Edit:
    """An edit of the spec."""
    return lambda project: edit(project / SPEC, old, new)


def page(project: Path) -> None:
    """An edit of a document."""
    with open(project / "specs/docs/crane.md", "a", encoding="utf-8") as file:
        file.write("\nThe hook is greased on Mondays.\n")


def build(project: Path, store: str = "store") -> list[str]:
    """A green build; the stages that ran."""
    return ran(stages(run(project, "build", "--json", store=project.parent / store)))


def git(project: Path, *args: str, code: int = 0) -> str:
    """A git command; what it printed."""
    done = subprocess.run(["git", *args], cwd=project, env={**os.environ, **GIT}, capture_output=True, text=True,
                          check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def keys(project: Path, revision: str) -> set[str]:
    """The keys in the lock of a revision."""
    blocks = read(git(project, "show", f"{revision}:{LOCK}"), "").blocks
    return {block.key for block in blocks.values() if block.key}


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A static model, built and committed once; tests take copies."""
    folder = tmp_path_factory.mktemp("merge")
    ship(folder / "project")
    shutil.rmtree(folder / "project/.git")
    git(folder / "project", "init", "-q", "-b", "main")
    build(folder / "project")
    commit(folder / "project", "first")
    return folder


def commit(project: Path, text: str) -> None:
    """All that is not ignored."""
    git(project, "add", "-A")
    git(project, "commit", "-qm", text)


@pytest.fixture
def project(first: Path, tmp_path: Path) -> Path:
    """The project as it was committed, with its store."""
    return copied(first, tmp_path)


def branches(project: Path, ours: Edit, theirs: Edit, code: int = 1) -> None:
    """Each side is edited, built and committed; then git merges theirs into ours."""
    git(project, "checkout", "-q", "-b", "theirs")
    for name, change in (("theirs", theirs), ("main", ours)):
        git(project, "checkout", "-q", name)
        change(project)
        build(project)
        commit(project, f"the work of {name}")
    git(project, "merge", "-q", "theirs", code=code)


class Came(NamedTuple):
    """What a build after a merge came to."""

    ran: list[str]
    fresh: list[str]  # what a build of the same tree with an empty store ran


def merged(project: Path) -> Came:
    """Build the merged tree, and again elsewhere with nothing at hand: the same lock and the same `out/`."""
    other = project.parent / "elsewhere"
    shutil.copytree(project, other, symlinks=True, ignore=shutil.ignore_patterns("out", ".embspec"))
    ran, fresh = build(project), build(other, "empty")
    assert (project / LOCK).read_bytes() == (other / LOCK).read_bytes()
    assert tree(project / OUT) == tree(other / OUT) and len(tree(project / OUT)) > 10
    blocks = read((project / LOCK).read_text(), "").blocks
    new = {blocks[name].key for name in ran if name in blocks}
    assert not new & (keys(project, "main") | keys(project, "theirs"))
    assert run(project, "lock", "--check").returncode == 0
    assert build(project) == []
    return Came(ran, fresh)


def test_a_gate_and_a_learning_rate(project: Path) -> None:
    """The model is theirs; the verdict over it, with our gate, is all that nobody had."""
    branches(project, spec(GATE, GATE.replace("0.2", "0.3")), spec(RATE, RATE + "  learning_rate: 0.03\n"))
    assert "<<<<<<<" in (project / LOCK).read_text()
    assert merged(project).ran == ["gates", *PAGES]


def test_documents_and_prompts(project: Path) -> None:
    """Our documents, their model: the index of one by the other is made, and the snapshot stays where it was."""
    branches(project, page, spec("\ncorpus:", "\n  prompts: {query: 'query '}\ncorpus:"))
    snapshot = read(git(project, "show", f"main:{LOCK}"), "").blocks["snapshot"]
    said = run(project, "lock", "--merge")
    assert said.returncode == 0, said.stderr
    kept = dict(line.split(maxsplit=1) for line in said.stdout.splitlines())
    assert (kept["corpus"], kept["snapshot"], kept["base"], kept["train"], kept["index"]) == (
        "ours", "both", "theirs", "theirs", "to build")
    assert merged(project).ran == ["index"]
    assert read((project / LOCK).read_text(), "").blocks["snapshot"] == snapshot


def test_two_learning_rates(project: Path) -> None:
    """A hand has to say which; until then the spec is refused with its line, and then nothing runs at all."""
    branches(project, spec(RATE, RATE + "  learning_rate: 0.02\n"), spec(RATE, RATE + "  learning_rate: 0.03\n"))
    line = (project / SPEC).read_text().split("\n").index("<<<<<<< HEAD") + 1
    for words in (["build"], ["lock", "--merge"]):
        refused = run(project, *words)
        assert refused.returncode == 3 and f"{SPEC}:{line}:1:" in refused.stderr, refused.stderr
    git(project, "checkout", "--theirs", str(SPEC))
    assert merged(project).ran == []
    assert (project / LOCK).read_text() == git(project, "show", f"theirs:{LOCK}")


def test_a_stage_added_in_a_merge_that_is_clean_as_text(project: Path) -> None:
    """They judged the model of before, we made another: git sees no conflict, the key does, and a build mends it."""
    edit(project / SPEC, GATES, "")
    build(project)
    commit(project, "without gates")
    branches(project, spec(RATE, RATE + "  learning_rate: 0.03\n"), spec("index:", GATES + "index:"), code=0)
    assert "<<<<<<<" not in (project / LOCK).read_text()
    checked = run(project, "lock", "--check")
    assert checked.returncode == 11 and "gates: key: " in checked.stderr, checked.stderr
    assert run(project, "build", "--locked").returncode == 11
    said = run(project, "lock", "--merge")
    assert (said.returncode, "there is nothing to merge" in said.stderr) == (0, True)
    assert merged(project).ran == ["gates", *PAGES]


def test_an_index_and_negatives(project: Path) -> None:
    """Their model is kept although all that is made of it is new: as many columns as we asked for."""
    branches(project, spec("index: {truncate_dim: 16}", "index: {truncate_dim: 32}"),
             spec("    - {kind: dense, num_negatives: 1, window: {range_max: 20}}\n", ""))
    came = merged(project)
    assert {"train", "negatives", "split"} & set(came.ran) == set()
    assert came.ran == ["export", "choose", "evaluate", "gates", "index", *PAGES]
    assert {"train", "negatives", "split"} <= set(came.fresh)
