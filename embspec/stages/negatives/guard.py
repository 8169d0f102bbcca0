"""What keeps true answers out of the negatives: pure decisions over positions and scores."""
from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from embspec.stages.negatives.library import Alike, Library
from embspec.stages.negatives.questions import Known, Question

# By what a document scores, not by what it is.
MARGINS = frozenset(("relative_margin", "absolute_margin", "max_score", "cross_encoder"))


class Rules(NamedTuple):
    """What the spec's guard says."""

    relative: float | None = None
    absolute: float | None = None
    highest: float | None = None
    exclude: frozenset[str] = frozenset(("positives", "siblings", "near_duplicates", "test_documents"))

    def refuses(self, score: float, weakest: float) -> str | None:
        """By which rule a score is too near the query's weakest positive, or too high."""
        if self.relative is not None and score > weakest - abs(weakest) * self.relative:
            return "relative_margin"
        if self.absolute is not None and score > weakest - self.absolute:
            return "absolute_margin"
        return "max_score" if self.highest is not None and score > self.highest else None

    def overrules(self, score: float, weakest: float) -> str | None:
        """Whether a cross-encoder takes a document for an answer too, by the scores that it gives itself.

        Two answers are in either order as often as not, so that what is hardly under the positive is refused too.
        """
        return "cross_encoder" if score >= weakest - abs(weakest) * (self.relative or 0.0) else None

    def doubts(self, score: float, weakest: float) -> bool:
        """Whether margins twice as wide would refuse it; without any, whether it is over the positive."""
        if self.relative is None and self.absolute is None:
            return score > weakest
        relative, absolute = (None if one is None else 2 * one for one in (self.relative, self.absolute))
        return Rules(relative, absolute).refuses(score, weakest) is not None


class Shield(NamedTuple):
    """What can be no negative of one query, whatever it scores."""

    positives: frozenset[int]
    duplicates: frozenset[int] = frozenset()
    near: frozenset[int] = frozenset()
    owners: frozenset[str] = frozenset()

    def refuses(self, at: int, owner: str, tests: Collection[int]) -> str | None:
        """Why a document is no candidate."""
        if at in self.positives:
            return "positive"
        if at in self.duplicates:
            return "duplicate"
        if at in self.near:
            return "near_duplicate"
        if owner in self.owners:
            return "sibling"
        return "test_document" if at in tests else None


class Kin:
    """The relatives of every answer, gathered once."""

    def __init__(self, library: Library, known: Known, rules: Rules) -> None:
        self._library, self._known, self._rules = library, known, rules
        self.tested = frozenset(library.at[id] for id in known.test)
        self.answers = {library.at[id] for ids in known.every.values() for id in ids}
        self._copies: Mapping[int, Iterable[int]] = library.copies(self.answers | self.tested)
        self._alike: Alike | None = None

    @property
    def compares(self) -> bool:
        """Whether texts have to be compared at all."""
        return bool({"near_duplicates", "test_documents"} & self._rules.exclude)

    def compare(self, candidates: Collection[int], threshold: float) -> None:
        """Find near-duplicates among the answers and all that may become a negative."""
        if self.compares:
            self._alike = Alike(self._library, {*candidates, *self.answers, *self.tested}, threshold)

    def tests(self) -> frozenset[int]:
        """Test documents as wholes, with their copies and near-duplicates."""
        if "test_documents" not in self._rules.exclude:
            return frozenset()
        owners = {self._library.owner(at) for at in self.tested}
        return frozenset(self._library.families(owners)) | self._same(self.tested) | self._near(self.tested)

    def right(self, question: Question) -> frozenset[int]:
        """The answers that training knows for a question; test answers move no margin."""
        return frozenset(self._library.at[id] for id in self._known.train[question.plain])

    def shield(self, question: Question) -> Shield:
        """What the spec excludes for one query; its own answers are never its negatives."""
        at, exclude = self._library.at, self._rules.exclude
        own = frozenset(at[id] for id in question.positives)
        right = frozenset(at[id] for id in self._known.every[question.plain])
        echoes = frozenset(self._library.echoes.get(question.plain, ()))
        return Shield(
            right if "positives" in exclude else own,
            self._same(right) | echoes if "positives" in exclude else frozenset(),
            self._near(right) if "near_duplicates" in exclude else frozenset(),
            frozenset(map(self._library.owner, right)) if "siblings" in exclude else frozenset(),
        )

    def _same(self, some: Iterable[int]) -> frozenset[int]:
        return frozenset(copy for at in some for copy in self._copies[at])

    def _near(self, some: Iterable[int]) -> frozenset[int]:
        return frozenset(one for at in some for one in self._alike.to(at)) if self._alike else frozenset()
