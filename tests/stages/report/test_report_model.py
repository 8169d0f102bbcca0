"""The report of a build with a model: systems, differences, what ships, training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from embspec.report.schemas import REPORT
from embspec.stages.report.tuning import identifiers
from tests.support.benches import Bench, params
from tests.support.measured import CHOICE, LEDGER, RRF, TRIED, bench


def reported(made: Bench, **changed: Any) -> tuple[Any, str]:
    """Both artefacts; `report.json` is held against its schema."""
    made.make("report", params(eval__metrics=["recall@5", "mrr@10", "ndcg@10"], **changed))
    found = made.json("report/report.json")
    jsonschema.validate(found, REPORT)
    return found, made.needs["report/report.md"].read_text(encoding="utf-8")


def test_every_form_has_its_rows(tmp_path: Path) -> None:
    """Each system, dim and precision that was measured has each metric; words have neither dim nor precision."""
    report, text = reported(bench(tmp_path))
    forms = list(dict.fromkeys((m["system"], m["dim"], m["precision"]) for m in report["metrics"]))
    assert len(forms) == 9 and ("bm25", None, None) in forms and ("tuned", 64, "int8") in forms
    assert len(report["metrics"]) == 27
    assert "| domain | tuned | 64 | int8 | mrr@10 |" in text and "| domain | bm25 |  |  | mrr@10 |" in text


def test_systems_stand_first_at_their_best(tmp_path: Path) -> None:
    """The first table has one line a system, the full form in float32, and what ships as it ships."""
    report, text = reported(bench(tmp_path))
    table = text[text.index("## Systems"):].split("\n\n")[1].split("\n")
    assert [line.split(" | ")[:3] for line in table[2:]] == [
        ["| base", "64", "float32"], ["| bm25", "", ""], ["| hybrid", "64", "float32"], ["| tuned", "64", "float32"],
        ["| tuned+bm25", "64", "float32"], ["| shipped", "32", "float32"],
    ]
    (value,) = (m["value"] for m in report["metrics"] if (m["system"], m["dim"], m["metric"]) == ("base", 64, "mrr@10"))
    assert value == pytest.approx((1 / 2 + 1 / 4 + 0 + 1) / 4) and f"{value:.4f}" in table[2]
    assert text.index("## Verdict") < text.index("## Systems") < text.index("## Metrics")


def test_gains_are_paired(tmp_path: Path) -> None:
    """Tuned against base and BM25, fusion against tuned alone, what ships against base: difference and interval."""
    report, text = reported(bench(tmp_path))
    whole = {(c["system"], c["against"]): c for c in report["compared"] if not c["slice"] and c["metric"] == "mrr@10"}
    assert list(whole) == [("tuned", "base"), ("tuned", "bm25"), ("tuned+bm25", "tuned"), ("shipped", "base")]
    gain = whole["tuned", "base"]
    assert gain["value"] == pytest.approx((1 / 2 + 1 / 4 + 1 / 3 + 0) / 4, abs=1e-9)
    assert gain["low"] < gain["value"] < gain["high"] and (gain["won"], gain["lost"], gain["n"]) == (30, 0, 40)
    fused = whole["tuned+bm25", "tuned"]
    assert fused["value"] == pytest.approx(-1 / 8, abs=1e-9) and (fused["won"], fused["lost"]) == (0, 10)
    row = "| tuned+bm25 − tuned (the gain of fusion) | +0.0000 [+0.0000, +0.0000] |"
    assert f"{row} -0.1250 [{fused['low']:+.4f}" in text


def test_fusion_is_told_apart_for_identifiers(tmp_path: Path) -> None:
    """Queries that name an identifier are compared apart, and the page says how they are known."""
    report, text = reported(bench(tmp_path))
    assert report["identifiers"] == 4
    named = [c for c in report["compared"] if c["slice"] == "identifiers"]
    assert {c["n"] for c in named} == {4} and len(named) == 12
    assert "On the 4 test queries that name an identifier (a word with an underscore" in text


def test_what_leaks_and_what_does_not_are_compared_apart(tmp_path: Path) -> None:
    """Of a test set that leaks each part has its own gains; one that does not has no parts."""
    report, text = reported(bench(tmp_path / "leaking", leak=True))
    gains = {c["slice"]: (c["value"], c["n"]) for c in report["compared"]
             if (c["system"], c["against"], c["metric"]) == ("tuned", "base", "mrr@10")}
    assert list(gains) == [None, "leaking", "disjoint", "identifiers"]
    assert gains["leaking"] == (pytest.approx((1 / 2 + 1 / 4) / 2), 20)
    assert gains["disjoint"] == (pytest.approx((1 / 3 + 0) / 2), 20)
    places = [text.index(f"On the 20 test queries that share {said}:") for said in (
        "something with training (`leaking`)", "nothing with it (`disjoint`)")]
    assert text.index("20 of 40 test queries leak") < places[0] < places[1]
    assert "+0.3750 [" in text[places[0] : places[1]]
    assert "a gate judges both together unless it ends in `slice disjoint`" in text
    clean, page = reported(bench(tmp_path / "clean"))
    assert {c["slice"] for c in clean["compared"]} == {None, "identifiers"} and "disjoint" not in page


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("what does E-1042 mean?", True), ("set err_conn_404", True), ("the G60 form", True), ("a2", True),
        ("is it the 2nd?", True), ("in 2024", False), ("3.5 of 10", False), ("who_is", True), ("_well_", False),
        ("plain words", False), ("", False),
    ],
)
def test_how_identifiers_are_known(query: str, named: bool) -> None:
    """A word with an underscore inside, or with a digit beside a letter."""
    assert identifiers([{"id": "q", "query": query}]) == ({"q"} if named else set())


def test_what_forms_keep(tmp_path: Path) -> None:
    """Each further form of what may ship is a ratio to the full one with its interval."""
    report, text = reported(bench(tmp_path))
    kept = {(r["dim"], r["precision"]): r for r in report["retention"] if r["metric"] == "mrr@10"}
    assert list(kept) == [(32, "float32"), (64, "int8")]
    full = (1 + 1 / 2 + 1 / 3 + 1) / 4
    assert kept[32, "float32"]["value"] == pytest.approx((1 + 1 / 3 + 1 / 3 + 1) / 4 / full, abs=1e-9)
    assert kept[64, "int8"]["low"] < kept[64, "int8"]["value"] < kept[64, "int8"]["high"]
    assert f"| tuned | 64 | int8 | 1.0000 [1.0000, 1.0000] | {kept[64, 'int8']['value']:.4f} [" in text


def test_what_ships_and_over_what(tmp_path: Path) -> None:
    """The page says dim, precision and fusion, and what each candidate gave on validation."""
    report, text = reported(bench(tmp_path))
    assert (report["ships"], report["tried"]) == (CHOICE, TRIED)
    assert "- 32 dims in float32, compared by cosine\n- ranked by the model alone\n" in text
    assert "keeps 95.0 % of ndcg@10 on 20 validation queries (64: 0.8000, 32: 0.7900)" in text
    assert "none 0.8000, rrf 60 0.7000" in text


@pytest.mark.parametrize(
    ("fusion", "says"),
    [(RRF, "by reciprocal rank (k 60)"), ({"method": "weighted", "weight": 0.7}, "0.7 of the model's score")],
)
def test_fusion_in_words(tmp_path: Path, fusion: dict[str, Any], says: str) -> None:
    """Each method has words of its own."""
    assert says in reported(bench(tmp_path, choice={**CHOICE, "fusion": fusion}))[1]


def test_training_is_a_curve_of_means(tmp_path: Path) -> None:
    """Ten stretches at most, each with the mean loss of its steps; together they are all steps."""
    report, text = reported(bench(tmp_path, losses=[float(n) for n in range(25)]))
    curve = report["training"]["curve"]
    assert report["training"]["steps"] == 25 and len(curve) == 10 and curve[-1]["step"] == 25
    assert curve[0] == {"step": 2, "loss": 0.5} and curve[-1]["loss"] == 23.0
    assert "- 25 steps; mean loss along them: 0.5000 →" in text


@pytest.mark.parametrize("losses", [[], [2.0]])
def test_short_training(tmp_path: Path, losses: list[float]) -> None:
    """No step has no curve, one step has one point."""
    report, _ = reported(bench(tmp_path, losses=losses))
    assert report["training"] == {"steps": len(losses), "curve": [{"step": 1, "loss": 2.0}][: len(losses)]}


def test_negatives_are_counted(tmp_path: Path) -> None:
    """Kept and refused by rule, and a warning where the base needs no training for them."""
    report, text = reported(bench(tmp_path / "fine"))
    assert report["negatives"] == LEDGER
    assert "500 negatives for 88 training queries, 3 of which found fewer" in text
    assert "- dense found 350 negatives of 360\n- bm25 found 160 negatives of 180\n" in text
    assert "- 2 queries have no negative: `q1`, `q7`\n" in text
    assert "from -1 to 1:" in text
    assert "answers   ·················▁█▃" in text and "negatives ··············█▇▁···" in text
    assert "4 near-duplicates of an answer, 71 within the relative margin" in text
    assert "too easy" not in text
    _, text = reported(bench(tmp_path / "easy", ledger={**LEDGER, "easy": 0.95, "too_easy": True}))
    assert "- The negatives are too easy: the model that mined already ranks the answers over them for 95.0 %" in text
    assert text.index("## With care") < text.index("too easy") < text.index("## Systems")
    many = {"queries": 31, "first": [f"q{n}" for n in range(10)]}
    _, text = reported(bench(tmp_path / "many", ledger={**LEDGER, "without": many}))
    assert "- 31 queries have no negative: `q0`, `q1`" in text and "`q9`, …\n" in text
    none = {**LEDGER, "negatives": 0, "refused": {}, "short": 0, "miners": {}, "scores": None}
    _, text = reported(bench(tmp_path / "none", ledger=none))
    assert "no negatives were mined" in text and "may be answers" not in text
    assert "no negative:" not in text and "```" not in text


def test_a_ledger_of_an_older_build(tmp_path: Path) -> None:
    """What the first version did not count is left out of the page, which is made all the same."""
    older = {name: value for name, value in LEDGER.items() if name not in ("without", "miners", "scores")}
    report, text = reported(bench(tmp_path, ledger=older))
    assert report["negatives"] == {**older, "without": {"queries": 0, "first": []}, "miners": {}, "scores": None}
    assert "500 negatives for 88 training queries" in text and "found 350" not in text


def test_the_hardest_are_those_of_what_ships(tmp_path: Path) -> None:
    """With a model the questions to read are those that the shipped form answers worst."""
    report, _ = reported(bench(tmp_path))
    assert {h["system"] for h in report["hardest"]} == {"shipped"} and report["hardest"][0]["rank"] == 3


def test_it_repeats(tmp_path: Path) -> None:
    """The same artefacts elsewhere give the same pages."""
    both = [reported(bench(tmp_path / name)) for name in ("one", "two")]
    assert both[0] == both[1]
