"""One query ranked by one system: by words, by vectors, or by both as an index does it."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from embspec.retrieval import fusion
from embspec.stages.evaluate.models import Hits, Models
from embspec.stages.evaluate.pages import MORE, Pages
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
        self._pages: dict[int, list[str]] = {}

    def ids(self, system: str, form: Form, question: Question) -> list[str]:
        """The best texts, best first."""
        return [text for text, _ in self._ranked(system, form, question, self.depth)[: self.depth]]

    def pages(self, system: str, form: Form, question: Question, pages: Pages) -> list[str]:
        """The best documents, best first: of words and of vectors as many as there are, of both those of an index."""
        if self.models is None or SYSTEMS[system].vectors is None:
            if question.at not in self._pages:
                self._pages[question.at] = self._pages_by_words(question, pages)
            return self._pages[question.at]
        both = 2 * int(self.choice["depth"])
        return pages.of(text for text, _ in self._ranked(system, form, question, both))

    def _ranked(self, system: str, form: Form, question: Question, most: int) -> Hits:
        """All that is known of what is ranked one way; where two are put together, the best so many."""
        role = SYSTEMS[system].vectors
        if self.models is None or role is None:
            return self._by_words(question)
        dense = self.models.hits(role, form, question.at)
        method = SYSTEMS[system].fusion(self.choice)
        if method["method"] == "none":
            return dense
        # Lists as deep as an index fuses them, however deep a metric looks: it must not move what the others measure.
        deep: int = self.choice["depth"]
        return fusion.fused(method, dense[:deep], self._by_words(question)[:deep], most)

    def _pages_by_words(self, question: Question, pages: Pages) -> list[str]:
        hits, depth = self._by_words(question), max(self.depth, self.choice.get("depth", 0))
        while len(hits) >= depth and not pages.enough(text for text, _ in hits):
            depth *= MORE
            hits = self._words.hits(question.row["query"], question.judged, depth)
        return pages.of(text for text, _ in hits)

    def _by_words(self, question: Question) -> Hits:
        if question.at not in self._hits:
            depth = max(self.depth, self.choice.get("depth", 0))
            self._hits[question.at] = self._words.hits(question.row["query"], question.judged, depth)
        return self._hits[question.at]
