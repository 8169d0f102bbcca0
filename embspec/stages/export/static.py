"""A static model as ONNX: gather and masked mean, without torch and without `offsets`."""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from embspec.errors import fail
from embspec.stages.engines import STATIC, parts

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

LIMIT = 127  # int8 is used to ±127: a scale alone is enough, zero stays zero
SMALLEST = 1e-12  # torch's guard of a length, so that a text without known words stays zeros
LEAST_IR = 8

Floats = NDArray[np.float32]


class Static(NamedTuple):
    """What a static model's folder holds."""

    table: Floats
    normalise: bool


def read(folder: Path) -> Static:
    """The table of a static model, and whether its sums are brought to length 1."""
    made_of = parts(folder)
    kinds = [part.kind for part in made_of]
    if kinds not in ([STATIC], [STATIC, "Normalize"]):
        raise fail("stage.onnx", f"a static model with the modules {', '.join(kinds)} cannot be written as ONNX",
                   fix="leave out `export.onnx`", field="export.onnx")
    table = load_file(made_of[0].folder / "model.safetensors")["embedding.weight"]
    return Static(np.ascontiguousarray(table, np.float32), "Normalize" in kinds)


def write(model: Static, path: Path, opset: int) -> None:
    """The model in float32."""
    _save(path, opset, model, {"table": model.table}, [("Gather", ["table", "input_ids"], "tokens", {})])


def write_int8(model: Static, path: Path, opset: int, per_channel: bool) -> None:
    """The table in int8: a scale for each row, or one for all; the mean itself stays in float32."""
    largest = np.abs(model.table).max(axis=1 if per_channel else None, keepdims=True, initial=0.0)
    scale = np.where(largest > 0, largest / np.float32(LIMIT), np.float32(1)).astype(np.float32)
    numbers = np.clip(np.rint(model.table / scale), -LIMIT, LIMIT).astype(np.int8)
    rows: list[Step] = [("Gather", ["scale", "input_ids"], "scales", {})] if per_channel else []
    _save(path, opset, model, {"table": numbers, "scale": scale}, [
        ("Gather", ["table", "input_ids"], "numbers", {}),
        *rows,
        ("Cast", ["numbers"], "floats", {"to": 1}),
        ("Mul", ["floats", "scales" if per_channel else "scale"], "tokens", {}),
    ])


Step = tuple[str, list[str], str, dict[str, Any]]

MEAN: list[Step] = [
    ("Cast", ["attention_mask"], "mask", {"to": 1}),
    ("Unsqueeze", ["mask", "last"], "marks", {}),
    ("Mul", ["tokens", "marks"], "kept", {}),
    ("ReduceSum", ["kept", "words"], "sum", {"keepdims": 0}),
    ("ReduceSum", ["marks", "words"], "count", {"keepdims": 0}),
    ("Max", ["count", "one"], "divisor", {}),
]
LENGTH: list[Step] = [
    ("Mul", ["mean", "mean"], "squares", {}),
    ("ReduceSum", ["squares", "last"], "square", {"keepdims": 1}),
    ("Sqrt", ["square"], "length", {}),
    ("Max", ["length", "smallest"], "guarded", {}),
    ("Div", ["mean", "guarded"], "sentence_embedding", {}),
]


def _save(path: Path, opset: int, model: Static, tables: dict[str, NDArray[Any]], gather: list[Step]) -> None:
    from onnx import TensorProto, helper, numpy_helper

    mean: list[Step] = [("Div", ["sum", "divisor"], "mean" if model.normalise else "sentence_embedding", {})]
    steps = [*gather, *MEAN, *mean, *(LENGTH if model.normalise else [])]
    nodes: list[NodeProto] = [helper.make_node(op, ins, [to], name=to, **args) for op, ins, to, args in steps]
    values = {**tables, "last": np.array([-1]), "words": np.array([1]), "one": np.float32(1)}
    values |= {"smallest": np.float32(SMALLEST)} if model.normalise else {}
    constants: list[TensorProto] = [numpy_helper.from_array(np.asarray(v), name) for name, v in values.items()]
    sized = ["batch_size", "sequence_length"]
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, sized) for n in ("input_ids", "attention_mask")]
    output = helper.make_tensor_value_info(
        "sentence_embedding", TensorProto.FLOAT, ["batch_size", model.table.shape[1]]
    )
    graph = helper.make_graph(nodes, "static_embedding", inputs, [output], constants)
    sets = [helper.make_opsetid("", opset)]
    version = max(LEAST_IR, helper.find_min_ir_version_for(sets))  # onnx's own newest is not read by older runtimes
    made = helper.make_model(graph, opset_imports=sets, ir_version=version, producer_name="embspec")
    path.write_bytes(made.SerializeToString(deterministic=True))
