"""Judges every gate on what was measured; ranks nothing again."""
from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from embspec.measure.forms import Form, grouped
from embspec.measure.gate import Gate, line, parse_line
from embspec.measure.gate_words import TEXTS
from embspec.measure.judge import Scores, Verdict, judge, judge_figure, judge_slices, not_computed, standing
from embspec.measure.metrics import DEEP, score, split_name
from embspec.measure.stats import cluster_numbers
from embspec.measure.table import How
from embspec.plan.protocol import Desk, Made, Params, Progress
from embspec.stages.gates.sides import Missing, Sides, sides
from embspec.stages.snapshot import rows

ANY = "any"  # the slice of a gate that holds of each of them
CHOICE = "choose/choice.json"  # what ships, where there is a model
LENGTHS = "survey/lengths.json"  # how long the texts are, where a gate is about that

Row = Mapping[str, Any]
Rows = Sequence[Row]
Grouped = Mapping[Form, Rows]


class Bench(NamedTuple):
    """What gates are judged on, by what was measured, and how."""

    scores: Grouped
    runs: Grouped
    choice: Mapping[str, Any] | None
    lengths: Mapping[str, Any] | None
    how: How


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write `verdict.json`: each gate with its interval, and whether the build is green."""
    gates = [parse_line(path.removeprefix("gates.")) for path in params if path.startswith("gates.")]
    scores, runs = needs["evaluate/scores"], needs["evaluate/runs"]
    measured = grouped(rows(scores))
    bench = Bench(
        measured,
        grouped(_lean(runs)) if _unlisted(gates, measured) else {},
        json.loads(needs[CHOICE].read_bytes()) if CHOICE in needs else None,
        json.loads(needs[LENGTHS].read_bytes()) if any(gate.metric in TEXTS for gate in gates) else None,
        How(params["eval.statistics.cluster"], params["eval.statistics.resamples"], params["seed"]),
    )
    verdicts = []
    for number, gate in enumerate(gates):
        desk.tell(Progress(line(gate), number, len(gates)))
        verdicts.append(_judge(gate, bench))
    state = standing([(g, v.verdict) for g, v in zip(gates, verdicts, strict=True)], params["risk"])
    found = {"verdict": state, "gates": [v._asdict() for v in verdicts]}
    (out / "verdict.json").write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    stat = {"verdict": state, **{v.gate: _stat(v) for v in verdicts}}
    return Made(stat=stat, counts={"rows": len(verdicts)})


def _lean(path: Path) -> Iterator[Row]:
    """Runs without the ids of documents, which are most of them and nothing to a metric."""
    return ({name: value for name, value in row.items() if name != "ids"} for row in rows(path))


def _unlisted(gates: Sequence[Gate], measured: Grouped) -> bool:
    """Whether some gate's metric was not asked of the evaluation, and has to be computed from what was ranked."""
    ranked = [gate for gate in gates if gate.metric not in TEXTS]
    return any(gate.metric not in some[0]["scores"] for gate in ranked for some in measured.values())


def _judge(gate: Gate, bench: Bench) -> Verdict:
    if gate.metric in TEXTS:
        return _of_texts(gate, bench.lengths or {})
    try:
        found = sides(gate, bench.scores, bench.choice)
        _check(gate, found, bench)
    except Missing as missing:
        return not_computed(gate, str(missing))
    queries = bench.scores[found.system]
    values = _values(found.system, gate, bench)
    against = _values(found.ref, gate, bench) if found.ref else None
    if gate.slice is None:
        whole = _cut(range(len(queries)), queries, values, against, bench)
        return judge(gate, whole, resamples=bench.how.resamples, seed=bench.how.seed, note=found.note)
    slices = {
        name: _cut(members, queries, values, against, bench)
        for name, members in _slices(queries).items()
        if gate.slice in (ANY, name)
    }
    return judge_slices(gate, slices, resamples=bench.how.resamples, seed=bench.how.seed, note=found.note)


def _of_texts(gate: Gate, found: Mapping[str, Any]) -> Verdict:
    """A figure of the documents, whatever ranks them."""
    if not found["model"]:
        return not_computed(gate, "the spec has no model that would read the documents")
    limit = found["limit"]
    note = (f"{found['truncated']} documents are over the {limit} tokens that the model reads" if limit
            else "the model reads documents of any length")
    return judge_figure(gate, found["fraction"], note=note)._replace(n=found["texts"])


def _check(gate: Gate, found: Sides, bench: Bench) -> None:
    """Raise where the two sides cannot be judged by this metric."""
    k = split_name(gate.metric)[1]
    forms = [found.system, found.ref] if found.ref else [found.system]
    asked = []
    for form in forms:
        measured = bench.scores[form]
        if gate.metric not in measured[0]["scores"] and k is not None and k > DEEP:
            raise Missing(f"{gate.metric} was not measured, and rankings are kept {DEEP} deep")
        asked.append([row["query"] for row in measured])
    if asked[0] != asked[-1]:
        raise Missing(f"{' and '.join(map(str, forms))} were measured on different queries")


def _values(form: Form, gate: Gate, bench: Bench) -> list[float]:
    """One score for each query: as it was measured, else from what was ranked."""
    measured = bench.scores[form]
    if gate.metric in measured[0]["scores"]:
        return [row["scores"][gate.metric] for row in measured]
    return [score(gate.metric, row["gains"], row["ideal"]) for row in bench.runs[form]]


def _slices(queries: Rows) -> dict[str, list[int]]:
    """The positions of each slice's queries."""
    found: dict[str, list[int]] = {}
    for at, row in enumerate(queries):
        for name in row["slices"]:
            found.setdefault(name, []).append(at)
    return found


def _cut(
    members: Sequence[int], queries: Rows, values: Sequence[float], against: Sequence[float] | None, bench: Bench
) -> Scores:
    """The scores of some of the queries."""
    clusters = cluster_numbers(bench.how.labels([queries[at] for at in members]))
    ref = None if against is None else [against[at] for at in members]
    return Scores([values[at] for at in members], ref, clusters)


def _stat(verdict: Verdict) -> str:
    """`pass 0.071 [0.052, 0.09] n=412 needed=300`: rounded, for people."""
    if verdict.value is None:
        return f"{verdict.verdict} none [none, none] n={verdict.n}"
    value, low, high = (_round(x) for x in (verdict.value, verdict.low, verdict.high))
    more = f" needed={verdict.needed}" if verdict.needed else ""
    return f"{verdict.verdict} {value} [{low}, {high}] n={verdict.n}{more}"


def _round(value: float | None) -> str:
    return "none" if value is None else repr(round(value, 4) + 0.0)
