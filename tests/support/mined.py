"""What a build would have left of a mined world: the artefacts in a store, and the lock's blocks."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from embspec.decide.mined import Mined
from embspec.plan.canonical import scalar
from embspec.plan.values import Block
from embspec.stages.reading import line
from embspec.store.objects import Objects
from tests.support.mining import Mined as Run
from tests.support.mining import Text, World

Row = Mapping[str, Any]


def kept(folder: Path, world: World, asked: Row, *rounds: Run, left_out: Sequence[Row] = (), newer: str = "") -> Mined:
    """One or several rounds of one world; `newer` is a document that the live corpus has beside the snapshot's."""
    store = Objects(str(folder))

    def put(rows: Sequence[Row]) -> str:
        return store.put(b"".join(map(line, rows)))

    documents = [_document(id, text) for id, text in sorted(world.documents.items())]
    parts = {"train": world.train, "test": world.test, "validation": world.validation}
    pairs = [row for rows in (*parts.values(), left_out) for row in rows]
    live = [*documents, *([_document(newer, "new")] if newer else [])]
    blocks = {
        "corpus": Block(out={"documents.jsonl": put(live)}),
        "snapshot": Block(pin={"documents.jsonl": put(documents)}),
        "pairs.gold": Block(out={"pairs.jsonl": put(pairs)}),
        "split": Block(out={f"{part}.jsonl": put(rows) for part, rows in parts.items()}),
    }
    params = {name: scalar(value) for name, value in asked.items()}
    for number, run in enumerate(rounds, 1):
        out = {name: store.put(data) for name, data in run.files.items()}
        blocks["negatives" if number == 1 else f"negatives.{number}"] = Block(params=params, out=out)
    return Mined(blocks, store)


def _document(id: str, given: str | Text) -> Row:
    text = Text(given) if isinstance(given, str) else given
    return {"id": id, **text._asdict(), "metadata": {}}
