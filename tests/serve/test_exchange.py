"""Pairs handed out in other tools' formats, and read again from there."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from embspec.errors import EmbspecError
from embspec.plan.values import Block
from embspec.serve.exchange import WRITERS, export, save
from embspec.stages.pairs.make import make
from embspec.store.objects import Objects
from tests.support.trees import MemoryTree, run

GOLDEN = Path(__file__).parents[1] / "golden" / "pairs"
FILES = {"llamaindex": "x.json", "csv": "x.csv"}


def lock(folder: Path, **sources: bytes) -> tuple[dict[str, Block], Objects]:
    """Blocks as a build leaves them, and the store behind them."""
    objects = Objects(str(folder / "store"))
    snapshot = Block(pin={"documents.jsonl": objects.put((GOLDEN / "documents.jsonl").read_bytes())})
    made = {f"pairs.{name}": Block(out={"pairs.jsonl": objects.put(data)}) for name, data in sources.items()}
    return {"snapshot": snapshot, **made}, objects


def golden(name: str) -> bytes:
    """The pairs of a golden file."""
    return (GOLDEN / name / "expected.jsonl").read_bytes()


def answers(data: bytes, anchored: bool = False) -> dict[str, list[Any]]:
    """The positives of each question by its words."""
    rows = [json.loads(line) for line in data.decode().split("\n")[:-1]]
    return {row["query"]: [one if anchored else one["id"] for one in row["positives"]] for row in rows}


@pytest.mark.parametrize("form", WRITERS)
def test_what_is_handed_out_is_read_again(form: str, tmp_path: Path) -> None:
    """Each format that is written gives, read by the format of that name, the positives that the lock has."""
    blocks, objects = lock(tmp_path, gold=golden("embspec"), other=golden("tickets"))
    text = "".join(f"{line}\n" for line in export(blocks, objects, "", form))
    params = {"name": "back", "pairs.path": "x*", "pairs.from": None, "pairs.format": form, "pairs.qrels": None}
    needs = {"live": MemoryTree({FILES.get(form, "x.jsonl"): text}),
             "snapshot/documents.jsonl": GOLDEN / "documents.jsonl"}
    made, out = run(make, tmp_path, params, needs)
    whole = form == "embspec"
    expected = {**answers(golden("embspec"), whole), **answers(golden("tickets"), whole)}
    assert answers((out / "pairs.jsonl").read_bytes(), whole) == expected
    assert made.stat["merged"] == (2 if form == "csv" else 0)


def test_sources_that_ask_the_same_are_one_question(tmp_path: Path) -> None:
    """The best grade of each positive counts, and an id that two questions have is told apart by its source."""
    rows = [
        {"id": "1", "query": "who  is it", "positives": [{"id": "kb-1", "grade": 1}], "source": "a"},
        {"id": "2", "query": "who else", "positives": [{"id": "kb-2", "grade": 1}], "source": "a"},
        {"id": "1", "query": "another", "positives": [{"id": "kb-3", "grade": 1}], "group": "g", "source": "b"},
        {"id": "9", "query": "who is it", "positives": [{"id": "kb-1", "grade": 2}, {"id": "kb-3", "grade": 1}],
         "source": "b"},
    ]
    told = {name: "".join(json.dumps(row) + "\n" for row in rows if row["source"] == name).encode() for name in "ab"}
    blocks, objects = lock(tmp_path, **told)
    found = [json.loads(line) for line in export(blocks, objects, "", "embspec")]
    assert found == [
        {"id": "2", "query": "who else", "positives": [{"id": "kb-2", "grade": 1}]},
        {"id": "a-1", "query": "who  is it", "positives": [{"id": "kb-1", "grade": 2}, {"id": "kb-3", "grade": 1}]},
        {"id": "b-1", "query": "another", "positives": [{"id": "kb-3", "grade": 1}], "group": "g"},
    ]
    assert len(list(export(blocks, objects, "b", "embspec"))) == 2
    assert save(str(tmp_path / "new" / "x.csv"), export(blocks, objects, "a", "csv")) == 3
    table = (tmp_path / "new" / "x.csv").read_text()
    assert table == "id,query,positive,grade\n1,who  is it,kb-1,1\n2,who else,kb-2,1\n"


def test_places_are_told_so_that_they_are_found_again(tmp_path: Path) -> None:
    """Those of a row that was cut elsewhere are in the row itself; two sources may know two places of one text."""
    base = {"title": "", "metadata": {}}
    rows = [{**base, "id": "c1", "text": "zero one two three", "document": "parent"},
            {**base, "id": "d#0-9", "text": "four five", "document": "d", "start": 0, "end": 9}]
    documents = "".join(json.dumps(row) + "\n" for row in rows).encode()
    spans = {"a": [("c1", 0, 8), ("d#0-9", 0, 4)], "b": [("c1", 9, 12)]}
    told = {name: (json.dumps({"id": "q", "query": "which?", "source": name, "positives": [
        {"id": id, "grade": 1, "start": start, "end": end} for id, start, end in some]}) + "\n").encode()
        for name, some in spans.items()}
    blocks, objects = lock(tmp_path, **told)
    blocks["snapshot"] = Block(pin={"documents.jsonl": objects.put(documents)})
    (tmp_path / "documents.jsonl").write_bytes(documents)
    params = {"name": "back", "pairs.path": "x*", "pairs.from": None, "pairs.format": "auto", "pairs.qrels": None}
    needs = {"live": MemoryTree({"x.jsonl": "\n".join(export(blocks, objects, "", "embspec"))}),
             "snapshot/documents.jsonl": tmp_path / "documents.jsonl"}
    _, out = run(make, tmp_path, params, needs)
    assert answers((out / "pairs.jsonl").read_bytes(), True) == {"which?": [
        {"id": "c1", "grade": 1, "start": 0, "end": 8, "places": [[0, 8], [9, 12]]},
        {"id": "d#0-9", "grade": 1, "start": 0, "end": 4}]}


def test_what_is_not_there(tmp_path: Path) -> None:
    """A source that the lock has not, a lock without pairs, and pairs that are nowhere: each is told."""
    blocks, objects = lock(tmp_path, gold=golden("embspec"))
    gone = {**blocks, "pairs.gold": Block(out={"pairs.jsonl": "sha256:" + "0" * 64 + " 9"})}
    cases = ((blocks, "glod", "usage.source"), ({}, "", "usage.pairs"), (gone, "", "nowhere.object"))
    for given, source, code in cases:
        with pytest.raises(EmbspecError) as caught:
            list(export(given, objects, source, "embspec"))
        assert caught.value.problems[0].code == code
