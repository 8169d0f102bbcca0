"""Batches in which a text is alone with its tokens: every text once, in its own width, back in order."""
from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from embspec.retrieval.encode import Padding, batches, encode, one_thread, width
from tests.support.threads import threads

Numbers = NDArray[np.int64]
lengths = st.lists(st.integers(0, 90), max_size=60)


@given(lengths, st.integers(16, 400), st.integers(1, 4), st.none() | st.integers(1, 90))
def test_every_text_is_in_one_batch_of_its_own_width(found: list[int], budget: int, parts: int, limit: int | None
                                                     ) -> None:
    """Whatever the budget: texts come once, batches hold one width and padded or unpadded texts, none too many."""
    made = batches(found, limit, budget, parts)
    assert sorted(at for batch in made for at in batch.at) == list(range(len(found)))
    for batch in made:
        assert {width(found[at], limit) for at in batch.at} == {batch.width}
        assert len({found[at] == batch.width for at in batch.at}) == 1
        assert len(batch.at) == 1 or len(batch.at) * batch.width <= budget


@given(st.integers(0, 600), st.none() | st.integers(1, 600))
def test_the_width_is_the_next_multiple_of_sixteen(length: int, limit: int | None) -> None:
    """Wide enough for the text, less than 16 more, and within the model's positions wherever the text is."""
    wide = width(length, limit)
    assert max(length, 1) <= wide <= max(length + 15, 16)
    assert wide % 16 == 0 or wide in (limit, length)
    assert limit is None or length > limit or wide <= limit


def test_few_texts_are_shared_among_the_threads() -> None:
    """One batch for eight texts of a width would leave the other threads idle."""
    assert [len(batch.at) for batch in batches([20] * 8, budget=1024, parts=4)] == [2, 2, 2, 2]
    assert [len(batch.at) for batch in batches([20] * 8, budget=1024, parts=1)] == [8]


def test_padding_stands_behind_the_text() -> None:
    """The mask is over the real tokens, all else is the padding token."""
    seen: list[tuple[list[int], list[int]]] = []

    def forward(ids: Numbers, mask: Numbers) -> NDArray[np.float32]:
        seen.extend(zip(ids.tolist(), mask.tolist(), strict=True))
        return np.zeros((len(ids), 1), np.float32)

    encode([[7, 8, 9]], forward, 1, Padding(token=5))
    assert seen == [([7, 8, 9] + [5] * 13, [1, 1, 1] + [0] * 13)]


@pytest.mark.parametrize("number", [1, 3])
def test_vectors_come_back_in_the_order_of_the_texts(number: int) -> None:
    """Batches run in any order and side by side; the rows are those of the texts, each run once."""
    rows: list[int] = []
    lock = threading.Lock()

    def forward(ids: Numbers, mask: Numbers) -> NDArray[np.float32]:
        with lock:
            rows.append(len(ids))
        return np.asarray((ids * mask).sum(axis=1, keepdims=True), np.float32)

    texts = [[n] * (1 + 7 * n % 40) for n in range(50)]
    with threads(number):
        found = encode(texts, forward, 1, budget=64)
    assert found[:, 0].tolist() == [sum(text) for text in texts]
    assert sum(rows) == 50 and len(rows) > 10


@pytest.mark.parametrize("number", [1, 2])
def test_a_model_that_fails_says_so_and_torch_has_its_threads_again(number: int) -> None:
    """The error of a batch comes out of `encode`, not an array with holes."""
    def forward(ids: Numbers, mask: Numbers) -> NDArray[np.float32]:
        raise ArithmeticError("no")

    with threads(number):
        with pytest.raises(ArithmeticError):
            encode([[1], [2] * 30], forward, 1)
        assert torch.get_num_threads() == number


def test_a_matrix_product_has_one_thread() -> None:
    """Inside torch computes with one thread, and says how many there were."""
    with threads(3):
        with one_thread() as before:
            assert (before, torch.get_num_threads()) == (3, 1)
        assert torch.get_num_threads() == 3


def test_no_text_is_no_vector() -> None:
    """An empty list has a shape all the same."""
    assert encode([], lambda ids, mask: np.zeros((0, 4), np.float32), 4).shape == (0, 4)
