"""The index: vectors and rows of the live corpus in shards, and all that a service needs to serve what was gated."""
from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from embspec.plan.protocol import Desk, Made, Params, Progress
from embspec.retrieval import knn, quantize
from embspec.stages import encoder
from embspec.stages.encoder import Encoder
from embspec.stages.engines import read
from embspec.stages.index.shards import Row, Shards
from embspec.stages.snapshot import chosen_tokenizer, passage

RECIPE = 1  # the stage's: a manifest says by which its vectors were made


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write the tree `index`: `vectors/`, `rows/`, `manifest.json`, `retrieval.json`; memory holds one shard."""
    model = encoder.opened(needs["train/model"], desk.digests["train/model"], desk)
    retrieval = _retrieval(params, needs, model)
    shards = Shards(needs["corpus/documents.jsonl"])
    root = out / "index"
    for name in ("vectors", "rows"):
        (root / name).mkdir(parents=True)
    files = []
    for number, rows in enumerate(shards):
        desk.tell(Progress("indexing documents", number, shards.count))
        files += list(_shard(number, rows, model, retrieval, root))
    manifest = {
        "model": desk.digests["train/model"],
        "corpus": desk.digests["corpus/documents.jsonl"],
        "recipe": RECIPE,
        "prompts": retrieval["prompts"],
        "dim": retrieval["dim"],
        "precision": retrieval["precision"],
        "count": shards.rows,
        "shards": files,
        "reindex": _reindex(desk.digests["train/model"], retrieval),
    }
    _json(root / "manifest.json", manifest)
    _json(root / "retrieval.json", retrieval)
    stat = {"rows": shards.rows, "shards": shards.count, "dim": retrieval["dim"], "precision": retrieval["precision"]}
    return Made(stat=stat, counts={"encoded": model.encoded, "rows": shards.rows})


def _retrieval(params: Params, needs: Mapping[str, Any], model: Encoder) -> dict[str, Any]:
    """How the vectors are to be scored, and what with: everything that was chosen and nothing that is live."""
    choice = read(needs["choose/choice.json"])
    ranges = read(needs["export/ranges.json"])["dims"][str(choice["dim"])]
    bm25 = {**chosen_tokenizer(needs), "k1": params["eval.bm25.k1"], "b": params["eval.bm25.b"]}
    return {
        "similarity": choice["similarity"],
        "dim": choice["dim"],
        "precision": choice["precision"],
        "ranges": ranges if choice["precision"] == "int8" else None,
        "prompts": dict(model.prompts),
        "max_seq_length": model.max_seq_length,
        "fusion": choice["fusion"],
        "bm25": bm25 if choice["fusion"]["method"] != "none" else None,
        "depth": choice["depth"],
    }


def _reindex(model: str, retrieval: Mapping[str, Any]) -> str:
    """A digest of all that a vector hangs on but its text: while it stays, only shards that differ must be loaded."""
    keys = ("similarity", "dim", "precision", "ranges", "prompts", "max_seq_length")
    text = json.dumps({"model": model, "recipe": RECIPE, **{key: retrieval[key] for key in keys}}, sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _shard(
    number: int, rows: list[Row], model: Encoder, retrieval: Mapping[str, Any], root: Path
) -> Iterator[dict[str, Any]]:
    """Write both files of a shard; their lines of the manifest."""
    blocks = model.blocks(passage(row.document) for row in rows)
    vectors = np.concatenate([np.zeros((0, model.dim), np.float32), *blocks])
    kept = knn.cut(vectors, retrieval["dim"], retrieval["similarity"])
    small = quantize.stored(kept, retrieval["precision"], quantize.ends(retrieval["ranges"]))
    data = {
        f"vectors/{number:03d}.safetensors": save({"vectors": np.ascontiguousarray(small)}),
        f"rows/{number:03d}.jsonl": b"".join(row.line for row in rows),
    }
    for name, content in data.items():
        (root / name).write_bytes(content)
        yield {"file": name, "sha256": hashlib.sha256(content).hexdigest(), "rows": len(rows)}


def _json(path: Path, found: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
