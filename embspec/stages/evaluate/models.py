"""Rankings by the vectors of both models, at every dim and precision that is asked for."""
from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embspec.plan.protocol import Desk, Params, Progress
from embspec.retrieval import quantize
from embspec.retrieval.propose import Place
from embspec.stages.dims import measured
from embspec.stages.encoder import Encoder, opened
from embspec.stages.evaluate.pages import MORE, Pages
from embspec.stages.evaluate.systems import BASE, MODEL, Form
from embspec.stages.ranking import Dense, Served, Vectors, dense, served
from embspec.stages.snapshot import documents

Hits = list[tuple[str, float]]

DOCUMENTS = "snapshot/documents.jsonl"
INT8 = "int8"


class Asked(NamedTuple):
    """Queries, and for each the documents that it does not get."""

    texts: Sequence[str]
    skip: Sequence[Collection[str]]


class Ranks(NamedTuple):
    """The best documents of every query by place in the snapshot: pairs of text and number take ten times the room."""

    places: Sequence[NDArray[np.int32]]
    scores: Sequence[NDArray[np.float64]]


class Models:
    """Both models over one snapshot; the vectors of each are there while it ranks, and let go."""

    def __init__(
        self, needs: Mapping[str, Any], desk: Desk, asked: Asked, depth: int, place: Place, pages: Pages | None = None
    ) -> None:
        self._needs, self._desk, self._asked, self._depth, self._place = needs, desk, asked, depth, place
        self._pages = pages
        self._encoders: dict[str, Encoder] = {}
        self._ranks: dict[tuple[str, Form], Ranks] = {}
        self._ids = [document.id for document in documents(needs[DOCUMENTS])]
        self._places = {id: place for place, id in enumerate(self._ids)}

    @property
    def encoded(self) -> int:
        """Texts that were really put through a model."""
        return sum(encoder.encoded for encoder in self._encoders.values())

    def dims(self, params: Params) -> list[int]:
        """The full dim first, then the others that the spec asks for, largest first."""
        return measured(self._encoder(MODEL).dim, params)

    def rank(self, role: str, forms: Iterable[Form]) -> None:
        """Rank all queries by a model at each form; its texts are encoded once."""
        encoder = self._encoder(role)
        queries = encoder.queries(self._asked.texts)
        found = dense(self._needs[DOCUMENTS], encoder, self._place)
        wanted = list(dict.fromkeys(forms))
        for number, form in enumerate(wanted):
            self._desk.tell(Progress(f"ranking by {role}: dim {form[0]} {form[1]}", number, len(wanted)))
            hits = self._deep(found, queries, self._served(role, found, form))
            self._ranks[role, form] = Ranks(
                [np.array([self._places[id] for id, _ in some], np.int32) for some in hits],
                [np.array([score for _, score in some], np.float64) for some in hits],
            )

    def hits(self, role: str, form: Form, at: int) -> Hits:
        """The best documents of one query."""
        ranks = self._ranks[role, form]
        pairs = zip(ranks.places[at].tolist(), ranks.scores[at].tolist(), strict=True)
        return [(self._ids[place], score) for place, score in pairs]

    def _deep(self, found: Dense, queries: Vectors, form: Served) -> list[Hits]:
        """Each query as deep as is asked, and deeper where documents are wanted and those texts are of too few."""
        skip, depth = self._asked.skip, self._depth
        hits = found.rank(queries, depth, skip, form)
        short = list(range(len(hits))) if self._pages else []
        while self._pages and depth < len(self._ids):
            short = [at for at in short if not self._pages.enough(id for id, _ in hits[at])]
            if not short:
                break
            depth *= MORE
            deeper = found.rank(queries[short], depth, [skip[at] for at in short], form)
            for at, some in zip(short, deeper, strict=True):
                hits[at] = some
        return hits

    def _encoder(self, role: str) -> Encoder:
        if role not in self._encoders:
            self._encoders[role] = opened(self._needs[role], self._desk.digests[role], self._desk)
        return self._encoders[role]

    def _served(self, role: str, found: Dense, form: Form) -> Served:
        """A form with its ends; the base, whose ends no export measures, gets those of its own documents."""
        dim, precision = form[0] or self._encoder(role).dim, form[1] or ""
        if role != BASE or precision != INT8:
            return served(self._needs["export/ranges.json"], dim, precision)
        low, high = zip(*map(quantize.ranges, found.cut(dim)), strict=True)
        return Served(dim, precision, (np.min(low, axis=0), np.max(high, axis=0)))
