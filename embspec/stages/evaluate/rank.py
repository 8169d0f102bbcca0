"""One query ranked by one system: by words, by vectors, or by both as an index does it."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from embspec.retrieval import fusion
from embspec.stages.evaluate.models import Hits, Models
from embspec.stages.evaluate.systems import SYSTEMS, Choice, Form
from embspec.stages.snapshot import Lexical


class Question(NamedTuple):
    """A query as it is ranked: its place among all that are asked, and its grades."""

    row: Mapping[str, Any]
    at: int
    judged: Mapping[str, float]


class Ranker:
    """Every system over one snapshot; without a model there are words alone."""

    def __init__(
        self, words: Lexical, forms: Mapping[str, Sequence[Form]], depth: int, models: Models | None, choice: Choice
    ) -> None:
        self.forms, self.depth, self.models, self.choice = forms, depth, models, choice
        self._words = words
        self._hits: dict[int, Hits] = {}

    def ids(self, system: str, form: Form, question: Question) -> list[str]:
        """The best documents, best first."""
        return [document for document, _ in self._ranked(system, form, question)]

    def _ranked(self, system: str, form: Form, question: Question) -> Hits:
        role = SYSTEMS[system].vectors
        if self.models is None or role is None:
            return self._by_words(question)[: self.depth]
        dense = self.models.hits(role, form, question.at)
        method = SYSTEMS[system].fusion(self.choice)
        if method["method"] == "none":
            return dense[: self.depth]
        # Lists as deep as an index fuses them, however deep a metric looks: it must not move what the others measure.
        deep: int = self.choice["depth"]
        return fusion.fused(method, dense[:deep], self._by_words(question)[:deep], self.depth)

    def _by_words(self, question: Question) -> Hits:
        if question.at not in self._hits:
            depth = max(self.depth, self.choice.get("depth", 0))
            self._hits[question.at] = self._words.hits(question.row["query"], question.judged, depth)
        return self._hits[question.at]
