"""Documents as rows of chunks, as the spec asks for it; what was cut before is looked up."""
from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from typing import Any, NamedTuple, Protocol

import xxhash

from embspec.errors import Where, fail
from embspec.plan.protocol import Desk, Params, Progress
from embspec.stages.corpus import chunks
from embspec.stages.corpus.chunks import Chunk, Rule, TooNarrow
from embspec.stages.live import CONTEXT
from embspec.stages.reading import Problems, count, line, some
from embspec.stages.snapshot import Document, blocks, passage
from embspec.stages.tokens import Tokens

FIELD = "corpus.chunking."
BASE = "base/base"
QUARTER = 4  # the part of a chunk that is left to a context where the spec does not say how much
MARK = "#"  # between a document's id and the span of a chunk
_CUT = {"chunks": str(chunks.RECIPE), "unicode": unicodedata.unidata_version}  # what is a letter, a blank, an accent

Row = tuple[str, bytes, bytes]
"""Id, line and digest."""


class Pieces(NamedTuple):
    """A document that was cut, and the title that its chunks go by."""

    title: str
    chunks: Sequence[Chunk]


Piece = tuple[Mapping[str, Any], Pieces]
"""A document's row, and what became of it."""

Put = Callable[[list[Piece]], list[Piece]]
"""Writes contexts over the chunks of some documents."""


class Way(Protocol):
    """One way to cut; `space` names all that the pieces hang on beside title and text, where they can be kept."""

    space: Mapping[str, str]

    def __call__(self, title: str, text: str) -> Pieces: ...


class Sentences:
    """So many sentences each."""

    def __init__(self, params: Params) -> None:
        self._n = params[FIELD + "n"]
        self.space: Mapping[str, str] = {**_CUT, "sentences": str(self._n)}

    def __call__(self, title: str, text: str) -> Pieces:
        return Pieces(title, chunks.by_sentences(text, self._n))


class Structure:
    """By structure, so many tokens at most, as the base counts them."""

    def __init__(self, params: Params, needs: Mapping[str, Any], desk: Desk) -> None:
        if BASE not in needs:
            raise fail("spec.conflict", "tokens are counted by the model's own tokenizer, and the spec has no model",
                       None, "add `model: {base: …}` and pairs, or write `chunking: {strategy: sentences, n: 5}`",
                       FIELD + "strategy")
        self.rule = _rule(params)
        self._tokens = Tokens(needs[BASE])
        _check(self.rule, self._tokens)
        base = desk.digests.get(BASE)  # a check has no digests, and nothing of it is kept
        self.space: Mapping[str, str] = {} if base is None else {
            **_CUT, "base": base, "tokenizers": _version(), "tokens": str(self.rule.tokens),
            "overlap": str(self.rule.overlap), "context": "headings" if self.rule.headings else "none",
        }

    def __call__(self, title: str, text: str) -> Pieces:
        title = chunks.shortened(title, self.rule, self._tokens)
        return Pieces(title, chunks.by_structure(text, title, self.rule, self._tokens, _passage))

    def fitted(self, context: str, title: str, text: str) -> str:
        """As much of a context as the limit leaves room for."""
        return chunks.fitted(context, title, text, self.rule, self._tokens, _passage)


def _rule(params: Params) -> Rule:
    """The limits of chunks; what a context may take is kept free of all else."""
    tokens, overlap = params[FIELD + "tokens"], params[FIELD + "overlap"]
    if CONTEXT not in params:
        return Rule(tokens, overlap, params[FIELD + "context"] == "headings")
    given = params[FIELD + "context.tokens"]
    free = tokens // QUARTER if given is None else given
    return Rule(tokens - free, overlap, context=free)


def _passage(title: str, context: str, text: str) -> str:
    return passage(Document("", title, text, context))


def _version() -> str:
    import tokenizers

    return str(tokenizers.__version__)


def _check(rule: Rule, tokens: Tokens) -> None:
    """Refuse a limit that no text fits under, and one that the model does not read up to."""
    whole = rule.tokens + rule.context
    if tokens.longest is not None and whole > tokens.longest:
        text = f"chunks of {whole} tokens are longer than the {tokens.longest} that the model reads of a text"
        raise fail("spec.range", text, None, f"write `tokens: {tokens.longest}` or less", FIELD + "tokens")
    fixed = chunks.fixed(tokens)
    if rule.tokens < fixed + chunks.LEAST:
        context = f", and a context {rule.context}" if rule.context else ""
        taken = f"the prompt of documents and the model's own marks take {fixed} of {count(whole, 'token')}{context}"
        least = f"write `tokens: {fixed + rule.context + chunks.LEAST}` or more"
        raise fail("spec.range", f"{taken}, which leaves too few for a title and a text", None, least, FIELD + "tokens")


