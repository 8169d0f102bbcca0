"""The newest build as a person, and as a program, reads it."""
from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embspec.measure.stats import cluster_numbers, mean_interval
from embspec.plan.protocol import Desk, Made, Params, Progress
from embspec.report.markdown import render

EXAMPLES = 10


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write `report.json` and, from it alone, `report.md`."""
    desk.tell(Progress("writing the report"))
    report = {
        "name": params["name"],
        "version": params["version"],
        "description": params["description"],
        "documents": _lines(needs["snapshot/manifest"]),
        "tokenizer": _json(needs, "lexical/tokenizer.json"),
        "leaks": _json(needs, "split/leaks.json"),
        "verdict": _json(needs, "gates/verdict.json"),
        "metrics": _metrics(params, needs),
        "hardest": _hardest(needs),
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


def _rows(needs: Mapping[str, Any], role: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in needs[role].read_bytes().splitlines()] if role in needs else []


def _metrics(params: Params, needs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row for each system and metric: the whole first, then its slices."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in _rows(needs, "evaluate/scores"):
        for name in [None, *row["slices"]]:
            groups.setdefault((row["suite"], row["system"], row["dim"], row["precision"], name), []).append(row)
    ordered = sorted(groups.items(), key=lambda item: (item[0][:2], item[0][4] or ""))
    return [
        _metric(params, dict(zip(("suite", "system", "dim", "precision", "slice"), key, strict=True)), metric, rows)
        for key, rows in ordered
        for metric in rows[0]["scores"]
    ]


def _metric(params: Params, names: dict[str, Any], metric: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    by_document = params["eval.statistics.cluster"] == "document"
    clusters = cluster_numbers([row["cluster"] if by_document else row["query"] for row in rows])
    span = mean_interval([row["scores"][metric] for row in rows], clusters,
                         resamples=params["eval.statistics.resamples"], seed=params["seed"])
    return {**names, "metric": metric, "value": span.value, "low": span.low, "high": span.high, "n": len(rows)}


def _hardest(needs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The test questions that the first system answers worst, to be read and understood."""
    scores = _rows(needs, "evaluate/scores")
    queries = {row["id"]: row for row in _rows(needs, "split/test.jsonl")}
    if not scores:
        return []
    system, metric = scores[0]["system"], next(iter(scores[0]["scores"]))
    worst = sorted((sum(r["scores"].values()), r["query"]) for r in scores
                   if r["system"] == system and r["query"] in queries)
    return [
        {"query": queries[q]["query"], "positives": [p["id"] for p in queries[q]["positives"]], "system": system,
         metric: next(r["scores"][metric] for r in scores if r["query"] == q and r["system"] == system)}
        for total, q in worst[:EXAMPLES]
    ]
