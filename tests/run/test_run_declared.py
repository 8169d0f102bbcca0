"""Declared is read, both ways: for every stage of the street, on small real data."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from embspec.api import Project
from embspec.plan.nodes import ITEM
from embspec.plan.protocol import never
from embspec.plan.values import Wish
from embspec.run import stage as module
from embspec.run.build import Order
from embspec.run.task import Did, Task
from embspec.stages.conditions import NUMERICS
from embspec.stages.street import MOST_ROUNDS, STREET, handed
from tests.support.mini import SPEC, project, words
from tests.support.tiny import tiny_cross_encoder, tiny_static, tiny_static_files, tiny_transformer
from tests.support.workers import Shared

# A field or an artefact may matter only under some values of others: what one of these specs reads counts.
VARIANTS = {
    "mini": SPEC,
    "given": SPEC.replace("  test: 0.5\n", "  by: given\n  on_leak: report\n")
    .replace("[test, validation]", "[test]")
    .replace("trust: curated,", "trust: curated, roles: [train, validation],"),
    "time": SPEC.replace("  test: 0.5\n", "  by: time\n  time_column: asked\n  test: 0.5\n"),
    "words": SPEC.replace("eval:\n", "eval:\n  bm25: {tokenizer: words}\n"),
    "static": SPEC + """model:
  base: {static: {weights: ./base/weights.safetensors, tokenizer: ./base/tokenizer.json}}
  method: static
negatives: {rounds: 2}
index: {truncate_dim: {smallest: {metric: ndcg@5, min_retention: 0.9}}}
""",
    "asked": SPEC.replace("corpus:\n", "corpus:\n  chunking: {strategy: structure, context: {command: PROGRAM}}\n")
    + "model: {base: ./base, method: static}\n",
    "hub": SPEC + "model: {base: toys/tiny, revision: main, method: full}\n",
    "full": SPEC.replace("gates:\n", "gates:\n  - truncated_fraction <= 0.5\n")
    + """model: {base: ./base, method: full, max_seq_length: 32}
negatives:
  miners: [{kind: dense, num_negatives: 1}, {kind: bm25, num_negatives: 1}, {kind: file, path: hard.jsonl}]
  guard: {cross_encoder: ./judge}
