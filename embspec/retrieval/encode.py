"""From token numbers to vectors, in batches that no vector can tell from one another."""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Numbers = NDArray[np.int64]
Forward = Callable[[Numbers, Numbers], Vectors]
"""From token numbers and a mask of the real ones, both (texts, width), to one vector a text."""

STEP = 16  # texts are padded to the next multiple: 12 % more tokens than needed where they have 128
BUDGET = 1024  # tokens in a batch, padding included: what fits a core's cache is faster than what fills memory


class Padding(NamedTuple):
    """How texts of a model are made equally long: always behind, where positions and earlier tokens do not see it."""

    token: int = 0
    limit: int | None = None  # the model has no positions beyond; a text may still be longer if its model lets it


PLAIN = Padding()


class Batch(NamedTuple):
    """Texts of one width; either all of them are padded or none, since models treat a mask of ones as no mask."""

    at: Sequence[int]
    width: int


def encode(
    tokens: Sequence[Sequence[int]], forward: Forward, dim: int, padding: Padding = PLAIN, budget: int = BUDGET
) -> Vectors:
    """One vector a text, in the order given; the bits of each hang on its own tokens alone.

    The width of a text is its own, and a matrix product has one thread and at least 16 rows: with fewer rows, or with
    few rows for each of several threads, the library takes another path and other bits come out. Instead several
    batches run at the same time, as many as torch has threads.
    """
    vectors = np.zeros((len(tokens), dim), np.float32)

    def run(batch: Batch) -> None:
        vectors[batch.at] = forward(*_padded([tokens[at] for at in batch.at], batch.width, padding))

    with one_thread() as threads:
        todo = batches([len(text) for text in tokens], padding.limit, budget, threads)
        if threads == 1 or len(todo) < 2:
            for batch in todo:
                run(batch)
        else:
            with ThreadPoolExecutor(threads) as pool:
                for _ in pool.map(run, todo):
                    pass
    return vectors


def width(length: int, limit: int | None = None) -> int:
    """To how many tokens a text is padded."""
    padded = max(-(-length // STEP) * STEP, STEP)
    return padded if limit is None else min(padded, max(limit, length))


def batches(lengths: Sequence[int], limit: int | None = None, budget: int = BUDGET, parts: int = 1) -> list[Batch]:
    """Every text in one batch, the widest first; at least as many batches as parts where there are enough texts."""
    buckets: defaultdict[tuple[int, bool], list[int]] = defaultdict(list)
    for at, length in enumerate(lengths):
        wide = width(length, limit)
        buckets[wide, length == wide].append(at)
    tokens = sum(wide * len(members) for (wide, _), members in buckets.items())
    budget = min(budget, -(-tokens // max(parts, 1)))
    made = []
    for (wide, _), members in sorted(buckets.items(), reverse=True):
        rows = max(budget // wide, 1)
        made += [Batch(members[start : start + rows], wide) for start in range(0, len(members), rows)]
    return made


@contextmanager
def one_thread() -> Iterator[int]:
    """Torch computes with one thread inside, with as many as before after; the value is how many those are."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield before
    finally:
        torch.set_num_threads(before)


def _padded(texts: Sequence[Sequence[int]], width: int, padding: Padding) -> tuple[Numbers, Numbers]:
    ids = np.full((len(texts), width), padding.token, np.int64)
    mask = np.zeros((len(texts), width), np.int64)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = text
        mask[row, : len(text)] = 1
    return ids, mask
