"""Gates of a spec: their line is their name, and they fit the rest of the spec."""
from __future__ import annotations

import pytest

from embspec.errors import Where
from tests.spec.conftest import Specs

MODEL = "embspec: 1\nmodel: {base: a/b}\ncorpus: {path: docs.jsonl}\n"


def gates(values: dict[str, object]) -> list[str]:
    """The lines of the gates among flat values."""
    return [path.removeprefix("gates.") for path in values if path.startswith("gates.")]


def test_a_gate_is_one_value_under_its_canonical_line(specs: Specs) -> None:
    """A line, another spelling and a mapping that say the same are the same value."""
    line = specs.load(MODEL + "gates: [recall@10 >= base - 0.02]\n")
    mapping = specs.load(MODEL + "gates: [{relative_to: base, max_drop: .02, metric: recall@10}]\n")
    assert line.values == mapping.values
    assert line.values["gates.recall@10 >= base - 0.02"] == "on"
    assert line.written["gates.recall@10 >= base - 0.02"] == Where("specs/x.yaml", 4, 9)


def test_the_order_of_gates_means_nothing(specs: Specs) -> None:
    """Equal specs have equal values in equal order; without gates the list is empty."""
    one = specs.load(MODEL + "gates: [recall@10 >= 0.8, mrr >= 0.5]\n").values
    other = specs.load(MODEL + "gates: [mrr >= .50, recall@10 >= 0.8]\n").values
    assert list(one.items()) == list(other.items())
    assert gates(one) == ["mrr >= 0.5", "recall@10 >= 0.8"]
    assert specs.load(MODEL).values["gates"] == []


def test_what_gates_need_is_evaluated(specs: Specs) -> None:
    """Dims, precisions, systems, and metrics deeper than stored runs join the evaluation, once, in a fixed order."""
    text = """eval: {runs: {vendor: v.trec}}
gates:
  - recall@200 >= 0.9
  - recall@50 >= 0.9
  - ndcg@10 dim 64 >= full * 0.9
  - recall@10 dim 32 precision int8 >= float32 * 0.9
  - recall@10 of tuned+rerank >= run:vendor
  - recall@10 >= locked
"""
    values = specs.load(MODEL + text).values
    assert values["eval.metrics"] == [
        "recall@5",
        "recall@10",
        "recall@100",
        "precision@5",
        "mrr@10",
        "ndcg@10",
        "recall@200",
    ]
    assert values["eval.dims"] == ["auto", 32, 64]
    assert values["eval.precisions"] == ["float32", "int8"]
    assert values["eval.systems"] == ["base", "bm25", "hybrid", "tuned", "tuned+bm25", "run:vendor", "tuned+rerank"]
    written = specs.load(
        MODEL
        + "eval: {dims: [128, 64]}\n"
        + text.replace("eval: {runs: {vendor: v.trec}}\n", "").replace("run:vendor", "base")
    )
    assert written.values["eval.dims"] == [128, 64, 32]


def test_a_gate_on_what_ships_needs_nothing(specs: Specs) -> None:
    """The plain gate leaves the evaluation as the spec has it."""
    with_gate = specs.load(MODEL + "gates: [recall@10 >= 0.5 @95]\n").values
    without = specs.load(MODEL).values
    assert {path for path in without if without[path] != with_gate.get(path)} == {"gates"}


WRONG = [
    ("recall@10 => base", "4:20"),
    ("'recall@10 => base'", "4:21"),
    ("recall >= 0.8", "4:10"),
    ("recall@10 >= 80", "4:23"),
    ("recall@10 on ood >= 0.5", "4:23"),
    ("faithfulness >= 0.5", "4:10"),
    ("recall@10 on answers >= 0.5", "4:23"),
    ("recall@10 >= run:other", "4:23"),
    ("{metric: recall@10, min_retenton: 0.9}", "4:30"),
    ("{metric: recall@10}", "4:10"),
    ("{metric: recall@10, min: 0.5, suite: odd}", "4:40"),
]


@pytest.mark.parametrize(("gate", "place"), WRONG)
def test_a_gate_that_cannot_hold_is_refused_at_its_word(specs: Specs, gate: str, place: str) -> None:
    """Also where the gate reads well and names a suite, a run or a metric that the spec lacks."""
    suites = "{answers: {command: c, metrics: [faithfulness]}}"
    text = f"{MODEL}gates: [ {gate} ]\neval: {{suites: {suites}, runs: {{vendor: r}}}}\n"
    problem = specs.one(text)
    assert problem.code == "spec.gate"
    assert str(problem.where) == f"specs/x.yaml:{place}", problem.text


