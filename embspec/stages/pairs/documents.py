"""The snapshot by document: a text with its chunks, put together again where the corpus was cut."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from embspec.stages.snapshot import rows

ACCESS = "access"
"""The field of a document's metadata that lists the roles which may see it; a document without it is everyone's."""


class Chunk(NamedTuple):
    """A row of the snapshot: its place in the document's text, and who may see it."""

    id: str
    start: int
    end: int
    text: str
    parent: str  # the document that the row says it is of; empty where it is one itself
    access: tuple[str, ...] | None


class Page(NamedTuple):
    """A document; one that was not cut is its only chunk."""

    id: str
    title: str
    text: str
    chunks: list[Chunk]


def pages(path: Path) -> Iterator[Page]:
    """The documents of `documents.jsonl` one at a time.

    The ids of a document's chunks begin alike, so nothing lies between them but what is called as it and a mark.
    """
    waiting: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows(path):
        for done in [name for name in waiting if not row["id"].startswith(f"{name}#")]:
            yield _joined(waiting.pop(done))
        if row.get("start") is None:
            chunk = Chunk(row["id"], 0, len(row["text"]), row["text"], row.get("document") or "", _access(row))
            yield Page(row["id"], row.get("title") or "", row["text"], [chunk])
        else:
            waiting.setdefault(row["document"], []).append(row)
    yield from map(_joined, waiting.values())


def _joined(rows: list[Mapping[str, Any]]) -> Page:
    """A document out of its chunks, which overlap or touch; what stands before a chunk as its context is none of it."""
    rows = sorted(rows, key=lambda row: (row["start"], row["end"]))
    parts: list[str] = []
    chunks, at = [], 0
    for row in rows:
        start, end = row["start"], row["end"]
        text = row["text"][len(row["text"]) - (end - start) :] if len(row["text"]) >= end - start else row["text"]
        if start > at:
            parts.append(" " * (start - at))  # a gap would move all that comes after it
            at = start
        if end > at:
            parts.append(text[at - start :])
            at = end
        chunks.append(Chunk(row["id"], start, end, row["text"], row["document"], _access(row)))
    return Page(rows[0]["document"], rows[0].get("title") or "", "".join(parts), chunks)


def _access(row: Mapping[str, Any]) -> tuple[str, ...] | None:
    given = (row.get("metadata") or {}).get(ACCESS)
    if given is None:
        return None
    return tuple(str(one) for one in (given if isinstance(given, list) else [given]))
