"""int8 and bits: what is lost is bounded, and does not hang on the batch."""
from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from embspec.retrieval import quantize


def drawn(rows: int, columns: int) -> NDArray[np.float32]:
    """Vectors at random."""
    return np.random.default_rng(3).standard_normal((rows, columns)).astype(np.float32)


def test_int8_is_within_half_a_step() -> None:
    """Between the ends of its column a value moves by no more."""
    vectors = drawn(200, 24)
    low, high = quantize.ranges(vectors)
    stored = quantize.to_int8(vectors, low, high)
    assert stored.dtype == np.int8 and stored.min() == -128 and stored.max() == 127
    half = (high.astype(np.float64) - low) / 255 / 2
    assert (np.abs(quantize.from_int8(stored, low, high) - vectors) <= half + 1e-6).all()


def test_what_lies_beyond_the_ends_is_the_end() -> None:
    """A value outside is cut, not wrapped round to the other side."""
    low, high = np.asarray([-1, 0], np.float32), np.asarray([1, 4], np.float32)
    stored = quantize.to_int8(np.asarray([[9, -9], [-9, 9]], np.float32), low, high)
    assert stored.tolist() == [[127, -128], [-128, 127]]
    assert quantize.from_int8(stored, low, high).tolist() == [[1, 0], [-1, 4]]


def test_a_column_that_is_the_same_everywhere_stays_that() -> None:
    """Its step has no width, which is not divided by."""
    vectors = np.full((3, 1), 0.25, np.float32)
    low, high = quantize.ranges(vectors)
    assert quantize.from_int8(quantize.to_int8(vectors, low, high), low, high).tolist() == vectors.tolist()


def test_a_row_alone_has_the_bytes_that_it_has_among_others() -> None:
    """The ends are stored, not taken from what is made small at the time."""
    vectors = drawn(50, 9)
    low, high = quantize.ranges(vectors[:20])
    whole = quantize.to_int8(vectors, low, high)
    assert all(np.array_equal(quantize.to_int8(vectors[n : n + 1], low, high)[0], whole[n]) for n in range(50))


@pytest.mark.parametrize("dim", [1, 8, 13, 64])
def test_bits_are_the_signs(dim: int) -> None:
    """Packed into bytes and back, one over zero and none at zero, at length 1."""
    vectors = drawn(20, dim)
    vectors[0, 0] = 0
    stored = quantize.to_binary(vectors)
    assert stored.shape == (20, -(-dim // 8)) and stored.dtype == np.uint8
    back = quantize.from_binary(stored, dim)
    assert np.array_equal(back > 0, vectors > 0)
    assert np.allclose(np.linalg.norm(back, axis=1), 1)


def test_served_is_what_the_stored_bytes_say() -> None:
    """Each precision scores what its index holds."""
    vectors = drawn(30, 16)
    ends = quantize.ranges(vectors)
    assert quantize.served(vectors, "float32", None) is vectors
    assert np.array_equal(quantize.served(vectors, "int8", ends),
                          quantize.from_int8(quantize.to_int8(vectors, *ends), *ends))
    assert np.array_equal(quantize.served(vectors, "binary", None),
                          quantize.from_binary(quantize.to_binary(vectors), 16))


@pytest.mark.parametrize(("precision", "says"), [("int8", "int8 needs the ends"), ("int4", "no precision is called")])
def test_what_cannot_be_served_is_no_silence(precision: str, says: str) -> None:
    """Without ends there is no int8, and nothing else is served in its place."""
    with pytest.raises(ValueError, match=says):
        quantize.served(drawn(2, 4), precision, None)
