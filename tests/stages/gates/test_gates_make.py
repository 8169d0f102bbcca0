"""Every verdict a gate can get, and what it makes of the build."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from embspec.measure.gate import line, parse_line
from embspec.plan.protocol import Made
from embspec.plan.words import gate_stat
from tests.support.benches import Bench, Row, params, put_runs, ranked

HALF = [1, None] * 20  # found first, or not at all: mrr@10 of 0.5 with an interval of about [0.35, 0.65]


class Judged:
    """One run of the stage: the stat, the artefact."""

    def __init__(self, made: Made, found: Any) -> None:
        self.stat, self.state, self.gates = made.stat, found["verdict"], found["gates"]

    @property
    def only(self) -> Row:
        """The one gate's verdict."""
        (gate,) = self.gates
        return dict(gate)


def judged(folder: Path, rows: Iterable[tuple[Row, Row]], *gates: str, **changed: Any) -> Judged:
    """Judge gates on rows; the gates are given as the plan gives them, by their canonical line."""
    bench = Bench(folder, {"a": "kelp"})
    put_runs(bench, rows)
    asked = {f"gates.{line(parse_line(gate))}": "on" for gate in gates}
    return Judged(bench.make("gates", params(**changed, **asked)), bench.json("gates/verdict.json"))


def ranks(places: Iterable[int | None], **named: Any) -> list[tuple[Row, Row]]:
    """Questions with the right document at these ranks."""
    return [ranked(f"q{n:03}", place, **named) for n, place in enumerate(places)]


@pytest.mark.parametrize(
    ("gate", "verdict"),
    [
        ("mrr@10 of bm25 >= 0.5", "pass"),
        ("mrr@10 of bm25 >= 0.51", "fail"),
        ("mrr@10 of bm25 <= 0.5", "pass"),
        ("mrr@10 of bm25 >= 0.2 @95", "pass"),
        ("mrr@10 of bm25 >= 0.9 @95", "fail"),
        ("mrr@10 of bm25 >= 0.5 @95", "inconclusive"),
        ("mrr@10 of tuned >= 0.5", "error"),
        ("mrr@10 on ood of bm25 >= 0.5", "error"),
        ("mrr@10 >= 0.5", "error"),
        ("recall@500 of bm25 >= 0.5", "error"),
    ],
)
def test_each_verdict(tmp_path: Path, gate: str, verdict: str) -> None:
    """Points decide without a confidence, limits with one; what was not measured is an error, never a pass."""
    found = judged(tmp_path, ranks(HALF), gate)
    assert found.only["verdict"] == verdict
    assert found.only["gate"] == line(parse_line(gate))
    assert found.state == ("green" if verdict in ("pass", "inconclusive") else "red")
    if verdict == "error":
        assert found.only["value"] is None and found.only["note"]
    else:
        assert found.only["value"] == 0.5 and found.only["n"] == 40
        assert found.only["low"] < 0.5 < found.only["high"]


@pytest.mark.parametrize(
    ("risk", "own", "state"),
    [
        ("standard", "", "green"),
        ("high", "", "inconclusive"),
        ("standard", " on_inconclusive fail", "inconclusive"),
        ("high", " on_inconclusive warn", "green"),
    ],
)
def test_what_is_undecided_stops_by_policy(tmp_path: Path, risk: str, own: str, state: str) -> None:
    """High risk stops at an open verdict, standard risk does not; what the gate says of itself goes first."""
    found = judged(tmp_path, ranks(HALF), f"mrr@10 of bm25 >= 0.5 @95{own}", risk=risk)
    assert found.only["verdict"] == "inconclusive"
    assert found.state == found.stat["verdict"] == state


def test_a_failure_outweighs_what_is_undecided(tmp_path: Path) -> None:
    """All gates are needed: one that fails makes the build red, whatever the others are."""
    found = judged(
        tmp_path,
        ranks(HALF),
        "mrr@10 of bm25 >= 0.1",
        "mrr@10 of bm25 >= 0.5 @95",
        "mrr@10 of bm25 >= 0.9",
        risk="high",
    )
    assert sorted(g["verdict"] for g in found.gates) == ["fail", "inconclusive", "pass"]
    assert found.state == "red"


