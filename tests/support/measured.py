"""A build with a model as the pages see it: rows of every system, what ships, how it was trained; nobody ran it."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.benches import Bench, Row, params, put_runs, question, ranked

NONE, RRF = {"method": "none"}, {"method": "rrf", "k": 60}
METRICS = ("recall@5", "mrr@10", "ndcg@10")
Form = tuple[str, int | None, str | None]
# The rank of the right document by query, in a round.
PLACES: Mapping[Form, Sequence[int | None]] = {
    ("base", 64, "float32"): (2, 4, None, 1),
    ("base", 32, "float32"): (3, None, None, 1),
    ("bm25", None, None): (5, 5, None, 1),
    ("hybrid", 64, "float32"): (3, 4, None, 1),
    ("tuned", 64, "float32"): (1, 2, 3, 1),
    ("tuned", 32, "float32"): (1, 3, 3, 1),
    ("tuned", 64, "int8"): (1, 2, 4, 1),
    ("tuned+bm25", 64, "float32"): (2, 2, 3, 1),
    ("shipped", 32, "float32"): (1, 3, 3, 1),
}
SPLIT: Mapping[str, Any] = {
    "parts": {part: {"queries": n, "documents": n} for part, n in (("train", 90), ("validation", 20), ("test", 40))},
    "held_out": 0, "unused": 0, "near_duplicate_groups": 0, "dropped_edges": 0, "largest_component": 5, "test": 40,
    "leaking": 0, "disjoint": 40, "shared": {"query": [], "document": [], "near_duplicate": []},
}
LEAKING: Mapping[str, Any] = {**SPLIT, "leaking": 20, "disjoint": 20}  # the first two questions of each round
LEDGER: Mapping[str, Any] = {
    "rows": 88, "dropped": 2, "short": 3, "without": {"queries": 2, "first": ["q1", "q7"]}, "negatives": 500,
    "miners": {"dense": {"wanted": 360, "found": 350}, "bm25": {"wanted": 180, "found": 160}},
    "refused": {"near_duplicate": 4, "relative_margin": 71}, "easy": 0.25, "too_easy": False, "false_negatives": 0.0125,
    "scores": {"low": -1.0, "high": 1.0, "positives": [0] * 17 + [8, 60, 20],
               "negatives": [0] * 14 + [250, 249, 1, 0, 0, 0]},
}
CHOICE: Mapping[str, Any] = {
    "dim": 32, "precision": "float32", "similarity": "cosine", "fusion": NONE, "fused": RRF, "depth": 100,
}
TRIED: Mapping[str, Any] = {
    "queries": 20,
    "dim": {"metric": "ndcg@10", "min_retention": 0.95, "tried": {"64": 0.8, "32": 0.79}},
    "fusion": {"metric": "ndcg@10", "tried": [{**NONE, "value": 0.8}, {**RRF, "value": 0.7}]},
}


def rows(count: int = 40, places: Mapping[Form, Sequence[int | None]] = PLACES, **named: Any) -> list[tuple[Row, Row]]:
    """Runs and scores of every form over the same queries."""
    return [
        ranked(f"q{n:03}", some[n % len(some)], system=system, dim=dim, precision=precision, metrics=METRICS, **named)
        for (system, dim, precision), some in places.items() for n in range(count)
    ]


def part(query: str) -> list[str]:
    """The slice of a question where half of them leak."""
    return ["leaking" if int(query[1:]) % 4 < 2 else "disjoint"]


def text(query: str) -> str:
    """What a query asks; every tenth names an identifier."""
    return f"Where is part_{query}?" if query.endswith("0") else "Where is 2024 the rope?"


def bench(folder: Path, *, ledger: Mapping[str, Any] = LEDGER, losses: Sequence[float] = (3.0, 1.0),
          choice: Mapping[str, Any] = CHOICE, count: int = 40, leak: bool = False) -> Bench:
    """All artefacts that the pages read, but the verdict."""
    made = Bench(folder, {"a": "kelp", "b": "boat"})
    found = rows(count)
    put_runs(made, [({**run, "slices": part(run["query"])}, {**scores, "slices": part(run["query"])})
                    for run, scores in found] if leak else found)
    queries = [f"q{n:03}" for n in range(count)]
    made.split("test", [question(query, text(query), f"right of {query}") for query in queries])
    made.put("split/leaks.json", [LEAKING if leak else SPLIT])
    made.make("lexical", params())
    made.put("choose/choice.json", [choice])
    made.put("choose/tried.json", [TRIED])
    made.put("negatives/ledger.jsonl", [{"summary": ledger}, {"id": "q", "positive": 0.5, "candidates": []}])
    trace = folder / "train" / "trace"
    trace.parent.mkdir(parents=True)
    trace.write_bytes(b"".join(struct.pack("<Qdd", n, loss, 0.5) for n, loss in enumerate(losses)))
    made.needs["train/trace"] = trace
    return made
