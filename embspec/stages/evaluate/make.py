"""Ranks the queries of each suite by each system and scores every query."""
from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from embspec.measure.metrics import gains, score, split_name
from embspec.plan.protocol import Desk, Made, Params, Progress
from embspec.retrieval.bm25 import BM25
from embspec.retrieval.tokenize import TOKENIZERS
from embspec.stages.snapshot import documents, lexical_index

# Runs are kept this deep at least, so that a gate on another metric is computed from them and nothing is ranked again.
DEPTH = 100


class Bench(NamedTuple):
    """What every query is measured with."""

    bm25: BM25
    tokenizer: str
    same: Mapping[str, str]  # document -> the first of its exact duplicates
    echoes: Mapping[str, Sequence[str]]  # query text -> documents that are just that text
    metrics: Sequence[str]
    depth: int


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write `runs` (what was ranked, with grades) and `scores` (each query, each metric)."""
    suites = {path.split(".")[2]: params[path] for path in params if path.startswith("eval.suites.")}
    queries = {part: _read(needs[f"split/{part}.jsonl"]) for part in set(suites.values())}
    bench = _bench(params, needs, [q["query"] for rows in queries.values() for q in rows])
    runs = [
        _run(suite, system, query, bench)
        for suite, part in sorted(suites.items())
        for system in params["eval.systems"]
        for query in _told(queries[part], f"{suite}: {system}", desk)
    ]
    scores = [_score(run, bench.metrics) for run in runs]
    _write(out / "runs", runs)
    _write(out / "scores", scores)
    return Made(stat=_stat(scores, bench.metrics), counts={"rows": len(runs)})


def _bench(params: Params, needs: Mapping[str, Any], texts: Iterable[str]) -> Bench:
    name = json.loads(needs["lexical/tokenizer.json"].read_bytes())["tokenizer"]
    path = needs["snapshot/documents.jsonl"]
    echoes: dict[str, list[str]] = {text.strip(): [] for text in texts}
    for document in documents(path):
        if document.text.strip() in echoes:
            echoes[document.text.strip()].append(document.id)
    bm25 = lexical_index(path, name, params["eval.bm25.k1"], params["eval.bm25.b"])
    same = _classes(needs["snapshot/manifest"]) if params["corpus.dedup.exact"] else {}
    depth = max([DEPTH, *(split_name(m)[1] or 0 for m in params["eval.metrics"])])
    return Bench(bm25, name, same, echoes, params["eval.metrics"], depth)


def _classes(manifest: Path) -> dict[str, str]:
    """Exact duplicates of one another, by the digest of their text; only those that have one."""
    first: dict[str, str] = {}
    same: dict[str, str] = {}
    for line in manifest.read_text(encoding="utf-8").split("\n")[:-1]:
        document, digest = line.split("\t")
        if first.setdefault(digest, document) != document:
            same[document] = first[digest]
            same[first[digest]] = first[digest]
    return same


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def _told(queries: Sequence[dict[str, Any]], text: str, desk: Desk) -> Iterable[dict[str, Any]]:
    for number, query in enumerate(queries):
        if number % 100 == 0:
            desk.tell(Progress(text, number, len(queries)))
        yield query


def _run(suite: str, system: str, query: dict[str, Any], bench: Bench) -> dict[str, Any]:
    """One ranking, without documents that are the query itself."""
    skip = {query["id"], *bench.echoes[query["query"].strip()]}
    hits = bench.bm25.search(TOKENIZERS[bench.tokenizer](query["query"]), bench.depth + len(skip))
    ids = [document for document, _ in hits if document not in skip][: bench.depth]
    judged = {p["id"]: p["grade"] for p in query["positives"]}
    found, ideal = gains(ids, judged, bench.same)
    slices = [name for name in ("leaking", "grown") if query.get(name)]
    slices += ["disjoint"] if query.get("leaking") is False else []
    return {"suite": suite, "system": system, "dim": None, "precision": None, "query": query["id"],
            "cluster": query["cluster"], "slices": slices, "ids": ids, "gains": found, "ideal": ideal}


def _score(run: dict[str, Any], metrics: Sequence[str]) -> dict[str, Any]:
    kept = {k: run[k] for k in ("suite", "system", "dim", "precision", "query", "cluster", "slices")}
    return {**kept, "scores": {m: score(m, run["gains"], run["ideal"]) for m in metrics}}


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


def _stat(scores: Sequence[dict[str, Any]], metrics: Sequence[str]) -> dict[str, Any]:
    """Means for the lock, by metric, suite and system."""
    groups: dict[tuple[str, str], list[dict[str, float]]] = {}
    for row in scores:
        groups.setdefault((row["suite"], row["system"]), []).append(row["scores"])
    stat: dict[str, Any] = {}
    for (suite, system), rows in groups.items():
        where = "" if suite == "domain" else f" on {suite}"
        stat[f"queries {system}{where}"] = len(rows)
        for metric in metrics:
            stat[f"{metric} {system}{where}"] = round(sum(r[metric] for r in rows) / len(rows), 4)
    return stat
