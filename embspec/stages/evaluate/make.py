"""Ranks the queries of each suite by each system and scores every query."""
from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from embspec.measure.forms import SHIPPED, TUNED
from embspec.measure.metrics import DEEP, gains, score, split_name
from embspec.plan.protocol import Desk, Made, Params, Progress
from embspec.stages.evaluate.models import Asked, Models
from embspec.stages.evaluate.pages import Pages, pages
from embspec.stages.evaluate.rank import Question, Ranker
from embspec.stages.evaluate.stat import summary, told_twice
from embspec.stages.evaluate.systems import ROLES, SYSTEMS, WORDS, Choice, Form, asked, forms, precisions
from embspec.stages.reading import canonical
from embspec.stages.searching import searching
from embspec.stages.snapshot import chosen_tokenizer, classes, lexical, rows

Row = Mapping[str, Any]
EVERY = 100  # queries between two words of progress
SLICES = ("leaking", "grown")  # marks of a test query that make a slice
CHOICE = "choose/choice.json"
KEPT = ("suite", "system", "dim", "precision", "query", "cluster", "slices")


class Bench(NamedTuple):
    """What every query is measured with."""

    ranker: Ranker
    same: Mapping[str, str]  # document -> the first of its exact duplicates
    metrics: Sequence[str]
    pages: Pages | None  # where some suite asks for documents


class Suite(NamedTuple):
    """What is asked, and whether documents are found or the texts that they were cut into."""

    part: str
    by_document: bool


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write `runs` (what was ranked, with grades) and `scores` (each query, each metric)."""
    suites = _suites(params)
    questions = _questions(needs, [suite.part for suite in suites.values()])
    bench = _bench(params, needs, [question for part in questions.values() for question in part], desk)
    ranker = bench.ranker
    means: dict[tuple[str, str, Form], Mapping[str, float]] = {}
    stat: dict[str, Any] = {}
    with open(out / "runs", "w", encoding="utf-8") as runs, open(out / "scores", "w", encoding="utf-8") as scores:
        for suite, what in sorted(suites.items()):
            for system, forms in ranker.forms.items():
                for form in forms:
                    measured = _measured((suite, what), system, form, questions[what.part], bench, desk)
                    means[suite, system, form] = _written(measured, runs, scores, bench.metrics)
                stat |= summary(suite, system, means[suite, system, forms[0]], len(questions[what.part]))
    count = sum(len(questions[suites[suite].part]) for suite, _, _ in means)
    if ranker.models is None:
        return Made(stat=stat, counts={"rows": count})
    if told_twice(ranker.choice, ranker.forms[TUNED][0]):
        stat = {where: text for where, text in stat.items() if where.split(" ")[0] != SHIPPED}
    return Made(stat=stat, counts={"rows": count, "encoded": ranker.models.encoded})


def _suites(params: Params) -> dict[str, Suite]:
    """Each suite by name."""
    names = [path.removesuffix(".split") for path in params if path.endswith(".split")]
    return {name.removeprefix("eval.suites."): Suite(params[f"{name}.split"], params.get(f"{name}.by") == "document")
            for name in names if name.startswith("eval.suites.")}


def _questions(needs: Mapping[str, Any], parts: Iterable[str]) -> Mapping[str, Sequence[Question]]:
    """The queries of each part of the split, numbered through."""
    found: dict[str, list[Question]] = {}
    at = 0
    for part in sorted(set(parts)):
        for row in rows(needs[f"split/{part}.jsonl"]):
            found.setdefault(part, []).append(Question(row, at, {p["id"]: p["grade"] for p in row["positives"]}))
            at += 1
        found.setdefault(part, [])
    return found


def _bench(params: Params, needs: Mapping[str, Any], questions: Sequence[Question], desk: Desk) -> Bench:
    texts = [question.row["query"] for question in questions]
    words = lexical(needs["snapshot/documents.jsonl"], chosen_tokenizer(needs), params, texts, desk)
    same = classes(params, needs)
    depth = max([DEEP, *(split_name(metric)[1] or 0 for metric in params["eval.metrics"])])
    whole = _pages(params, needs, depth)
    choice: Choice | None = json.loads(needs[CHOICE].read_bytes()) if CHOICE in needs else None
    names = asked(params, choice)
    if choice is None:
        plain = dict.fromkeys(names, (WORDS,))
        return Bench(Ranker(words, plain, depth, None, {}), same, params["eval.metrics"], whole)
    alone = Asked(texts, [words.echoes.of(q.row["query"], q.judged) for q in questions])
    models = Models(needs, desk, alone, max(depth, choice["depth"]), searching(params), whole)
    dims = models.dims(params)
    found = {name: forms(name, dims, precisions(params), choice) for name in names}
    for role in ROLES:
        if wanted := [form for name in names if SYSTEMS[name].vectors == role for form in found[name]]:
            models.rank(role, wanted)
    return Bench(Ranker(words, found, depth, models, choice), same, params["eval.metrics"], whole)


def _pages(params: Params, needs: Mapping[str, Any], depth: int) -> Pages | None:
    if not any(suite.by_document for suite in _suites(params).values()):
        return None
    return pages(needs["snapshot/documents.jsonl"], needs["snapshot/manifest"], params["corpus.dedup.exact"], depth)


def _measured(
    named: tuple[str, Suite], system: str, form: Form, questions: Sequence[Question], bench: Bench, desk: Desk
) -> Iterator[Row]:
    """One ranking a query, with the grade at each rank and the grades that could be found."""
    suite, what = named
    whole = bench.pages if what.by_document else None
    for number, question in enumerate(questions):
        if number % EVERY == 0:
            desk.tell(Progress(f"{suite}: {system}", number, len(questions)))
        row = question.row
        if whole is not None:
            ids = bench.ranker.pages(system, form, question, whole)
            found, ideal = gains(ids, whole.judged(question.judged), whole.same)
        else:
            ids = bench.ranker.ids(system, form, question)
            found, ideal = gains(ids, question.judged, bench.same)
        slices = [name for name in SLICES if row.get(name)]
        slices += ["disjoint"] if row.get("leaking") is False else []
        yield {"suite": suite, "system": system, "dim": form[0], "precision": form[1], "query": row["id"],
               "cluster": row["cluster"], "slices": slices, "ids": ids, "gains": found, "ideal": ideal}


def _written(measured: Iterable[Row], runs: IO[str], scores: IO[str], metrics: Sequence[str]) -> Mapping[str, float]:
    """Write each run and its scores; the mean of each metric, none without queries."""
    columns: dict[str, list[float]] = {metric: [] for metric in metrics}
    for run in measured:
        found = {metric: score(metric, run["gains"], run["ideal"]) for metric in metrics}
        _write(runs, run)
        _write(scores, {**{name: run[name] for name in KEPT}, "scores": found})
        for metric, value in found.items():
            columns[metric].append(value)
    return {metric: sum(values) / len(values) for metric, values in columns.items() if values}


def _write(file: IO[str], row: Row) -> None:
    file.write(canonical(row) + "\n")
