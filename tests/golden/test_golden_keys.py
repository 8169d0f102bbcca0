"""Pinned keys and pinned bytes: what moves them is read in the review.

`pytest tests/golden --pin` writes them anew. Keys that moved make every lock in the world stale; bytes that moved with
no recipe raised break the promise that a key stands for bytes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from embspec.api import RECIPES, Order, Project
from embspec.lock.text import Lock
from embspec.plan.keys import ingredients, key
from embspec.plan.then import locked_ingredients
from embspec.plan.values import Wish
from embspec.stages.street import MOST_ROUNDS, STREET
from tests.support.mini import SPEC, project
from tests.support.tiny import tiny_cross_encoder, tiny_static_files

HERE = Path(__file__).parent
GIVEN = """embspec: 1
name: given
seed: 7
risk: high
corpus: {path: published, metadata: []}
pairs:
  - {name: train, path: published, format: beir, qrels: train, trust: curated, roles: [train]}
  - {name: test, path: published, format: beir, qrels: test, trust: gold, roles: [test]}
split: {by: given, on_leak: report, min_queries: {test: 2, validation: 0}}
eval:
  metrics: [recall@5, precision@5, hit@5]
  suites: {again: {split: test}}
  bm25: {tokenizer: char_bigrams, k1: 0.9, b: 0.4}
  statistics: {resamples: 100, cluster: query}
"""
MODEL = SPEC + """model:
  base: {static: {weights: w.safetensors, tokenizer: t.json}}
  prompts: {query: "ask: "}
loss: {matryoshka: {dims: [32, 16]}}
numerics: {profile: native, threads: 1}
export: {onnx: {opset: 17}}
index: {truncate_dim: 16, precision: int8}
"""
HARD = '{"query": "none asks this", "negatives": ["m1"]}\n'
JUDGED = MODEL + """negatives:
  miners: [{kind: dense}, {kind: file, path: hard.jsonl, num_negatives: 1}]
  guard: {cross_encoder: ./judge}
  rounds: 2
