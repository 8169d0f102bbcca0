"""Which tokenizer BM25 uses: the spec's, or the one that ranks the validation queries best."""
from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embspec.measure.metrics import gains, score
from embspec.plan.protocol import Desk, Made, Params, Progress
from embspec.retrieval.tokenize import TOKENIZERS
from embspec.stages.snapshot import lexical_index

METRIC = "ndcg@10"
DEPTH = 10


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write `tokenizer.json`; where it was chosen, with the score of each candidate."""
    name = params["eval.bm25.tokenizer"]
    k1, b = params["eval.bm25.k1"], params["eval.bm25.b"]
    tried: dict[str, float] = {}
    rows = 0
    if name == "auto":
        queries = [json.loads(line) for line in needs["split/validation.jsonl"].read_bytes().splitlines()]
        for number, candidate in enumerate(TOKENIZERS):
            desk.tell(Progress(f"tokenizer {candidate}", number, len(TOKENIZERS)))
            tried[candidate] = _try(candidate, queries, needs["snapshot/documents.jsonl"], k1, b)
        # The first of equals: the table's order is from the plainest to the most particular.
        name = max(tried, key=lambda candidate: tried[candidate])
        rows = len(queries)
    found = {"tokenizer": name, "metric": METRIC if tried else None, "tried": tried}
    (out / "tokenizer.json").write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return Made(stat={"tokenizer": name, **{f"{METRIC} {t}": round(v, 4) for t, v in tried.items()}},
                counts={"rows": rows})


def _try(name: str, queries: list[dict[str, Any]], path: Path, k1: float, b: float) -> float:
    bm25 = lexical_index(path, name, k1, b)
    total = 0.0
    for query in queries:
        ids = [document for document, _ in bm25.search(TOKENIZERS[name](query["query"]), DEPTH)]
        judged = {p["id"]: p["grade"] for p in query["positives"]}
        total += score(METRIC, *gains(ids, judged))
    return round(total / max(len(queries), 1), 9)
