"""Rankings by document: each stands where the best of its texts does, however many texts it was cut into."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from embspec.measure.metrics import DEEP
from embspec.stages.evaluate.models import Asked, Models
from embspec.stages.evaluate.pages import Pages, pages
from tests.support.benches import Bench, params, question

BY = {"eval__suites__documents__split": "test", "eval__suites__documents__by": "document"}


def cut(folder: Path, parts: dict[str, list[str]]) -> Bench:
    """A snapshot of documents that were cut."""
    bench = Bench(folder, {f"{id}#{at}": text for id, some in parts.items() for at, text in enumerate(some)})
    path = bench.needs["snapshot/documents.jsonl"]
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({**row, "document": row["id"].partition("#")[0]}) + "\n" for row in rows))
    return bench


def measured(bench: Bench, suite: str) -> dict[str, Any]:
    """The runs of a suite by query."""
    return {row["query"]: row for row in bench.rows("evaluate/runs") if row["suite"] == suite}


def test_a_document_stands_where_the_best_of_its_texts_does(tmp_path: Path) -> None:
    """Any part of the right document is right, and it is found once; texts are ranked as before."""
    bench = cut(tmp_path, {"a": ["kelp dries", "kelp dries slowly in the wind", "boats"],
                           "b": ["kelp kelp kelp", "rope too"], "c": ["slowly"],
                           "x": ["rope here", "sand"], "y": ["rope here", "sand"]})
    bench.split("test", [question("q1", "kelp", ("a#1", 1)), question("q2", "rope", ("x#0", 2), ("b#1", 1))])
    bench.make("lexical", params())
    made = bench.make("evaluate", params(**BY))
    texts, found = measured(bench, "domain"), measured(bench, "documents")
    assert texts["q1"]["ids"] == ["b#0", "a#0", "a#1"] and texts["q1"]["gains"] == [0, 0, 1]
    assert found["q1"]["ids"] == ["b", "a"] and found["q1"]["gains"] == [0, 1] and found["q1"]["ideal"] == [1]
    # y has the same parts as x, one by one, and is the same answer; which is one that is not given twice.
    assert sorted(found["q2"]["ids"]) == ["b", "x", "y"] and found["q2"]["ideal"] == [2, 1]
    assert sorted(found["q2"]["gains"]) == [0, 1, 2]
    assert made.stat["bm25 on documents"].startswith("recall@5 1.0 mrr@10 ")
    alone = cut(tmp_path / "2", {"a": ["kelp"]})
    alone.split("test", [question("q", "kelp", "a#0")])
    alone.make("lexical", params())
    alone.make("evaluate", params())
    assert not measured(alone, "documents")


def test_a_document_of_many_texts_hides_no_other(tmp_path: Path) -> None:
    """A ranking by words is as deep as it takes for as many documents as there would be without the cutting."""
    many = {"long": [f"kelp kelp {n}" for n in range(DEEP * 5)],
            **{f"d{n}": [f"kelp and more words than the others {n}"] for n in range(3)}}
    bench = cut(tmp_path, many)
    bench.split("test", [question("q", "kelp", "d1#0")])
    bench.make("lexical", params())
    bench.make("evaluate", params(**BY))
    assert {id.partition("#")[0] for id in measured(bench, "domain")["q"]["ids"]} == {"long"}
    assert measured(bench, "documents")["q"]["ids"][0] == "long"
    assert sorted(measured(bench, "documents")["q"]["ids"]) == ["d0", "d1", "d2", "long"]


def test_a_ranking_by_vectors_goes_deeper_where_it_has_to(tmp_path: Path) -> None:
    """Only queries whose texts are of too few documents are ranked again, until there are enough, or no more texts."""
    ids = [f"long#{n}" for n in range(50)] + ["a#0", "b#0"]
    asked: list[tuple[int, int]] = []

    class Found:
        def rank(self, queries: Any, depth: int, skip: Any, form: Any) -> list[list[tuple[str, float]]]:
            asked.append((len(queries), depth))
            order = {0: ids, 1: ids[::-1]}
            return [[(id, 1.0) for id in order[int(at)] if id not in out][:depth]
                    for at, out in zip(queries, skip, strict=True)]

    models = Models.__new__(Models)
    models._asked, models._depth, models._ids = Asked(["x", "y"], [{"b#0"}, set()]), 3, ids
    models._pages = Pages({id: id.partition("#")[0] for id in ids}, {}, 3, 3)
    hits = models._deep(Found(), np.array([0, 1]), None)  # type: ignore[arg-type]
    assert asked == [(2, 3), (1, 12), (1, 48), (1, 192)]
    assert models._pages.of(id for id, _ in hits[0]) == ["long", "a"] and len(hits[1]) == 3


def test_what_is_cut_differently_is_the_same_documents(tmp_path: Path) -> None:
    """Documents, duplicates and grades come out alike of a fine and of a coarse cutting."""
    fine = cut(tmp_path / "1", {"a": ["one", "two", "three"], "b": ["one", "two", "three"], "c": ["four"]})
    coarse = cut(tmp_path / "2", {"a": ["one two", "three"], "b": ["one two", "three"], "c": ["four"]})
    both = [pages(bench.needs["snapshot/documents.jsonl"], bench.needs["snapshot/manifest"], True, 100)
            for bench in (fine, coarse)]
    assert both[0].same == both[1].same == {"a": "a", "b": "a"} and both[0].total == both[1].total == 3
    assert both[0].judged({"a#1": 2, "a#0": 1}) == {"a": 2}
    assert both[0].judged({"a#0": 1, "a#2": 3, "c#0": 1}) == {"a": 3, "c": 1} == both[1].judged({"a#1": 3, "c#0": 1})
    assert not pages(fine.needs["snapshot/documents.jsonl"], fine.needs["snapshot/manifest"], False, 100).same
