"""A store with a model, its ONNX, an index and a lock that names them, for tests of what happens after a build."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import NamedTuple

from embspec.plan.values import Block, digest_of
from embspec.store.objects import Objects

MODEL = {"modules.json": "[]", "config.json": "{}", "model.safetensors": "weights", "1_Pooling/config.json": "{1}"}
ONNX = {"model.onnx": "graph", "model_quantized.onnx": "small graph"}


class Shelf(NamedTuple):
    """The store, and the blocks of a lock."""

    objects: Objects
    blocks: dict[str, Block]

    @property
    def roles(self) -> dict[str, str]:
        """Every artefact by role."""
        return {f"{n}/{a}": text for n, b in self.blocks.items() for a, text in b.out.items()}


def lay(folder: Path, files: dict[str, str]) -> Path:
    """Write files below a folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def index(model: str) -> dict[str, str]:
    """The files of an index that this model made."""
    files = {"vectors/000.safetensors": "numbers", "rows/000.jsonl": '{"id": "a"}\n', "retrieval.json": "{}"}
    shards = [{"file": n, "sha256": hashlib.sha256(files[n].encode()).hexdigest(), "rows": 1} for n in list(files)[:2]]
    said = {"model": model, "corpus": "sha256:0", "recipe": 1, "prompts": {}, "dim": 4, "precision": "float32",
            "count": 1, "shards": shards, "reindex": "0"}
    return {**files, "manifest.json": json.dumps(said)}


def adopt(objects: Objects, files: dict[str, str] | str) -> str:
    """Put a tree, or a file, into the store; its line in a lock."""
    with objects.scratch() as scratch:
        if isinstance(files, str):
            return objects.adopt(str(lay(Path(scratch), {"file": files}) / "file"))
        return objects.adopt(str(lay(Path(scratch, "tree"), files)))


def shelf(folder: Path) -> Shelf:
    """All of it."""
    objects = Objects(str(folder))
    model = adopt(objects, MODEL)
    export = {"onnx": adopt(objects, ONNX), "golden.safetensors": adopt(objects, "golden")}
    return Shelf(objects, {
        "train": Block(out={"model": model, "trace": adopt(objects, "trace")}),
        "export": Block(out=export),
        "gates": Block(stat={"verdict": "green"}),
        "index": Block(out={"index": adopt(objects, index(digest_of(model)))}),
    })


def emptied(shelf: Shelf) -> Shelf:
    """The same lock over a store that has nothing."""
    shutil.rmtree(shelf.objects.store)
    return Shelf(Objects(shelf.objects.store), shelf.blocks)