def test_a_metric_nobody_listed_comes_from_the_runs(tmp_path: Path) -> None:
    """Any metric down to the depth of the runs is computed from them: no ranking is made again."""
    rows = ranks([1, 40, 60, None])
    found = judged(tmp_path, rows, "recall@50 of bm25 >= 0.4", "mrr of bm25 >= 0.2", "hit@100 of bm25 >= 0.7")
    assert {g["gate"]: g["value"] for g in found.gates} == {
        "recall@50 of bm25 >= 0.4": 0.5,
        "mrr of bm25 >= 0.2": pytest.approx((1 + 1 / 40 + 1 / 60) / 4, abs=1e-9),
        "hit_rate@100 of bm25 >= 0.7": 0.75,
    }


def test_a_listed_metric_is_taken_as_measured(tmp_path: Path) -> None:
    """The scores of the evaluation are what is judged, at any depth that was asked of it."""
    found = judged(tmp_path, ranks([1, 120], metrics=["recall@150"], depth=150), "recall@150 of bm25 >= 1")
    assert found.only["verdict"] == "pass"


def test_two_systems_are_compared_question_by_question(tmp_path: Path) -> None:
    """Against another system the paired difference is judged, whatever the order of the rows."""
    better = ranks([1, 1, 1, 2] * 10, system="tuned")
    worse = ranks([1, 2, 2, 2] * 10)
    found = judged(tmp_path, [*reversed(worse), *better], "mrr@10 of tuned >= bm25 + 0.1 @95")
    assert found.only["value"] == 0.25
    assert (found.only["system"], found.only["ref"]) == (0.875, 0.625)
    assert found.only["verdict"] == "pass" and found.only["p"] < 0.01


def test_equal_systems_differ_by_nothing(tmp_path: Path) -> None:
    """Where two systems are alike on every question neither gains: a claim of no loss holds, one of a gain does not."""
    rows = [*ranks([1, 2, None] * 5), *ranks([1, 2, None] * 5, system="tuned")]
    found = judged(tmp_path, rows, "mrr@10 of tuned >= bm25 @95", "mrr@10 of tuned >= bm25 + 0.01 @95")
    assert [(g["verdict"], g["low"], g["high"], g["p"]) for g in found.gates] == [("pass", 0, 0, 1), ("fail", 0, 0, 1)]


def test_unlike_questions_are_not_compared(tmp_path: Path) -> None:
    """Two systems that were not measured on the same questions have no paired difference."""
    rows = [*ranks([1, 1, 1]), *ranks([1, 1], system="tuned")]
    found = judged(tmp_path, rows, "mrr@10 of tuned >= bm25")
    assert found.only["verdict"] == "error"
    assert "different" in found.only["note"]


def test_a_system_that_was_not_measured_is_no_reference(tmp_path: Path) -> None:
    """A gate against a system without scores cannot be computed, and that stops the build."""
    found = judged(tmp_path, ranks(HALF), "mrr@10 of bm25 >= hybrid - 0.1")
    assert found.only["verdict"] == "error" and "hybrid" in found.only["note"]
    assert found.state == "red"


def test_slices_are_judged_apart(tmp_path: Path) -> None:
    """`slice NAME` judges those questions alone, `slice any` the worst of them, and small ones only on demand."""
    rows = [
        *[ranked(f"a{n}", 1, slices=["leaking"]) for n in range(40)],
        *[ranked(f"b{n}", 4, slices=["disjoint"]) for n in range(30)],
        *[ranked(f"c{n}", None, slices=["disjoint", "grown"]) for n in range(3)],
    ]
    wanted = {
        "mrr@10 of bm25 slice leaking >= 0.9": "pass",
        "mrr@10 of bm25 slice disjoint >= 0.2": "pass",
        "mrr@10 of bm25 slice any >= 0.2": "fail",
        "mrr@10 of bm25 slice any >= 0.2 min_queries 10": "pass",
        "mrr@10 of bm25 slice language >= 0.2": "error",
    }
    by_gate = {g["gate"]: g for g in judged(tmp_path, rows, *wanted).gates}
    assert {gate: by_gate[gate]["verdict"] for gate in wanted} == wanted
    assert by_gate["mrr@10 of bm25 slice leaking >= 0.9"]["n"] == 40
    assert "grown" in by_gate["mrr@10 of bm25 slice any >= 0.2"]["note"]
    assert "under 10" in by_gate["mrr@10 of bm25 slice any >= 0.2 min_queries 10"]["note"]


