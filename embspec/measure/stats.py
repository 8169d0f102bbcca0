"""Intervals and tests over per-query scores, resampled by cluster.

Every sum is of whole numbers below 2^53 (scores are scaled and rounded once), so it is exact: neither the order of the
queries nor threads, BLAS or the width of a vector register can move a limit. Random numbers are taken raw from PCG64,
whose stream numpy keeps for good; what its `Generator` makes of them it does not.
"""
from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
RESAMPLES = 10_000
DIGITS = 9  # of every result; finer differences are rounding, and bounds are compared at this width
ENOUGH_QUERIES, ENOUGH_CLUSTERS = 200, 100
_CELLS = 1 << 20  # how many draws are held at once
_KEPT = 1 << 23  # counts of draws that are remembered, 4 bytes each


class Interval(NamedTuple):
    """An estimate with its two-sided limits."""

    value: float
    low: float
    high: float


def cluster_numbers(labels: Sequence[str]) -> NDArray[np.int64]:
    """Clusters (test documents) as numbers in the order of their names, so that the order of queries is no input."""
    number = {label: at for at, label in enumerate(sorted(set(labels)))}
    return np.array([number[label] for label in labels], dtype=np.int64)


def mean_interval(
    values: ArrayLike,
    clusters: ArrayLike,
    *,
    confidence: float = 95.0,
    resamples: int = RESAMPLES,
    seed: int = 0,
    differences: bool = False,
) -> Interval:
    """Percentile bootstrap of a mean; of paired differences it is the paired bootstrap."""
    return mean_intervals(
        [values], clusters, confidence=confidence, resamples=resamples, seed=seed, differences=differences
    )[0]


def mean_intervals(
    columns: Sequence[ArrayLike],
    clusters: ArrayLike,
    *,
    confidence: float = 95.0,
    resamples: int = RESAMPLES,
    seed: int = 0,
    differences: bool = False,
) -> list[Interval]:
    """The same for several columns over the same queries, drawn once; each is equal to `mean_interval` of it alone.

    Where all scores are 0 or all are 1 a bootstrap has no width, which would claim certainty: there the limits are
    Wilson's with one trial per cluster. Not so for differences: no question on which two systems differ is no gain of
    either.
    """
    sums, counts, scales = _cluster_sums(columns, clusters)
    totals = _resampled(np.column_stack([sums, counts]), resamples, seed)
    means = totals[:, :-1] / totals[:, -1:]
    found = []
    for column, (total, scale) in enumerate(zip(sums.sum(axis=0), scales, strict=True)):
        value = float(total / counts.sum() / scale)
        low, high = _limits(means[:, column] / scale, confidence)
        if not differences and value in (0.0, 1.0) and bool(np.all(np.asarray(columns[column], np.float64) == value)):
            low, high = wilson(round(value * len(counts)), len(counts), confidence)
        found.append(_rounded(value, low, high))
    return found


