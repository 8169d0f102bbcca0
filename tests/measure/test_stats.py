"""Intervals and tests against slow references."""
from __future__ import annotations

import math
import os
import random
import subprocess
import sys
import tracemalloc
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.measure import stats
from embspec.measure.stats import (
    cluster_numbers,
    detectable,
    holm,
    mean_interval,
    mean_intervals,
    ratio_interval,
    sign_flip_p,
    too_narrow,
    wilson,
)


def data(n: int, groups: int, seed: int) -> tuple[list[float], list[float], list[int]]:
    """Scores of two systems and clusters of uneven size."""
    rng = random.Random(seed)
    ref = [rng.choice([0.0, 0.25, 1 / 3, 0.5, 1.0]) for _ in range(n)]
    system = [min(1.0, score + rng.choice([0.0, 0.0, 0.25])) for score in ref]
    return system, ref, [int(groups * rng.random() ** 2) for _ in range(n)]


def slow_bootstrap(values: list[float], clusters: list[int], resamples: int, seed: int) -> list[float]:
    """Draws clusters one by one with another generator and averages their queries."""
    rng = random.Random(seed)
    members = [[value for value, own in zip(values, clusters, strict=True) if own == one] for one in set(clusters)]
    means = []
    for _ in range(resamples):
        drawn = [value for _ in members for value in rng.choice(members)]
        means.append(math.fsum(drawn) / len(drawn))
    return sorted(means)


@pytest.mark.parametrize("groups", [12, 60, 150])
def test_the_interval_is_that_of_a_slow_bootstrap(groups: int) -> None:
    """Another generator and plain loops give the same limits, as near as resampling allows."""
    system, ref, clusters = data(150, groups, seed=groups)
    differences = [one - other for one, other in zip(system, ref, strict=True)]
    means = slow_bootstrap(differences, clusters, 4000, seed=1)
    found = mean_interval(differences, clusters, resamples=4000, seed=2)
    width = found.high - found.low
    assert found.value == pytest.approx(math.fsum(differences) / 150, abs=1e-9)
    assert found.low == pytest.approx(means[100], abs=0.06 * width)
    assert found.high == pytest.approx(means[-101], abs=0.06 * width)