def test_questions_about_one_document_are_drawn_together(tmp_path: Path) -> None:
    """By document the interval is wider than by question; one document alone settles nothing."""
    rows = [ranked(f"q{n:02}", 1 if n < 20 else None, cluster=f"d{n // 10}") for n in range(40)]
    wide = judged(tmp_path / "document", rows, "mrr@10 of bm25 >= 0.4 @95").only
    slim = judged(tmp_path / "query", rows, "mrr@10 of bm25 >= 0.4 @95", eval__statistics__cluster="query").only
    assert wide["clusters"] == 4 and slim["clusters"] == 40
    assert wide["high"] - wide["low"] > slim["high"] - slim["low"]
    lone = [ranked(f"q{n}", 1, cluster="d") for n in range(9)]
    assert judged(tmp_path / "lone", lone, "mrr@10 of bm25 >= 0.4 @95").only["verdict"] == "inconclusive"


def test_a_small_test_set_is_said_to_be_one(tmp_path: Path) -> None:
    """Beside every gate stand the smallest detectable change and, under 200 questions, a warning."""
    few = judged(tmp_path / "few", ranks(HALF), "mrr@10 of bm25 >= 0.2").only
    many = judged(tmp_path / "many", ranks(HALF * 5), "mrr@10 of bm25 >= 0.2").only
    assert "too narrow" in few["note"] and "too narrow" not in many["note"]
    assert few["detectable"] == pytest.approx(2.8 * (0.25 / 40) ** 0.5)
    assert many["detectable"] == pytest.approx(2.8 * (0.25 / 200) ** 0.5)


def test_an_open_verdict_says_how_many_more_would_settle_it(tmp_path: Path) -> None:
    """The estimate is in the artefact and in the lock's line."""
    found = judged(tmp_path, ranks(HALF), "mrr@10 of bm25 >= 0.45 @95")
    assert found.only["verdict"] == "inconclusive" and found.only["needed"] > 100
    assert gate_stat(found.stat["mrr@10 of bm25 >= 0.45 @95"])["needed"] == found.only["needed"]


def test_the_lock_says_what_the_artefact_says(tmp_path: Path) -> None:
    """The rounded line of each gate reads back as its verdict, value, limits and count."""
    found = judged(tmp_path, ranks(HALF), "mrr@10 of bm25 >= 0.5 @95", "mrr@10 of tuned >= 0.5")
    assert list(found.stat) == ["verdict", *(g["gate"] for g in found.gates)]
    for gate in found.gates:
        said = gate_stat(found.stat[gate["gate"]])
        assert (said["verdict"], said["n"]) == (gate["verdict"], gate["n"])
        for name in ("value", "low", "high"):
            assert said[name] == (None if gate[name] is None else pytest.approx(gate[name], abs=5e-5))


def test_no_questions_means_not_measured(tmp_path: Path) -> None:
    """An empty evaluation is an error of every gate."""
    bench = Bench(tmp_path, {"a": "kelp"})
    bench.put("evaluate/runs", [])
    bench.put("evaluate/scores", [])
    bench.make("gates", params(**{"gates.mrr@10 of bm25 >= 0": "on"}))
    assert bench.json("gates/verdict.json")["verdict"] == "red"
    assert bench.json("gates/verdict.json")["gates"][0]["verdict"] == "error"


def test_the_order_of_rows_is_no_input(tmp_path: Path) -> None:
    """Rows in another order give the same bytes."""
    rows = ranks([1, 2, 3, None, 1] * 9)
    for name, order in (("there", rows), ("back", rows[::-1])):
        judged(tmp_path / name, order, "mrr@10 of bm25 >= 0.5 @95", "recall@3 of bm25 >= 0.5 @90")
    paths = [tmp_path / name / "gates" / "out" / "verdict.json" for name in ("there", "back")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
