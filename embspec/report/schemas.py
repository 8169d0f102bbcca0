"""The JSON Schemas of what embspec writes: the lock, report.json, and the output of `--json`."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DIGEST = r"^(tree )?sha256:[0-9a-f]{64} \d+$"

_TEXT = {"type": "string"}
_NUMBER = {"type": "number"}
_COUNT = {"type": "integer", "minimum": 0}
_MAYBE_TEXT = {"type": ["string", "null"]}
_MAYBE_NUMBER = {"type": ["number", "null"]}
_MAYBE_COUNT = {"type": ["integer", "null"], "minimum": 0}
_FLAG = {"type": "boolean"}
_SCALAR = {"type": ["string", "number", "boolean", "null"]}


def _object(properties: Mapping[str, Any], optional: Sequence[str] = (), more: Any = False) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": dict(properties), "required": required, "additionalProperties": more}


def _map(value: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": value}


def _list(item: Any) -> dict[str, Any]:
    return {"type": "array", "items": item}


def _or_null(body: dict[str, Any]) -> dict[str, Any]:
    return {"oneOf": [{"type": "null"}, body]}


def _titled(title: str, body: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": _DIALECT, "title": title, **body}


_BLOCK = {
    "recipe": {"type": "integer", "minimum": 1},
    "uses": _TEXT,
    "params": _map({"type": [*_SCALAR["type"], "array"]}),
    "pin": _map(_SCALAR),
    "key": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    "out": _map({"type": "string", "pattern": _DIGEST}),
    "stat": _map(_SCALAR),
    "env": {"type": "string", "pattern": "^env-[0-9a-f]{8}$"},
}

LOCK = _titled("embspec lock", {
    "type": "object",
    "properties": {"lock": {"const": 1}},
    "required": ["lock"],
    "patternProperties": {"^env-[0-9a-f]{8}$": _map(_SCALAR)},
    "additionalProperties": _object(_BLOCK, optional=list(_BLOCK)),
})

_SPAN = {"value": _MAYBE_NUMBER, "low": _MAYBE_NUMBER, "high": _MAYBE_NUMBER}

_VERDICT = _object({
    "gate": _TEXT, "verdict": {"enum": ["pass", "fail", "inconclusive", "error"]}, **_SPAN, "bound": _MAYBE_NUMBER,
    "n": _COUNT, "clusters": _COUNT, "system": _MAYBE_NUMBER, "ref": _MAYBE_NUMBER, "p": _MAYBE_NUMBER,
    "needed": _MAYBE_COUNT, "detectable": _MAYBE_NUMBER, "note": _TEXT,
})

_PART = _object({"queries": _COUNT, "documents": _COUNT})

_SPLIT = _object({
    "parts": _object({"train": _PART, "validation": _PART, "test": _PART}), "held_out": _COUNT, "unused": _COUNT,
    "near_duplicate_groups": _COUNT, "dropped_edges": _COUNT, "largest_component": _COUNT, "test": _COUNT,
    "leaking": _COUNT, "disjoint": _COUNT,
    "shared": _object({"query": _COUNT, "document": _COUNT, "near_duplicate": _COUNT}),
})

_OPTIONS = ("k", "weight")  # of a method of fusion: one has the one, another the other
_METHOD = _object({"method": {"enum": ["none", "rrf", "weighted"]}, "k": _COUNT, "weight": _NUMBER}, _OPTIONS)

REPORT = _titled("embspec report.json", _object({
    "name": _MAYBE_TEXT,
    "version": _MAYBE_TEXT,
    "description": _MAYBE_TEXT,
    "verdict": _or_null(_object({"verdict": {"enum": ["green", "red", "inconclusive"]}, "gates": _list(_VERDICT)})),
    "metrics": _list(_object({
        "suite": _TEXT, "system": _TEXT, "dim": _MAYBE_COUNT, "precision": _MAYBE_TEXT, "slice": _MAYBE_TEXT,
        "metric": _TEXT, **_SPAN, "n": _COUNT})),
    "compared": _list(_object({
        "slice": _MAYBE_TEXT, "suite": _TEXT, "system": _TEXT, "against": _TEXT, "metric": _TEXT, **_SPAN,
        "p": _NUMBER, "won": _COUNT, "lost": _COUNT, "n": _COUNT})),
    "identifiers": _COUNT,
    "retention": _list(_object({
        "suite": _TEXT, "system": _TEXT, "dim": _COUNT, "precision": _TEXT, "metric": _TEXT, **_SPAN, "n": _COUNT})),
    "ships": _or_null(_object({
        "dim": _COUNT, "precision": _TEXT, "similarity": _TEXT, "fusion": _METHOD, "fused": _METHOD,
        "depth": _COUNT})),
    "tried": _or_null(_object({
        "queries": _COUNT,
        "dim": _object({"metric": _MAYBE_TEXT, "min_retention": _MAYBE_NUMBER, "tried": _map(_NUMBER)}),
        "fusion": _object({
            "metric": _TEXT, "tried": _list(_object({**_METHOD["properties"], "value": _NUMBER}, _OPTIONS))})})),
    "training": _or_null(_object({
        "steps": _COUNT, "curve": _list(_object({"step": _COUNT, "loss": _NUMBER}))})),
    "negatives": _or_null(_object({
        "rows": _COUNT, "dropped": _COUNT, "short": _COUNT,
        "without": _object({"queries": _COUNT, "first": _list(_TEXT)}), "negatives": _COUNT,
        "miners": _map(_object({"wanted": _COUNT, "found": _COUNT})), "refused": _map(_COUNT), "easy": _NUMBER,
        "too_easy": _FLAG, "false_negatives": _NUMBER, "scores": _or_null(_object({
            "low": _NUMBER, "high": _NUMBER, "positives": _list(_COUNT), "negatives": _list(_COUNT)}))})),
    "suites": _list(_object({
        "suite": _TEXT, "queries": _COUNT, "clusters": _COUNT, "narrow": _FLAG, "bm25_first": _or_null(_object(_SPAN)),
        "weak": _FLAG})),
    "split": _or_null(_SPLIT),
    "lengths": _or_null(_object({
        "model": _FLAG, "limit": _MAYBE_COUNT, "texts": _COUNT, "truncated": _COUNT, "fraction": _NUMBER,
        "longest": _MAYBE_COUNT, "examples": _list(_object({"id": _TEXT, "tokens": _COUNT})), "over": _FLAG})),
    "duplicates": _or_null(_object({kind: _or_null(_object(
        {"threshold": _NUMBER, "documents": _COUNT, "groups": _COUNT, "first": _list(_list(_TEXT))}, ("threshold",)))
        for kind in ("exact", "near")})),
    "documents": _COUNT,
    "tokenizer": _or_null(_object(
        {"tokenizer": _TEXT, "language": _TEXT, "stem": _FLAG, "metric": _MAYBE_TEXT, "queries": _COUNT,
         "tried": _map(_NUMBER)}, ("language", "stem"))),
    "hardest": _list(_object({
        "query": _TEXT, "positives": _list(_TEXT), "system": _TEXT, "rank": _MAYBE_COUNT, "depth": _COUNT,
        "first": _MAYBE_TEXT, "metric": _TEXT, "value": _NUMBER})),
}))

_STAGE = _object({
    "name": _TEXT,
    "state": {"enum": ["clean", "reuse", "fetch", "run", "held", "failed"]},
    "why": _list(_object({"field": _TEXT, "then": _MAYBE_TEXT, "now": _MAYBE_TEXT})),
    "seconds": _MAYBE_NUMBER,
    "counts": _object({"encoded": _COUNT, "calls": _COUNT, "rows": _COUNT, "files_read": _COUNT}, more=_COUNT),
})

_GATE = _object({
    "gate": _TEXT, "verdict": {"enum": ["pass", "fail", "inconclusive", "error"]}, **_SPAN, "n": _COUNT,
    "needed": _MAYBE_COUNT,
})

_ERROR = _object({
    "code": _TEXT, "text": _TEXT, "file": _MAYBE_TEXT, "line": _MAYBE_COUNT, "column": _MAYBE_COUNT, "fix": _MAYBE_TEXT,
})

_REVISION = {"commit": _TEXT, "day": _TEXT, "subject": _TEXT}

_PAST = _object({
    **_REVISION, "model": _MAYBE_TEXT, "metric": _MAYBE_TEXT, "system": _MAYBE_TEXT, "value": _MAYBE_NUMBER,
    "figures": _map(_TEXT), "verdict": _TEXT, "source": {"enum": ["store", "git", "lost", "unknown", ""]},
    "lost": _list(_TEXT), "problem": _TEXT, "recut": _FLAG,
})

_REASONS = _list(_object({"field": _TEXT, "then": _MAYBE_TEXT, "now": _MAYBE_TEXT}))
_MEASURE = _object({**_REVISION, "value": _NUMBER, "system": _TEXT})

_DROP = _object({
    "before": _MEASURE, "after": _MEASURE, "between": _list(_object(_REVISION)),
    "documents": _or_null(_object({"added": _COUNT, "removed": _COUNT, "changed": _COUNT})),
    "fields": _REASONS, "files": _REASONS, "pins": _REASONS, "environment": _REASONS,
})

_CLASSES = ["same", "equivalent", "different"]

_FIRST = _object({
    "artefact": _TEXT, "text": _TEXT, "file": _MAYBE_TEXT, "tensor": _MAYBE_TEXT, "ulp": _MAYBE_COUNT,
    "line": _MAYBE_COUNT, "step": _MAYBE_COUNT,
})

_REPRODUCED = _object({"exit": _COUNT, "class": {"enum": _CLASSES}, "text": _TEXT, "stages": _list(_object({
    "name": _TEXT, "equal": {"type": ["boolean", "null"]}, "class": {"enum": [*_CLASSES, None]}, "taken": _MAYBE_TEXT,
    "first": _or_null(_FIRST)}))})

_TRACES = _object({"exit": _COUNT, "traces": _list(_object({
    "stage": _TEXT, "steps": _list(_COUNT), "text": _TEXT,
    "parting": _or_null(_object({
        "step": _COUNT, "what": {"enum": ["batch", "loss", "norm", "end"]}, "then": _NUMBER, "now": _NUMBER}))}))})

_PILE = _object({"what": _TEXT, "files": _COUNT, "bytes": _COUNT})

_EXPLAINED = _object({"exit": _COUNT, "spec": _TEXT, "explained": _list(_object({
    "round": _COUNT, "query": _TEXT, "text": _TEXT, "document": _TEXT, "passage": _TEXT,
    "positives": _list(_object({"id": _TEXT, "score": _MAYBE_NUMBER})), "weakest": _MAYBE_NUMBER,
    "found": _list(_object({"miner": _TEXT, "rank": _MAYBE_COUNT})), "score": _MAYBE_NUMBER,
    "guards": _list(_object({
        "guard": _TEXT, "decision": {"enum": ["passed", "refused", "not asked", "not set"]}, "text": _TEXT})),
    "verdict": {"enum": ["negative", "refused", "dropped", "not drawn", "not looked at"]}, "by": _MAYBE_TEXT,
    "because": _list(_TEXT)}))})

_EXPORTED = _object({
    "exit": _COUNT, "spec": _TEXT, "to": _TEXT, "round": _COUNT, "format": _TEXT, "lines": _COUNT,
    "negatives": _MAYBE_COUNT, "left_out": _COUNT})

_BEGUN = _object({
    "exit": _COUNT, "spec": _TEXT, "documents": _COUNT, "sources": _list(_object({
        "name": _TEXT, "path": _MAYBE_TEXT, "queries": _COUNT, "trust": _TEXT, "roles": _list(_TEXT)})),
    "split": _map(_COUNT), "missing": _list(_TEXT), "left_out": _list(_object({"what": _TEXT, "why": _TEXT}))})

# What looks after a store: gc, gc --keep and --drop, fsck.
_STORES = [
    _object({
        "exit": _COUNT, "store": _TEXT, "dry": _FLAG, "kept": _PILE, "moved": _list(_PILE), "freed": _list(_PILE),
        "shares": _list(_object({"by": _TEXT, "bytes": _COUNT, "only": _COUNT})), "gone": _list(_TEXT),
        "waiting": _PILE, "builds": _COUNT}),
    _object({"exit": _COUNT, "store": _TEXT, "names": _list(_TEXT)}),
    _object({
        "exit": _COUNT, "store": _TEXT, "counts": _map(_COUNT), "bytes": _COUNT, "repaired": _map(_TEXT),
        "lost": _map(_TEXT), "bad": _list(_object({
            "kind": {"enum": ["object", "record", "segment"]}, "name": _TEXT, "path": _TEXT}))}),
]

OUTPUT = _titled("what the commands of embspec say with --json, errors included", {"oneOf": [
    _object({
        "exit": _COUNT, "spec": _TEXT, "stages": _list(_STAGE), "lock": _TEXT, "out": _TEXT, "gates": _list(_GATE),
        "past": _list(_PAST)}, optional=["past"]),
    _object({"exit": _COUNT, "spec": _TEXT, "log": _list(_PAST)}),
    _object({
        "exit": _COUNT, "spec": _TEXT, "metric": _TEXT, "system": _MAYBE_TEXT, "lost": _FLAG, "good": _MEASURE,
        "bad": _MEASURE, "drops": _list(_DROP), "read": _COUNT, "built": _COUNT,
        "skipped": _list(_object({**_REVISION, "why": _TEXT})), "recut": _list(_object(_REVISION))}),
    _REPRODUCED,
    _TRACES,
    _EXPLAINED,
    _EXPORTED,
    _BEGUN,
    *_STORES,
    _object({"exit": _COUNT, "errors": _list(_ERROR)}),
]})
