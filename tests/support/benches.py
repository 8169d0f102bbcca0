"""Tiny artefacts for the stages behind the split, and those stages run on them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import xxhash

from embspec.measure.metrics import score
from embspec.plan.protocol import Made
from embspec.stages.card.make import make as make_card
from embspec.stages.evaluate.make import make as make_evaluate
from embspec.stages.gates.make import make as make_gates
from embspec.stages.lexical.make import make as make_lexical
from embspec.stages.report.make import make as make_report
from embspec.stages.survey.make import make as make_survey
from tests.support.desk import Desk

Row = dict[str, Any]

PARAMS: Mapping[str, Any] = {
    "name": "bench",
    "version": None,
    "description": None,
    "seed": 42,
    "risk": "standard",
    "corpus.dedup.exact": True,
    "corpus.dedup.near": 0.9,
    "corpus.max_truncated_fraction": 0.02,
    "eval.bm25.tokenizer": "words",
    "eval.bm25.language": "english",
    "eval.bm25.stem": False,
    "eval.bm25.k1": 1.2,
    "eval.bm25.b": 0.75,
    "eval.metrics": ["recall@5", "mrr@10", "ndcg@10"],
    "eval.systems": ["bm25"],
    "eval.suites.domain.split": "test",
    "eval.statistics.test": "paired_bootstrap",
    "eval.statistics.resamples": 200,
    "eval.statistics.cluster": "document",
}


def params(**changed: Any) -> dict[str, Any]:
    """The parameters with some changed: `eval__metrics=[…]` is `eval.metrics`."""
    return {**PARAMS, **{name.replace("__", "."): value for name, value in changed.items()}}


def question(id: str, text: str, *positives: str | tuple[str, float], **marks: Any) -> Row:
    """A row as the split writes it."""
    judged = [{"id": p, "grade": 1} if isinstance(p, str) else {"id": p[0], "grade": p[1]} for p in positives]
    return {
        "id": id,
        "query": text,
        "positives": judged,
        "source": "gold",
        "trust": "gold",
        "cluster": judged[0]["id"],
        **marks,
    }


def lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Rows as an artefact."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def read(path: Path) -> list[Row]:
    """An artefact as rows."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


class Bench:
    """A folder with a snapshot, a split and what the stages make of them."""

    def __init__(self, folder: Path, documents: Mapping[str, str | tuple[str, str]]) -> None:
        self.folder = folder
        titled = {id: ("", text) if isinstance(text, str) else text for id, text in documents.items()}
        rows = [
            {"id": id, "title": title, "text": text, "document": None, "metadata": {}}
            for id, (title, text) in sorted(titled.items())
        ]
        manifest = folder / "snapshot" / "manifest"
        self.needs: dict[str, Path] = {
            "snapshot/documents.jsonl": lines(folder / "snapshot" / "documents.jsonl", rows),
            "snapshot/manifest": manifest,
        }
        manifest.write_text(
            "".join(
                f"{r['id']}\t{xxhash.xxh3_128_hexdigest((r['title'] + chr(0) + r['text']).encode())}\n" for r in rows
            ),
            encoding="utf-8",
        )

    def split(self, part: str, rows: Sequence[Row]) -> None:
        """One part of the split."""
        self.needs[f"split/{part}.jsonl"] = lines(self.folder / "split" / f"{part}.jsonl", rows)

    def put(self, role: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """An artefact as it is given."""
        self.needs[role] = lines(self.folder / role, rows)

    def make(self, stage: str, asked: Mapping[str, Any]) -> Made:
        """Run a stage on what is there; its artefacts join the rest."""
        out = self.folder / stage / "out"
        out.mkdir(parents=True, exist_ok=True)
        desk = Desk(self.folder / stage / "scratch", {role: f"sha256:{role}" for role in self.needs})
        made = MAKES[stage](asked, self.needs, out, desk)
        self.needs |= {f"{stage}/{path.name}": path for path in out.iterdir()}
        return made

    def json(self, role: str) -> Any:
        """An artefact that is one JSON object."""
        return json.loads(self.needs[role].read_text(encoding="utf-8"))

    def rows(self, role: str) -> list[Row]:
        """An artefact with one JSON object in each line."""
        return read(self.needs[role])


MAKES: Mapping[str, Callable[..., Made]] = {
    "lexical": make_lexical,
    "evaluate": make_evaluate,
    "gates": make_gates,
    "report": make_report,
    "survey": make_survey,
    "card": make_card,
}


def slow_ranking(documents: Mapping[str, str], text: str, depth: int, k1: float = 1.2, b: float = 0.75) -> list[str]:
    """BM25 by its formula, one document at a time; words of two letters or more, stop words left to the texts."""

    def words(given: str) -> list[str]:
        return re.findall(r"\b\w\w+\b", given.lower())

    bags = {id: words(own) for id, own in documents.items()}
    average = sum(map(len, bags.values())) / len(bags)
    scores: dict[str, float] = {}
    for id, bag in bags.items():
        for word in words(text):
            df = sum(word in other for other in bags.values())
            tf = bag.count(word)
            idf = math.log(1 + (len(bags) - df + 0.5) / (df + 0.5))
            scores[id] = scores.get(id, 0.0) + idf * tf / (tf + k1 * (1 - b + b * len(bag) / average))
    found = [id for id in scores if scores[id] > 0]
    return sorted(found, key=lambda id: (-round(scores[id], 9), id))[:depth]


def slow_scores(ids: Sequence[str], grades: Mapping[str, float], k: int) -> dict[str, float]:
    """The metrics by their definitions."""
    relevant = {id for id, grade in grades.items() if grade > 0}
    top = list(ids[:k])
    hits = [id for id in top if id in relevant]
    best = sorted((2.0 ** grades[id] - 1 for id in relevant), reverse=True)[:k]
    dcg = sum((2.0 ** grades[id] - 1) / math.log2(top.index(id) + 2) for id in hits)
    return {
        f"recall@{k}": len(hits) / len(relevant),
        f"precision@{k}": len(hits) / k,
        f"mrr@{k}": max((1 / (top.index(id) + 1) for id in hits), default=0.0),
        f"ndcg@{k}": dcg / sum(gain / math.log2(at + 2) for at, gain in enumerate(best)),
        f"hit_rate@{k}": float(bool(hits)),
    }


def ranked(
    query: str,
    rank: int | None,
    *,
    system: str = "bm25",
    suite: str = "domain",
    cluster: str | None = None,
    slices: Sequence[str] = (),
    metrics: Sequence[str] = ("mrr@10",),
    depth: int = 100,
    dim: int | None = None,
    precision: str | None = None,
) -> tuple[Row, Row]:
    """The run and the scores of a question with one right document at a rank, or nowhere."""
    names = {
        "suite": suite,
        "system": system,
        "dim": dim,
        "precision": precision,
        "query": query,
        "cluster": cluster or f"document of {query}",
        "slices": list(slices),
    }
    gains = [float(at == rank) for at in range(1, depth + 1)]
    ids = [f"right of {query}" if gain else f"wrong {at}" for at, gain in enumerate(gains, 1)]
    scores = {metric: score(metric, gains, [1.0]) for metric in metrics}
    return {**names, "ids": ids, "gains": gains, "ideal": [1.0]}, {**names, "scores": scores}


def put_runs(bench: Bench, rows: Iterable[tuple[Row, Row]]) -> None:
    """Both artefacts of an evaluation that nobody ran."""
    runs, scores = zip(*rows, strict=True)
    bench.put("evaluate/runs", runs)
    bench.put("evaluate/scores", scores)
