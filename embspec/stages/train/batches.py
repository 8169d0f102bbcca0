"""Which rows stand in which batch: a function of the rows and the seed, known before training starts."""
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from math import ceil
from typing import NamedTuple

import xxhash

from embspec.stages.train.examples import Examples, Row

Batches = list[list[int]]


class Slots(NamedTuple):
    """The documents of one batch, each once, and where each row finds its own."""

    documents: list[int]  # the longest first
    places: list[list[int]]  # the positives of all rows, their first negatives, their second …; -1 is no document
    left_out: int  # negatives that are known answers of another row of the batch


def plan(rows: Sequence[Row], size: int, epochs: float, seed: int, apart: bool = True) -> Batches:
    """All batches of the training, in order; a part of an epoch is that part of its batches."""
    found: Batches = []
    for number in range(ceil(epochs)):
        batches = epoch(rows, size, seed, number, apart)
        found += batches[: ceil(len(batches) * min(1.0, epochs - number))]
    return found


def epoch(rows: Sequence[Row], size: int, seed: int, number: int, apart: bool = True) -> Batches:
    """Every row once, in as few batches as can keep apart what has to be; a crowd that shares a key makes more.

    Rows of the largest crowd are placed first, each in the emptiest batch that holds none of its kind. So batches are
    of even size: a rest of three rows would have next to no negatives to learn from.
    """
    keys = [row.keys if apart else frozenset[int]() for row in rows]
    chance = [_chance(seed, number, row.id) for row in rows]
    crowds = Counter(key for own in keys for key in own)
    batches: Batches = [[] for _ in range(max([ceil(len(rows) / size), *crowds.values()]))]
    held: list[set[int]] = [set() for _ in batches]
    emptiest = [(0, at) for at in range(len(batches))]
    for row in _largest_crowd_first(keys, chance, crowds):
        passed = []
        while emptiest and not (emptiest[0][0] < size and held[emptiest[0][1]].isdisjoint(keys[row])):
            passed.append(heappop(emptiest))
        load, at = heappop(emptiest) if emptiest else (0, len(batches))
        if at == len(batches):
            batches.append([])
            held.append(set())
        batches[at].append(row)
        held[at] |= keys[row]
        for one in (*passed, (load + 1, at)):
            heappush(emptiest, one)
    return [batch for batch in batches if batch]


def _largest_crowd_first(
    keys: Sequence[frozenset[int]], chance: Sequence[int], crowds: Mapping[int, int]
) -> list[int]:
    """The rows by chance, those that share a key behind each other; the numbers of keys have no say."""
    first: dict[int, int] = {}
    for own, value in zip(keys, chance, strict=True):
        for key in own:
            first[key] = min(value, first.get(key, value))
    largest = [min(((-crowds[key], first[key]) for key in own), default=(0, 0)) for own in keys]
    return sorted(range(len(keys)), key=lambda row: (largest[row], chance[row], row))


def slots(examples: Examples, batch: Sequence[int], lengths: Sequence[int]) -> Slots:
    """The columns that the loss sees.

    A negative that answers another row of the batch is left out: it would be that row's positive and its negative at
    once. Nothing is lost where it stands in the batch as a positive, for that is a candidate of every row too.
    """
    members = [examples.rows[at] for at in batch]
    known = frozenset[int]().union(*(row.answers for row in members))
    negatives = [[one for one in row.negatives if examples.classes[one] not in known] for row in members]
    left_out = sum(len(row.negatives) - len(own) for row, own in zip(members, negatives, strict=True))
    width = max(map(len, negatives))
    distinct = {row.positive for row in members}.union(*negatives)
    documents = sorted(distinct, key=lambda one: (-lengths[one], one))
    at = {one: place for place, one in enumerate(documents)}
    places = [[at[row.positive] for row in members]]
    places += [[at[own[n]] if n < len(own) else -1 for own in negatives] for n in range(width)]
    return Slots(documents, places, left_out)


def _chance(seed: int, number: int, id: str) -> int:
    return xxhash.xxh3_64_intdigest(f"{seed}\0epoch {number}\0{id}".encode("utf-8", "surrogatepass"))
