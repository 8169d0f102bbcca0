"""The spec's JSON Schema, made from the sections: what editors complete and check."""
from __future__ import annotations

import json
from typing import Any

from embspec.spec.fields import Field, fields
from embspec.spec.sections import Spec
from embspec.spec.sections_eval import GateMapping

__all__ = ["Field", "fields", "schema", "text"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
# A spec that extends another may leave out whatever the other writes: only what makes an item itself is required.
ITEMS = ("Pairs", "Sink", "DenseMiner", "Bm25Miner", "HybridMiner", "RandomMiner", "FileMiner")
ITEM_KEYS = ("name", "kind")
WORDS = {
    "oneOf": "anyOf",  # variants overlap where a key is left to its default
    "ge": "minimum",  # bounds of a field that is made ready before it is checked
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
}
GATE = {"$comment": "GateMapping"}  # stands for gates' mapping, which the sections leave to the gate language


def schema() -> dict[str, Any]:
    """The JSON Schema of a spec, draft 2020-12."""
    made = Spec.model_json_schema()
    defs = {**made.pop("$defs"), "GateMapping": GateMapping.model_json_schema()}
    for name, part in defs.items():
        required = [key for key in part.pop("required", []) if name in ITEMS and key in ITEM_KEYS]
        if required:
            part["required"] = required
    made.pop("required")
    return {
        "$schema": DIALECT,
        "title": "embspec spec",
        **{key: _tidy(value) for key, value in made.items() if key != "title"},
        "if": {"not": {"required": ["extends"]}},
        "then": {
            "required": ["embspec", "corpus"],
            "properties": {"model": _needs("base"), "corpus": _needs("path")},
        },
        "$defs": {name: _tidy(defs[name]) for name in sorted(defs)},
    }


def _needs(key: str) -> dict[str, Any]:
    return {"if": {"type": "object"}, "then": {"required": [key]}}


def _tidy(value: Any) -> Any:
    """Without the titles pydantic makes up, and in the words of JSON Schema."""
    if value == GATE:
        return {"$ref": "#/$defs/GateMapping"}
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if key != "title" or not isinstance(item, str)}
        return {WORDS.get(key, key): _tidy(item) for key, item in kept.items()}
    return [_tidy(item) for item in value] if isinstance(value, list) else value


def text() -> str:
    """The schema as the file under `schemas/` holds it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