def ratio_interval(
    values: ArrayLike,
    against: ArrayLike,
    clusters: ArrayLike,
    *,
    confidence: float = 95.0,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval | None:
    """Percentile bootstrap of mean(values) / mean(against); None where `against` is 0 in the whole or in a resample."""
    return ratio_intervals(
        [(values, against)], clusters, confidence=confidence, resamples=resamples, seed=seed
    )[0]


def ratio_intervals(
    pairs: Sequence[tuple[ArrayLike, ArrayLike]],
    clusters: ArrayLike,
    *,
    confidence: float = 95.0,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Interval | None]:
    """The same for several pairs over the same queries, drawn once; each is equal to `ratio_interval` of it alone."""
    sums, _, scales = _cluster_sums([column for pair in pairs for column in pair], clusters)
    totals = _resampled(sums, resamples, seed)
    whole = sums.sum(axis=0)
    found: list[Interval | None] = []
    for top in range(0, 2 * len(pairs), 2):
        if whole[top + 1] <= 0 or bool(np.any(totals[:, top + 1] <= 0)):
            found.append(None)
            continue
        step = scales[top + 1] / scales[top]
        low, high = _limits(totals[:, top] / totals[:, top + 1] * step, confidence)
        found.append(_rounded(float(whole[top] / whole[top + 1] * step), low, high))
    return found


def sign_flip_p(differences: ArrayLike, clusters: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0) -> float:
    """Two-sided p of "the two systems are alike": how often flipping the sign of whole clusters gives as much."""
    table, counts, _ = _cluster_sums([differences], clusters)
    sums = table[table[:, 0] != 0, 0]
    # Each score was rounded by half a unit at most: sums that are equal on paper (0.1 + 0.3, 0.2 + 0.2) count as equal.
    seen = abs(float(sums.sum())) - float(counts.sum())
    if not len(sums):
        return 1.0
    words = -(-len(sums) // 64)
    as_much = 0
    for raw, rows in _raw(words, resamples, seed, stream=1, cells=64):
        bits = np.unpackbits(raw.astype("<u8").view(np.uint8).reshape(rows, -1), axis=1)[:, : len(sums)]
        flipped = (1.0 - 2.0 * bits) @ sums
        as_much += int(np.count_nonzero(np.abs(flipped) >= seen))
    return (1 + as_much) / (1 + resamples)


def wilson(successes: float, n: int, confidence: float = 95.0) -> tuple[float, float]:
    """Wilson's limits of a proportion."""
    if n <= 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 200)
    share = successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, for where a winner is picked among several."""
    adjusted = [0.0] * len(ps)
    largest = 0.0
    for place, at in enumerate(sorted(range(len(ps)), key=lambda at: ps[at])):
        largest = max(largest, min(1.0, ps[at] * (len(ps) - place)))
        adjusted[at] = largest
    return adjusted


def detectable(variance: float, n: int) -> float:
    """The smallest change found with 80 % power at 5 %: 2.8 sqrt(d / n), d the share of queries that differ."""
    return round(2.8 * math.sqrt(variance / n), DIGITS) if n else math.inf


def too_narrow(queries: int, clusters: int) -> bool:
    """Whether there are so few queries or clusters that a percentile interval is too narrow."""
    return queries < ENOUGH_QUERIES or clusters < ENOUGH_CLUSTERS


def _cluster_sums(columns: Sequence[ArrayLike], clusters: ArrayLike) -> tuple[Floats, Floats, list[float]]:
    """Scaled whole sums per cluster and column, queries per cluster, and each column's scale (a power of two)."""
    numbers = np.asarray(clusters, np.int64)
    counts = np.bincount(numbers)
    kept = np.flatnonzero(counts)
    sums, scales = [], []
    for column in columns:
        values = np.asarray(column, np.float64)
        if values.shape != numbers.shape or not len(values):
            raise ValueError(f"{len(values)} scores for {len(numbers)} clustered queries")
        # The largest sum a resample can have, were every draw the heaviest cluster: it must stay below 2^52.
        most = float(np.abs(values).max()) * int(counts.max()) * len(kept)
        if not math.isfinite(most):
            raise ValueError("a score is not finite")
        scale = math.ldexp(1.0, 51 - math.frexp(most)[1]) if most else 1.0
        whole = np.rint(values * scale).astype(np.int64)
        total = np.zeros(len(counts), np.int64)
        np.add.at(total, numbers, whole)
        sums.append(total[kept].astype(np.float64))
        scales.append(scale)
    return np.column_stack(sums), counts[kept].astype(np.float64), scales


def _resampled(table: Floats, resamples: int, seed: int) -> Floats:
    """Column totals of `resamples` draws of as many rows as there are, with replacement."""
    draws = _draws if len(table) * resamples <= _KEPT else _drawn
    return np.concatenate([times.astype(np.float64) @ table for times in draws(len(table), resamples, seed)])


@lru_cache(maxsize=1)
def _draws(n: int, resamples: int, seed: int) -> list[NDArray[np.uint32]]:
    """How often each row is in each draw, in blocks: the columns of one evaluation have all of it in common."""
    return list(_drawn(n, resamples, seed))


def _drawn(n: int, resamples: int, seed: int) -> Iterator[NDArray[np.uint32]]:
    for raw, rows in _raw(-(-n // 2), resamples, seed, stream=0, cells=2):
        halves = np.stack([raw >> np.uint64(32), raw & np.uint64(0xFFFFFFFF)], axis=-1).reshape(rows, -1)[:, :n]
        drawn = (halves * np.uint64(n) >> np.uint64(32)).astype(np.int64)
        drawn += np.arange(rows, dtype=np.int64)[:, None] * n
        yield np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.uint32)


def _raw(
    words: int, resamples: int, seed: int, *, stream: int, cells: int
) -> Iterator[tuple[NDArray[np.uint64], int]]:
    """Raw 64-bit numbers, `words` per resample and `cells` draws in each, in blocks whose size changes nothing."""
    bits = np.random.PCG64([seed, stream])
    step = max(1, _CELLS // (cells * words))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        yield np.asarray(bits.random_raw(rows * words), np.uint64).reshape(rows, words), rows


def _limits(statistic: Floats, confidence: float) -> tuple[float, float]:
    tail = (100 - confidence) / 200
    low, high = np.quantile(statistic, [tail, 1 - tail])
    return float(low), float(high)


def _rounded(*numbers: float) -> Interval:
    return Interval(*(round(number, DIGITS) + 0.0 for number in numbers))
