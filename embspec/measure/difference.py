"""Where two artefacts of one name differ first: a tensor and by how much, a line, a byte."""
from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Bytes = bytes | memoryview

_CHUNK = 1 << 22  # elements, or bytes, that are looked at together
_HEAD = 8
_FLOATS: Mapping[str, int] = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
_WHOLE: Mapping[str, str] = {
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1",
}


class Difference(NamedTuple):
    """The first thing that is another: a tensor with its largest difference in units in the last place, or a line."""

    text: str
    tensor: str | None = None
    ulp: int | None = None
    line: int | None = None


def first(name: str, then: Bytes, now: Bytes) -> Difference:
    """Of two files that differ."""
    if name.endswith(".safetensors"):
        tables = _table(then), _table(now)
        if tables[0] is not None and tables[1] is not None:
            return _tensors(tables[0], tables[1])
    at = _offset(then, now)
    if _is_text(then) and _is_text(now):
        line = bytes(then[:at]).count(b"\n") + 1
        return Difference(f"line {line}", line=line)
    return Difference(f"byte {at}" + ("" if len(then) == len(now) else f", {len(then)} and {len(now)} bytes long"))


class _Tensor(NamedTuple):
    dtype: str
    shape: tuple[int, ...]
    data: memoryview


def _table(file: Bytes) -> dict[str, _Tensor] | None:
    """The tensors of a file, by name; None where it is none."""
    size = int.from_bytes(bytes(file[:_HEAD]), "little")
    try:
        head: dict[str, Any] = json.loads(bytes(file[_HEAD:_HEAD + size]))
        rest = memoryview(file)[_HEAD + size:]
        return {
            name: _Tensor(entry["dtype"], tuple(entry["shape"]), rest[slice(*entry["data_offsets"])])
            for name, entry in sorted(head.items()) if name != "__metadata__"
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _tensors(then: Mapping[str, _Tensor], now: Mapping[str, _Tensor]) -> Difference:
    names = sorted(then.keys() | now.keys())
    differ = [n for n in names if n not in then or n not in now or then[n] != now[n]]
    if not differ:
        return Difference("other metadata, the same tensors")
    name = differ[0]
    more = f" ({len(differ)} of {len(names)} tensors differ)" if len(names) > 1 else ""
    if name not in then or name not in now:
        return Difference(f"tensor {name} is in one of them only{more}", name)
    old, new = then[name], now[name]
    if (old.dtype, old.shape) != (new.dtype, new.shape):
        forms = " and ".join(f"{t.dtype} {list(t.shape)}" for t in (old, new))
        return Difference(f"tensor {name} is {forms}{more}", name)
    if old.dtype not in (*_FLOATS, *_WHOLE):
        return Difference(f"tensor {name} differs{more}", name)
    ulp, by = _largest(old, new)
    return Difference(f"tensor {name} differs by up to {ulp} ulp ({by:.3g}){more}", name, ulp)


def _largest(then: _Tensor, now: _Tensor) -> tuple[int, float]:
    """The largest distance of two elements, counted in the numbers of their type that lie between, and as it is."""
    ulp, by = 0, 0.0
    for at in range(0, len(then.data), _CHUNK * 8):
        parts = [t.data[at:at + _CHUNK * 8] for t in (then, now)]
        a, b = (_ordered(then.dtype, part) for part in parts)
        ulp = max(ulp, int((np.maximum(a, b) - np.minimum(a, b)).max()))
        x, y = (_values(then.dtype, part) for part in parts)
        by = max(by, float(np.nanmax(np.abs(x - y), initial=0.0)))
    return ulp, by


def _values(dtype: str, data: memoryview) -> NDArray[np.float64]:
    """Elements as the numbers that they stand for."""
    if dtype == "BF16":
        return (np.frombuffer(data, "<u2").astype("<u4") << np.uint32(16)).view("<f4").astype(np.float64)
    return np.frombuffer(data, f"<f{_FLOATS[dtype]}" if dtype in _FLOATS else _WHOLE[dtype]).astype(np.float64)


def _ordered(dtype: str, data: memoryview) -> NDArray[np.uint64]:
    """Elements as whole numbers in the order of what they stand for."""
    if dtype in _FLOATS:
        width = 8 * _FLOATS[dtype]
        bits: NDArray[np.uint64] = np.frombuffer(data, f"<u{_FLOATS[dtype]}").astype(np.uint64)
        sign = np.uint64(1 << (width - 1))
        # Numbers below zero are stored by their size: turned round, 0 and -0 are neighbours.
        return np.where(bits & sign != 0, sign - np.uint64(1) - (bits & ~sign), bits | sign)
    values = np.frombuffer(data, _WHOLE[dtype])
    return values.astype(np.uint64) if dtype[0] == "U" else values.astype(np.int64).view(np.uint64) ^ np.uint64(1 << 63)


def _offset(then: Bytes, now: Bytes) -> int:
    """The first byte that is another, or the length of the shorter."""
    shorter = min(len(then), len(now))
    for at in range(0, shorter, _CHUNK):
        a, b = (np.frombuffer(memoryview(f)[at:min(at + _CHUNK, shorter)], np.uint8) for f in (then, now))
        found = np.flatnonzero(a != b)
        if len(found):
            return at + int(found[0])
    return shorter


def _is_text(file: Bytes) -> bool:
    try:
        bytes(file).decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in bytes(file)
