"""What of two files is named as the first difference."""
from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from embspec.measure.difference import Difference, first


def tensors(**arrays: Any) -> bytes:
    """A file of tensors."""
    return save({name: np.asarray(array) for name, array in arrays.items()})


def floats(*values: float) -> Any:
    """A tensor of single precision."""
    return np.array(values, np.float32)


def test_a_tensor_and_its_ulp() -> None:
    """The first tensor by name that differs, its largest distance as numbers between and as it is, and how many."""
    one = tensors(a=floats(1, 2), b=floats(1, 2, 3), c=floats(4))
    two = tensors(a=floats(1, 2), b=floats(1, np.nextafter(np.float32(2), np.float32(3)), 3), c=floats(5))
    found = first("model.safetensors", one, two)
    assert found == Difference("tensor b differs by up to 1 ulp (2.38e-07) (2 of 3 tensors differ)", "b", 1)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.integers(1, 50))
def test_an_ulp_is_a_step_to_the_next_number(start: float, count: int) -> None:
    """Across zero too, where the bits turn round; both ways it is as far."""
    value = end = np.float32(start)
    for _ in range(count):
        end = np.nextafter(end, np.float32(np.inf))
    # 0 and -0 are two numbers to the bits, and one to whoever steps.
    crossed = int(value < 0 <= end or (np.signbit(value) and value == 0))
    if np.isfinite(end) and not (value < 0 and end == 0):
        files = [tensors(t=floats(float(value))), tensors(t=floats(float(end)))]
        assert first("x.safetensors", *files).ulp in (count, count + crossed)
        assert first("x.safetensors", *files).ulp == first("x.safetensors", *files[::-1]).ulp


@pytest.mark.parametrize(("dtype", "a", "b", "ulp"), [
    (np.float64, 1.0, 1.0 + 2**-52, 1), (np.float16, 1.0, 1.0 + 2**-10, 1), (np.int8, -3, 4, 7),
    (np.uint8, 250, 3, 247), (np.int64, -(2**62), 2**62, 2**63),
])
def test_every_type_of_number(dtype: Any, a: float, b: float, ulp: int) -> None:
    """Whole numbers are counted as they are."""
    assert first("x.safetensors", tensors(t=np.array([a], dtype)), tensors(t=np.array([b], dtype))).ulp == ulp


def test_bfloat16() -> None:
    """A type that numpy does not have."""
    def file(bits: int) -> bytes:
        head = json.dumps({"t": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}).encode()
        return struct.pack("<Q", len(head)) + head + struct.pack("<H", bits)

    assert first("x.safetensors", file(0x3F80), file(0x3F82)) == Difference(
        "tensor t differs by up to 2 ulp (0.0156)", "t", 2)


def test_shape_and_absence() -> None:
    """Tensors of another form, or in one file only, have no distance."""
    one = tensors(a=floats(1, 2))
    assert first("x.safetensors", one, tensors(a=floats(1))) == Difference("tensor a is F32 [2] and F32 [1]", "a")
    assert first("x.safetensors", one, tensors(b=floats(1), a=floats(1, 2))) == Difference(
        "tensor b is in one of them only (1 of 2 tensors differ)", "b")


def test_other_metadata() -> None:
    """Where only the head differs, that is said."""
    found = first("x.safetensors", save({"a": floats(1)}, {"one": "1"}), save({"a": floats(1)}, {"two": "1"}))
    assert found == Difference("other metadata, the same tensors")


@pytest.mark.parametrize(("then", "now", "found"), [
    (b'{"a": 1}\n{"a": 2}\n', b'{"a": 1}\n{"a": 3}\n', Difference("line 2", line=2)),
    (b"one\n", b"one\ntwo\n", Difference("line 2", line=2)),
    ("é\n".encode(), "è\n".encode(), Difference("line 1", line=1)),
    (b"\x00\x01\x02", b"\x00\x01\x03", Difference("byte 2")),
    (b"\xff\x01", b"\xff", Difference("byte 1, 2 and 1 bytes long")),
    (b"", b"x\n", Difference("line 1", line=1)),
])
def test_lines_and_bytes(then: bytes, now: bytes, found: Difference) -> None:
    """Text by its line, anything else by its byte."""
    assert first("scores", then, now) == found


def test_a_file_that_only_says_it_holds_tensors() -> None:
    """A broken head is looked at like any other bytes."""
    assert first("x.safetensors", b"\xff" * 20, b"\xff" * 21).text == "byte 20, 20 and 21 bytes long"
