"""Vectors in fewer bytes: int8 between the ends of each column, or one bit a column."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Ranges = tuple[Vectors, Vectors]
"""The lowest and the highest value of each column."""
Said = Mapping[str, Sequence[float]]
"""The same as JSON has it: `low` and `high`."""

STEPS = 255


def ranges(vectors: Vectors) -> Ranges:
    """The ends of each column, to be stored: ends taken from each batch would give a vector other bytes in each."""
    return vectors.min(axis=0).astype(np.float32), vectors.max(axis=0).astype(np.float32)


def ends(said: Said | None) -> Ranges | None:
    """The ends that a JSON file says; none where it says none."""
    return None if said is None else (np.asarray(said["low"], np.float32), np.asarray(said["high"], np.float32))


def to_int8(vectors: Vectors, low: Vectors, high: Vectors) -> NDArray[np.int8]:
    """The nearest of 256 steps between the ends of each column; what lies beyond is the end."""
    start, step = _steps(low, high)
    steps = np.rint((vectors.astype(np.float64) - start) / step)
    return (np.clip(steps, 0, STEPS) - 128).astype(np.int8)


def from_int8(stored: NDArray[np.int8], low: Vectors, high: Vectors) -> Vectors:
    """The values that the steps stand for."""
    start, step = _steps(low, high)
    return ((stored.astype(np.float64) + 128) * step + start).astype(np.float32)


def to_binary(vectors: Vectors) -> NDArray[np.uint8]:
    """One bit a column, set where the value is over zero, eight columns in a byte, the first in the highest bit."""
    return np.packbits(vectors > 0, axis=1)


def from_binary(stored: NDArray[np.uint8], dim: int) -> Vectors:
    """Vectors of length 1 in the direction of the bits."""
    signs = np.unpackbits(stored, axis=1, count=dim).astype(np.float32) * 2 - 1
    return signs / np.float32(dim**0.5)


def stored(vectors: Vectors, precision: str, found: Ranges | None) -> NDArray[Any]:
    """The vectors of documents as an index of this precision keeps them."""
    if precision == "int8":
        return to_int8(vectors, *_known(found))
    if precision == "binary":
        return to_binary(vectors)
    if precision != "float32":
        raise ValueError(f"no precision is called {precision}")
    return vectors


def scored(kept: NDArray[Any], precision: str, dim: int, found: Ranges | None) -> Vectors:
    """What an index of this precision keeps, as the numbers it is scored by; queries stay as they are."""
    if precision == "int8":
        return from_int8(kept, *_known(found))
    return from_binary(kept, dim) if precision == "binary" else kept


def served(vectors: Vectors, precision: str, found: Ranges | None) -> Vectors:
    """The vectors of documents as an index of this precision scores them."""
    return scored(stored(vectors, precision, found), precision, vectors.shape[1], found)


def _known(found: Ranges | None) -> Ranges:
    if found is None:
        raise ValueError("int8 needs the ends of each column")
    return found


def _steps(low: Vectors, high: Vectors) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The start and the width of a step; a column that is the same everywhere has steps all the same."""
    start = low.astype(np.float64)
    step = (high.astype(np.float64) - start) / STEPS
    return start, np.where(step > 0, step, 1.0)