def test_all_gates_are_read(specs: Specs) -> None:
    """Each wrong gate is told, and gates are read though the rest of the spec is wrong too."""
    problems = specs.problems(MODEL + "seed: x\ngates:\n  - recall@10\n  - 5\n  - mrr >= 0.5\n  - mrr >= 2\n  - ''\n")
    assert [(p.code, p.where and p.where.line) for p in problems] == [
        ("spec.type", 4), ("spec.gate", 6), ("spec.type", 7), ("spec.gate", 9), ("spec.type", 10)
    ]  # fmt: skip


def test_a_gate_stands_once(specs: Specs) -> None:
    """Two spellings of one gate would be one line of the lock."""
    problem = specs.one(MODEL + "gates:\n  - recall@10 >= 0.8\n  - {metric: recall@10, min: .80}\n")
    assert (problem.code, str(problem.where)) == ("spec.duplicate", "specs/x.yaml:6:5")
    assert "specs/x.yaml:5:5" in problem.text


def test_an_outside_metric_is_judged_on_its_suite(specs: Specs) -> None:
    """A scorer's own metric is known where the suite is named."""
    suites = "eval: {suites: {answers: {command: c, metrics: [faithfulness]}}}\n"
    values = specs.load(MODEL + suites + "gates: [faithfulness on answers >= 0.5]\n").values
    assert gates(values) == ["faithfulness on answers >= 0.5"]


@pytest.mark.parametrize(
    "gate", ["recall@10 >= 0.8", "recall@10 of tuned >= 0.8", "recall@10 of bm25 >= base", "recall@10 of bm25 >= full"]
)
def test_without_a_model_a_gate_names_its_system(specs: Specs, gate: str) -> None:
    """Nothing ships, so what is judged has to be said, and only what needs no model can be."""
    problem = specs.one(f"{specs.smallest}gates: [{gate}]\n")
    assert problem.code == "spec.gate"


def test_without_a_model_bm25_and_runs_are_judged(specs: Specs) -> None:
    """Against a number, one another, or the locked scores."""
    lines = "recall@10 of bm25 >= 0.5, mrr of run:vendor >= bm25, ndcg@5 of bm25 >= locked - 0.01"
    text = f"eval: {{runs: {{vendor: r}}}}\ngates: [{lines}]\n"
    values = specs.load(specs.smallest + text).values
    assert len(gates(values)) == 3
    assert values["eval.systems"] == ["bm25", "run:vendor"]


def test_a_figure_of_the_documents_is_held_against_a_number(specs: Specs) -> None:
    """It is the same whatever ranks them, and there is none where no model reads them."""
    line = "truncated_fraction <= 0.02"
    assert gates(specs.load(MODEL + f"gates: [{line}]\n").values) == [line]
    for more in ("truncated_fraction of bm25 <= 0.02", "truncated_fraction <= base + 0.01",
                 "truncated_fraction dim 64 <= 0.1", "truncated_fraction on domain <= 0.1"):
        (problem,) = specs.problems(MODEL + f"gates: [{more}]\n")
        assert problem.code == "spec.gate" and "whatever ranks them" in problem.text
    (problem,) = specs.problems(f"embspec: 1\ncorpus: {{path: docs.jsonl}}\ngates: [{line}]\n")
    assert "the spec has none" in problem.text


def test_documents_that_are_cut_are_measured_whole_too(specs: Specs) -> None:
    """The suite `documents` is implied by chunks alone, a gate may be on it, and one of that name is the user's own."""
    cut = MODEL.replace("docs.jsonl", "docs/*.md, chunking: {strategy: sentences, n: 3}")
    values = specs.load(cut + "gates: [recall@10 on documents >= 0.8]\n").values
    assert (values["eval.suites.documents.split"], values["eval.suites.documents.by"]) == ("test", "document")
    assert "eval.suites.documents.split" not in specs.load(MODEL).values
    (problem,) = specs.problems(MODEL + "gates: [recall@10 on documents >= 0.8]\n")
    assert "eval.suites has no `documents`" in problem.text
    own = specs.load(cut + "eval: {suites: {documents: {split: validation}}}\n").values
    assert own["eval.suites.documents.split"] == "validation" and "eval.suites.documents.by" not in own
    wide = specs.load(MODEL + "eval: {suites: {whole: {split: test, by: document}}}\n").values
    assert wide["eval.suites.whole.by"] == "document"
