"""Tiny worlds for the negatives, the stage run on them, and a slow reference for what it must choose."""
from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from embspec.plan.protocol import Made
from embspec.retrieval.bm25 import BM25
from embspec.retrieval.tokenize import tokenizer
from embspec.stages.encoder import opened
from embspec.stages.negatives.make import make
from tests.support.benches import lines, question, read
from tests.support.desk import Bank, Desk

Row = dict[str, Any]
BASE = "tree sha256:base"

PARAMS: Mapping[str, Any] = {
    "seed": 42,
    "split.near_duplicate_threshold": 0.9,
    "eval.bm25.k1": 1.2,
    "eval.bm25.b": 0.75,
    "negatives.guard.relative_margin": None,
    "negatives.guard.absolute_margin": None,
    "negatives.guard.max_score": None,
    "negatives.guard.cross_encoder": None,
    "negatives.guard.exclude": ["positives", "siblings", "near_duplicates", "test_documents"],
    "negatives.on_shortage": "keep",
}


class Text(NamedTuple):
    """A document of the snapshot."""

    text: str
    title: str = ""
    document: str | None = None


class World(NamedTuple):
    """Documents by id, rows of train, of test and of validation, and rows of a source that are in no part."""

    documents: Mapping[str, str | Text]
    train: Sequence[Row]
    test: Sequence[Row] = ()
    validation: Sequence[Row] = ()
    left: Sequence[Row] = ()


class Mined(NamedTuple):
    """What a run of the stage left."""

    made: Made
    files: Mapping[str, bytes]
    examples: Sequence[Row]
    summary: Row
    ledger: Mapping[str, Row]
    desk: Desk

    def kept(self, query: str) -> list[str]:
        """The negatives of a query."""
        return next([n["id"] for n in row["negatives"]] for row in self.examples if row["id"] == query)

    def reasons(self, query: str) -> dict[str, str | None]:
        """What the guard said of each document that was looked at."""
        return {one["id"]: one["guard"] for one in self.ledger[query]["candidates"]}


def miner(kind: str, count: int, low: int = 0, high: int = 100, sampling: str = "top") -> Row:
    """One entry of the spec's miners."""
    plain = {"kind": kind, "num_negatives": count}
    if kind == "random":
        return plain
    if kind == "file":
        return {**plain, "path": "hard.jsonl", "sampling_strategy": sampling}
    window = {"window.range_min": low, "window.range_max": high, "sampling_strategy": sampling}
    return {**plain, **({"model": "base"} if kind == "dense" else {}), **window}


def params(miners: Sequence[Row], **changed: Any) -> Row:
    """The parameters with some changed: `negatives__on_shortage` is `negatives.on_shortage`."""
    flat = {f"negatives.miners.{n}.{name}": value for n, one in enumerate(miners, 1) for name, value in one.items()}
    found = {**PARAMS, **(flat or {"negatives.miners": []})}
    return {**found, **{name.replace("__", "."): value for name, value in changed.items()}}


def mine(
    world: World, base: Path, asked: Mapping[str, Any], *, seed: int = 7, bank: Bank | None = None,
    shuffle: int | None = None, tokenizer: str = "words", digest: str = BASE, judge: Path | None = None,
    given: Sequence[Row] = (),
) -> Mined:
    """Run the stage; `shuffle` changes the order of the lines of all that it reads.

    `judge` is the folder of a cross-encoder, `given` what `candidates` made of the files of negatives.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = sorted(world.documents.items())
        documents = [{"id": id, **_text(text)._asdict(), "metadata": {}} for id, text in texts]
        train, test, validation = ([dict(r) for r in some] for some in (world.train, world.test, world.validation))
        if shuffle is not None:
            for some in (documents, train, test, validation):
                random.Random(shuffle).shuffle(some)
        needs: dict[str, Any] = {
            "snapshot/documents.jsonl": lines(folder / "documents.jsonl", documents),
            "split/train.jsonl": lines(folder / "train.jsonl", train),
            "split/test.jsonl": lines(folder / "test.jsonl", test),
            "split/validation.jsonl": lines(folder / "validation.jsonl", validation),
            "lexical/tokenizer.json": folder / "tokenizer.json",
            "base/base": base,
            "pairs.left/pairs.jsonl": lines(folder / "left.jsonl", world.left),
            **({"cross_encoder/cross_encoder": judge} if judge else {}),
            **({"candidates/given.jsonl": lines(folder / "given.jsonl", given)} if given else {}),
        }
        needs["lexical/tokenizer.json"].write_text(json.dumps({"tokenizer": tokenizer}), encoding="utf-8")
        out = folder / "out"
        out.mkdir()
        digests = {"base/base": digest, "cross_encoder/cross_encoder": f"tree of {judge}"}
        desk = Desk(folder / "scratch", digests, seed, bank)
        asked = {**asked, "negatives.guard.cross_encoder": "./judge" if judge else None}
        made = make(asked, needs, out, desk)
        files = {path.name: path.read_bytes() for path in sorted(out.iterdir())}
        summary, *ledger = read(out / "ledger.jsonl")
        examples = read(out / "examples.jsonl")
        return Mined(made, files, examples, summary["summary"], {row["id"]: row for row in ledger}, desk)


def ask(id: str, text: str, *positives: str, **marks: Any) -> Row:
    """A row of train or test."""
    return question(id, text, *positives, **marks)


def slow_scores(world: World, base: Path, queries: Sequence[str]) -> dict[str, dict[str, float]]:
    """Cosines by numpy alone: query -> document -> score."""
    with tempfile.TemporaryDirectory() as name:
        encoder = opened(base, BASE, Desk(Path(name)))
        ids = sorted(world.documents)
        texts = [f"{_text(world.documents[id]).title} {_text(world.documents[id]).text}".strip() for id in ids]
        documents, asked = encoder.documents(texts).astype(float), encoder.queries(list(queries)).astype(float)
    for some in (documents, asked):
        some /= np.maximum(np.linalg.norm(some, axis=1, keepdims=True), 1e-12)
    return {query: dict(zip(ids, map(float, row), strict=True))
            for query, row in zip(queries, asked @ documents.T, strict=True)}


def slow_dense(scores: Mapping[str, float]) -> list[str]:
    """Every document by falling score, equal ones by id."""
    return sorted(scores, key=lambda id: (-round(scores[id], 6), id))


def slow_words(world: World, query: str) -> list[str]:
    """Every document that shares a word, by BM25."""
    ids, tokenize = sorted(world.documents), tokenizer({"tokenizer": "words"})
    texts = [_text(world.documents[id]) for id in ids]
    bm25 = BM25(ids, [tokenize(f"{text.title} {text.text}") for text in texts])
    return [id for id, _ in bm25.search(tokenize(query), len(ids))]


def _text(given: str | Text) -> Text:
    return Text(given) if isinstance(given, str) else given
