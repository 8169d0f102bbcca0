"""What serves: dimension, precision and fusion, by how the validation queries are ranked; never by test."""
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from embspec.measure.metrics import DEEP, gains, score, split_name
from embspec.plan.protocol import Desk, Made, Params, Progress
from embspec.retrieval import fusion
from embspec.stages.dims import shippable
from embspec.stages.encoder import opened
from embspec.stages.ranking import Dense, Served, Vectors, dense, served
from embspec.stages.searching import searching
from embspec.stages.snapshot import Lexical, chosen_tokenizer, classes, lexical, rows

Row = Mapping[str, Any]
Method = Mapping[str, Any]

METRIC = "ndcg@10"
DIGITS = 9  # of a mean: candidates that are equal on paper are equal here
NONE: Method = {"method": "none"}
# In the order in which the first of equals wins: the plainest, then weights from the even one outwards, the model's
# side first. Where several weights do as well, one in their midst stays good when queries change.
METHODS: tuple[Method, ...] = (
    NONE,
    {"method": "rrf", "k": 60},
    *({"method": "weighted", "weight": tenths / 10} for tenths in (5, 6, 4, 7, 3, 8, 2, 9, 1)),
)


class Bench(NamedTuple):
    """The validation queries over the snapshot, as the model and as words see them."""

    queries: Sequence[Row]
    judged: Sequence[Mapping[str, float]]
    asked: Vectors
    dense: Dense
    words: Lexical
    ranges: Path
    same: Mapping[str, str]  # document -> the first of its exact duplicates

    def rank(self, form: Served, depth: int) -> list[list[tuple[str, float]]]:
        """What the model finds for each query."""
        skip = [self.words.echoes.of(q["query"], judged) for q, judged in zip(self.queries, self.judged, strict=True)]
        return self.dense.rank(self.asked, depth, skip, form)

    def mean(self, metric: str, ranked: Sequence[Sequence[tuple[str, float]]]) -> float:
        """The mean of a metric; 0 where there is no query."""
        found = [score(metric, *gains([document for document, _ in hits], judged, self.same))
                 for hits, judged in zip(ranked, self.judged, strict=True)]
        return round(sum(found) / max(len(found), 1), DIGITS)


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write `choice.json`, and apart from it `tried.json`: scores that move must not move what reads the choice."""
    encoder = opened(needs["train/model"], desk.digests["train/model"], desk)
    possible = shippable(encoder.dim, params)
    queries = list(rows(needs["split/validation.jsonl"]))
    texts = [query["query"] for query in queries]
    documents = needs["snapshot/documents.jsonl"]
    bench = Bench(
        queries,
        [{p["id"]: p["grade"] for p in query["positives"]} for query in queries],
        encoder.queries(texts),
        dense(documents, encoder, searching(params)),
        lexical(documents, chosen_tokenizer(needs), params, texts, desk),
        needs["export/ranges.json"],
        classes(params, needs),
    )
    desk.tell(Progress("dimensions", 0, 2))
    dim, dims = _dim(params, bench, possible)
    desk.tell(Progress("fusions", 1, 2))
    form = served(bench.ranges, dim, params["index.precision"])
    method, fused, fusions = _fusion(params["eval.fusion.method"], bench, form)
    choice = {"dim": dim, "precision": form.precision, "similarity": encoder.similarity, "fusion": method,
              "fused": fused, "depth": DEEP}
    _write(out / "choice.json", choice)
    _write(out / "tried.json", {"queries": len(queries), "dim": dims, "fusion": fusions})
    stat = {"ships": f"dim {dim} {form.precision} fusion {spelled(method)}"}
    return Made(stat=stat, counts={"rows": len(queries), "encoded": encoder.encoded})


def spelled(method: Method) -> str:
    """A method of fusion in a word and its number."""
    return " ".join(str(value) for value in method.values())


def _dim(params: Params, bench: Bench, possible: Sequence[int]) -> tuple[int, Mapping[str, Any]]:
    """The smallest dimension that keeps enough of the first one's value, at the precision that ships."""
    if len(possible) == 1 or not bench.queries:
        return possible[0], {"metric": None, "min_retention": None, "tried": {}}
    metric = params["index.truncate_dim.smallest.metric"]
    least = params["index.truncate_dim.smallest.min_retention"]
    depth = split_name(metric)[1] or DEEP
    tried = {dim: bench.mean(metric, bench.rank(served(bench.ranges, dim, params["index.precision"]), depth))
             for dim in possible}
    full = tried[possible[0]]
    chosen = min(dim for dim, value in tried.items() if value >= least * full)
    told = {str(dim): value for dim, value in tried.items()}
    return chosen, {"metric": metric, "min_retention": least, "tried": told}


def _fusion(asked: str, bench: Bench, form: Served) -> tuple[Method, Method, Mapping[str, Any]]:
    """The method that serves, the best of those that do put the two together, and what each is worth."""
    alone = bench.rank(form, DEEP)
    words = [bench.words.hits(query["query"], judged, DEEP)
             for query, judged in zip(bench.queries, bench.judged, strict=True)]
    tried = [
        (method, bench.mean(METRIC, [fusion.fused(method, one, other, DEEP)
                                     for one, other in zip(alone, words, strict=True)]))
        for method in METHODS
    ]
    joint = [method for method in METHODS if method != NONE and asked in ("auto", "none", method["method"])]
    fused = _best(tried, joint)
    serves = _best(tried, METHODS) if asked == "auto" else NONE if asked == "none" else fused
    return serves, fused, {"metric": METRIC, "tried": [{**method, "value": value} for method, value in tried]}


def _best(tried: Sequence[tuple[Method, float]], among: Sequence[Method]) -> Method:
    """The first of the highest."""
    return max((row for row in tried if row[0] in among), key=lambda row: row[1])[0]


def _write(path: Path, found: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
