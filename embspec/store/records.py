"""Action records: what a key once made, with the ingredients it was made from."""
from __future__ import annotations

import json
import os
from collections.abc import Sequence

from embspec.errors import EmbspecError, fail
from embspec.plan.canonical import short_hash
from embspec.plan.values import Record
from embspec.store.files import replace

_TRIES = 3


def _folder(store: str, key: str) -> str:
    return os.path.join(store, "act", key[:2], key)


def save(store: str, key: str, record: Record) -> None:
    """One file per result of a key; never rewritten."""
    from embspec.store.aside import touch  # the no-op saves nothing

    path = os.path.join(_folder(store, key), short_hash(record.out) + ".json")
    if not touch(path):
        # In the order the stage gave: a block written from a record is the block that the run would write.
        text = json.dumps(record._asdict(), ensure_ascii=False).encode() + b"\n"
        replace(path, text, os.path.join(store, "tmp"))  # a folder for each key is more than anybody sweeps


def load(store: str, key: str, looking: bool = False) -> Sequence[Record]:
    """The results of a key, by name, so that two machines with the same store choose alike."""
    folder = _folder(store, key)
    found: list[Record | None] = []
    for _ in range(_TRIES):
        names = _names(folder)
        if not names:
            from embspec.store.aside import recall_all  # what is there costs no look into the trash

            recall_all(store, folder)
            names = _names(folder)
        found = [_read(store, os.path.join(folder, name), looking) for name in names]
        if None not in found:
            break  # else a gc moved one away just now, which a lock may have named since: it is looked for again
    return [record for record in found if record is not None]


def _read(store: str, path: str, looking: bool) -> Record | None:
    try:
        return read(path)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        raise _unreadable(store, path, looking) from None


def read(path: str) -> Record:
    """One record; a ValueError or TypeError where the file holds none."""
    with open(path, "rb") as file:
        return Record(**json.load(file))


def _names(folder: str) -> list[str]:
    try:
        return sorted(n for n in os.listdir(folder) if n.endswith(".json") and not n.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _unreadable(store: str, path: str, looking: bool) -> EmbspecError:
    """A record that says nothing goes out of the way: its stage runs again."""
    from embspec.store.aside import set_aside

    text = f"the action record {path} cannot be read"
    if not looking and set_aside(store, path, f"{os.path.basename(os.path.dirname(path))}.json"):
        return fail("corrupt.record", f"{text}; it was set aside", fix="run `embspec build`: the stage runs again")
    return fail("corrupt.record", text, fix="delete it and run `embspec build`: the stage runs again")
