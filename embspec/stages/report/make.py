"""The newest build as a person, and as a program, reads it."""
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from embspec.measure.stats import Interval, cluster_numbers, mean_intervals, too_narrow
from embspec.plan.protocol import Desk, Made, Params, Progress
from embspec.report.markdown import render
from embspec.stages.report.hardest import hardest
from embspec.stages.snapshot import rows

Row = Mapping[str, Any]
WORDS = "bm25"  # the system that tells how hard the questions are
WEAK = 0.8  # where it ranks so many right at once, nothing is left for a model to show


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write `report.json` and, from it alone, `report.md`."""
    desk.tell(Progress("writing the report"))
    scores, runs = (_rows(needs, f"evaluate/{name}") for name in ("scores", "runs"))
    report = {
        "name": params["name"],
        "version": params["version"],
        "description": params["description"],
        "verdict": _json(needs, "gates/verdict.json"),
        "metrics": _metrics(params, scores),
        "suites": _suites(params, runs),
        "split": _split(_json(needs, "split/leaks.json")),
        "documents": _lines(needs["snapshot/manifest"]),
        "tokenizer": _tokenizer(needs),
        "hardest": hardest(scores, runs, _rows(needs, "split/test.jsonl"), params["eval.metrics"]),
    }
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    (out / "report.json").write_text(text, encoding="utf-8")
    (out / "report.md").write_text(render(report), encoding="utf-8")
    return Made(counts={"rows": len(report["metrics"])})


def _lines(path: Path) -> int:
    with open(path, "rb") as file:
        return sum(1 for _ in file)


def _json(needs: Mapping[str, Any], role: str) -> Any:
    return json.loads(needs[role].read_bytes()) if role in needs else None


def _tokenizer(needs: Mapping[str, Any]) -> dict[str, Any] | None:
    found, tried = _json(needs, "lexical/tokenizer.json"), _json(needs, "lexical/tried.json")
    return {**found, **tried} if found and tried else None


def _rows(needs: Mapping[str, Any], role: str) -> list[Row]:
    return list(rows(needs[role])) if role in needs else []


def _metrics(params: Params, scores: Sequence[Row]) -> list[dict[str, Any]]:
    """One row for each system and metric: in each suite the whole of every system first, then the slices."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in scores:
        for name in [None, *row["slices"]]:
            groups.setdefault((row["suite"], row["system"], row["dim"], row["precision"], name), []).append(row)
    # The sort is stable: systems stay in the order of the spec.
    ordered = sorted(groups.items(), key=lambda item: (item[0][0], item[0][4] or ""))
    found = []
    for key, members in ordered:
        names = dict(zip(("suite", "system", "dim", "precision", "slice"), key, strict=True))
        metrics = list(members[0]["scores"])
        spans = _spans(params, members, [[row["scores"][metric] for row in members] for metric in metrics])
        found += [
            {**names, "metric": metric, **span, "n": len(members)} for metric, span in zip(metrics, spans, strict=True)
        ]
    return found


def _suites(params: Params, runs: Sequence[Row]) -> list[dict[str, Any]]:
    """What each suite can show at all: how many questions about how many documents, how hard for plain words."""
    groups: dict[str, dict[str, list[Row]]] = {}
    for row in runs:
        groups.setdefault(row["suite"], {}).setdefault(row["system"], []).append(row)
    found = []
    for suite, systems in sorted(groups.items()):
        members = next(iter(systems.values()))
        clusters = len({_cluster(params, row) for row in members})
        hits = [float(row["gains"][:1] > [0]) for row in systems.get(WORDS, [])]
        first = _spans(params, systems[WORDS], [hits])[0] if hits else None
        found.append({
            "suite": suite,
            "queries": len(members),
            "clusters": clusters,
            "narrow": too_narrow(len(members), clusters),
            "bm25_first": first,
            "weak": sum(hits) > WEAK * len(hits),
        })
    return found


def _spans(params: Params, members: Sequence[Row], columns: Sequence[Sequence[float]]) -> list[dict[str, float | None]]:
    """The mean of each column with its interval, which one cluster alone cannot give."""
    clusters = cluster_numbers([_cluster(params, row) for row in members])
    spans = mean_intervals(columns, clusters, resamples=params["eval.statistics.resamples"], seed=params["seed"])
    lone = len(set(clusters.tolist())) < 2
    return [_span(span, lone) for span in spans]


def _span(span: Interval, lone: bool) -> dict[str, float | None]:
    return {"value": span.value, "low": None if lone else span.low, "high": None if lone else span.high}


def _cluster(params: Params, row: Row) -> str:
    return str(row["cluster" if params["eval.statistics.cluster"] == "document" else "query"])


def _split(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """What the split did; of the leaks the counts, since who leaks to whom is an artefact of its own."""
    return None if found is None else {**found, "shared": {kind: len(some) for kind, some in found["shared"].items()}}
