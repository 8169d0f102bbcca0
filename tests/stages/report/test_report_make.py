"""The report of the newest build: every number in it, and what it warns of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from embspec.measure.gate import line, parse_line
from embspec.report.schemas import REPORT
from tests.support.benches import Bench, Row, params, put_runs, question, ranked

SPLIT: Mapping[str, Any] = {
    "parts": {part: {"queries": n, "documents": n} for part, n in (("train", 9), ("validation", 2), ("test", 4))},
    "held_out": 3,
    "unused": 1,
    "near_duplicate_groups": 2,
    "dropped_edges": 0,
    "largest_component": 5,
    "test": 4,
    "leaking": 0,
    "disjoint": 4,
    "shared": {"query": [], "document": [], "near_duplicate": []},
}


def reported(
    folder: Path, rows: Sequence[tuple[Row, Row]], *gates: str, split: Mapping[str, Any] = SPLIT, **changed: Any
) -> tuple[Any, str]:
    """Both artefacts, after the gates were judged; `report.json` is held against its schema."""
    bench = Bench(folder, {"a": "kelp", "b": "boat"})
    bench.split(
        "test", [question(run["query"], f"Where is {run['query']}?", f"right of {run['query']}") for run, _ in rows]
    )
    put_runs(bench, rows)
    bench.put("split/leaks.json", [split])
    bench.make("lexical", params())
    asked = params(**changed, **{f"gates.{line(parse_line(gate))}": "on" for gate in gates})
    if gates:
        bench.make("gates", asked)
    bench.make("report", asked)
    found = bench.json("report/report.json")
    jsonschema.validate(found, REPORT)
    return found, bench.needs["report/report.md"].read_text(encoding="utf-8")


def mixed(count: int = 12, **named: Any) -> list[tuple[Row, Row]]:
    """A third found first, a third found fourth, a third not at all."""
    return [
        ranked(f"q{n:03}", (1, 4, None)[n % 3], metrics=("recall@5", "mrr@10", "ndcg@10"), **named)
        for n in range(count)
    ]


def test_every_metric_has_its_interval(tmp_path: Path) -> None:
    """Each row has the keys that programs count on, the mean of the scores, and limits around it."""
    report, text = reported(tmp_path, mixed(), eval__metrics=["recall@5", "mrr@10", "ndcg@10"])
    assert [m["metric"] for m in report["metrics"]] == ["recall@5", "mrr@10", "ndcg@10"]
    for row in report["metrics"]:
        assert list(row) == ["suite", "system", "dim", "precision", "slice", "metric", "value", "low", "high", "n"]
        assert row["low"] < row["value"] < row["high"] and row["n"] == 12
        assert f"{row['value']:.4f}" in text
    assert report["metrics"][1]["value"] == pytest.approx((1 + 0.25) / 3, abs=1e-9)


def test_the_whole_comes_before_its_slices(tmp_path: Path) -> None:
    """Rows with slice null are first in their suite, in the order of the systems; each slice has rows of its own."""
    rows = [
        *[ranked(f"q{n}", 1, system="tuned", slices=["leaking"] if n % 2 else ["disjoint"]) for n in range(6)],
        *[ranked(f"q{n}", 2, system="bm25", slices=["leaking"] if n % 2 else ["disjoint"]) for n in range(6)],
    ]
    report, text = reported(tmp_path, rows, eval__metrics=["mrr@10"])
    assert [(m["slice"], m["system"], m["n"]) for m in report["metrics"]] == [
        (None, "tuned", 6),
        (None, "bm25", 6),
        ("disjoint", "tuned", 3),
        ("disjoint", "bm25", 3),
        ("leaking", "tuned", 3),
        ("leaking", "bm25", 3),
    ]
    assert text.index("## Metrics") < text.index("## Slices") < text.index("| domain | disjoint | tuned | mrr@10 |")


def test_the_verdict_stands_first(tmp_path: Path) -> None:
    """The page opens with the verdict and each gate's interval, count and smallest detectable change."""
    report, text = reported(
        tmp_path, mixed(), "mrr@10 of bm25 >= 0.4", "mrr@10 of bm25 >= 0.9", description="About kelp."
    )
    (good, bad) = report["verdict"]["gates"]
    assert text.startswith("# bench\n\nAbout kelp.\n\n## Verdict: red\n")
    for gate in (good, bad):
        shown = f"| {gate['verdict']} | {gate['value']:.4f} | [{gate['low']:.4f}, {gate['high']:.4f}] | 12 |"
        assert f"| `{gate['gate']}` {shown} {gate['detectable']:.4f} |" in text
    assert text.index("## Verdict") < text.index("## With care") < text.index("## Metrics")


def test_a_comparison_shows_both_sides(tmp_path: Path) -> None:
    """A gate against another system says what the two measured, and the p of the difference."""
    rows = [*[ranked(f"q{n}", 1, system="tuned") for n in range(9)], *[ranked(f"q{n}", 2) for n in range(9)]]
    _, text = reported(tmp_path, rows, "mrr@10 of tuned >= bm25 @95", eval__metrics=["mrr@10"])
    assert "1.0000 against 0.5000; p = 0.0" in text


def test_without_gates_nothing_was_judged(tmp_path: Path) -> None:
    """A spec without gates has a report that says so."""
    report, text = reported(tmp_path, mixed())
    assert report["verdict"] is None
    assert "## Verdict: none" in text


