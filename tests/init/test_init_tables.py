"""What the columns of a table are, by their names and by what stands in them."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from embspec.init import documents, pairs
from embspec.init.folder import Table
from embspec.init.pairs import Source

LONG = "a sentence that is as long as sentences in documents are, and a little longer than that, for safety"


def table(rows: Sequence[Mapping[str, Any]], name: str = "t.jsonl") -> Table:
    """A table of these rows."""
    return Table(name, rows, list(dict.fromkeys(column for row in rows for column in row)))


@pytest.mark.parametrize(("row", "fields"), [
    ({"_id": "{n}", "title": "T", "text": "{n}"}, {}),
    ({"doc_id": "{n}", "headline": "T", "body": "{n}"}, {"id": "doc_id", "text": "body", "title": "headline"}),
    ({"URL": "http://x/{n}", "Content": "{n}"}, {"id": "URL", "text": "Content"}),
    ({"id": "{n}", "text": "{n}", "source": "same"}, {}),
    ({"slot": "{n}", "words": LONG + "{n}"}, {"id": "slot", "text": "words"}),
    ({"id": "same", "text": "{n}"}, None),
    ({"id": "{n}", "size": "3"}, None),
])
def test_a_document(row: dict[str, str], fields: dict[str, str] | None) -> None:
    """An id that is each row's own, a text by its name or its length; what is ours needs no word."""
    rows = [{key: value.replace("{n}", str(n)) for key, value in row.items()} for n in range(5)]
    assert documents.fields_of(table(rows)) == fields


def test_the_parent_of_a_chunk() -> None:
    """A column that several rows share is the document they are parts of; one that all share, or none, is not."""
    rows = [{"id": f"{n}", "text": "x", "source_id": f"page {n // 2}"} for n in range(6)]
    assert documents.fields_of(table(rows)) == {"document": "source_id"}
    assert documents.fields_of(table([{**row, "source_id": row["id"]} for row in rows])) == {}


@pytest.mark.parametrize(("row", "fields"), [
    ({"query": "who {n}?", "positive": "kb-{n}"}, {}),
    ({"query": "who {n}?", "positives": ["kb-{n}"]}, {}),
    ({"question": "who {n}?", "answer": "the words of {n} in full"}, {}),
    ({"Question": "who {n}?", "Answer": "the words of {n} in full"}, {"query": "Question", "quote": "Answer"}),
    ({"q": "who {n}?", "page": "kb-{n}", "answer": "elsewhere"}, {"query": "q", "positive": "page"}),
    ({"q": "who {n}?", "page": "kb-{n}", "relevance": 2}, {"query": "q", "positive": "page", "grade": "relevance"}),
    ({"ticket.subject": "who {n}?", "kb.id": "kb-{n}"}, {"query": "ticket.subject", "positive": "kb.id"}),
    ({"question": "who {n}?", "topic": "roofs and walls"}, None),
])
def test_a_pair(row: dict[str, Any], fields: dict[str, str] | None) -> None:
    """The answer is the column whose values the documents have, as ids or as words; without one it is no pair."""
    def filled(value: Any, n: int) -> Any:
        if isinstance(value, list):
            return [filled(one, n) for one in value]
        return value.replace("{n}", str(n)) if isinstance(value, str) else value

    rows = [{key: filled(value, n) for key, value in row.items()} for n in range(5)]
    named = frozenset(f"kb-{n}" for n in range(5))
    quoted = frozenset(f"the words of {n} in full" for n in range(5))
    assert pairs.is_asked(table(rows))
    assert pairs.fields_of(table(rows), named, quoted) == fields


@pytest.mark.parametrize(("path", "trust"), [
    ("data/gold.jsonl", "gold"), ("eval_2026.csv", "gold"), ("train/pairs.jsonl", "curated"),
    ("synth.jsonl", "synthetic"), ("clicks/log.jsonl", "implicit"), ("pairs.jsonl", ""), ("contest.jsonl", ""),
    ("test/train.jsonl", "curated"),
])
def test_what_a_name_says(path: str, trust: str) -> None:
    """Whole words of a path say who wrote its questions; the last of them is nearest."""
    assert pairs.hinted(path)[0] == trust


def test_names_of_sources() -> None:
    """A name that the spec takes, and that no other source has."""
    assert pairs.name_of("data/Q & A.csv", ["q-a"]) == "q-a-2"
    assert pairs.name_of("faq.yml", []) == "faq"


def test_tables_of_a_beir_folder_that_are_no_split() -> None:
    """A table whose questions another has too is part of that one; an empty one is none."""
    found = pairs.Beir("", {"test": frozenset("abc"), "test_disjoint": frozenset("ab"), "train": frozenset("d"),
                            "empty": frozenset()})
    assert [one for one, _ in pairs.unused(found)] == ["test_disjoint", "empty"]
    test, train = pairs.of_beir(found)
    assert test == Source("test", ".", "beir", "test", trust="gold", roles=("test",), about=test.about, rows=3)
    assert train == Source("train", ".", "beir", "train", trust="curated", roles=("train",), about=train.about, rows=1)
