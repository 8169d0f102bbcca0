"""Tiny worlds for the split: documents, sources, and the stage run over them."""
from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from embspec.plan.protocol import Made, Progress
from embspec.stages.split.make import make

Row = dict[str, Any]


class Desk:
    """An empty desk that remembers nothing."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch

    def tell(self, event: Progress) -> None:
        """Progress is nobody's business here."""


class World(NamedTuple):
    """Documents (id -> text, or text and parent) and sources (name -> trust, roles, rows)."""

    documents: Mapping[str, str | tuple[str, str]]
    sources: Mapping[str, tuple[str, Sequence[str], Sequence[Row]]]


class Result(NamedTuple):
    """What a run of the stage left."""

    made: Made
    files: dict[str, bytes]
    frozen: bytes

    def rows(self, part: str) -> list[Row]:
        """The rows of a part."""
        return [json.loads(line) for line in self.files[f"{part}.jsonl"].splitlines()]

    def ids(self, part: str) -> set[str]:
        """The ids in a part."""
        return {row["id"] for row in self.rows(part)}

    def pins(self) -> dict[str, Any]:
        """The pins as the next build hands them in, without the frozen list."""
        return {f"pin.{name}": value for name, value in self.made.pins.items()}


def prose(seed: str, words: int = 40) -> str:
    """A text of its own for each seed, long enough to be compared by shingles."""
    return " ".join(f"{seed}w{n}" for n in range(words))


def row(id: str, *positives: str, query: str = "", **more: Any) -> Row:
    """A row as `pairs` writes it."""
    judged = [{"id": name, "grade": 1} for name in positives]
    return {"id": id, "query": query or f"question {id}", "positives": judged, "at": f"pairs.jsonl:{len(id)}", **more}


def plain(count: int, prefix: str = "d") -> dict[str, str | tuple[str, str]]:
    """Documents that have nothing in common."""
    return {f"{prefix}{n}": prose(f"{prefix}{n}") for n in range(count)}


def run(
    world: World,
    *,
    pins: Mapping[str, Any] | None = None,
    frozen: bytes | None = None,
    shuffle: int | None = None,
    **options: Any,
) -> Result:
    """Run the stage; `shuffle` changes the order of everything that has one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        params = {
            "seed": 42,
            "split.by": "document",
            "split.time_column": None,
            "split.on_leak": "error",
            "split.near_duplicate_threshold": 0.9,
            "split.test": 0.15,
            "split.validation": 0.1,
            "split.freeze": True,
            "split.min_queries.test": 0,
            "split.min_queries.validation": 0,
            **{key.replace("__", "."): value for key, value in options.items()},
            **(pins or {}),
        }
        needs = _write(world, folder, params, random.Random(shuffle) if shuffle is not None else None)
        if frozen is not None:
            needs["pin.test"] = folder / "old.list"
            needs["pin.test"].write_bytes(frozen)
        out, scratch = folder / "out", folder / "scratch"
        out.mkdir()
        scratch.mkdir()
        made = make(params, needs, out, Desk(scratch))
        return Result(made, {path.name: path.read_bytes() for path in out.iterdir()}, made.keep["test"].read_bytes())


def _write(world: World, folder: Path, params: dict[str, Any], mixer: random.Random | None) -> dict[str, Path]:
    names = list(world.sources)
    documents = []
    for id, own in world.documents.items():
        text, parent = (own, None) if isinstance(own, str) else own
        documents.append({"id": id, "title": "", "text": text, "document": parent, "metadata": {}})
    if mixer:
        mixer.shuffle(names)
        mixer.shuffle(documents)
    needs = {"snapshot/documents.jsonl": _lines(folder / "documents.jsonl", documents)}
    for name in names:
        trust, roles, rows = world.sources[name]
        rows = [{**one, "source": name} for one in rows]
        if mixer:
            mixer.shuffle(rows)
        params |= {f"pairs.{name}.trust": trust, f"pairs.{name}.roles": list(roles)}
        needs[f"pairs.{name}/pairs.jsonl"] = _lines(folder / f"{name}.jsonl", rows)
    return needs


def _lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows), encoding="utf-8")
    return path