train: {num_train_epochs: 1, per_device_train_batch_size: 4, max_seconds: 600}
export: {onnx: {}}
""",
}

SAYING = """import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps({"id": asked["id"], "contexts": ["water"] * len(asked["chunks"])}))
"""

FINDERS = frozenset({"corpus", "split", "train"})  # stages whose runs find pins


class Asked(NamedTuple):
    """What one run of a stage was handed, and what it asked for by name."""

    stage: str
    names: set[str]
    read: set[str]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Asked]]:
    """What every stage was handed and read, over all variants, in a first and a second run."""
    folder = tmp_path_factory.mktemp("declared")
    real, seen = module.perform, dict[str, list[Asked]]()

    def perform(task: Task, live: Any, *rest: Any) -> Did:
        did = real(task, live, *rest)
        # The seed and the numerics of a stage that computes with floats are obeyed by the worker.
        worker = {"seed", *(f"pin.{name}" for name in NUMERICS)} if task.profile else set()
        seen.setdefault("parameter", []).append(Asked(task.stage, set(task.params) - worker, set(did.params) - worker))
        needs = {*task.needs, *(["live"] if live else [])}
        seen.setdefault("artefact", []).append(Asked(task.stage, needs, set(did.needs)))
        return did

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "perform", perform)
        patch.setattr("embspec.run.build.Workers", Shared)
        for name, text in VARIANTS.items():
            spec = project(folder / name, text)
            if name == "time":
                lines = (spec.parent / "gold.jsonl").read_text(encoding="utf-8").splitlines()
                gold = [json.loads(line) for line in lines]
                dated = [json.dumps({**row, "asked": f"2026-01-{n + 1:02}"}) for n, row in enumerate(gold)]
                (spec.parent / "gold.jsonl").write_text("\n".join(dated) + "\n", encoding="utf-8")
            if name == "static":
                base = spec.parent / "base"
                tiny_static_files(base / "weights.safetensors", base / "tokenizer.json", dim=128)
            if name == "asked":
                tiny_static(spec.parent / "base")
                (spec.parent / "say.py").write_text(SAYING, encoding="utf-8")
                spec.write_text(text.replace("PROGRAM", f"{sys.executable} say.py"), encoding="utf-8")
            if name == "full":
                tiny_transformer(spec.parent / "base")
                tiny_cross_encoder(spec.parent / "judge")
                hard = {"query": " ".join(words(0)[1::5]), "negatives": ["m1"]}
                (spec.parent / "hard.jsonl").write_text(json.dumps(hard), encoding="utf-8")
            if name == "hub":
                tiny_transformer(downloaded(folder / "hub", patch))
            for again in (frozenset[str](), FINDERS):  # the second run is handed the pins of the first
                of = Project(str(spec), store=str(folder / "store" / name))
                of.build(Order(Wish(refresh=again & {node.name for node in of.nodes}), allow_code=True))
    return seen


def downloaded(cache: Path, patch: pytest.MonkeyPatch) -> Path:
    """Where a base lies that was downloaded from the hub."""
    patch.setenv("HF_HUB_CACHE", str(cache))
    base, revision = cache / "models--toys--tiny", "0123456789abcdef0123456789abcdef01234567"
    (base / "refs").mkdir(parents=True)
    (base / "refs" / "main").write_text(revision, encoding="utf-8")
    (base / "snapshots" / revision).mkdir(parents=True)
    return base / "snapshots" / revision


def of(asked: dict[str, list[Asked]], stage: str, what: str) -> list[Asked]:
    """Of a stage, or of all that stand for its items."""
    head = stage.split(ITEM)[0]
    return [one for one in asked[what] if one.stage == stage or (ITEM in stage and one.stage.startswith(head))]


LATER = tuple(f".{number}" for number in range(3, MOST_ROUNDS + 1))  # rounds that are declared as the second is
WORKING = [s for s in STREET if not s.follow and not s.name.endswith(LATER)]


@pytest.mark.parametrize("stage", [s.name for s in WORKING])
def test_every_declared_parameter_is_read(asked: dict[str, list[Asked]], stage: str) -> None:
    """What no stage reads would make it run for nothing. A gate is its own name; by some pins files are found."""
    each = of(asked, stage, "parameter")
    handed, read = (set[str]().union(*(getattr(one, which) for one in each)) for which in ("names", "read"))
    named = {f"pin.{pin}" for s in STREET if s.name == stage and s.sticky is not never for pin in pins(s)}
    unread = {name for name in handed - read - named if not name.startswith("gates.")}
    assert each and unread == set()


@pytest.mark.parametrize("stage", [s.name for s in WORKING])
def test_every_declared_artefact_is_opened(asked: dict[str, list[Asked]], stage: str) -> None:
    """What no stage opens would make it run when those bytes move."""
    each = of(asked, stage, "artefact")
    handed, read = (set[str]().union(*(getattr(one, which) for one in each)) for which in ("names", "read"))
    assert handed - read == set()


@pytest.mark.parametrize("stage", WORKING, ids=lambda s: s.name)
def test_nothing_undeclared_is_asked_for(asked: dict[str, list[Asked]], stage: Any) -> None:
    """Asking for a field that was not declared would always find it unset."""
    sections = [p.replace(f".{ITEM}", "").replace("*", "").rstrip("=") for p in (*stage.params, *stage.unkeyed)]
    for one in of(asked, stage.name, "parameter"):
        for name in one.read - one.names:
            assert any(name == s or name.startswith(s.rstrip(".") + ".") for s in sections), name
    for one in of(asked, stage.name, "artefact"):
        allowed = {f"pin.{pin}" for pin in pins(stage)} | optional(stage)
        assert one.read - one.names <= allowed


def pins(stage: Any) -> tuple[str, ...]:
    """What the runs of a stage find, with any values of the spec."""
    values = {"train.max_seconds": 1, "corpus.path": [], "pairs.path": None}  # nothing lies elsewhere
    found: tuple[str, ...] = stage.pins(values) if callable(stage.pins) else stage.pins
    return found


def optional(stage: Any) -> set[str]:
    """Artefacts that a stage opens only where the spec has their stages, or in another round."""
    everything = [s.name for s in STREET]
    rounds = [s for s in STREET if s.make == stage.make]
    return {handed(role) for s in rounds for role in s.needs({"eval.bm25.tokenizer": "auto"}, everything)}


def test_every_stage_was_seen(asked: dict[str, list[Asked]]) -> None:
    """A new stage needs a variant that runs it."""
    for stage in WORKING:
        assert of(asked, stage.name, "parameter"), stage.name


def test_the_table_lists_makes_that_exist() -> None:
    """The name of the work of each stage is imported only when it runs, so a test imports it."""
    for stage in WORKING:
        file, name = stage.make.split(":")
        assert callable(getattr(importlib.import_module(file), name))
