"""Contexts that a program writes over the chunks of a document, fitted into the limit that the chunks have."""
from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import xxhash

from embspec.plan.protocol import Desk, Params, Progress
from embspec.stages.asking import Asking, Pin, known_by
from embspec.stages.corpus.cut import Piece, Pieces, Structure, Way
from embspec.stages.live import CONTEXTS, context_command
from embspec.stages.reading import canonical, count, kind, line, some

PIN = f"pin.{CONTEXTS}"
RECIPE = 1  # raised when an equal answer would be fitted otherwise


class Contexts(ExitStack):
    """Has the program asked, and puts what it answered over the chunks."""

    def __init__(
        self, params: Params, needs: Mapping[str, Any], desk: Desk, way: Structure, clean: Callable[[str], str]
    ) -> None:
        super().__init__()
        command = context_command(params)
        assert command
        pin = Pin(f"corpus.{CONTEXTS}", params.get(PIN), needs.get(PIN))
        self._asking = Asking(desk, partial(known_by, command, needs["live"]), _contexts, pin, self)
        self._desk, self._way, self._clean = desk, way, clean
        space = {**way.space, "contexts": str(RECIPE), "room": str(way.rule.context)}
        self._rows = desk.rows(space) if way.space else None
        self._asked: dict[str, bytes] = {}
        self._shortened: list[str] = []

    @classmethod
    def of(
        cls, params: Params, needs: Mapping[str, Any], desk: Desk, way: Way, clean: Callable[[str], str]
    ) -> Contexts | None:
        """None where no program writes any; a mere look at the inputs goes without those that are not at hand."""
        if not isinstance(way, Structure) or not way.rule.context or not (desk.asks or PIN in needs):
            return None
        return cls(params, needs, desk, way, clean)

    @property
    def calls(self) -> int:
        """How many documents the program was asked about."""
        return self._asking.calls

    def ask(self, blocks: Iterable[list[Piece]]) -> None:
        """Have the program write what is not known of these documents."""
        self._asking.ask(self._questions(blocks))

    def put(self, block: list[Piece]) -> list[Piece]:
        """The same documents, with the contexts of their chunks."""
        written = [self._written(row) for row, _ in block]
        names = [_name(row, pieces, contexts) for (row, pieces), contexts in zip(block, written, strict=True)]
        fresh: dict[bytes, bytes] = {}
        found: list[Piece] = []
        kept = self._rows.find(names) if self._rows else [None] * len(names)
        for (row, pieces), contexts, name, known in zip(block, written, names, kept, strict=True):
            fitted = json.loads(known) if known else self._fitted(row, pieces, contexts)
            if not known:
                fresh[name] = canonical(fitted).encode()
            if fitted != contexts:
                self._shortened.append(row["id"])
            rest = iter(fitted)
            over = [chunk._replace(context=next(rest) if _says(row, chunk) else "") for chunk in pieces.chunks]
            found.append((row, Pieces(pieces.title, over)))
        if self._rows:
            self._rows.add(list(fresh), list(fresh.values()))
        return found

    def write(self) -> Path:
        """A file of the answers that this corpus stands on, in the order of its documents."""
        path = self._desk.scratch / CONTEXTS
        self._asking.write(path, list(self._asked.values()))
        if self._shortened:
            text = f"contexts longer than {count(self._way.rule.context, 'token')} were shortened"
            self._desk.tell(Progress(f"{text}: {some(self._shortened, 3)}", len(self._shortened), len(self._asked)))
        return path

    def _questions(self, blocks: Iterable[list[Piece]]) -> Iterator[bytes]:
        """One for each document that has a text; what becomes of it as a chunk, a metadatum or a title is told too."""
        for row, pieces in (piece for block in blocks for piece in block):
            texts = [row["text"][chunk.start:chunk.end] for chunk in pieces.chunks if _says(row, chunk)]
            if texts:
                question = line({"id": row["id"], "title": row["title"], "metadata": row["metadata"],
                                 "text": row["text"], "chunks": texts, "tokens": self._way.rule.context})
                self._asked[row["id"]] = self._asking.asked(question)
                yield question

    def _written(self, row: Mapping[str, Any]) -> list[str]:
        """What was answered of a document, each context on one line."""
        asked = self._asked.get(row["id"])
        return [" ".join(self._clean(text).split()) for text in self._asking.answer(asked)] if asked else []

    def _fitted(self, row: Mapping[str, Any], pieces: Pieces, contexts: list[str]) -> list[str]:
        chunks = (chunk for chunk in pieces.chunks if _says(row, chunk))
        return [self._way.fitted(context, pieces.title, row["text"][chunk.start:chunk.end])
                for context, chunk in zip(contexts, chunks, strict=True)]


def _says(row: Mapping[str, Any], chunk: Any) -> bool:
    """Whether a chunk is more than white space, and so becomes a row."""
    return bool(row["text"][chunk.start:chunk.end].strip())


def _contexts(question: Mapping[str, Any], answer: Mapping[str, Any]) -> list[str]:
    """One text for each chunk, which may be empty."""
    found, many = answer.get("contexts"), len(question["chunks"])
    if not isinstance(found, list):
        raise ValueError("no field 'contexts'" if found is None else f"`contexts` is {kind(found)}, expected a list")
    for text in found:
        if not isinstance(text, str):
            raise ValueError(f"a context must be a text, found {kind(text)}")
    if len(found) != many:
        raise ValueError(f"{count(len(found), 'context')} for {count(many, 'chunk')}")
    return found


def _name(row: Mapping[str, Any], pieces: Pieces, contexts: list[str]) -> bytes:
    """What the fitted contexts of a document hang on, beside the rule."""
    return xxhash.xxh3_128_digest(canonical([pieces.title, row["text"], contexts]).encode())
