"""Other forms of the model: golden vectors, the ranges of its numbers, and ONNX."""
from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray
from safetensors.numpy import save

from embspec.errors import fail
from embspec.plan.protocol import Desk, Made, Params, Progress
from embspec.retrieval import knn, quantize
from embspec.stages import encoder
from embspec.stages.dims import dims, measured, shippable
from embspec.stages.encoder import Encoder
from embspec.stages.engines import STATIC, parts
from embspec.stages.export.parity import Likeness, Runtime, likeness
from embspec.stages.snapshot import Document, documents, passage

CALIBRATION = 2000  # texts that the ranges are measured on
PARITY = 32  # texts that ONNX is held against, at least, where there are so many
LEAST_COSINE = 0.9999

Floats = NDArray[np.float32]


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write `golden.safetensors` and `ranges.json`, and the tree `onnx` where it is asked for."""
    opset = None if "export.onnx" in params else params["export.onnx.opset"]
    if opset is not None:
        _installed()
    golden = params["export.golden_vectors"]
    model = encoder.opened(needs["train/model"], desk.digests["train/model"], desk)
    chosen = by_hash(documents(needs["snapshot/documents.jsonl"]), max(CALIBRATION, golden))
    desk.tell(Progress("encoding texts for ranges and golden vectors", 0, len(chosen)))
    texts = [model.prompts["document"] + passage(document) for document in chosen]
    vectors = model.documents(passage(document) for document in chosen)
    (out / "golden.safetensors").write_bytes(_golden(texts[:golden], vectors[:golden]))
    sizes = ranged(params, model.dim)
    (out / "ranges.json").write_text(_ranges(vectors[:CALIBRATION], sizes, model.similarity), encoding="utf-8")
    stat = {"golden": min(golden, len(texts)), "dims": sizes}
    if opset is not None:
        held = max(golden, PARITY)
        _onnx(params, needs["train/model"], out / "onnx", model, texts[:held], vectors[:held], desk)
        stat |= {"opset": opset}
    return Made(stat=stat, counts={"encoded": model.encoded})


def by_hash(found: Iterable[Document], most: int) -> list[Document]:
    """The documents whose ids have the smallest hashes: others that come and go leave them chosen."""
    return heapq.nsmallest(most, found, key=lambda d: (xxhash.xxh3_64_intdigest(d.id.encode()), d.id))


def ranged(params: Params, full: int) -> list[int]:
    """Every dimension that may be measured or shipped, largest first."""
    trained = dims(full, params.get("loss.matryoshka.dims"))
    return sorted({*trained, *measured(full, params), *shippable(full, params)}, reverse=True)


def _golden(texts: Sequence[str], vectors: Floats) -> bytes:
    """Vectors, and the texts as they were put in, the document prompt in front.

    One key of metadata alone: safetensors writes several in random order.
    """
    said = {"texts": json.dumps(list(texts), ensure_ascii=False, separators=(",", ":"))}
    return save({"vectors": np.ascontiguousarray(vectors, np.float32)}, said)


def _ranges(vectors: Floats, sizes: Sequence[int], similarity: str) -> str:
    """The least and the largest number of each column, after the cut to each dimension."""
    found = {}
    for size in sizes:
        low, high = quantize.ranges(knn.cut(vectors, size, similarity))
        found[str(size)] = {"low": low.tolist(), "high": high.tolist()}
    return json.dumps({"dims": found}, separators=(",", ":")) + "\n"


def _onnx(
    params: Params, folder: Path, out: Path, model: Encoder, texts: Sequence[str], vectors: Floats, desk: Desk
) -> None:
    """Write the ONNX files and hold them against the model."""
    out.mkdir()
    opset = params["export.onnx.opset"]
    per_channel = None if "export.onnx.int8" in params else params["export.onnx.int8.per_channel"]
    whole, small = out / "model.onnx", out / "model_quantized.onnx"
    desk.tell(Progress("writing ONNX"))
    if parts(folder)[0].kind == STATIC:
        from embspec.stages.export import static

        table = static.read(folder)
        static.write(table, whole, opset)
        if per_channel is not None:
            static.write_int8(table, small, opset, per_channel)
    else:
        from embspec.stages.export import transformer  # the only way in that imports torch

        transformer.write(folder, whole, opset)
        if per_channel is not None:
            transformer.write_int8(whole, small, desk.scratch, per_channel)
    found = likeness(Runtime(whole, folder, model.max_seq_length), texts, vectors)
    desk.tell(Progress(_said("ONNX", found, len(texts))))
    if not found.cosine >= LEAST_COSINE:
        raise fail("stage.parity", f"{_said('the ONNX model', found, len(texts))}; at least {LEAST_COSINE} is needed",
                   fix="try another `export.onnx.opset`, or leave out `export.onnx`", field="export.onnx")
    if per_channel is not None:
        # Told and not written: how int8 rounds is the processor's, and the bytes are to be the same everywhere.
        found = likeness(Runtime(small, folder, model.max_seq_length), texts, vectors)
        desk.tell(Progress(_said("ONNX int8", found, len(texts))))


def _said(name: str, found: Likeness, texts: int) -> str:
    return (f"{name} has cosine {found.cosine:.6f} to the model at the least, largest difference "
            f"{found.difference:.1e}, on {texts} texts")


def _installed() -> None:
    missing = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise fail("stage.package", f"`export.onnx` needs the packages onnx and onnxruntime; missing: "
                   f"{', '.join(missing)}", fix="install them with `pip install embspec[onnx]`", field="export.onnx")
