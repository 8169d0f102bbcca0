"""A project whose documents are cut: what comes after the corpus takes chunks for parts of their documents."""
from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from embspec.api import Order, Project
from embspec.errors import Problem
from embspec.plan.values import Block, Wish
from embspec.run import locked
from embspec.run.dry import read_inputs
from tests.support.mini import SPEC, project
from tests.support.repository import Repository
from tests.support.tiny import tiny_static_files

CHUNKED = SPEC.replace(
    "  metadata: [kind]\n",
    "  metadata: [kind]\n  chunking: {strategy: structure, tokens: 24, overlap: 4, context: headings}\n",
) + "model:\n  base: {static: {weights: w.safetensors, tokenizer: t.json}}\n"


def built(spec: Path, store: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of the snapshot and of each part of the split."""
    made = Project(str(spec), store=str(store), environ={})
    made.build(Order(Wish(to="split")))
    blocks = made.lock.lock.blocks
    wanted = {"corpus": ("corpus", "documents.jsonl"),
              **{part: ("split", f"{part}.jsonl") for part in ("train", "validation", "test")}}
    found = {}
    for name, (stage, artefact) in wanted.items():
        path = made.world.objects.lend(blocks[stage].out[artefact].rpartition(" ")[0], str(store.parent / name))
        found[name] = [json.loads(line) for line in Path(path).read_text("utf-8").split("\n")[:-1]]
    return found


def test_chunks_are_parts_of_their_documents(tmp_path: Path) -> None:
    """A judgement of a document is one of its chunks, no document is in two parts, and another limit moves no query."""
    spec = project(tmp_path, CHUNKED)
    tiny_static_files(spec.parent / "w.safetensors", spec.parent / "t.json", dim=8)
    first = built(spec, tmp_path / "store")
    parent = {row["id"]: row["document"] for row in first["corpus"]}
    assert len(parent) > len(set(parent.values())) == 35
    seen: dict[str, str] = {}
    for part in ("train", "validation", "test"):
        for row in first[part]:
            owners = {parent[one["id"]] for one in row["positives"]}
            assert len(owners) == 1 and row["cluster"] in owners
            assert seen.setdefault(row["cluster"], part) == part
    spec.write_text(CHUNKED.replace("tokens: 24", "tokens: 40"), encoding="utf-8")
    again = built(spec, tmp_path / "store")
    assert len(again["corpus"]) < len(first["corpus"])
    for part in ("train", "validation", "test"):
        assert [(row["id"], row["cluster"]) for row in again[part]] == [(r["id"], r["cluster"]) for r in first[part]]


def test_a_lost_snapshot_is_cut_again(tmp_path: Path) -> None:
    """In a fresh clone with an empty store the base is there before the older documents are read from git."""
    spec = project(tmp_path, CHUNKED)
    tiny_static_files(spec.parent / "w.safetensors", spec.parent / "t.json", dim=8)
    (tmp_path / ".git").rmdir()
    repo, order = Repository(tmp_path), Order(Wish(to="split"))
    (tmp_path / ".gitignore").write_text("out/\n.embspec/\nstore/\nagain/\n", encoding="utf-8")
    first = Project(str(spec), store=str(tmp_path / "store"), environ={})
    snapshot = first.build(order).lock.blocks["snapshot"]
    # As after a training, which no snapshot outruns.
    locked.save(first.at, [node.name for node in first.nodes], lambda blocks: {**blocks, "train": Block("1")}, {})
    repo.commit("built")
    (spec.parent / "docs/p03.md").write_text("# Other\n\nWords.\n", encoding="utf-8")
    Project(str(spec), store=str(tmp_path / "store"), environ={}).build(order)
    repo.commit("edited")
    lock = spec.with_suffix(".lock").read_bytes()
    shutil.rmtree(tmp_path / ".embspec")
    shutil.rmtree(tmp_path / "out")
    done = Project(str(spec), store=str(tmp_path / "again"), environ={}).build(order).done
    assert {"base", "split"} <= done.keys() and "corpus" not in done
    assert first.lock.lock.blocks["snapshot"] == snapshot
    assert spec.with_suffix(".lock").read_bytes() == lock


def test_a_check_cuts_too(tmp_path: Path) -> None:
    """What is wrong with a limit is said before anything is built, by a check that has no lock."""
    spec = project(tmp_path, CHUNKED)
    tiny_static_files(spec.parent / "w.safetensors", spec.parent / "t.json", dim=8)
    stats, problems = read(spec, tmp_path / "store")
    assert not problems and stats["corpus"]["chunks"] > 35
    spec.write_text(CHUNKED.replace("tokens: 24, overlap: 4", "tokens: 6, overlap: 4"), encoding="utf-8")
    (problem,) = read(spec, tmp_path / "store")[1]
    assert problem.code == "spec.range" and "tokens: 8" in problem.fix


def test_a_check_reads_on_without_the_base(tmp_path: Path) -> None:
    """What cuts documents is not there: faults of these and of the pairs are told beside that, and none is made up."""
    spec = project(tmp_path, CHUNKED)
    stats, problems = read(spec, tmp_path / "store", "split")
    assert {problem.field.partition(".")[0] for problem in problems} == {"model"} and "split" not in stats
    folder = spec.parent
    documents = next(path for path in folder.rglob("*.md"))
    documents.write_bytes(b"\xff")
    more = read(spec, tmp_path / "store", "split")[1]
    assert [problem.code for problem in more if problem not in problems] == ["input.encoding"]


def read(spec: Path, store: Path, *also: str) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """What a check says of the inputs."""
    made = Project(str(spec), store=str(store), environ={})
    return read_inputs(made.nodes, made.lock.lock.blocks, made.world, also)
