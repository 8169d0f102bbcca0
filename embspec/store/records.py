"""Action records: what a key once made, with the ingredients it was made from."""
from __future__ import annotations

import json
import os
from collections.abc import Sequence

from embspec.errors import fail
from embspec.plan.canonical import short_hash
from embspec.plan.values import Record
from embspec.store.files import replace


def _folder(store: str, key: str) -> str:
    return os.path.join(store, "act", key[:2], key)


def save(store: str, key: str, record: Record) -> None:
    """One file per result of a key; never rewritten."""
    path = os.path.join(_folder(store, key), short_hash(record.out) + ".json")
    if not os.path.exists(path):
        # In the order the stage gave: a block written from a record is the block that the run would write.
        replace(path, json.dumps(record._asdict(), ensure_ascii=False).encode() + b"\n")


def load(store: str, key: str) -> Sequence[Record]:
    """The results of a key, by name, so that two machines with the same store choose alike."""
    folder = _folder(store, key)
    try:
        names = sorted(n for n in os.listdir(folder) if n.endswith(".json") and not n.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    records = []
    for name in names:
        path = os.path.join(folder, name)
        try:
            with open(path, "rb") as file:
                records.append(Record(**json.load(file)))
        except (ValueError, TypeError):
            raise fail("corrupt.record", f"the action record {path} cannot be read",
                       fix="delete it and run `embspec build`: the stage runs again") from None
    return records
