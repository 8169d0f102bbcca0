"""How good the model is while it trains: when that is measured, on how much, and what is kept."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from embspec.errors import fail
from embspec.measure.metrics import DEEP, gains, score, split_name
from embspec.retrieval import knn
from embspec.retrieval.propose import Place
from embspec.stages.snapshot import Document, passage, rows
from embspec.stages.train.model import GroupedModel, on
from embspec.stages.train.texts import Texts

MOST = 4  # checkpoints of an epoch where the spec says auto
QUARTER = 0.25  # of training's work, all checkpoints together
PASSES = 3  # work of a training step on a token, where a checkpoint's is 1: backward costs twice forward
LEAST = 1000  # documents ranked at least before an epoch gets another checkpoint
BLOCK = 256  # texts put through at a time


class Times(NamedTuple):
    """The steps after which the model is measured, and how many documents of the pool it then ranks."""

    steps: tuple[int, ...]
    documents: int


class Work(NamedTuple):
    """Tokens that training puts through, and those of a checkpoint: all questions, and each document of the pool."""

    training: int
    questions: int
    pool: Sequence[int]
    answers: int  # documents at the pool's head that are always ranked


def times(total: int, epochs: float, asked: int | None, work: Work) -> Times:
    """As many checkpoints as a quarter of the training pays for, and as much of the pool in each.

    With `asked` their number is given and only the pool is cut. One checkpoint over the answers alone is always made,
    whatever it costs.
    """
    budget = QUARTER * PASSES * work.training
    costs = list(accumulate(work.pool, initial=work.questions))
    enough = min(len(work.pool), max(work.answers, LEAST))
    steps: tuple[int, ...] = ()
    affordable = 0
    for each in (asked,) if asked else range(MOST, 0, -1):
        steps = _spread(total, max(1, round(each * epochs)))
        share = budget / (len(steps) + 1)  # the base is measured before the first step
        affordable = sum(cost <= share for cost in costs) - 1
        if affordable >= enough:
            break
    return Times(steps, min(len(work.pool), max(affordable, work.answers)))


def _spread(total: int, count: int) -> tuple[int, ...]:
    """Evenly over the training, the last one at its end."""
    return tuple(sorted({-(-total * n // count) for n in range(1, count + 1)}))


class Pool(NamedTuple):
    """What is ranked for which questions, and what is right."""

    metric: str
    questions: Sequence[str]
    documents: Sequence[str]
    ids: Sequence[str]
    answers: int
    judged: Sequence[Mapping[str, float]]
    echoes: Sequence[frozenset[str]]  # documents that only repeat the question, skipped as in every evaluation


def read(validation: Path, pool: Path, metric: str) -> Pool:
    """The questions of validation and the documents that they are asked of."""
    asked = list(rows(validation))
    kept = list(rows(pool))
    judged = [{one["id"]: float(one.get("grade", 1)) for one in row["positives"]} for row in asked]
    same: dict[str, list[str]] = {_folded(row["query"]): [] for row in asked}
    for row in kept:
        if (text := _folded(row["text"])) in same:
            same[text].append(row["id"])
    echoes = [
        frozenset(id for id in same[_folded(row["query"])] if id not in right)
        for row, right in zip(asked, judged, strict=True)
    ]
    return Pool(
        metric,
        [row["query"] for row in asked],
        [passage(Document.of(row)) for row in kept],
        [row["id"] for row in kept],
        sum(row["positive"] for row in kept),
        judged,
        echoes,
    )


class Bench:
    """Measures a model on the questions of validation over the head of the pool."""

    def __init__(self, model: GroupedModel, pool: Pool, prompts: Mapping[str, str | None]) -> None:
        self._model, self._pool = model, pool
        self._questions = Texts(model, pool.questions, prompts.get("query"))
        self._documents = Texts(model, pool.documents, prompts.get("document"))
        self.size = len(pool.documents)
        self.metric = pool.metric

    def work(self, training: int) -> Work:
        """What a checkpoint costs beside training, in tokens."""
        return Work(training, sum(self._questions.lengths), self._documents.lengths, self._pool.answers)

    def measure(self) -> float:
        """The mean of the metric over all questions, to 6 digits."""
        pool, (_, k) = self._pool, split_name(self._pool.metric)
        questions = self._vectors(self._questions, len(self._questions))
        documents = self._vectors(self._documents, self.size)
        place = Place(threads=torch.get_num_threads())
        ranked = knn.top(questions, documents, pool.ids[: self.size], k or DEEP, pool.echoes, place)
        scored = [
            score(pool.metric, *gains([id for id, _ in found], right))
            for found, right in zip(ranked, pool.judged, strict=True)
        ]
        return round(sum(scored) / len(scored), 6)

    def _vectors(self, texts: Texts, count: int) -> NDArray[np.float32]:
        made: NDArray[np.float32] | None = None
        self._model.eval()
        with torch.no_grad():
            for chosen, features in texts.blocks(BLOCK, count):
                block = self._model(on(self._model.device, features))["sentence_embedding"].cpu().numpy()
                made = np.empty((count, block.shape[1]), np.float32) if made is None else made
                made[chosen] = block
        if made is None or not np.isfinite(made).all():
            raise fail("stage.diverged", "the model's vectors are no numbers any more", fix="lower train.learning_rate",
                       field="train.learning_rate")
        return knn.unit(made) if self._model.similarity_fn_name == "cosine" else made


def _folded(text: str) -> str:
    return " ".join(text.split())
