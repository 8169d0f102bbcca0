"""Tensors of safetensors files as float32, in one file: what loads alike in every version that reads it."""
from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embspec.errors import fail

Floats = NDArray[np.float32]
MOST_HEADER = 100 << 20  # as the format's own reader has it
BASE = "model.base"


def _brain(data: bytes) -> Floats:
    """bfloat16 is the upper half of a float32."""
    return (np.frombuffer(data, "<u2").astype("<u4") << 16).view(np.float32)


FLOATS: Mapping[str, Callable[[bytes], Floats]] = {
    "F32": lambda data: np.frombuffer(data, "<f4"),
    "F16": lambda data: np.frombuffer(data, "<f2").astype(np.float32),
    "BF16": _brain,
    "F64": lambda data: np.frombuffer(data, "<f8").astype(np.float32),
}
WHOLE = {"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "U8": "|u1", "BOOL": "|b1"}


class Tensor(NamedTuple):
    """Where one tensor lies."""

    path: Path
    kind: str
    shape: tuple[int, ...]
    start: int
    end: int

    def bytes(self) -> bytes:
        """As the file has it."""
        with open(self.path, "rb") as file:
            file.seek(self.start)
            return file.read(self.end - self.start)

    def floats(self) -> Floats:
        """Its numbers as float32."""
        return FLOATS[self.kind](self.bytes()).reshape(self.shape)


def tensors(path: Path, shown: str, field: str = BASE) -> dict[str, Tensor]:
    """The tensors of a safetensors file, by name."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = file.read(size) if size <= MOST_HEADER else b""
        whole = file.seek(0, 2)
    try:
        rows: dict[str, Any] = json.loads(header)
        rows.pop("__metadata__", None)
        found = {
            name: Tensor(path, row["dtype"], tuple(row["shape"]), *(8 + size + at for at in row["data_offsets"]))
            for name, row in rows.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        raise _broken(shown, field) from None
    if any(tensor.end > whole for tensor in found.values()):
        raise _broken(shown, field)
    return found


def _broken(shown: str, field: str) -> Exception:
    return fail("input.weights", f"`{shown}` is not a whole safetensors file", None,
                "download it again, or run `git lfs pull` where it is kept by git-lfs", field)


def write(found: Mapping[str, Tensor], target: Path, shown: str, field: str = BASE) -> None:
    """All tensors in one file, those of floating point as float32; one at a time is in memory."""
    strange = sorted({t.kind for t in found.values()} - FLOATS.keys() - WHOLE.keys())
    if strange:
        raise fail("input.weights", f"`{shown}` has weights of type {', '.join(strange)}, which are not read", None,
                   "use a model whose weights are not quantised", field)
    rows: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    ordered = sorted(found.items(), key=lambda item: (-_width(item[1]), item[0]))  # each aligned to its own size
    for name, tensor in ordered:
        size = _width(tensor) * int(np.prod(tensor.shape, dtype=np.int64))
        kind = "F32" if tensor.kind in FLOATS else tensor.kind
        rows[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [at, at + size]}
        at += size
    header = json.dumps(rows, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    with open(target, "wb") as out:
        out.write(len(header).to_bytes(8, "little") + header)
        for _, tensor in ordered:
            out.write(tensor.floats().tobytes() if tensor.kind in FLOATS else tensor.bytes())


def _width(tensor: Tensor) -> int:
    return 4 if tensor.kind in FLOATS else np.dtype(WHOLE[tensor.kind]).itemsize


def gather(paths: Sequence[tuple[Path, str]], field: str = BASE) -> dict[str, Tensor]:
    """The tensors of several files as if they were one."""
    return {name: tensor for path, shown in paths for name, tensor in tensors(path, shown, field).items()}


def table(path: Path, shown: str) -> Floats:
    """One row of numbers a token; model2vec keeps a row for several tokens, and weights beside it."""
    found = tensors(path, shown)
    name = next((n for n in ("embedding.weight", "embeddings", *found) if n in found), "")
    rest = found.keys() - {name, "mapping", "weights"}
    tensor = found.get(name)
    if tensor is None or len(tensor.shape) != 2 or tensor.kind not in FLOATS or rest:
        held = ", ".join(f"{n} {t.kind} {list(t.shape)}" for n, t in sorted(found.items())) or "nothing"
        raise fail("input.weights", f"`{shown}` is no table of token vectors: it holds {held}", None,
                   "name a safetensors file with one table of floating point, a row a token", BASE)
    rows = tensor.floats()
    if "mapping" in found:
        mapping = found["mapping"]
        rows = rows[np.frombuffer(mapping.bytes(), WHOLE[mapping.kind])]
    if "weights" in found:
        rows = rows * found["weights"].floats()[:, None]
    return np.ascontiguousarray(rows, np.float32)
