"""Figures of a page, each against the plain function that it is made of."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from embspec.measure.forms import Form, best, grouped
from embspec.measure.stats import cluster_numbers, mean_interval, ratio_interval, ratio_intervals, sign_flip_p
from embspec.measure.table import How, differences, means, retention

HOW = How("document", 300, 7)
FORMS: Sequence[Form] = (
    Form("domain", "base", 64, "float32"), Form("domain", "bm25", None, None), Form("domain", "tuned", 32, "float32"),
    Form("domain", "tuned", 64, "float32"), Form("domain", "tuned", 64, "int8"), Form("ood", "tuned", 64, "float32"),
)


def rows(count: int = 60, forms: Sequence[Form] = FORMS) -> list[dict[str, Any]]:
    """Random scores of every form, queries in a random order, in clusters."""
    drawn = random.Random(3)
    made = [
        {**form._asdict(), "query": f"q{n:02}", "cluster": f"d{n % 17:02}", "slices": ["odd"] if n % 2 else [],
         "scores": {"recall@5": float(drawn.random() < 0.7), "mrr@10": drawn.random()}}
        for form in forms for n in range(count)
    ]
    return drawn.sample(made, len(made))


def column(form: Form, metric: str, some: Sequence[dict[str, Any]], odd: bool = False) -> tuple[list[float], list[str]]:
    """One form's scores with their clusters, in the order of queries."""
    own = sorted((r for r in some if Form(*(r[f] for f in Form._fields)) == form and (not odd or r["slices"])),
                 key=lambda row: row["query"])
    return [row["scores"][metric] for row in own], [row["cluster"] for row in own]


@pytest.mark.parametrize("odd", [False, True])
def test_means_equal_one_at_a_time(odd: bool) -> None:
    """Drawing all systems together gives each the limits that it has alone."""
    some = rows()
    found = {(m["suite"], m["system"], m["dim"], m["precision"], m["metric"]): m
             for m in means(grouped(some), HOW) if (m["slice"] == "odd") == odd}
    assert len(found) == 2 * len(FORMS)
    for form in FORMS:
        for metric in ("recall@5", "mrr@10"):
            values, labels = column(form, metric, some, odd)
            alone = mean_interval(values, cluster_numbers(labels), resamples=300, seed=7)
            row = found[(*form, metric)]
            assert (row["value"], row["low"], row["high"], row["n"]) == (*alone, len(values))


def test_forms_over_other_queries_are_drawn_apart() -> None:
    """A form that was measured on fewer queries gets its own limits and count."""
    some = [row for row in rows() if row["system"] != "base" or row["query"] < "q30"]
    found = {m["system"]: m for m in means(grouped(some), HOW) if m["metric"] == "mrr@10" and not m["slice"]}
    values, labels = column(FORMS[0], "mrr@10", some)
    alone = mean_interval(values, cluster_numbers(labels), resamples=300, seed=7)
    assert (found["base"]["n"], found["base"]["low"], found["bm25"]["n"]) == (30, alone.low, 60)


def test_differences_are_paired_at_the_best_form() -> None:
    """Question by question between full forms, with wins, losses and p; what was not measured is no pair."""
    some = rows()
    found = [d for d in differences(grouped(some), "domain", HOW) if d["metric"] == "mrr@10"]
    assert [(d["system"], d["against"]) for d in found] == [("tuned", "base"), ("tuned", "bm25")]
    one, labels = column(FORMS[3], "mrr@10", some)
    other, _ = column(FORMS[0], "mrr@10", some)
    gains = [a - b for a, b in zip(one, other, strict=True)]
    clusters = cluster_numbers(labels)
    alone = mean_interval(gains, clusters, resamples=300, seed=7, differences=True)
    assert (found[0]["value"], found[0]["low"], found[0]["high"]) == alone
    assert found[0]["p"] == sign_flip_p(gains, clusters, resamples=300, seed=7)
    assert (found[0]["won"], found[0]["lost"]) == (sum(g > 0 for g in gains), sum(g < 0 for g in gains))


def test_other_queries_make_no_pair() -> None:
    """Systems that were asked different things are not compared."""
    some = [row for row in rows() if row["system"] != "base" or row["query"] != "q07"]
    assert {d["against"] for d in differences(grouped(some), "domain", HOW)} == {"bm25"}


def test_retention_is_a_ratio_to_the_full_form() -> None:
    """Every other form of the system, each metric, as `ratio_interval` has it."""
    some = rows()
    found = retention(grouped(some), "domain", "tuned", HOW)
    assert {(r["dim"], r["precision"]) for r in found} == {(32, "float32"), (64, "int8")} and len(found) == 4
    for row in found:
        own, labels = column(Form("domain", "tuned", row["dim"], row["precision"]), row["metric"], some)
        full, _ = column(FORMS[3], row["metric"], some)
        alone = ratio_interval(own, full, cluster_numbers(labels), resamples=300, seed=7)
        assert (row["value"], row["low"], row["high"]) == alone
    assert retention(grouped(some), "domain", "bm25", HOW) == [] == retention(grouped(some), "ood", "tuned", HOW)


def test_nothing_is_kept_of_nothing() -> None:
    """Where the full form scores 0 there is no ratio, and no figure is made up."""
    some = [{**row, "scores": {"mrr@10": 0.0}} for row in rows()]
    assert {(r["value"], r["low"]) for r in retention(grouped(some), "domain", "tuned", HOW)} == {(None, None)}


def test_ratios_drawn_together_are_those_drawn_alone() -> None:
    """Several ratios at once are the same to the last digit, one over nothing among them."""
    drawn = random.Random(1)
    columns = [[drawn.random() * scale for _ in range(40)] for scale in (1, 3, 1e-3)] + [[0.0] * 40]
    clusters = [n // 3 for n in range(40)]
    pairs = [(columns[0], columns[1]), (columns[2], columns[0]), (columns[0], columns[3])]
    alone = [ratio_interval(one, other, clusters, resamples=200) for one, other in pairs]
    assert ratio_intervals(pairs, clusters, resamples=200) == alone and alone[2] is None


@pytest.mark.parametrize(
    ("forms", "expected"),
    [
        (FORMS, FORMS[3]),
        ((FORMS[4], FORMS[2]), FORMS[2]),  # float32 goes before size
        ((FORMS[1],), None),
        ((), None),
    ],
)
def test_the_best_form(forms: Sequence[Form], expected: Form | None) -> None:
    """Float32 at full dim; None where the system was not measured there."""
    assert best(forms, "domain", "tuned") == expected
    assert best(FORMS, "domain", "bm25") == FORMS[1]


@pytest.mark.parametrize(
    ("form", "text"),
    [(FORMS[0], "base dim 64 float32"), (FORMS[1], "bm25"), (FORMS[5], "tuned dim 64 float32 on ood")],
)
def test_a_form_in_words(form: Form, text: str) -> None:
    """As a note of a gate says it."""
    assert str(form) == text