def way(params: Params, needs: Mapping[str, Any], desk: Desk) -> Way | None:
    """How this spec cuts; None where documents stay whole."""
    strategy = params.get(FIELD + "strategy", "none")
    if strategy == "none":
        return None
    if params.get("corpus.fields.document"):
        raise fail("spec.conflict", "rows that name the document they are a part of are chunks already", None,
                   "take `fields.document` out to cut the rows, or `chunking` to take them as they are",
                   "corpus.fields.document")
    return Sentences(params) if strategy == "sentences" else Structure(params, needs, desk)


class Cut:
    """Cuts the documents of a corpus, each by itself, and counts what that was."""

    def __init__(self, way: Way, desk: Desk) -> None:
        self._way, self._desk = way, desk
        self._rows = desk.rows(way.space) if way.space else None
        self._problems = Problems()
        self._shortened: list[str] = []
        self.documents = self.chunks = self.cut = 0

    def rows(self, documents: Iterable[tuple[bytes, Where]], total: int, put: Put | None = None) -> Iterator[Row]:
        """The rows of all chunks in the order of ids, of documents in the order of their ids and a mark.

        `put` writes something over the chunks of some documents before they become rows.
        """
        waiting: list[Row] = []
        for block in self.pieces(documents, total):
            for row, pieces in put(block) if put else block:
                # A document may be called as another one and the mark: their chunks lie between one another.
                while waiting and waiting[0][0] < row["id"] + MARK:
                    yield heappop(waiting)
                for each in self._rows_of(row, pieces):
                    heappush(waiting, each)
        if self._shortened:
            text = f"titles longer than half of a chunk were shortened: {some(self._shortened, 3)}"
            self._desk.tell(Progress(text, len(self._shortened), self.documents))
        while waiting:
            yield heappop(waiting)

    def pieces(self, documents: Iterable[tuple[bytes, Where]], total: int) -> Iterator[list[Piece]]:
        """Every document with its chunks, some documents at a time; one that cannot be cut is a problem."""
        done = 0
        for block in blocks(documents, lambda one: len(one[0])):
            self._desk.tell(Progress("cutting documents", done, total))
            done += len(block)
            rows = [json.loads(line) for line, _ in block]
            names = [digest(row["title"], row["text"]) for row in rows]
            known = [_read(found) for found in (self._rows.find(names) if self._rows else [None] * len(names))]
            found: list[Piece] = []
            fresh: dict[bytes, Pieces] = {}
            for row, name, pieces, (_, where) in zip(rows, names, known, block, strict=True):
                made = pieces or fresh.get(name) or self._made(row, where)
                if made is None:
                    continue
                if pieces is None:
                    fresh[name] = made
                found.append((row, made))
            yield found
            if self._rows:
                self._rows.add(list(fresh), [_written(pieces) for pieces in fresh.values()])
        self._problems.stop()

    def _made(self, row: Mapping[str, Any], where: Where) -> Pieces | None:
        self.cut += 1
        try:
            return self._way(row["title"], row["text"])
        except TooNarrow as error:
            sign = row["text"][error.at]
            text = f"U+{ord(sign):04X} at character {error.at} is {error.tokens} tokens by itself, over the limit"
            self._problems.add("spec.range", text, where, f"raise `{FIELD}tokens`, or take the character out")
            return None

    def _rows_of(self, row: Mapping[str, Any], pieces: Pieces) -> Iterator[Row]:
        """The rows of one document; one of white space alone says nothing to anybody."""
        self.documents += 1
        if pieces.title != row["title"]:
            self._shortened.append(row["id"])
        for start, end, context in pieces.chunks:
            text = row["text"][start:end]
            if not text.strip():
                continue
            self.chunks += 1
            id = f"{row['id']}{MARK}{start}-{end}"
            values = {**row, "id": id, "title": pieces.title, "text": text, "document": row["id"], "start": start,
                      "end": end, **({"context": context} if context else {})}
            yield id, line(values), digest(pieces.title, text, context)


def digest(title: str, text: str, context: str = "") -> bytes:
    """What the manifest says of a row: a change of what the model reads of it changes it, metadata do not."""
    return xxhash.xxh3_128_digest("\0".join((title, *([context] if context else []), text)).encode())


def _written(pieces: Pieces) -> bytes:
    return json.dumps(pieces, ensure_ascii=False, separators=(",", ":")).encode()


def _read(row: bytes | None) -> Pieces | None:
    if row is None:
        return None
    title, found = json.loads(row)
    return Pieces(title, [Chunk(*chunk) for chunk in found])
