"""The stages that ship, each with its needs as files."""
from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xxhash

from embspec.plan.protocol import Made
from embspec.serve.manifest import model_digest
from embspec.stages import encoder
from embspec.stages.export.make import make as make_export
from embspec.stages.index.make import make as make_index
from tests.support.desk import Bank, Desk
from tests.support.tiny import tiny_static

EXPORT: Mapping[str, Any] = {
    "export.onnx": False, "export.golden_vectors": 4, "loss.matryoshka.dims": [64, 16], "eval.dims": [32],
    "index.truncate_dim": 24,
}
WORDS = ("pump", "valve", "motor", "gate", "lamp", "rope", "tide", "wind")


class ExportBench:
    """An export stage with its needs as files."""

    def __init__(self, folder: Path, model: Path | None = None, count: int = 30) -> None:
        self.folder = folder
        self.model = model or tiny_static(folder / "model")
        self.rows = [
            {"id": f"d{n}", "title": WORDS[n % 8], "text": f"the {WORDS[n // 8 % 8]} is number {n} " * (n % 5 + 1)}
            for n in range(count)
        ]
        self.needs = {"train/model": self.model, "snapshot/documents.jsonl": folder / "documents.jsonl"}
        self.snapshot(self.rows)

    def snapshot(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the snapshot."""
        self.needs["snapshot/documents.jsonl"].write_text("".join(json.dumps(row) + "\n" for row in rows))

    def desk(self, bank: Bank | None = None) -> Desk:
        """An empty desk."""
        return Desk(self.folder / "scratch", {"train/model": model_digest(str(self.model))}, bank=bank)

    def make(self, out: str = "out", desk: Desk | None = None, **changed: Any) -> Made:
        """Run the stage; `index__truncate_dim=8` is `index.truncate_dim`."""
        params = {**EXPORT, **{name.replace("__", "."): value for name, value in changed.items()}}
        if "export.onnx.opset" in params:
            del params["export.onnx"]  # a mapping has leaves, and no value of its own
        (self.folder / out).mkdir()
        return make_export(params, self.needs, self.folder / out, desk or self.desk())

    def vectors(self, rows: Sequence[Mapping[str, Any]]) -> Any:
        """What the encoder gives for these documents."""
        model = encoder.opened(self.model, "other", Desk(self.folder / "other"))
        return model.documents(f"{row['title']} {row['text']}".strip() for row in rows)

    def hashed(self) -> list[Mapping[str, Any]]:
        """All rows by the hash of their id."""
        return sorted(self.rows, key=lambda row: xxhash.xxh3_64_intdigest(str(row["id"]).encode()))


INDEX = {"eval.bm25.k1": 1.2, "eval.bm25.b": 0.75}
NONE = {"method": "none"}


class IndexBench:
    """An index stage with its needs as files."""

    def __init__(self, folder: Path, documents: Sequence[Mapping[str, Any]], model: Path | None = None) -> None:
        self.folder = folder
        self.model = model or tiny_static(folder / "model")
        self.needs = {
            "corpus/documents.jsonl": folder / "documents.jsonl", "train/model": self.model,
            "choose/choice.json": folder / "choice.json", "export/ranges.json": folder / "ranges.json",
            "lexical/tokenizer.json": folder / "tokenizer.json",
        }
        (folder / "tokenizer.json").write_text('{"tokenizer": "words", "language": "english", "stem": true}')
        self.corpus(documents)
        self.choose()

    def corpus(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """Write the corpus stage's artefact."""
        rows = [json.dumps(d, ensure_ascii=False) for d in sorted(documents, key=lambda d: str(d["id"]))]
        (self.folder / "documents.jsonl").write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")

    def choose(self, dim: int = 64, precision: str = "float32", fusion: Mapping[str, Any] = NONE) -> None:
        """Write what was chosen, and ranges that cover half of what there is."""
        choice = {"dim": dim, "precision": precision, "similarity": "cosine", "fusion": fusion, "depth": 100}
        (self.folder / "choice.json").write_text(json.dumps(choice))
        ranges = {"low": [-0.1] * dim, "high": [0.2] * dim}
        (self.folder / "ranges.json").write_text(json.dumps({"dims": {str(dim): ranges}}))

    def make(self, out: str = "out", bank: Bank | None = None) -> Made:
        """Run the stage."""
        digest = hashlib.sha256(self.needs["corpus/documents.jsonl"].read_bytes()).hexdigest()
        digests = {"train/model": model_digest(str(self.model)), "corpus/documents.jsonl": f"sha256:{digest}"}
        (self.folder / out).mkdir()
        return make_index(INDEX, self.needs, self.folder / out, Desk(self.folder / "scratch", digests, bank=bank))

    def json(self, name: str, out: str = "out") -> Any:
        """One of the JSON files that were written."""
        return json.loads((self.folder / out / "index" / name).read_bytes())

    def files(self, out: str = "out") -> dict[str, bytes]:
        """Every file that was written."""
        root = self.folder / out / "index"
        return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def documents(count: int) -> list[dict[str, Any]]:
    """Short documents that differ, with metadata."""
    words = ("pump", "valve", "motor", "gate", "lamp", "rope", "tide", "wind")
    return [
        {"id": f"d{n:05d}", "title": words[n % 8], "text": f"{words[n // 8 % 8]} {words[n // 64 % 8]} {n}",
         "document": None, "metadata": {"number": n}}
        for n in range(count)
    ]
