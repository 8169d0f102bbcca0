"""The gate language."""
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.measure.gate import Gate, GateError, from_mapping, line, metric_problem, parse_line, system_problem

LINES = {
    "recall@10 >= 0.80": Gate("recall@10", ">=", number=0.8),
    "recall@10 >= base + 0.05 @95": Gate("recall@10", ">=", ref="base", offset=0.05, confidence=95.0),
    "ndcg@10 dim 256 >= full * 0.99": Gate("ndcg@10", ">=", ref="full", factor=0.99, dim=256),
    "generalisation_gap <= 0.05": Gate("generalisation_gap", "<=", number=0.05),
    "onnx_cosine >= 0.9999": Gate("onnx_cosine", ">=", number=0.9999),
    "truncated_fraction <= 0.02": Gate("truncated_fraction", "<=", number=0.02),
    "recall@10 of bm25 >= .5": Gate("recall@10", ">=", number=0.5, system="bm25"),
    "mrr on ood of tuned+rerank >= run:vendor-2.1 - 1e-2 @99.5": Gate(
        "mrr", ">=", ref="run:vendor-2.1", offset=-0.01, suite="ood", system="tuned+rerank", confidence=99.5
    ),
    'ndcg@10 slice "area=a b" >= locked min_queries 30 on_inconclusive fail': Gate(
        "ndcg@10", ">=", ref="locked", slice="area=a b", min_queries=30, on_inconclusive="fail"
    ),
}
MAPPINGS: list[tuple[dict[str, Any], str]] = [
    (
        {"metric": "recall@10", "precision": "int8", "relative_to": "float32", "min_retention": 0.98},
        "recall@10 precision int8 >= float32 * 0.98",
    ),
    (
        {"metric": "ndcg@10", "suite": "ood", "relative_to": "base", "max_drop": 0.02, "confidence": 0.95},
        "ndcg@10 on ood >= base - 0.02 @95",
    ),
    (
        {"metric": "recall@10", "slice": "any", "relative_to": "base", "max_drop": 0.05, "min_queries": 30},
        "recall@10 slice any >= base - 0.05 min_queries 30",
    ),
    (
        {"metric": "ndcg@10", "system": "tuned+rerank", "relative_to": "base+rerank", "max_drop": 0.0},
        "ndcg@10 of tuned+rerank >= base+rerank",
    ),
    ({"latency_p95_ms": 15, "device": "cpu", "batch": 1}, "latency_p95_ms <= 15 device cpu batch 1"),
    ({"artifact_mb": 450}, "artifact_mb <= 450"),
    ({"metric": "artifact_mb", "max": 450.0}, "artifact_mb <= 450"),
    ({"onnx_cosine": 0.9999}, "onnx_cosine >= 0.9999"),
    ({"recall@10": 0.8, "confidence": 95}, "recall@10 >= 0.8 @95"),
    ({"metric": "recall@10", "min": 0.8, "confidence": 0.57, "suite": None}, "recall@10 >= 0.8 @57"),
    ({"metric": "hit@5", "relative_to": "bm25", "min_gain": 0.1, "system": "shipped"}, "hit_rate@5 >= bm25 + 0.1"),
]


@pytest.mark.parametrize("text", LINES)
def test_a_line_becomes_its_gate(text: str) -> None:
    """Every example of the language parses to the parts it names."""
    assert parse_line(text) == LINES[text]


@pytest.mark.parametrize(("mapping", "text"), MAPPINGS, ids=[text for _, text in MAPPINGS])
def test_a_mapping_and_a_line_that_say_the_same_are_equal(mapping: dict[str, Any], text: str) -> None:
    """A mapping compiles to the structure of its line, and its canonical text is that line."""
    assert from_mapping(mapping) == parse_line(text)
    assert line(from_mapping(mapping)) == text


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("recall@10>=.80", "recall@10 >= 0.8"),
        ("recall@10 >= base+0.05@95", "recall@10   >= base + 5e-2  @95.0"),
        ("recall@10 >= base", "recall@10 >= base - 0.0"),
        ("recall@10 >= base", "recall@10 >= base * 1"),
        ("ndcg@10 of tuned dim 256 on ood >= .5", "ndcg@10 on ood >= .5 dim 256 of tuned"),
        ("hit@5 >= 1", "hit_rate@5 >= 1.0"),
        ("recall@10 of shipped >= .5", "recall@10 >= .5"),
        ('recall@10 slice "any" >= .5', "recall@10 slice any >= .5"),
    ],
)
def test_equal_meaning_is_an_equal_gate(left: str, right: str) -> None:
    """Spacing, spelling of numbers, order of words and aliases make no difference."""
    assert parse_line(left) == parse_line(right)
    assert line(parse_line(left)) == line(parse_line(right))


