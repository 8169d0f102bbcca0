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


def ranked(names: st.SearchStrategy[list[str]]) -> st.SearchStrategy[list[tuple[str, float]]]:
    """A long list: scores of six digits as searches give them, below zero too, many of them equal."""
    def hits(drawn: tuple[list[str], list[int]]) -> list[tuple[str, float]]:
        pairs = ((id, score / 10**6) for id, score in zip(*drawn, strict=False))
        return sorted(pairs, key=lambda hit: (-hit[1], hit[0]))

    scores = st.lists(st.integers(-3 * 10**6, 3 * 10**6) | st.integers(-2, 2), min_size=40, max_size=40)
    return st.tuples(names, scores).map(hits)


many = ranked(st.permutations([f"d{n:02d}" for n in range(40)]))


@given(st.lists(many, max_size=3), st.integers(0, 100), st.integers(0, 50))
def test_rrf_of_long_lists_is_counted_by_document(lists: list[list[tuple[str, float]]], k: int, depth: int) -> None:
    """A second way: each document looks up its ranks, in exact arithmetic, whatever the constant."""
    ranks = [{id: at for at, (id, _) in enumerate(hits, 1)} for hits in lists]
    scores = {id: sum(Fraction(1, k + rank[id]) for rank in ranks if id in rank) for rank in ranks for id in rank}
    right = sorted(scores, key=lambda id: (-scores[id], id))[:depth]
    found = rrf(lists, k, depth)
    assert [id for id, _ in found] == right
    assert [score for _, score in found] == pytest.approx([float(scores[id]) for id in right])


@given(many, many, st.sampled_from([0.0, 1.0]), st.integers(0, 50))
def test_all_of_the_weight_orders_as_one_side_alone(dense: list[tuple[str, float]], words: list[tuple[str, float]],
                                                    weight: float, depth: int) -> None:
    """And has its documents alone: what only the other side found is worth nothing, not as much as the last."""
    alone = dense if weight else words
    for other in ([], dense[:10], words[5:]):
        pair = (dense, other) if weight else (other, words)
        assert [id for id, _ in weighted(*pair, weight, depth)] == [id for id, _ in alone[:depth]]


@given(ranking, ranking, st.integers(1, 9), st.sampled_from([2.0**-6, 0.5, 4.0, 2.0**12]), st.integers(-64, 64))
def test_the_scale_of_a_list_makes_no_difference(dense: list[tuple[str, float]], words: list[tuple[str, float]],
                                                 tenths: int, scale: float, shift: int) -> None:
    """Products of vectors of any length, all of them below zero too, are put together as likenesses are."""
    other = [(id, score * scale + shift) for id, score in dense]
    assert weighted(other, words, tenths / 10) == weighted(dense, words, tenths / 10)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_nothing_found_by_either_side_is_nothing(weight: float) -> None:
    """And nothing found by one leaves the other as it is."""
    assert weighted([], [], weight) == [] and rrf(([], [])) == [] == rrf(())
    assert [id for id, _ in rrf((DENSE, []))] == [id for id, _ in rrf(([], DENSE))] == ["a", "b", "c"]
    if weight not in (0.0, 1.0):
        assert [id for id, _ in weighted(DENSE, [], weight)] == [id for id, _ in weighted([], DENSE, weight)] == [
            "a", "b", "c"]


def test_equal_scores_say_only_that_a_document_was_found() -> None:
    """Words that cannot tell their documents apart: those lie before the rest, and among them the model decides."""
    same = [(id, 2.0) for id in "bcd"]
    assert weighted(DENSE, same, 0.4) == [("b", pytest.approx(0.6 + 0.4 * 0.7 / 0.8)), ("c", 0.6), ("d", 0.6),
                                          ("a", 0.4)]


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
