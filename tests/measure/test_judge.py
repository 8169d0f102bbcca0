"""Verdicts: every form of gate, passed, failed and undecided."""
from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.measure.gate import line, parse_line
from embspec.measure.judge import (
    Scores,
    Verdict,
    is_red,
    judge,
    judge_figure,
    judge_slices,
    not_computed,
    standing,
)


def scores(system: float, ref: float | None, n: int = 400, groups: int = 200, seed: int = 0) -> Scores:
    """Hits and misses: `system` and `ref` are the shares of hits, and most queries go the same way for both."""
    difficulty = random.Random(seed).sample(range(n), n)

    def hits(share: float) -> list[float]:
        return [1.0 if place < round(share * n) else 0.0 for place in difficulty]

    return Scores(hits(system), None if ref is None else hits(ref), [at % groups for at in range(n)])


CASES = [
    # number
    ("recall@10 >= 0.8", 0.80, None, "pass"),
    ("recall@10 >= 0.8", 0.7975, None, "fail"),
    ("recall@10 >= 0.8 @95", 0.90, None, "pass"),
    ("recall@10 >= 0.8 @95", 0.82, None, "inconclusive"),
    ("recall@10 >= 0.8 @95", 0.78, None, "inconclusive"),
    ("recall@10 >= 0.8 @95", 0.70, None, "fail"),
    ("recall@10 <= 0.8 @95", 0.70, None, "pass"),
    ("recall@10 <= 0.8 @95", 0.79, None, "inconclusive"),
    ("recall@10 <= 0.8 @95", 0.90, None, "fail"),
    # ref + number: superiority
    ("recall@10 >= base + 0.05", 0.80, 0.75, "pass"),
    ("recall@10 >= base + 0.05", 0.7975, 0.75, "fail"),
    ("recall@10 >= base + 0.05 @95", 0.85, 0.75, "pass"),
    ("recall@10 >= base + 0.05 @95", 0.81, 0.75, "inconclusive"),
    ("recall@10 >= base + 0.05 @95", 0.79, 0.75, "inconclusive"),
    ("recall@10 >= base + 0.05 @95", 0.76, 0.75, "fail"),
    # ref: no worse at all
    ("recall@10 >= base", 0.75, 0.75, "pass"),
    ("recall@10 >= base @95", 0.80, 0.75, "pass"),
    ("recall@10 >= base @95", 0.75, 0.75, "pass"),
    ("recall@10 >= base @95", 0.74, 0.75, "fail"),
    # ref - number: no regression
    ("recall@10 >= base - 0.02", 0.73, 0.75, "pass"),
    ("recall@10 >= base - 0.02", 0.7275, 0.75, "fail"),
    ("recall@10 >= base - 0.02 @95", 0.75, 0.75, "pass"),
    ("recall@10 >= base - 0.02 @95", 0.735, 0.75, "inconclusive"),
    ("recall@10 >= base - 0.02 @95", 0.68, 0.75, "fail"),
    ("recall@10 <= base + 0.02 @95", 0.90, 0.75, "fail"),
    # ref * number: retention
    ("ndcg@10 >= full * 0.95", 0.76, 0.80, "pass"),
    ("ndcg@10 >= full * 0.95", 0.7575, 0.80, "fail"),
    ("ndcg@10 >= full * 0.95 @95", 0.795, 0.80, "pass"),
    ("ndcg@10 >= full * 0.95 @95", 0.765, 0.80, "inconclusive"),
    ("ndcg@10 >= full * 0.95 @95", 0.70, 0.80, "fail"),
]


@pytest.mark.parametrize(("text", "system", "ref", "verdict"), CASES, ids=[f"{one[0]}: {one[1]}" for one in CASES])
def test_verdicts(text: str, system: float, ref: float | None, verdict: str) -> None:
    """400 queries on 200 documents: each form of the bound, on both sides and between."""
    gate = parse_line(text)
    found = judge(gate, scores(system, ref), resamples=2000)
    assert found.verdict == verdict
    assert found.gate == line(gate)
    assert (found.n, found.clusters, found.system, found.ref) == (400, 200, system, ref)
    value = system if ref is None else (system / ref if gate.factor != 1 else system - ref)
    assert found.value == pytest.approx(value, abs=1e-9)
    assert found.low is not None and found.high is not None and found.low <= value + 1e-9 and value - 1e-9 <= found.high
    assert (found.needed is not None) == (verdict == "inconclusive")
    assert (found.p is None) == (ref is None)


