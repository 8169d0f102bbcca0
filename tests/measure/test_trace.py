"""Where two trainings part."""
from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embspec.errors import INVALID, EmbspecError
from embspec.measure.trace import RECORD, Parting, apart, parting, steps

Step = tuple[int, float, float]

STEPS = st.lists(st.tuples(st.integers(0, 2**64 - 1), st.floats(width=32), st.floats(width=32)), max_size=8)


def trace(*rows: Step) -> bytes:
    """The bytes that a training writes."""
    return b"".join(struct.pack("<Qdd", *row) for row in rows)


def test_a_step_is_24_bytes() -> None:
    """As the lock's sizes say it: 240 steps are 5,760 bytes."""
    assert RECORD.size == 24 and steps(trace((1, 2.0, 3.0), (4, 5.0, 6.0))) == 2


@pytest.mark.parametrize(("now", "text"), [
    (((2, 1.0, 1.0), (2, 0.5, 0.9)), "step 0: different batch"),
    (((1, 1.25, 1.0), (2, 0.5, 0.9)), "step 0: the loss is 1 and 1.25"),
    (((1, 1.0, 1.0), (2, 0.5, 0.75)), "step 1: the gradient's norm is 0.9 and 0.75"),
    (((1, 1.0, 1.0), (2, 0.5000001, 0.1)), "step 1: the loss is 0.5 and 0.5000001"),
    (((1, 1.0, 1.0),), "step 1: one ends there, after 2 and 1 steps"),
    (((1, 1.0, 1.0), (2, 0.5, 0.9), (3, 0.1, 0.1)), "step 2: one ends there, after 2 and 3 steps"),
    (((1, 1.0, 1.0), (2, float("nan"), 0.9)), "step 1: the loss is 0.5 and nan"),
])
def test_what_parts_first_is_said(now: tuple[Step, ...], text: str) -> None:
    """The batch before the loss, the loss before the gradient, and numbers with the digits that tell them apart."""
    assert str(parting(trace((1, 1.0, 1.0), (2, 0.5, 0.9)), trace(*now))) == text


def test_a_loss_that_is_no_number_is_itself() -> None:
    """Bits are compared: two equal nan are no parting."""
    assert parting(trace((1, float("nan"), 1.0)), trace((1, float("nan"), 1.0))) is None


def test_half_a_step_is_no_trace() -> None:
    """3: bytes that no training wrote."""
    with pytest.raises(EmbspecError) as caught:
        parting(b"x" * 25, b"")
    assert caught.value.exit == INVALID and "25 bytes" in str(caught.value)


@given(STEPS, STEPS)
def test_nothing_parts_exactly_where_the_bytes_are_equal(then: list[Step], now: list[Step]) -> None:
    """Up to the step that is named they are equal, and there they are not; both ways name the same step."""
    old, new = trace(*then), trace(*now)
    found, back = parting(old, new), parting(new, old)
    assert (found is None) == (old == new)
    if found and back:
        at = found.step * RECORD.size
        assert old[:at] == new[:at] and old[at:at + RECORD.size] != new[at:at + RECORD.size]
        assert (back.step, back.what) == (found.step, found.what)


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_numbers_that_differ_are_shown_apart(a: float, b: float) -> None:
    """However near they are."""
    if a != b:
        assert len(set(apart(a, b))) == 2


def test_it_says_the_values() -> None:
    """A reader of --json gets the numbers themselves."""
    found = parting(trace((1, 1.0, 1.0)), trace((1, 2.0, 1.0)))
    assert found == Parting(0, "loss", 1.0, 2.0)
