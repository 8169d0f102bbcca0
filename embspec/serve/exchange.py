"""The pairs of a lock in the formats of other tools."""
from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from embspec.errors import fail
from embspec.plan.values import Block, digest_of
from embspec.store.files import replace
from embspec.store.objects import Objects

PAIRS, SNAPSHOT = "pairs.", "snapshot"


class Passage(NamedTuple):
    """A document or chunk that answers something; `document` is the one whose characters its places count."""

    id: str
    title: str
    text: str
    document: str

    @property
    def whole(self) -> str:
        """The text as it is searched: title first."""
        return f"{self.title} {self.text}".strip()


class Question(NamedTuple):
    """A query with its positives, the best grade of each."""

    id: str
    query: str
    positives: Sequence[Mapping[str, Any]]
    extras: Mapping[str, Any]


Passages = Mapping[str, Passage]
Writer = Callable[[Sequence[Question], Passages], Iterator[str]]


def export(blocks: Mapping[str, Block], objects: Objects, source: str, form: str) -> Iterator[str]:
    """The pairs of one source, or of all, line by line."""
    names = sorted(name.removeprefix(PAIRS) for name in blocks if name.startswith(PAIRS))
    if not names:
        raise fail("usage.pairs", "the lock has no pairs", fix="run `embspec build` first")
    if source and source not in names:
        raise fail("usage.source", f"the lock has no source `{source}`", fix="there are: " + ", ".join(names))
    rows = [row for name in ([source] if source else names)
            for row in _lines(objects, blocks[PAIRS + name].out["pairs.jsonl"])]
    questions = merged(rows)
    wanted = {one["id"] for question in questions for one in question.positives}
    snapshot = blocks[SNAPSHOT]
    documents = _lines(objects, (snapshot.out or snapshot.pin)["documents.jsonl"])
    passages = {row["id"]: _passage(row) for row in documents if row["id"] in wanted}
    return WRITERS[form](questions, passages)


def _passage(row: Mapping[str, Any]) -> Passage:
    """A row of the snapshot; one that was cut elsewhere names a document too, and has its places in itself."""
    home = row["id"] if row.get("start") is None else row["document"]
    return Passage(row["id"], row["title"] or "", row["text"], home)


def save(path: str, lines: Iterator[str]) -> int:
    """Write lines into a file, whole or not at all; how many there were."""
    text = [f"{line}\n" for line in lines]
    replace(os.path.abspath(path), "".join(text).encode())
    return len(text)


def _lines(objects: Objects, text: str) -> Iterator[dict[str, Any]]:
    """The rows of an artefact of the lock."""
    digest = digest_of(text)
    if not objects.has(digest):
        raise fail("nowhere.object", f"the pairs or their documents ({digest}) are not in the store",
                   fix="run `embspec build`: what is missing is made again")
    with open(objects.verified(digest), "rb") as lines:
        for line in lines:
            yield json.loads(line)


def merged(rows: Sequence[Mapping[str, Any]]) -> list[Question]:
    """Questions by id; what two sources ask in the same words, of the same filter and role, is one of them."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        same = [" ".join(row["query"].split()), row.get("filter"), row.get("role")]
        groups.setdefault(json.dumps(same, sort_keys=True), []).append(row)
    taken: dict[str, int] = {}
    for group in groups.values():
        for name in {row["id"] for row in group}:
            taken[name] = taken.get(name, 0) + 1
    found = [_question(group, taken) for group in groups.values()]
    return sorted(found, key=lambda question: question.id)


def _question(group: Sequence[Mapping[str, Any]], taken: Mapping[str, int]) -> Question:
    """One question of rows that ask the same; an id that another question has too gets its source before it."""
    first = min(group, key=lambda row: (row["id"], row["source"]))
    best: dict[str, Mapping[str, Any]] = {}
    for one in (one for row in group for one in row["positives"]):
        before = best.setdefault(one["id"], one)
        better = max(before, one, key=lambda each: each["grade"])
        places = sorted({place for each in (before, one) for place in _places(each)})
        best[one["id"]] = {**better, "places": places} if len(places) > 1 else better
    extras: dict[str, Any] = {}
    for row in group:
        extras = {**{k: v for k, v in row.items() if k not in ("id", "query", "positives", "source")}, **extras}
    name = first["id"] if taken[first["id"]] == 1 else f"{first['source']}-{first['id']}"
    return Question(name, first["query"], [best[one] for one in sorted(best)], extras)


def _places(positive: Mapping[str, Any]) -> list[tuple[int, int]]:
    """The characters that a positive is about; none where it is a text as such."""
    if "start" not in positive:
        return []
    return [(start, end) for start, end in positive.get("places", [(positive["start"], positive["end"])])]


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def _embspec(questions: Sequence[Question], passages: Passages) -> Iterator[str]:
    """Our own: a place in a document is told as one, so that the pairs outlive another way of cutting."""
    for one in questions:
        told = {_json(said): None for each in one.positives for said in _judged(each, passages)}
        yield _json({"id": one.id, "query": one.query, "positives": [json.loads(text) for text in told], **one.extras})


def _judged(positive: Mapping[str, Any], passages: Passages) -> list[dict[str, Any]]:
    """What is said of a positive: a span for each of its places."""
    if "start" not in positive:
        return [{"id": positive["id"], "grade": positive["grade"]}]
    document, grade = passages[positive["id"]].document, positive["grade"]
    return [{"span": {"document": document, "start": start, "end": end}, "grade": grade}
            for start, end in _places(positive)]


def _csv(questions: Sequence[Question], passages: Passages) -> Iterator[str]:
    """A table with one positive in each row."""
    yield "id,query,positive,grade"
    for one in questions:
        for positive in one.positives:
            line = io.StringIO()
            csv.writer(line, lineterminator="").writerow([one.id, one.query, positive["id"], positive["grade"]])
            yield line.getvalue()


def _bge(questions: Sequence[Question], passages: Passages) -> Iterator[str]:
    for one in questions:
        yield _json({"query": one.query, "pos": [passages[each["id"]].whole for each in one.positives], "neg": []})


def _cohere(questions: Sequence[Question], passages: Passages) -> Iterator[str]:
    for one in questions:
        texts = [passages[each["id"]].whole for each in one.positives]
        yield _json({"query": one.query, "relevant_passages": texts, "hard_negatives": []})


def _tevatron(questions: Sequence[Question], passages: Passages) -> Iterator[str]:
    for one in questions:
        found = [passages[each["id"]] for each in one.positives]
        texts = [{"docid": each.id, "title": each.title, "text": each.text} for each in found]
        yield _json({"query_id": one.id, "query": one.query, "positive_passages": texts, "negative_passages": []})


def _llamaindex(questions: Sequence[Question], passages: Passages) -> Iterator[str]:
    yield json.dumps({
        "queries": {one.id: one.query for one in questions},
        "corpus": {name: passages[name].whole for name in sorted(passages)},
        "relevant_docs": {one.id: [each["id"] for each in one.positives] for one in questions},
        "mode": "text",
    }, ensure_ascii=False, indent=4)


WRITERS: dict[str, Writer] = {
    "embspec": _embspec, "csv": _csv, "bge": _bge, "cohere": _cohere, "tevatron": _tevatron, "llamaindex": _llamaindex,
}
"""What `pairs export` can write; each is read again by `pairs.NAME.format` of the same name."""
