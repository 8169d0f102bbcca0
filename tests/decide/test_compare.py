"""Two builds on the same questions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from embspec.decide.compare import Change, compare
from tests.support.benches import ranked


def scores(
    places: Mapping[str, int | None], system: str = "bm25", metrics: Sequence[str] = ("mrr@10",), **named: Any
) -> str:
    """The artefact of one system."""
    rows = (ranked(query, rank, system=system, metrics=metrics, **named)[1] for query, rank in places.items())
    return "".join(json.dumps(row) + "\n" for row in rows)


OLD = {f"q{n:02}": (1, 2, 4, None)[n % 4] for n in range(40)}
NEW = {**OLD, **{f"q{n:02}": 1 for n in range(12)}, "q39": 1, "q36": 2}


def test_won_lost_and_the_paired_difference() -> None:
    """Means of both, the interval of the difference, and how many questions went which way."""
    (change,) = compare(scores(OLD), scores(NEW), resamples=500)
    old, new = ([1 / rank if rank else 0.0 for rank in places.values()] for places in (OLD, NEW))
    assert change.before == pytest.approx(sum(old) / 40) and change.after == pytest.approx(sum(new) / 40)
    assert (change.won, change.lost, change.n, change.unpaired) == (10, 1, 40, 0)
    assert change.won == sum(b > a for a, b in zip(old, new, strict=True))
    assert change.low is not None and change.high is not None
    assert 0 < change.low < change.after - change.before < change.high
    assert change.p < 0.05


def test_it_is_symmetric() -> None:
    """The other way round every difference has the other sign, and the p is the same."""
    (there,), (back,) = compare(scores(OLD), scores(NEW)), compare(scores(NEW), scores(OLD))
    assert there.low is not None and there.high is not None
    assert (back.before, back.after, back.won, back.lost) == (there.after, there.before, there.lost, there.won)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=1e-9)
    assert back.p == there.p


def test_a_build_does_not_differ_from_itself() -> None:
    """Equal scores are no change: no width, no doubt."""
    (change,) = compare(scores(OLD), scores(OLD))
    assert (change.low, change.high, change.p, change.won, change.lost) == (0.0, 0.0, 1.0, 0, 0)


def test_only_common_questions_are_compared() -> None:
    """Questions of one build alone are counted and left out of both means."""
    (change,) = compare(scores({"a": 1, "b": 2, "c": None}), scores({"b": 1, "c": None, "d": 1, "e": 1}))
    assert (change.n, change.unpaired) == (2, 3)
    assert (change.before, change.after) == (0.25, 0.5)


def test_only_common_systems_and_metrics_are_compared() -> None:
    """What only one build measured has no change; the order is that of the newer build."""
    old = scores(OLD, metrics=["mrr@10", "recall@5"]) + scores(OLD, system="hybrid")
    new = scores(NEW, system="tuned") + scores(NEW, metrics=["recall@1", "recall@5", "mrr@10"])
    assert [(c.system, c.metric) for c in compare(old, new)] == [("bm25", "recall@5"), ("bm25", "mrr@10")]


def test_nothing_in_common_is_nothing() -> None:
    """Builds without a common question, or without any, give no figure."""
    assert compare(scores({"a": 1}), scores({"b": 1})) == []
    assert compare("", "") == []


def test_suites_are_compared_apart() -> None:
    """The same question in another suite is another question."""
    old = scores({"a": 1, "b": None}) + scores({"a": 2, "b": None}, suite="ood")
    new = scores({"a": 1, "b": 1}) + scores({"a": 1, "b": None}, suite="ood")
    assert [(c.suite, c.won) for c in compare(old, new)] == [("domain", 1), ("ood", 1)]


def test_one_document_gives_no_interval() -> None:
    """Questions about a single document cannot be resampled: no limits rather than false ones."""
    (change,) = compare(scores({"a": 2, "b": 2}, cluster="d"), scores({"a": 1, "b": 1}, cluster="d"))
    assert (change.low, change.high) == (None, None)


def test_questions_about_one_document_are_drawn_together() -> None:
    """Wins that lie in two of four documents are less sure than as many in documents of their own."""

    def width(size: int) -> float:
        old, new = (
            "".join(scores({f"q{n:02}": rank if n < 20 else 2}, cluster=f"d{n // size}") for n in range(40))
            for rank in (2, 1)
        )
        (change,) = compare(old, new)
        assert change.low is not None and change.high is not None
        return change.high - change.low

    assert width(10) > 2 * width(1)


def test_a_change_is_plain_values() -> None:
    """What `diff --json` prints needs no more than this."""
    (change,) = compare(scores(OLD), scores(NEW), resamples=100)
    assert json.loads(json.dumps(change._asdict())) == change._asdict()
    assert Change(*change) == change


def test_what_ships_comes_first() -> None:
    """In each suite a reader finds what serves at the top, the other systems behind it as the newer build has them."""
    old, new = (
        "".join(scores(places, system=name, suite=suite, dim=dim, precision=dim and "float32")
                for suite in ("domain", "ood")
                for name, dim in (("base", 64), ("bm25", None), ("tuned", 64), ("shipped", 32)))
        for places in (OLD, NEW)
    )
    names = [(c.suite, c.system) for c in compare(old, new, resamples=100)]
    order = ["shipped", "base", "bm25", "tuned"]
    assert names == [(suite, system) for suite in ("domain", "ood") for system in order]


def test_what_ships_is_compared_in_whatever_form() -> None:
    """An index of another dim and precision is held against the one before it."""
    old = scores({"a": 1, "b": 2}, system="shipped", dim=64, precision="float32")
    new = scores({"a": 1, "b": 1}, system="shipped", dim=32, precision="int8")
    (change,) = compare(old, new, resamples=100)
    assert (change.before, change.after, change.dim, change.precision) == (0.75, 1.0, 32, "int8")


def test_a_system_is_compared_at_its_best() -> None:
    """Of many dims and precisions the full one in float32 is compared, one row a metric."""
    forms = ((64, "float32", 1), (32, "float32", 2), (64, "int8", 3), (64, "binary", 4))
    old = "".join(scores({"a": place}, system="tuned", dim=dim, precision=kind) for dim, kind, place in forms)
    new = scores({"a": 5}, system="tuned", dim=128, precision="int8") + scores({"a": 2}, system="tuned", dim=48,
                                                                              precision="float32")
    (change,) = compare(old, new, resamples=100)
    assert (change.before, change.after, change.dim, change.precision) == (1.0, 0.5, 48, "float32")