def test_clusters_widen_the_interval() -> None:
    """Ten queries of one document are not ten independent witnesses."""
    rng = random.Random(4)
    shared = [rng.choice([0.0, 1.0]) for _ in range(30)]
    values = [score for score in shared for _ in range(10)]
    alone = mean_interval(values, list(range(300)))
    together = mean_interval(values, [at // 10 for at in range(300)])
    assert together.high - together.low > 2.5 * (alone.high - alone.low)


def test_coverage() -> None:
    """A 95 % interval holds the truth in about 95 of 100 samples of 200 clusters."""
    rng = np.random.default_rng(6)
    inside = 0
    for seed in range(300):
        values = rng.choice([0.0, 0.5, 1.0], p=[0.2, 0.3, 0.5], size=200)
        found = mean_interval(values, np.arange(200), resamples=500, seed=seed)
        inside += found.low <= 0.65 <= found.high
    assert 0.91 <= inside / 300 <= 0.985


def test_a_ratio_is_that_of_the_means() -> None:
    """Retention is resampled in pairs: numerator and denominator over the same draws."""
    system, ref, clusters = data(200, 90, seed=3)
    found = ratio_interval(system, ref, clusters, resamples=3000)
    assert found is not None
    assert found.value == pytest.approx(math.fsum(system) / math.fsum(ref), abs=1e-9)
    assert found.low < found.value < found.high
    same = ratio_interval(ref, ref, clusters, resamples=100)
    assert same == (1.0, 1.0, 1.0)
    halved = ratio_interval([score / 2 for score in ref], ref, clusters, resamples=100)
    assert halved == (0.5, 0.5, 0.5)


def test_a_ratio_to_nothing_is_none() -> None:
    """Where the denominator is 0, or may be in a resample, there is no ratio."""
    assert ratio_interval([1.0, 0.0], [0.0, 0.0], [0, 1]) is None
    assert ratio_interval([1.0, 1.0], [0.0, 1.0], [0, 1], resamples=50) is None


@settings(max_examples=50)
@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 10**6))
def test_order_of_queries_is_no_input(n: int, groups: int, seed: int) -> None:
    """Shuffled queries give the same limits and p to the last bit."""
    system, ref, clusters = data(n, groups, seed)
    order = random.Random(seed).sample(range(n), n)

    def everything(at: list[int]) -> tuple[object, ...]:
        one, other, own = ([column[place] for place in at] for column in (system, ref, clusters))
        apart = [a - b for a, b in zip(one, other, strict=True)]
        return (
            mean_interval(one, own, resamples=50),
            mean_interval(apart, own, resamples=50),
            ratio_interval(one, other, own, resamples=50),
            sign_flip_p(apart, own, resamples=50),
        )

    assert everything(list(range(n))) == everything(order)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many draws are held at once is no input."""
    system, ref, clusters = data(90, 40, seed=8)

    def everything() -> tuple[object, ...]:
        apart = np.subtract(system, ref)
        return mean_interval(apart, clusters, resamples=300), sign_flip_p(apart, clusters, resamples=300)

    before = everything()
    monkeypatch.setattr(stats, "_CELLS", 100)
    assert everything() == before


def test_several_columns_are_each_as_alone() -> None:
    """Columns that share their draws have the limits they have alone, those of 0 and 1 throughout too."""
    system, ref, clusters = data(80, 30, seed=9)
    columns = [system, ref, [1.0] * 80, [0.0] * 80, [1000.0 * score for score in ref]]
    together = mean_intervals(columns, clusters, resamples=200, seed=5)
    assert together == [mean_interval(column, clusters, resamples=200, seed=5) for column in columns]


def test_threads_change_nothing() -> None:
    """One thread or four: equal to the bit."""
    code = (
        "import numpy as np; from embspec.measure.stats import *; r = np.random.PCG64(1).random_raw(4000) % 1000 / 999;"
        "c = np.arange(4000) // 3; print(mean_interval(r, c, resamples=999), sign_flip_p(r - .5, c, resamples=999))"
    )
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads, "PYTHONPATH": root},
            check=True,
            capture_output=True,
            cwd=root,
        ).stdout
        for threads in ("1", "4")
    }
    assert len(said) == 1


def test_pinned_draws() -> None:
    """The stream is part of the recipe: these limits hold on every machine and with every numpy."""
    values = [(at * 7 % 11) / 10 for at in range(40)]
    clusters = [at // 3 for at in range(40)]
    assert mean_interval(values, clusters, resamples=1000, seed=42) == PINNED_INTERVAL
    assert sign_flip_p([value - 0.4 for value in values], clusters, resamples=1000, seed=42) == PINNED_P


PINNED_INTERVAL = (0.505, 0.442857143, 0.565789474)
PINNED_P = 10 / 1001


def test_the_sign_flip_is_that_of_all_sign_flips() -> None:
    """With few clusters the p is near that of every one of the 2^G flips, ties counted as being as much."""
    differences = [0.2, 0.2, -0.1, 0.3, 0.0, 0.1, 0.4, -0.2, 0.1, 0.1]
    clusters = [0, 0, 1, 2, 3, 4, 5, 6, 7, 8]
    sums = [4, -1, 3, 0, 1, 4, -2, 1, 1]  # in tenths
    signs = product([1, -1], repeat=len(sums))
    flips = [abs(sum(sign * one for sign, one in zip(row, sums, strict=True))) for row in signs]
    exact = sum(flip >= abs(sum(sums)) for flip in flips) / len(flips)
    assert sign_flip_p(differences, clusters, resamples=20_000) == pytest.approx(exact, abs=0.012)


def test_no_difference_has_p_1() -> None:
    """Equal systems are as alike as can be."""
    assert sign_flip_p([0.0, 0.0, 0.0], [0, 1, 2], resamples=10) == 1.0


def test_a_sure_difference_has_the_least_p() -> None:
    """Better on a hundred documents out of a hundred: no flip of signs gives as much."""
    assert sign_flip_p([0.1] * 100, list(range(100)), resamples=999) == pytest.approx(0.001)


def test_p_is_even_where_nothing_is_different() -> None:
    """Of alike systems 5 % have a p under 0.05."""
    rng = np.random.default_rng(2)
    ps = [sign_flip_p(rng.normal(size=60), np.arange(60), resamples=400, seed=seed) for seed in range(400)]
    assert 0.02 <= np.mean(np.array(ps) <= 0.05) <= 0.08


def test_limits_without_width_are_wilsons() -> None:
    """Twenty hits out of twenty do not prove 100 %."""
    found = mean_interval([1.0] * 20, list(range(20)))
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(wilson(20, 20)[0], abs=1e-9)
    assert mean_interval([0.0] * 20, [at // 2 for at in range(20)]).high == pytest.approx(wilson(0, 10)[1], abs=1e-9)
    assert mean_interval([0.5] * 20, list(range(20))) == (0.5, 0.5, 0.5)


def test_wilson() -> None:
    """Published values (Newcombe 1998, table I) and the ends."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)
    assert wilson(0, 0) == (0.0, 1.0)


def test_holm() -> None:
    """The textbook example, in the order given, never falling and never over 1."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_detectable() -> None:
    """200 queries of which a fifth differ detect 8.9 points, 1000 detect 4.0."""
    assert detectable(0.2, 200) == pytest.approx(0.0885, abs=1e-4)
    assert detectable(0.2, 1000) == pytest.approx(0.0396, abs=1e-4)
    assert detectable(0.2, 0) == math.inf


def test_too_narrow() -> None:
    """From 200 queries and 100 clusters on, percentile intervals are wide enough."""
    assert [too_narrow(*pair) for pair in ((200, 100), (199, 150), (300, 99))] == [False, True, True]


def test_clusters_are_numbered_by_name() -> None:
    """Whatever the order of queries, a document has one number."""
    assert cluster_numbers(["b", "a", "b", "c"]).tolist() == [1, 0, 1, 2]


@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.nan], [1.0, math.inf]])
def test_unusable_scores_are_an_error(values: list[float]) -> None:
    """No scores, another number than there are clusters, or no numbers."""
    with pytest.raises(ValueError, match="score"):
        mean_interval(values, [0, 1][: len(values)] if len(values) != 1 else [0, 1])


def test_one_heavy_cluster_overflows_nothing() -> None:
    """Sums stay whole numbers that a float holds, were every draw the heaviest cluster."""
    clusters = [0] * 30_000 + [1, 2]
    found = mean_interval([2 / 3] * 30_000 + [0.0, 1.0], clusters, resamples=100)
    assert found.value == pytest.approx(20_001 / 30_002, abs=1e-9)
    assert 0.0 <= found.low <= found.value <= found.high <= 1.0


def test_ten_thousand_queries_stay_small() -> None:
    """10,000 queries on as many documents: the draws are never held at once."""
    values = np.random.default_rng(0).random(10_000)
    tracemalloc.start()
    mean_interval(values, np.arange(10_000), resamples=2000)
    sign_flip_p(values - 0.5, np.arange(10_000), resamples=2000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80e6
