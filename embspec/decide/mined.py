"""What was mined in the last build: why a document is a negative of a query or is none, and the examples themselves."""
from __future__ import annotations

import heapq
import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, NamedTuple

from embspec.decide.negative import Explained, explained, outside
from embspec.errors import EmbspecError, Problem, fail
from embspec.plan.canonical import plain
from embspec.plan.values import Block, digest_of
from embspec.stages.forms import FIXED, FORMS, widest
from embspec.stages.snapshot import Document, normalise, passage
from embspec.store.files import disk, temporary
from embspec.store.objects import Objects

_STAGE = re.compile(r"negatives(?:\.(\d+))?")
TRAIN = "train"
HELD_OUT = ("test", "validation")
NEWER = "it was mined before this question came into the training part: run `embspec build`"
NEAREST = 3  # ids or texts that stand in for one that is not there

Row = Mapping[str, Any]


class Exported(NamedTuple):
    """The lines that were written, the negatives of each where that is fixed, and the queries that gave no line."""

    round: int
    format: str
    lines: int
    negatives: int | None
    left_out: int


class Mined(NamedTuple):
    """What the lock says of the negatives, and where the bytes are."""

    blocks: Mapping[str, Block]
    store: Objects

    def rounds(self, only: int | None = None) -> dict[int, str]:
        """The stage of each round that the lock has; one alone where it is asked for."""
        names = {int(found[1] or 1): name for name in self.blocks if (found := _STAGE.fullmatch(name))}
        if not names:
            raise fail("nowhere.negatives", "the lock has no mined negatives",
                       fix="run `embspec build`; a spec without a model mines none")
        if only is not None and only not in names:
            raise fail("usage.round", f"the lock has no round {only} of mining",
                       fix=f"it has {', '.join(map(str, sorted(names)))}")
        return {number: names[number] for number in sorted(names) if only in (None, number)}

    def explain(self, query: str, document: str, only: int | None = None) -> list[Explained]:
        """For each round and each training row that asks this: what became of the document, and because of what."""
        rounds = self.rounds(only)
        ledgers = {number: f"{stage}/ledger.jsonl" for number, stage in rounds.items()}
        self._at_hand("split/train.jsonl", "snapshot/documents.jsonl", *ledgers.values())
        text = self._document(document)
        asked = self._named(TRAIN, query)
        if not asked:
            row, why = self._outside(query)
            return [outside(number, row, document, text, why) for number in rounds]
        found = []
        for number, role in ledgers.items():
            lines = {row["id"]: row for row in self._rows(role, [row["id"] for row in asked]) if "id" in row}
            params = {name: plain(value) for name, value in self.blocks[rounds[number]].params.items()}
            found += [explained(number, row, lines[row["id"]], document, text, params) if row["id"] in lines else
                      outside(number, row, document, text, NEWER) for row in asked]
        return found

    def export(
        self, form: str, write: Callable[[str], object], negatives: int | None = None, only: int | None = None
    ) -> Exported:
        """The examples of a round, by default the last, as JSON lines; how many negatives, where rows have a number."""
        number, stage = list(self.rounds(only).items())[-1]
        role = f"{stage}/examples.jsonl"
        self._at_hand(role)
        fixed = None if form not in FIXED else widest(self._rows(role)) if negatives is None else negatives
        lines = left_out = 0
        for example in self._rows(role):
            before = lines
            for row in FORMS[form](example, fixed or 0):
                write(json.dumps(row, ensure_ascii=False) + "\n")
                lines += 1
            left_out += lines == before
        return Exported(number, form, lines, fixed, left_out)

    def export_to(self, path: str, form: str, negatives: int | None = None, only: int | None = None) -> Exported:
        """The same into a file, which is whole or is not there."""
        with _whole(path) as file:
            return self.export(form, file.write, negatives, only)

    def _named(self, part: str, query: str) -> list[Row]:
        """The row of a part of the split with this id, else those with this text."""
        alike, plainly = [], normalise(query)
        for row in self._rows(f"split/{part}.jsonl"):
            if row["id"] == query:
                return [row]
            alike += [row] if normalise(row["query"]) == plainly else []
        return alike

    def _outside(self, query: str) -> tuple[Row, str]:
        """A query that trains nothing, and why; an error where nobody knows it."""
        for part in HELD_OUT:
            for row in self._named(part, query) if self._has(f"split/{part}.jsonl") else ():
                return row, f"the query is held out: it belongs to {part}, and only training queries get negatives"
        for role in (f"{name}/pairs.jsonl" for name in self.blocks if name.startswith("pairs.")):
            for row in self._rows(role) if self._has(role) else ():
                if query == row["id"] or normalise(query) == normalise(row["query"]):
                    return row, ("the split left the query out: it hangs together with a query that is held out, or "
                                 "its source may not train")
        known = {text: row for row in self._rows("split/train.jsonl") for text in (row["id"], row["query"])}
        raise fail("usage.no-query", f"no query has the id or the text {query!r}", fix=_near(query, known))

    def _document(self, id: str) -> str:
        """What the model reads of a document of the snapshot."""
        for row in self._rows("snapshot/documents.jsonl", [id]):
            if row["id"] == id:
                return passage(Document.of(row))
        live = "corpus/documents.jsonl"
        if self._has(live) and any(row["id"] == id for row in self._rows(live, [id])):
            raise fail("usage.no-document", f"the document {id!r} is newer than the snapshot that was trained on",
                       fix="`embspec build --retrain` moves the snapshot")
        known = (row["id"] for row in self._rows("snapshot/documents.jsonl"))
        raise fail("usage.no-document", f"the snapshot has no document {id!r}", fix=_near(id, known))

    def _rows(self, role: str, ids: Collection[str] = ()) -> Iterator[Row]:
        """The rows of an artefact; of many only those that name one of these ids somewhere are read at all."""
        marks = [json.dumps(id, ensure_ascii=False).encode("utf-8", "surrogatepass") for id in ids]
        with open(self.store.verified(self._digest(role)), "rb") as lines:
            for line in lines:
                if not marks or any(mark in line for mark in marks):
                    yield json.loads(line)

    def _digest(self, role: str) -> str:
        """A snapshot is pinned, what a stage made is its block's."""
        stage, _, artefact = role.partition("/")
        block = self.blocks.get(stage, Block())
        return digest_of(block.out.get(artefact) or block.pin.get(artefact, ""))

    def _has(self, role: str) -> bool:
        return self.store.has(self._digest(role))

    def _at_hand(self, *roles: str) -> None:
        """All that is not in the store is said at once."""
        fix = f"run `embspec build --refresh {roles[-1].partition('/')[0]}`: it is made again"
        missing = [Problem("nowhere.artefact", f"{role} ({self._digest(role)}) is not in the store", fix=fix)
                   for role in roles if not self._has(role)]
        if missing:
            raise EmbspecError(*missing)


def _near(given: str, known: Iterable[str]) -> str:
    """Those that have most in common with a word that nobody knows."""
    own = _threes(given)
    rated = ((2 * len(own & other) / (len(own) + len(other)), text) for text in known if (other := _threes(text)))
    best = heapq.nsmallest(NEAREST, ((-share, text) for share, text in rated if share))
    return "the nearest are " + ", ".join(json.dumps(text, ensure_ascii=False) for _, text in best) if best else \
        "ids and texts are those of the pairs and the corpus"


def _threes(text: str) -> set[str]:
    """What a text is compared by: three letters at a time, with its ends."""
    plainly = f" {normalise(text)} "
    return {plainly[at : at + 3] for at in range(len(plainly) - 2)}


@contextmanager
def _whole(path: str) -> Iterator[IO[str]]:
    folder = os.path.dirname(os.path.abspath(path))
    with disk(path):
        os.makedirs(folder, exist_ok=True)
        handle, fresh = temporary(folder)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                yield file
            os.chmod(fresh, 0o644)
            os.replace(fresh, path)
        except BaseException:
            os.unlink(fresh)
            raise