"""
SPECS = {"mini": SPEC, "given": GIVEN, "model": MODEL, "judged": JUDGED}

TO_SPLIT = ("model", "judged")  # the rest is not the same bytes on every machine


class Built(NamedTuple):
    """A project that was built, and its lock."""

    project: Project
    lock: Lock


def published(folder: Path) -> None:
    """A BEIR folder."""
    (folder / "qrels").mkdir(parents=True)
    pages = [
        {"_id": f"d{n}", "title": f"Title {n}", "text": f"körper {n * n} wort{n % 7} zeile {n % 3} 日本{n}"}
        for n in range(20)
    ]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(p) + "\n" for p in pages), encoding="utf-8")
    asked = [{"_id": f"q{n}", "text": f"wort{n % 7} zeile 日本{n}"} for n in range(12)]
    (folder / "queries.jsonl").write_text("".join(json.dumps(q) + "\n" for q in asked), encoding="utf-8")
    for name, numbers in (("train", range(6)), ("test", range(5, 12))):
        rows = "".join(f"q{n}\td{n}\t{1 + n % 2}\n" for n in numbers)
        (folder / "qrels" / f"{name}.tsv").write_text("query-id\tcorpus-id\tscore\n" + rows, encoding="utf-8")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Built]:
    """The projects, built as far as bytes are the same on every machine."""
    found = {}
    for name, text in SPECS.items():
        folder = tmp_path_factory.mktemp(name)
        spec = project(folder, text)
        published(spec.parent / "published")
        tiny_static_files(spec.parent / "w.safetensors", spec.parent / "t.json", dim=32)
        tiny_cross_encoder(spec.parent / "judge")
        (spec.parent / "hard.jsonl").write_text(HARD, encoding="utf-8")
        made = Project(str(spec), store=str(folder / "store"), environ={})
        made.build(Order(Wish(to="split")) if name in TO_SPLIT else Order())
        found[name] = Built(made, made.lock.lock)
    return found


def of(built: Built, stage: str) -> list[str]:
    """The nodes of a stage of the street, in a project."""
    return [n.name for n in built.project.nodes if n.stage.name == stage]


def held(path: Path, found: Any, request: pytest.FixtureRequest) -> None:
    """Compare with the file, or write it."""
    text = json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    if request.config.getoption("--pin"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8")) == found
    assert path.read_text(encoding="utf-8") == text


LATER = tuple(f".{number}" for number in range(3, MOST_ROUNDS + 1))  # rounds that are declared as the second is
STAGES = [s.name for s in STREET if not s.name.endswith(LATER)]
FILES = {name: name.removesuffix(".{name}") + ".json" for name in STAGES}


@pytest.mark.parametrize("stage", STAGES)
def test_keys(built: dict[str, Built], stage: str, request: pytest.FixtureRequest) -> None:
    """Every named ingredient and the key they hash to, for each stage of the specs."""
    found = {}
    for spec, each in built.items():
        steps = {s.node.name: s for s in each.project.plan().steps}
        for name in of(each, stage):
            step = steps[name]
            if step.node.stage.follow:
                found[f"{spec} {name}"] = {"pin": dict(step.pin)}
            else:
                # Behind a stage that has not run there is no key yet, but all that it will hang on.
                assert key(step.named) == step.key or not step.key
                found[f"{spec} {name}"] = {"key": step.key, "ingredients": dict(step.named)}
    held(HERE / "keys" / FILES[stage], found, request)


@pytest.mark.parametrize("stage", STAGES)
def test_bytes(built: dict[str, Built], stage: str, request: pytest.FixtureRequest) -> None:
    """The digest of each artefact, the pins a run found, and its figures."""
    found = {}
    for spec, each in built.items():
        steps = {s.node.name: s for s in each.project.plan().steps}
        for name in of(each, stage):
            block = each.lock.blocks.get(name)
            if not steps[name].out:
                continue  # it computes with floats, or stands on what does
            found[f"{spec} {name}"] = {
                "recipe": steps[name].recipe,
                "uses": dict(steps[name].uses),
                "out": dict(steps[name].out),
                "pin": dict(block.pin) if block else {},
                "stat": dict(block.stat) if block else {},
            }
    held(HERE / "bytes" / FILES[stage], found, request)


def test_there_is_a_file_for_each_stage_and_no_other() -> None:
    """A stage that left the street takes its files along."""
    for folder in ("keys", "bytes"):
        assert sorted(p.name for p in (HERE / folder).iterdir()) == sorted(FILES.values())


def test_every_stage_is_built_by_one_of_the_specs(built: dict[str, Built]) -> None:
    """Nothing is pinned as empty."""
    assert {s: any(of(each, s) for each in built.values()) for s in STAGES} == dict.fromkeys(STAGES, True)


def test_the_lock_alone_gives_the_same_keys(built: dict[str, Built]) -> None:
    """What stands in the block hashes to the key beside it."""
    for each in built.values():
        for node in each.project.nodes:
            block = each.lock.blocks.get(node.name)
            if block and block.key:
                named = locked_ingredients(node, each.lock.blocks, RECIPES)
                assert named is not None and key(named) == block.key


def test_the_scheme_of_keys_is_as_it_was() -> None:
    """One key by hand: a change of the scheme is a change of every key there is."""
    named = ingredients(
        "split",
        "1",
        {"duplicates": "1"},
        {"seed": "42", "late": "null"},
        {"tree": "sha256:ab 1 file"},
        {"snapshot/manifest": "sha256:cd"},
        {"late": "null"},
    )
    assert named == {
        "scheme": "1",
        "stage": "split",
        "recipe": "1",
        "uses duplicates": "1",
        "seed": "42",
        "pin tree": "sha256:ab 1 file",
        "needs snapshot/manifest": "sha256:cd",
    }
    assert key(named) == "551cb001813e8e29e894899ddf0fcc4f"
