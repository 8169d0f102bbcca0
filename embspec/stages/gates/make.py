"""Judges every gate on what was measured; ranks nothing again."""
from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embspec.measure.gate import Gate, line, parse_line
from embspec.measure.judge import Scores, Verdict, judge, not_computed, standing
from embspec.measure.metrics import score
from embspec.measure.stats import cluster_numbers
from embspec.plan.protocol import Desk, Made, Params, Progress

SUITE = "domain"


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write `verdict.json`: each gate with its interval, and whether the build is green."""
    gates = [parse_line(path.removeprefix("gates.")) for path in params if path.startswith("gates.")]
    runs = _runs(needs["evaluate/runs"], desk)
    resamples, seed = params["eval.statistics.resamples"], params["seed"]
    by_document = params["eval.statistics.cluster"] == "document"
    verdicts = [_judge(gate, runs, by_document, resamples, seed) for gate in gates]
    judged = [(g, v.verdict) for g, v in zip(gates, verdicts, strict=True)]
    state = standing(judged, params["risk"])
    found = {"verdict": state, "gates": [v._asdict() for v in verdicts]}
    (out / "verdict.json").write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    stat = {"verdict": state, **{line(g): _stat(v) for g, v in zip(gates, verdicts, strict=True)}}
    return Made(stat=stat, counts={"rows": len(verdicts)})


_Runs = dict[tuple[str, str], list[dict[str, Any]]]


def _runs(path: Path, desk: Desk) -> _Runs:
    """Rankings by suite and system, in the order of query ids."""
    desk.tell(Progress("reading the runs"))
    found: _Runs = {}
    with open(path, "rb") as file:
        for text in file:
            row = json.loads(text)
            found.setdefault((row["suite"], row["system"]), []).append(row)
    return {key: sorted(rows, key=lambda row: str(row["query"])) for key, rows in found.items()}


def _judge(gate: Gate, runs: _Runs, by_document: bool, resamples: int, seed: int) -> Verdict:
    suite = gate.suite or SUITE
    system = runs.get((suite, gate.system or ""))
    if system is None:
        return not_computed(gate, f"the system {gate.system} was not measured on {suite}")
    ref = runs.get((suite, gate.ref)) if gate.ref else None
    if gate.ref and ref is None:
        return not_computed(gate, f"the system {gate.ref} was not measured on {suite}")
    clusters = cluster_numbers([row["cluster"] if by_document else row["query"] for row in system])
    scores = Scores(_values(gate, system), _values(gate, ref) if ref else None, clusters)
    return judge(gate, scores, resamples=resamples, seed=seed)


def _values(gate: Gate, rows: list[dict[str, Any]]) -> list[float]:
    return [score(gate.metric, row["gains"], row["ideal"]) for row in rows]


def _stat(verdict: Verdict) -> str:
    """`pass 0.071 [0.052, 0.09] n=412 needed=300`: rounded, for people."""
    if verdict.value is None:
        return f"{verdict.verdict} none [none, none] n={verdict.n}"
    value, low, high = (_round(x) for x in (verdict.value, verdict.low, verdict.high))
    more = f" needed={verdict.needed}" if verdict.needed else ""
    return f"{verdict.verdict} {value} [{low}, {high}] n={verdict.n}{more}"


def _round(value: float | None) -> str:
    return "none" if value is None else repr(round(value, 4) + 0.0)
