"""The training rows: one for each query and positive, and what may not stand beside it in a batch."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from embspec.errors import fail
from embspec.retrieval.duplicates import near_groups
from embspec.stages.snapshot import rows

ALIKE = 0.9  # texts that are so much alike answer, or ask, the same


class Row(NamedTuple):
    """A query with one of its positives; queries, documents and classes are numbers."""

    id: str
    query: int
    positive: int
    negatives: tuple[int, ...]
    answers: frozenset[int]  # the classes of all that is known to answer the query
    keys: frozenset[int]  # rows that share one of these are kept out of each other's batches


class Examples(NamedTuple):
    """What is trained on; every document is kept once, however many rows name it."""

    asked: int  # queries, before each of their positives became a row
    rows: Sequence[Row]
    queries: Sequence[str]
    documents: Sequence[str]
    classes: Sequence[int]  # of each document: near-duplicates have one


def read(path: Path) -> Examples:
    """All of `examples.jsonl`; without a row there is nothing to train on."""
    asked: list[Mapping[str, Any]] = list(rows(path))
    places: dict[str, int] = {}
    documents: list[str] = []
    for example in asked:
        for one in (*example["positives"], *example["negatives"]):
            text = one.pop("text")  # the batches go by ids; one copy of a text is enough
            if places.setdefault(one["id"], len(documents)) == len(documents):
                documents.append(text)
    if not any(example["positives"] for example in asked):
        raise fail(
            "input.no-examples",
            "there is no training example: no query with a positive came through `split` and `negatives`",
            fix="add pairs that may train (`pairs.NAME.roles` with train), or loosen `negatives.on_shortage`",
            field="pairs",
        )
    queries = [example["query"] for example in asked]
    classes = _classes(documents)
    made = []
    for at, (example, answers, keys) in enumerate(_kept_apart(asked, _classes(queries), places, classes)):
        negatives = tuple(places[one["id"]] for one in example["negatives"])
        for one in example["positives"]:
            id = f"{example['id']}\0{one['id']}"
            made.append(Row(id, at, places[one["id"]], negatives, answers, keys))
    return Examples(len(asked), made, queries, documents, classes)


def _kept_apart(
    asked: Sequence[Mapping[str, Any]], alike: Sequence[int], places: Mapping[str, int], classes: Sequence[int]
) -> Iterator[tuple[Mapping[str, Any], frozenset[int], frozenset[int]]]:
    """Each example with its answers, which are those of every spelling of its question, and with its keys."""
    known: dict[int, set[int]] = {}
    for question, example in zip(alike, asked, strict=True):
        known.setdefault(question, set()).update(classes[places[one["id"]]] for one in example["positives"])
    number: dict[tuple[str, Any], int] = {}
    for question, example in zip(alike, asked, strict=True):
        apart = [("query", question), *(("answer", one) for one in sorted(known[question]))]
        apart += [("group", example["group"])] if example.get("group") else []
        yield example, frozenset(known[question]), frozenset(number.setdefault(key, len(number)) for key in apart)


def _classes(texts: Sequence[str]) -> list[int]:
    """A number for each text, the same for those that cannot be told apart or hang together by likeness."""
    up = list(range(len(texts)))

    def find(at: int) -> int:
        while up[at] != at:
            up[at] = up[up[at]]
            at = up[at]
        return at

    found = near_groups(texts, ALIKE) if texts else None
    links = [(copies[0], other) for copies in found.copies for other in copies[1:]] if found else []
    for one, other in [*links, *((one, other) for one, other, _ in (found.links if found else ()))]:
        low, high = sorted((find(one), find(other)))
        up[high] = low
    return [find(at) for at in range(len(texts))]
