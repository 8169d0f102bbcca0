"""Fused rankings against sums written out by hand and by a second implementation."""
from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embspec.retrieval.fusion import fused, rrf, weighted

DENSE = [("a", 0.9), ("b", 0.8), ("c", 0.1)]
WORDS = [("c", 12.0), ("d", 6.0), ("a", 2.0)]
ranking = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(-20, 20)), unique_by=lambda hit: hit[0],
                   max_size=8).map(lambda hits: sorted(((id, score / 4) for id, score in hits),
                                                       key=lambda hit: (-hit[1], hit[0])))


def test_rrf_sums_one_over_k_plus_rank() -> None:
    """Ranks count from 1."""
    found = rrf((DENSE, WORDS), k=60)
    assert dict(found) == pytest.approx({"a": 1 / 61 + 1 / 63, "c": 1 / 63 + 1 / 61, "b": 1 / 62, "d": 1 / 62})
    assert [id for id, _ in found] == ["a", "c", "b", "d"]


def test_weighted_stretches_each_list_over_its_own_scores() -> None:
    """0.7 of the model's place between its worst and best, 0.3 of the words'."""
    found = weighted(DENSE, WORDS, 0.7)
    assert dict(found) == pytest.approx({"a": 0.7, "b": 0.7 * 0.7 / 0.8, "c": 0.3, "d": 0.3 * 0.4})
    assert [id for id, _ in found] == ["a", "b", "c", "d"]


@given(ranking, ranking, st.integers(1, 9), st.integers(0, 10))
def test_weighted_equals_sums_of_fractions(dense: list[tuple[str, float]], words: list[tuple[str, float]], tenths: int,
                                           depth: int) -> None:
    """The same order and values as exact arithmetic, ties by id."""
    def stretched(hits: list[tuple[str, float]]) -> dict[str, Fraction]:
        exact = {id: Fraction(score) for id, score in hits}
        low, high = min(exact.values(), default=Fraction(0)), max(exact.values(), default=Fraction(0))
        return {id: (score - low) / (high - low) if high > low else Fraction(1) for id, score in exact.items()}

    one, other, share = stretched(dense), stretched(words), Fraction(tenths, 10)
    scores = {id: share * one.get(id, 0) + (1 - share) * other.get(id, 0) for id in one | other}
    right = sorted(scores.items(), key=lambda hit: (-hit[1], hit[0]))[:depth]
    found = weighted(dense, words, tenths / 10, depth)
    assert [id for id, _ in found] == [id for id, _ in right]
    assert [score for _, score in found] == pytest.approx([float(score) for _, score in right])


@given(ranking, ranking, st.integers(0, 10))
def test_rrf_equals_sums_of_fractions(dense: list[tuple[str, float]], words: list[tuple[str, float]], depth: int
                                      ) -> None:
    """The same order as exact arithmetic, and no matter which list is first."""
    scores: dict[str, Fraction] = {}
    for hits in (dense, words):
        for rank, (id, _) in enumerate(hits, 1):
            scores[id] = scores.get(id, Fraction(0)) + Fraction(1, 60 + rank)
    right = [id for id, _ in sorted(scores.items(), key=lambda hit: (-hit[1], hit[0]))][:depth]
    assert [id for id, _ in rrf((dense, words), depth=depth)] == right
    assert rrf((dense, words), depth=depth) == rrf((words, dense), depth=depth)


def test_a_single_hit_is_worth_its_whole_weight() -> None:
    """A list of equal scores has no worst one."""
    assert weighted([("a", 0.3)], [], 0.6) == [("a", 0.6)]


@pytest.mark.parametrize(("method", "right"), [
    ({"method": "none"}, DENSE[:2]),
    ({"method": "rrf", "k": 10}, rrf((DENSE, WORDS), 10, 2)),
    ({"method": "weighted", "weight": 0.2}, weighted(DENSE, WORDS, 0.2, 2)),
])
def test_a_method_is_what_the_choice_names(method: dict[str, object], right: list[tuple[str, float]]) -> None:
    """As `choice.json` has it, with its numbers, as deep as asked."""
    assert fused(method, DENSE, WORDS, 2) == right


def test_an_unknown_method_is_no_silence() -> None:
    """Nothing is fused by a method that is not there."""
    with pytest.raises(ValueError, match="no fusion is called sum"):
        fused({"method": "sum"}, DENSE, WORDS, 2)
