"""The harbour with a model: a tiny base beside its documents, pairs to train on, and a spec that ships an index."""
from __future__ import annotations

import json
from pathlib import Path

from tests.support.harbour import settle
from tests.support.tiny import tiny_static_files, tiny_transformer

SPEC, LOCK, OUT = Path("specs/ship.yaml"), Path("specs/ship.lock"), Path("out/ship")
BASES = {
    "static": "{static: {weights: base/w.safetensors, tokenizer: base/t.json}}",
    "transformer": "./base",
}
ASKED = 12  # documents that gold asks about; on the others the model is trained
TEXT = """embspec: 1
name: ship
model:
  base: %s
corpus:
  path: docs/*.md
pairs:
  - {name: gold, path: gold.jsonl, trust: gold, roles: [test, validation]}
  - {name: train, path: train.jsonl, trust: curated}
split:
  test: 0.6
  validation: 0.3
  min_queries: {test: 5, validation: 3}
negatives:
  miners:
    - {kind: dense, num_negatives: 1, window: {range_max: 20}}
    - {kind: bm25, num_negatives: 1, window: {range_max: 20}}
loss:
  mini_batch_size: 4
  matryoshka: {dims: [32, 16]}
train:
  load_best_model_at_end: false
  per_device_train_batch_size: 4
numerics: {threads: 2}
eval:
  metrics: [recall@5, ndcg@10]
  statistics: {resamples: 200}
gates:
  - recall@5 >= base - 0.9
  - recall@5 of bm25 >= 0.2
index: {truncate_dim: 16}
"""


def ship(project: Path, kind: str = "static", more: str = "") -> Path:
    """Write the project; the spec's path."""
    settle(project)
    (project / "specs/harbour.yaml").unlink()
    if kind == "static":
        tiny_static_files(project / "specs/base/w.safetensors", project / "specs/base/t.json", dim=32)
    else:
        tiny_transformer(project / "specs/base")
    gold = project / "specs/gold.jsonl"
    asked = {f"docs/{path.name}" for path in sorted((project / "specs/docs").glob("*.md"))[:ASKED]}
    rows = [line for line in gold.read_text().splitlines() if json.loads(line)["positive"] in asked]
    gold.write_text("\n".join(rows) + "\n")
    (project / "specs/train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in _pairs(project)))
    (project / SPEC).write_text(TEXT % BASES[kind] + more, encoding="utf-8")
    return project / SPEC


def _pairs(project: Path) -> list[dict[str, str]]:
    """What each document says, as questions that it answers: its heading, and some of its sentences."""
    rows = []
    for path in sorted((project / "specs/docs").glob("*.md")):
        text = " ".join(path.read_text(encoding="utf-8").replace("#", " ").split())
        parts = [part.strip() for part in text.split(".") if len(part.split()) > 3]
        rows += [{"query": part.lower(), "positive": f"docs/{path.name}"} for part in parts[:3]]
    return rows