def test_the_bound_itself_passes_in_spite_of_binary_fractions() -> None:
    """0.85 - 0.80 is 0.04999999999999993 to a computer; a gate of 0.05 is met."""
    assert judge(parse_line("recall@10 >= base + 0.05"), Scores([0.85] * 4, [0.80] * 4, [0, 1, 2, 3])).verdict == "pass"
    sure = judge(parse_line("recall@10 >= base + 0.05 @95"), Scores([0.85] * 4, [0.80] * 4, [0, 1, 2, 3]))
    assert (sure.verdict, sure.low, sure.high) == ("pass", 0.05, 0.05)


def test_needed_settles_it() -> None:
    """With about so many more queries of the same kind, the verdict is no longer open."""
    gate = parse_line("recall@10 >= base + 0.05 @95")
    found = judge(gate, scores(0.82, 0.75))
    assert found.verdict == "inconclusive" and found.needed is not None
    more = scores(0.82, 0.75, n=400 + 2 * found.needed, groups=200 + found.needed)
    assert judge(gate, more).verdict == "pass"
    assert found.needed < 2000


@pytest.mark.parametrize(("bound", "needed"), [(0.15, 150), (0.25, 350)])
def test_needed_looks_at_the_side_of_the_bound(bound: float, needed: int) -> None:
    """Of a lopsided interval (0.2, from 0.0 to 0.5) the half that reaches the bound counts."""
    found = judge(parse_line(f"ndcg@10 >= {bound} @95"), Scores([1.0, 1.0, *[0.0] * 8], None, range(10)))
    assert (found.verdict, found.value, found.low, found.high) == ("inconclusive", 0.2, 0.0, 0.5)
    assert found.needed == pytest.approx(needed, abs=10)


def test_on_the_bound_more_queries_need_not_help() -> None:
    """A value that is the bound stays undecided however many queries there are, and it says so."""
    found = judge(parse_line("recall@10 >= base + 0.05 @95"), scores(0.80, 0.75))
    assert (found.verdict, found.needed) == ("inconclusive", None)
    assert "lies on the bound base + 0.05" in found.note


@pytest.mark.parametrize(
    ("given_scores", "says"),
    [
        (Scores([], [], []), "no queries"),
        (Scores([0.5, 0.5], None, [0, 1]), "of base was not computed"),
        (Scores([0.5, math.nan], [0.5, 0.5], [0, 1]), "not a number"),
        (Scores([0.5, 0.5], [0.5, math.inf], [0, 1]), "not a number"),
    ],
)
def test_what_could_not_be_computed_is_an_error_and_red(given_scores: Scores, says: str) -> None:
    """Never a pass, whatever the policy."""
    gate = parse_line("recall@10 >= base - 1 on_inconclusive warn")
    found = judge(gate, given_scores)
    assert (found.verdict, found.value) == ("error", None)
    assert says in found.note
    assert is_red(gate, found.verdict)


def test_a_ratio_to_nothing_is_an_error() -> None:
    """Retention of a system that finds nothing cannot be computed."""
    found = judge(parse_line("recall@10 >= float32 * 0.98 @95"), Scores([0.0] * 5, [0.0] * 5, [0, 1, 2, 3, 4]))
    assert found.verdict == "error" and "float32 is 0" in found.note
    assert not_computed(parse_line("mrr >= 0.5"), "no suite ood").note == "no suite ood"


def test_one_document_gives_no_interval() -> None:
    """A hundred queries about one document decide nothing with confidence; the point estimate still may."""
    one = Scores([1.0] * 100, None, [7] * 100)
    found = judge(parse_line("recall@10 >= 0.5 @95"), one)
    assert (found.verdict, found.needed) == ("inconclusive", None)
    assert "one document" in found.note
    assert judge(parse_line("recall@10 >= 0.5"), one).verdict == "pass"


def test_a_perfect_score_on_few_queries_proves_little() -> None:
    """Twenty of twenty is undecided against 0.95, because Wilson's lower limit is 0.84."""
    found = judge(parse_line("recall@10 >= 0.95 @95"), Scores([1.0] * 20, None, range(20)))
    assert found.verdict == "inconclusive"
    assert found.low == pytest.approx(0.8389, abs=1e-4)


def test_too_narrow_is_said() -> None:
    """Under 200 queries or 100 documents the note warns, above it does not."""
    gate = parse_line("recall@10 >= base @95")
    assert "too narrow" in judge(gate, scores(0.8, 0.7, n=150, groups=120), note="first").note
    assert "150 queries on 90 documents" in judge(gate, scores(0.8, 0.7, n=150, groups=90)).note
    assert judge(gate, scores(0.8, 0.7), note="locked means base so far").note == "locked means base so far"