def test_few_questions_or_documents_are_a_warning(tmp_path: Path) -> None:
    """Under 200 questions, or under 100 documents, intervals are too narrow, and the page says so at once."""
    for name, count, documents, narrow in (
        ("few", 199, 199, True),
        ("enough", 200, 100, False),
        ("close", 200, 99, True),
    ):
        rows = [ranked(f"q{n:03}", 2, cluster=f"d{n % documents}") for n in range(count)]
        report, text = reported(tmp_path / name, rows, eval__metrics=["mrr@10"])
        (suite,) = report["suites"]
        assert (suite["queries"], suite["clusters"], suite["narrow"]) == (count, documents, narrow)
        assert ("narrower than they should be" in text) == narrow


def test_one_document_gives_no_interval(tmp_path: Path) -> None:
    """Questions about a single document resample to themselves: no limits are shown rather than false ones."""
    rows = [ranked(f"q{n}", n + 1, cluster="d") for n in range(5)]
    report, text = reported(tmp_path, rows, eval__metrics=["mrr@10"])
    assert all(m["low"] is None and m["high"] is None for m in report["metrics"])
    assert report["suites"][0]["bm25_first"] == {"value": 0.2, "low": None, "high": None}
    assert "| 0.4567 |  | 5 |" in text


@pytest.mark.parametrize(("firsts", "weak"), [(8, False), (9, True)])
def test_a_test_set_that_words_solve_is_weak(tmp_path: Path, firsts: int, weak: bool) -> None:
    """Where BM25 ranks over 80 % right at once the test set cannot show a better system."""
    rows = [ranked(f"q{n}", 1 if n < firsts else 2) for n in range(10)]
    report, text = reported(tmp_path, rows, eval__metrics=["mrr@10"])
    (suite,) = report["suites"]
    assert (suite["bm25_first"]["value"], suite["weak"]) == (firsts / 10, weak)
    assert ("test set is weak" in text) == weak
    assert f"{firsts}0.0 % [" in text


def test_without_bm25_difficulty_is_unknown(tmp_path: Path) -> None:
    """No other system stands in for BM25."""
    report, text = reported(tmp_path, mixed(system="tuned"))
    assert (report["suites"][0]["bm25_first"], report["suites"][0]["weak"]) == (None, False)
    assert "ranks a right document first" not in text


def test_what_the_split_did_is_told(tmp_path: Path) -> None:
    """Questions and documents of each part, what was held out or not used, and that nothing leaks."""
    report, text = reported(tmp_path, mixed())
    assert report["split"] == {**SPLIT, "shared": {"query": 0, "document": 0, "near_duplicate": 0}}
    for said in (
        "| train | 9 | 9 |",
        "| validation | 2 | 2 |",
        "| test | 4 | 4 |",
        "3 training queries are held out",
        "1 queries that may not train are unused",
        "2 groups of near-duplicates",
        "no test query leaks",
    ):
        assert said in text
    assert "told apart" not in text


def test_leaks_are_counted_by_kind(tmp_path: Path) -> None:
    """Leaking questions are a warning with their number by kind; who leaks to whom stays in its artefact."""
    pair = {"test": "q1", "source": "gold", "train": "t1", "train_source": "old"}
    split = {
        **SPLIT,
        "leaking": 3,
        "disjoint": 1,
        "shared": {"query": [pair], "document": [pair] * 3, "near_duplicate": []},
    }
    report, text = reported(tmp_path, mixed(), split=split)
    assert report["split"]["shared"] == {"query": 1, "document": 3, "near_duplicate": 0}
    assert "3 of 4 test queries leak from training (1 ask what a training query asks, 3 are about" in text
    assert "no test query leaks" not in text


def test_the_hardest_questions_are_those_found_last(tmp_path: Path) -> None:
    """First what was not found, then by falling rank; each says what stands first instead."""
    rows = [
        ranked("found", 1),
        ranked("late", 30),
        ranked("later", 60),
        ranked("lost", None),
        ranked("mute", None, depth=0),
    ]
    report, text = reported(tmp_path, rows, eval__metrics=["mrr@10"])
    hardest = report["hardest"]
    assert [(h["query"], h["rank"], h["first"], h["value"]) for h in hardest] == [
        ("Where is lost?", None, "wrong 1", 0.0),
        ("Where is mute?", None, None, 0.0),
        ("Where is later?", 60, "wrong 1", 0.0),
        ("Where is late?", 30, "wrong 1", 0.0),
    ]
    assert "`right of lost`: not among the 100 that were ranked, mrr@10 0.0000; first stands `wrong 1`" in text
    assert "`right of late`: at rank 30" in text
    assert "Where is found?" not in text


def test_ten_hard_questions_are_enough(tmp_path: Path) -> None:
    """The list is for reading: it is cut."""
    report, _ = reported(tmp_path, [ranked(f"q{n:02}", None) for n in range(30)], eval__metrics=["mrr@10"])
    assert len(report["hardest"]) == 10


def test_a_report_over_what_is_there(tmp_path: Path) -> None:
    """After `build --to corpus` only the snapshot is there, and the report is about that."""
    bench = Bench(tmp_path, {"a": "kelp", "b": "boat"})
    bench.make("report", params())
    report = bench.json("report/report.json")
    jsonschema.validate(report, REPORT)
    assert (report["documents"], report["metrics"], report["split"], report["hardest"]) == (2, [], None, [])
    assert "2 documents in the snapshot" in bench.needs["report/report.md"].read_text(encoding="utf-8")


def test_the_report_repeats_and_names_no_place(tmp_path: Path) -> None:
    """The same artefacts in another folder give the same bytes: no clock, no path."""
    for name in ("here", "there"):
        reported(tmp_path / name, mixed(), "mrr@10 of bm25 >= 0.4 @95")
    for name in ("report.json", "report.md"):
        here, there = ((tmp_path / place / "report" / "out" / name).read_bytes() for place in ("here", "there"))
        assert here == there
        assert str(tmp_path).encode() not in here
