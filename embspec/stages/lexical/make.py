"""Which tokenizer BM25 uses: the spec's, or the one that ranks the validation queries best."""
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from embspec.measure.metrics import gains, score
from embspec.plan.protocol import Desk, Made, Params, Progress
from embspec.retrieval.tokenize import TOKENIZERS
from embspec.stages.snapshot import lexical, rows

METRIC = "ndcg@10"
DEPTH = 10
DIGITS = 9  # of a mean: candidates that are equal on paper are equal here


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write `tokenizer.json`, and apart from it `tried.json`: scores that move must not move what reads the choice."""
    name = params["eval.bm25.tokenizer"]
    tried: dict[str, float] = {}
    queries: list[dict[str, Any]] = []
    if name == "auto":
        queries = list(rows(needs["split/validation.jsonl"]))
        documents = needs["snapshot/documents.jsonl"]
        for number, candidate in enumerate(TOKENIZERS):
            desk.tell(Progress(f"tokenizer {candidate}", number, len(TOKENIZERS)))
            tried[candidate] = _try(candidate, queries, documents, params)
        # The first of equals: the table's order is from the plainest to the most particular.
        name = max(tried, key=lambda candidate: tried[candidate])
    _write(out / "tokenizer.json", {"tokenizer": name})
    _write(out / "tried.json", {"metric": METRIC if tried else None, "queries": len(queries), "tried": tried})
    stat = {"tokenizer": name, **{f"{METRIC} {candidate}": round(value, 4) for candidate, value in tried.items()}}
    return Made(stat=stat, counts={"rows": len(queries)})


def _try(name: str, queries: Sequence[Mapping[str, Any]], documents: Path, params: Params) -> float:
    """The mean over validation; 0 for every candidate where there is no query."""
    words = lexical(documents, name, params, [query["query"] for query in queries])
    total = 0.0
    for query in queries:
        judged = {p["id"]: p["grade"] for p in query["positives"]}
        total += score(METRIC, *gains(words.rank(query["query"], judged, DEPTH), judged))
    return round(total / max(len(queries), 1), DIGITS)


def _write(path: Path, found: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