NAMES = st.text(min_size=1, max_size=12)
AMOUNTS = st.floats(0, 1, allow_nan=False)
RANKED = st.builds(
    lambda word, k: f"{word}@{k}", st.sampled_from(["recall", "ndcg", "hit_rate", "mrr"]), st.integers(1, 999)
)
REFS = st.sampled_from(["base", "full", "float32", "locked", "bm25", "base+rerank", "run:a-1.b", "tuned+filter"])
COMMON = {
    "op": st.sampled_from([">=", "<="]),
    "dim": st.none() | st.integers(1, 4096),
    "precision": st.none() | st.sampled_from(["float32", "int8", "binary"]),
    "suite": st.none() | NAMES,
    "system": st.none() | st.sampled_from(["base", "tuned+bm25+rerank", "run:x"]),
    "on_inconclusive": st.none() | st.sampled_from(["warn", "fail"]),
}
SLICES: st.SearchStrategy[dict[str, Any]] = st.just({}) | st.fixed_dictionaries(
    {"slice": NAMES, "min_queries": st.none() | st.integers(1, 10**6)}
)
BOUNDS = st.one_of(
    st.fixed_dictionaries({"number": AMOUNTS}),
    st.fixed_dictionaries({"ref": REFS, "offset": st.floats(-1, 1).map(lambda x: x + 0.0)}),
    st.fixed_dictionaries({"ref": REFS, "factor": st.floats(1e-9, 4)}),
)
SURE = st.none() | st.floats(50, 99.999999)
QUERY_GATES = st.builds(
    lambda common, bound, rest: Gate(**{**common, **bound, **rest}),
    st.fixed_dictionaries({"metric": RANKED, "confidence": SURE, **COMMON}),
    BOUNDS,
    SLICES,
)
WHOLE_GATES = st.builds(
    lambda common, device, batch: Gate(metric="latency_p95_ms", device=device, batch=batch, **common),
    st.fixed_dictionaries({"number": st.floats(0, 1e9), **COMMON}),
    st.none() | NAMES,
    st.none() | st.integers(1, 512),
)


@settings(max_examples=300)
@given(QUERY_GATES | WHOLE_GATES)
def test_every_gate_has_a_line_that_reads_back(gate: Gate) -> None:
    """`parse_line(line(gate)) == gate` for any gate, whatever stands in its names and numbers."""
    assert parse_line(line(gate)) == gate


@settings(max_examples=200)
@given(st.text(alphabet="recall@10 >=<base+-*0.5 dim of on slice\"{}%\\é", max_size=40))
def test_any_text_is_a_gate_or_a_gate_error(text: str) -> None:
    """Nothing but `GateError` comes out of a text that is no gate, and it points into the text."""
    try:
        gate = parse_line(text)
    except GateError as error:
        assert error.at is not None and 0 <= error.at <= len(text)
        assert error.text and error.fix
    else:
        assert parse_line(line(gate)) == gate


BAD_LINES = [
    ("", 0, "expected a metric"),
    ("recal@10 >= 0.8", 0, "did you mean recall@10?"),
    ("recall >= 0.8", 0, "recall needs a cut-off"),
    ("recall@0 >= 0.8", 0, "whole number from 1"),
    ("latency_p95 <= 15", 0, "did you mean latency_p95_ms?"),
    ("faithfulness on answers >= base", 0, "is no metric"),
    ("recall@10", 9, "expected >= or <="),
    ("recall@10 > 0.8", 10, "'>' is no sign"),
    ("recall@10 => 0.8", 10, "'=>' is no sign"),
    ("recall@10 ≥ 0.8", 10, "'≥' is no sign"),
    ("recall@10 >=", 12, "expected a number or one of"),
    ("recall@10 >= 80", 13, "at most 1"),
    ("recall@10 >= 80%", 15, "80% is a percentage"),
    ("recall@10 >= bsae + 0.1", 13, "did you mean base?"),
    ("recall@10 >= base+bm52", 13, "did you mean bm25?"),
    ("recall@10 >= base +", 19, "expected a number after base +"),
    ("recall@10 >= base + 5", 20, "5 apart"),
    ("recall@10 >= base * 0", 20, "over 0"),
    ("recall@10 >= base @5", 18, "confidence of 5"),
    ("recall@10 >= base @", 19, "percentage after @"),
    ("recall@10 at 256 >= 0.8", 10, "'at' is no word"),
    ("recall@10 dim x >= 0.8", 10, "whole number"),
    ("recall@10 dim 0 >= 0.8", 10, "whole number"),
    ("recall@10 dim 1 dim 2 >= 0.8", 16, "twice"),
    ("recall@10 precision int4 >= 0.8", 10, "did you mean int8?"),
    ("recall@10 of tuend >= 0.8", 10, "did you mean tuned?"),
    ('recall@10 slice "\\x" >= 0.8', 16, "no JSON string"),
    ("recall@10 >= 0.98 * base", 18, "left over"),
    ("recall@10 >= 0.8 on_inconclusive stop", 17, "is unknown"),
    ("recall@10 >= 0.8 min_queries 30", 17, "too small to judge"),
    ("recall@10 >= 0.8 device cpu", 17, "how latency is measured"),
    ("onnx_cosine >= 0.9 @95", 19, "one figure of the whole model"),
    ("artifact_mb slice any <= 4", 12, "one figure of the whole model"),
]


