"""The newest build as a person, and as a program, reads it."""
from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from embspec.measure.forms import FUSED, SUITE, TUNED, Form, Row, grouped
from embspec.measure.stats import too_narrow
from embspec.measure.table import How, differences, means, retention, sliced, spans
from embspec.plan.protocol import Desk, Made, Params, Progress
from embspec.report.markdown import render
from embspec.stages.report.hardest import Ranked, hardest, ranked, system
from embspec.stages.report.tuning import identifiers, negatives, training
from embspec.stages.snapshot import count, rows

WEAK = 0.8  # where BM25 ranks so many right at once, nothing is left for a model to show
GROUPS = 3  # of duplicates that are shown
LEAKS = ("leaking", "disjoint")  # the two parts of a test set that leaks
CUT = (TUNED, FUSED)  # the systems whose smaller forms may ship

Measured = Mapping[Form, Sequence[Row]]


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write `report.json` and, from it alone, `report.md`."""
    desk.tell(Progress("writing the report"))
    how = How(params["eval.statistics.cluster"], params["eval.statistics.resamples"], params["seed"])
    measured = grouped(_rows(needs, "evaluate/scores"))
    tests = list(_rows(needs, "split/test.jsonl"))
    choice = _json(needs, "choose/choice.json")
    kept = ranked(_rows(needs, "evaluate/runs"), [row["id"] for row in tests], system(choice))
    named = identifiers(tests)
    report = {
        "name": params["name"],
        "version": params["version"],
        "description": params["description"],
        "verdict": _json(needs, "gates/verdict.json"),
        "metrics": means(measured, how),
        "compared": _compared(measured, named, how),
        "identifiers": len(named),
        "retention": [row for suite in _suite_names(measured) for name in CUT
                      for row in retention(measured, suite, name, how)],
        "ships": choice,
        "tried": _json(needs, "choose/tried.json"),
        "training": training(needs["train/trace"]) if "train/trace" in needs else None,
        "negatives": negatives(needs["negatives/ledger.jsonl"]) if "negatives/ledger.jsonl" in needs else None,
        "suites": _suites(measured, kept, how),
        "split": _split(_json(needs, "split/leaks.json")),
        "lengths": _lengths(needs, params["corpus.max_truncated_fraction"]),
        "duplicates": _duplicates(needs),
        "documents": count(needs["snapshot/manifest"]),
        "tokenizer": _tokenizer(needs),
        "hardest": hardest(kept.worst, measured, tests, params["eval.metrics"]),
    }
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    (out / "report.json").write_text(text, encoding="utf-8")
    (out / "report.md").write_text(render(report), encoding="utf-8")
    return Made(counts={"rows": len(report["metrics"])})


def _lengths(needs: Mapping[str, Any], most: float) -> dict[str, Any] | None:
    """How long the texts are for the model; whether more are cut short than the spec lets pass."""
    found = _json(needs, "survey/lengths.json")
    return None if found is None or not found["model"] else {**found, "over": found["fraction"] > most}


def _duplicates(needs: Mapping[str, Any]) -> dict[str, Any] | None:
    """How many documents stand in groups of one another, with the first groups."""
    found = _json(needs, "survey/duplicates.json")
    return found and {kind: some and {**some, "groups": len(some["groups"]), "first": some["groups"][:GROUPS]}
                      for kind, some in found.items()}


def _json(needs: Mapping[str, Any], role: str) -> Any:
    return json.loads(needs[role].read_bytes()) if role in needs else None


def _tokenizer(needs: Mapping[str, Any]) -> dict[str, Any] | None:
    found, tried = _json(needs, "lexical/tokenizer.json"), _json(needs, "lexical/tried.json")
    return {**found, **tried} if found and tried else None


def _rows(needs: Mapping[str, Any], role: str) -> Iterator[Row]:
    return rows(needs[role]) if role in needs else iter(())


def _suite_names(measured: Measured) -> list[str]:
    return list(dict.fromkeys(form.suite for form in measured))


def _compared(measured: Measured, named: set[str], how: How) -> list[dict[str, Any]]:
    """Paired differences of each suite, of its two parts where some of it leaks, and of questions about identifiers."""
    whole = [{"slice": None, **row} for suite in _suite_names(measured) for row in differences(measured, suite, how)]
    some = {form: [row for row in rows if row["query"] in named] for form, rows in measured.items()
            if form.suite == SUITE}
    few = [{"slice": "identifiers", **row} for row in differences(some, SUITE, how)] if any(some.values()) else []
    parts = {name: sliced(measured, name) for name in LEAKS}
    apart = [{"slice": name, **row} for name, some in parts.items() for suite in _suite_names(some)
             for row in differences(some, suite, how)] if all(parts.values()) else []
    return [*whole, *apart, *few]


def _suites(measured: Measured, kept: Ranked, how: How) -> list[dict[str, Any]]:
    """What each suite can show at all: how many questions about how many documents, how hard for plain words."""
    found = []
    for suite in sorted(_suite_names(measured)):
        members = next(rows for form, rows in measured.items() if form.suite == suite)
        clusters = len(set(how.labels(members)))
        words = kept.firsts.get(suite, [])
        hits = [float(row["found"]) for row in words]
        first = spans([hits], words, how)[0] if hits else None
        found.append({
            "suite": suite,
            "queries": len(members),
            "clusters": clusters,
            "narrow": too_narrow(len(members), clusters),
            "bm25_first": first,
            "weak": sum(hits) > WEAK * len(hits),
        })
    return found


def _split(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """What the split did; of the leaks the counts, since who leaks to whom is an artefact of its own."""
    return None if found is None else {**found, "shared": {kind: len(some) for kind, some in found["shared"].items()}}
