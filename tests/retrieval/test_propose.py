"""Both ways to look for the few products that count find the same, and products of float32 are no less."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from embspec.retrieval import propose
from embspec.retrieval.propose import Gpu, Pairs, Processor

numbers = st.lists(st.integers(-4, 4), min_size=6, max_size=6)


def found(device: propose.Device, rows: list[list[int]], least: list[int], most: int | None) -> Any:
    """What is over, in one order."""
    queries, documents = np.eye(6, dtype=np.float32)[: len(least)], np.asarray(rows, np.float32)
    products = device.products(device.put(queries), device.put(documents))
    pairs = device.over(products, np.asarray(least, np.float32), most)
    device.free(products)
    return pairs and sorted(zip(*(column.tolist() for column in pairs), strict=True))


@given(st.lists(st.lists(numbers, min_size=1, max_size=9), min_size=1, max_size=4), st.none() | st.integers(0, 20),
       st.lists(st.integers(-5, 5), min_size=1, max_size=6))
def test_a_processor_and_a_gpu_find_the_same_pairs(chunks: list[list[list[int]]], most: int | None, least: list[int]
                                                   ) -> None:
    """Those at the bound too, in memory that larger and smaller products had before; nothing where they are many."""
    here, there = Processor(), Gpu("cpu")
    for rows in chunks:
        right = sorted((query, column, float(row[query])) for query, low in enumerate(least)
                       for column, row in enumerate(rows) if row[query] >= low)
        wanted = None if most is not None and len(right) > most else right
        assert found(here, rows, least, most) == found(there, rows, least, most) == wanted


@given(st.lists(numbers, min_size=3, max_size=9), st.integers(1, 3))
def test_the_highest_are_found(rows: list[list[int]], k: int) -> None:
    """The k-th of each query, by both."""
    for device in (Processor(), Gpu("cpu")):
        products = device.products(device.put(np.eye(6, dtype=np.float32)), device.put(np.asarray(rows, np.float32)))
        assert device.highest(products, k).tolist() == np.sort(np.asarray(rows), axis=0)[-k].tolist()


def test_memory_is_used_again() -> None:
    """Of a product that is freed, by one that fits; two at a time have their own."""
    here = Processor()
    rows = here.put(np.ones((4, 3), np.float32))
    first = here.products(rows, rows)
    second = here.products(rows, rows)
    assert not np.shares_memory(first[0][0], second[0][0])
    here.free(first)
    assert here.products(rows[:2], rows)[0][0] is first[0][0]
    assert here.over(second, np.zeros(4, np.float32), None) is not None


@pytest.mark.parametrize("said", ["highest", "high", "medium"])
def test_products_are_of_float32_inside_and_as_they_were_after(said: str) -> None:
    """Whatever a process was told: no TF32 and no bfloat16 on a GPU, also where something fails."""
    def now() -> list[str]:
        backends: Any = torch.backends
        return [backends.cuda.matmul.fp32_precision, backends.mkldnn.matmul.fp32_precision]

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(said)
    try:
        kept = now()
        with pytest.raises(ArithmeticError), Gpu("cpu").exact():
            assert now() == ["ieee", "ieee"]
            raise ArithmeticError
        assert now() == kept and torch.get_float32_matmul_precision() == said
    finally:
        torch.set_float32_matmul_precision(before)


def test_work_that_fails_for_other_reasons_is_not_done_again() -> None:
    """Only a full memory is helped by less at once."""
    seen = []

    def work(part: slice) -> None:
        seen.append(part)
        raise ValueError("no")

    for device in (Processor(), Gpu("cpu")):
        seen.clear()
        with pytest.raises(ValueError, match="no"):
            propose.in_halves(work, slice(0, 1000), device.full())
        assert seen == [slice(0, 1000)]


def test_pairs_are_arrays_of_the_kinds_that_tables_have() -> None:
    """Numbers of 8 bytes and scores of 4, from both."""
    for device in (Processor(), Gpu("cpu")):
        rows = device.put(np.ones((2, 2), np.float32))
        pairs = device.over(device.products(rows, rows), np.zeros(2, np.float32), None)
        assert isinstance(pairs, Pairs) and [str(c.dtype) for c in pairs] == ["int64", "int64", "float32"]