@pytest.mark.parametrize(("text", "at", "says"), BAD_LINES, ids=[text for text, _, _ in BAD_LINES])
def test_a_bad_line_says_what_and_where(text: str, at: int, says: str) -> None:
    """The error names what is wrong, points at it, and says what to write."""
    with pytest.raises(GateError) as caught:
        parse_line(text)
    assert says in caught.value.text
    assert (caught.value.at, bool(caught.value.fix)) == (at, True)


BAD_MAPPINGS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "", "no bound"),
    ({"metric": "recall@10"}, "", "no bound"),
    ({"metrc": "recall@10", "min": 0.5}, "metrc", "did you mean metric?"),
    ({"min": 0.5}, "min", "names no metric"),
    ({"metric": 10, "min": 0.5}, "metric", "needs a name"),
    ({"metric": "recall@10", "min": 0.5, "max": 0.6}, "max", "two bounds"),
    ({"metric": "recall@10", "artifact_mb": 5}, "artifact_mb", "both name the metric"),
    ({"metric": "recall@10", "min": "x"}, "min", "needs a number"),
    ({"metric": "recall@10", "min": True}, "min", "needs a number"),
    ({"metric": "recall@10", "max_drop": 0.1}, "max_drop", "needs relative_to"),
    ({"metric": "recall@10", "min": 0.1, "relative_to": "base"}, "min", "does not go with"),
    ({"metric": "recall@10", "max_drop": -0.1, "relative_to": "base"}, "max_drop", "negative"),
    ({"metric": "recall@10", "max_drop": 0.1, "relative_to": "bas"}, "relative_to", "did you mean base?"),
    ({"metric": "recall@10", "max_drop": 0.1, "relative_to": ["base"]}, "relative_to", "nothing to compare"),
    ({"metric": "recall@10", "min": 0.1, "dim": "256"}, "dim", "whole number"),
    ({"metric": "recall@10", "min": 0.1, "suite": 5}, "suite", "needs a name"),
    ({"metric": "recall@10", "min": 0.1, "confidence": 0.3}, "confidence", "between 50 and 100"),
    ({"metric": "recall@10", "min": 0.1, "confidence": "high"}, "confidence", "needs a number"),
]


@pytest.mark.parametrize(("mapping", "key", "says"), BAD_MAPPINGS, ids=[says for _, _, says in BAD_MAPPINGS])
def test_a_bad_mapping_says_what_and_which_key(mapping: dict[str, Any], key: str, says: str) -> None:
    """The error names the key to blame."""
    with pytest.raises(GateError) as caught:
        from_mapping(mapping)
    assert says in caught.value.text
    assert (caught.value.key, bool(caught.value.fix)) == (key, True)


def test_a_suites_own_metric_and_other_signs_are_allowed_when_asked_for() -> None:
    """`extra` names what a suite's scorer returns; conditions that start a retrain use `<` and `>`."""
    assert parse_line("faithfulness on answers >= base", extra=["faithfulness"]).metric == "faithfulness"
    assert from_mapping({"faithfulness": 0.9}, extra=["faithfulness"]).op == ">="
    assert parse_line("recall@10 on fresh < locked - 0.03 @95", ops=("<", ">")).op == "<"


@pytest.mark.parametrize("name", ["recall@10", "precision@5", "mrr", "mrr@10", "ndcg@1", "hit_rate@10000", "hit@3"])
def test_metric_names_that_exist(name: str) -> None:
    """The five metrics with a cut-off, mrr also without."""
    assert metric_problem(name) is None


NO_METRICS = ["recall", "recall@", "recall@010", "recall@-1", "recall@10001", "map@10", "ndcg@1.5", ""]


@pytest.mark.parametrize("name", NO_METRICS)
def test_metric_names_that_do_not(name: str) -> None:
    """What is wrong is said, with a way to write it."""
    assert metric_problem(name)


def test_system_names() -> None:
    """A system is one of a list or an imported run, with additions."""
    assert [name for name in ("base", "tuned+bm25", "run:v-1.2+rerank") if system_problem(name)] == []
    assert all(system_problem(name) for name in ("", "bas", "tuned+", "tuned+bm52", "run:", "locked"))
