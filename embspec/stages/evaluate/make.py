"""Ranks the queries of each suite by each system and scores every query."""
from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from embspec.measure.metrics import DEEP, gains, score, split_name
from embspec.plan.protocol import Desk, Made, Params, Progress
from embspec.stages.snapshot import Lexical, lexical, rows

Row = Mapping[str, Any]
EVERY = 100  # queries between two words of progress
SLICES = ("leaking", "grown")  # marks of a test query that make a slice


class Bench(NamedTuple):
    """What every query is measured with."""

    words: Lexical
    same: Mapping[str, str]  # document -> the first of its exact duplicates
    metrics: Sequence[str]
    depth: int


def _bm25(query: Row, judged: Mapping[str, float], bench: Bench) -> list[str]:
    return bench.words.rank(query["query"], judged, bench.depth)


SYSTEMS: Mapping[str, Callable[[Row, Mapping[str, float], Bench], list[str]]] = {
    "bm25": _bm25,
}


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write `runs` (what was ranked, with grades) and `scores` (each query, each metric)."""
    suites = {path.split(".")[2]: params[path] for path in params if path.startswith("eval.suites.")}
    queries = {part: list(rows(needs[f"split/{part}.jsonl"])) for part in sorted(set(suites.values()))}
    bench = _bench(params, needs, [query["query"] for part in queries.values() for query in part])
    stat: dict[str, Any] = {}
    with open(out / "runs", "w", encoding="utf-8") as runs, open(out / "scores", "w", encoding="utf-8") as scores:
        for suite, part in sorted(suites.items()):
            for system in params["eval.systems"]:
                scored = []
                for query in _told(queries[part], f"{suite}: {system}", desk):
                    run = _run(suite, system, query, bench)
                    _write(runs, run)
                    scored.append(_score(run, bench.metrics))
                    _write(scores, scored[-1])
                stat |= _stat(suite, system, scored, bench.metrics)
    return Made(stat=stat, counts={"rows": sum(n for name, n in stat.items() if name.startswith("queries "))})


def _bench(params: Params, needs: Mapping[str, Any], questions: Iterable[str]) -> Bench:
    tokenizer = json.loads(needs["lexical/tokenizer.json"].read_bytes())["tokenizer"]
    words = lexical(needs["snapshot/documents.jsonl"], tokenizer, params, questions)
    same = _classes(needs["snapshot/manifest"]) if params["corpus.dedup.exact"] else {}
    depth = max([DEEP, *(split_name(metric)[1] or 0 for metric in params["eval.metrics"])])
    return Bench(words, same, params["eval.metrics"], depth)


def _classes(manifest: Path) -> dict[str, str]:
    """Exact duplicates of one another, by the digest of their text; only those that have one."""
    first: dict[str, str] = {}
    same: dict[str, str] = {}
    # Not splitlines: an id may hold a line separator that only Unicode knows.
    for line in manifest.read_text(encoding="utf-8").split("\n")[:-1]:
        document, digest = line.split("\t")
        if first.setdefault(digest, document) != document:
            same[document] = first[digest]
            same[first[digest]] = first[digest]
    return same


def _told(queries: Sequence[Row], text: str, desk: Desk) -> Iterator[Row]:
    for number, query in enumerate(queries):
        if number % EVERY == 0:
            desk.tell(Progress(text, number, len(queries)))
        yield query


def _run(suite: str, system: str, query: Row, bench: Bench) -> Row:
    """One ranking, with the grade at each rank and the grades that could be found."""
    judged = {p["id"]: p["grade"] for p in query["positives"]}
    ids = SYSTEMS[system](query, judged, bench)
    found, ideal = gains(ids, judged, bench.same)
    slices = [name for name in SLICES if query.get(name)]
    slices += ["disjoint"] if query.get("leaking") is False else []
    return {"suite": suite, "system": system, "dim": None, "precision": None, "query": query["id"],
            "cluster": query["cluster"], "slices": slices, "ids": ids, "gains": found, "ideal": ideal}


def _score(run: Row, metrics: Sequence[str]) -> Row:
    kept = {k: run[k] for k in ("suite", "system", "dim", "precision", "query", "cluster", "slices")}
    return {**kept, "scores": {m: score(m, run["gains"], run["ideal"]) for m in metrics}}


def _write(file: IO[str], row: Row) -> None:
    file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


def _stat(suite: str, system: str, scored: Sequence[Row], metrics: Sequence[str]) -> dict[str, Any]:
    """Means for the lock; without queries there is none."""
    where = system if suite == "domain" else f"{system} on {suite}"
    means = {f"{m} {where}": round(sum(row["scores"][m] for row in scored) / len(scored), 4) for m in metrics if scored}
    return {f"queries {where}": len(scored), **means}