def test_smallest_detectable_change() -> None:
    """From the share of queries that differ; without a ref from the variance."""
    assert judge(parse_line("recall@10 >= base"), scores(0.8, 0.6, n=200)).detectable == pytest.approx(0.0885, abs=1e-4)
    alone = judge(parse_line("recall@10 >= 0.5"), scores(0.8, None, n=400)).detectable
    assert alone == pytest.approx(2.8 * math.sqrt(0.16 / 400), abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(-0.3, 0.3), st.integers(0, 99))
def test_a_pass_with_confidence_is_a_pass_without(system: float, ref: float, offset: float, seed: int) -> None:
    """Confidence only takes verdicts away, never the other way round; and fail and pass exclude each other."""
    number = f"{'+' if offset >= 0 else '-'} {abs(round(offset, 3))}"
    given_scores = scores(system, ref, n=60, groups=40, seed=seed)
    plain = judge(parse_line(f"recall@10 >= base {number}"), given_scores, resamples=200).verdict
    sure = judge(parse_line(f"recall@10 >= base {number} @95"), given_scores, resamples=200).verdict
    assert sure in (plain, "inconclusive")


FIGURES = [
    ("latency_p95_ms <= 15", 15.0, None, "pass"),
    ("latency_p95_ms <= 15", 15.1, None, "fail"),
    ("onnx_cosine >= 0.9999", 0.99995, None, "pass"),
    ("onnx_cosine >= 0.9999", 0.99, None, "fail"),
    ("latency_p95_ms <= base * 1.2", 12.0, 10.0, "pass"),
    ("latency_p95_ms <= base * 1.2", 12.1, 10.0, "fail"),
    ("truncated_fraction <= base + 0.01", 0.02, 0.01, "pass"),
    ("truncated_fraction <= base + 0.01", 0.03, 0.01, "fail"),
    ("artifact_mb <= 450", None, None, "error"),
    ("artifact_mb <= 450", math.nan, None, "error"),
    ("artifact_mb <= base", 4.0, None, "error"),
    ("artifact_mb <= base * 2", 4.0, 0.0, "error"),
]


@pytest.mark.parametrize(("text", "value", "ref", "verdict"), FIGURES)
def test_figures_of_the_whole_model(text: str, value: float | None, ref: float | None, verdict: str) -> None:
    """One figure against one bound, and what was not measured is an error."""
    assert judge_figure(parse_line(text), value, ref).verdict == verdict


ANY = parse_line("recall@10 slice any >= base - 0.05 min_queries 30")


def test_the_worst_slice_decides() -> None:
    """A claim about any slice is a claim about the worst."""
    slices = {"language=de": scores(0.8, 0.7), "language=en": scores(0.6, 0.7), "language=fr": scores(0.66, 0.7)}
    found = judge_slices(ANY, slices, note="first")
    assert (found.verdict, found.value) == ("fail", -0.1)
    assert found.note == "first; worst of 3 slices: language=en"
    assert found.gate == line(ANY)
    passing = judge_slices(ANY, {name: slices[name] for name in ("language=de", "language=fr")})
    assert (passing.verdict, passing.note) == ("pass", "worst of 2 slices: language=fr")


def test_small_slices_are_not_judged_and_counted() -> None:
    """A slice of ten queries may not stop a release; that it was left out is said."""
    small = scores(0.0, 1.0, n=10, groups=10)
    found = judge_slices(ANY, {"a": scores(0.8, 0.8), "b": small})
    assert found.verdict == "pass"
    assert found.note == "slice a; 1 of 2 slices have under 30 queries and are not judged"
    none = judge_slices(ANY, {"b": small})
    assert (none.verdict, none.value) == ("inconclusive", None)
    assert judge_slices(ANY, {}).verdict == "error"


def test_policy() -> None:
    """Undecided warns, at high risk it stops; what the gate says of itself goes before both."""
    plain, warn, stop = (parse_line(f"recall@10 >= 0.5 @95{word}") for word in
                         ("", " on_inconclusive warn", " on_inconclusive fail"))
    assert [is_red(gate, "inconclusive") for gate in (plain, warn, stop)] == [False, False, True]
    assert [is_red(gate, "inconclusive", "high") for gate in (plain, warn, stop)] == [True, False, True]
    assert [is_red(plain, verdict) for verdict in ("pass", "fail", "error")] == [False, True, True]
    assert standing([(plain, "pass"), (plain, "inconclusive")]) == "green"
    assert standing([(plain, "pass"), (plain, "inconclusive")], "high") == "inconclusive"
    assert standing([(stop, "inconclusive"), (plain, "error")]) == "red"
    assert standing([]) == "green"


def test_a_verdict_is_plain_values() -> None:
    """What goes into an artefact is text, numbers and null."""
    found = judge(parse_line("recall@10 >= base @95"), scores(0.8, 0.7))
    assert all(value is None or type(value) in (str, int, float) for value in found)
    assert isinstance(found, Verdict)
