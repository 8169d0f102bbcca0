"""The cross-encoder's last word: what it is asked, and when."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from embspec.stages.negatives.guard import Rules
from embspec.stages.negatives.ledger import Account, Entry, Last, Look, nobody
from embspec.stages.negatives.library import Library
from embspec.stages.negatives.questions import Question
from embspec.stages.reranker import Reranker

Take = Callable[[Last], tuple[list[Entry], list[Look]]]
"""What becomes of the candidates of one query, by this last word."""


class Case(NamedTuple):
    """A query that is to be decided: its answers with their scores by the base, and how its negatives are taken."""

    question: Question
    answers: Mapping[int, float]
    take: Take

    def account(self, last: Last, second: Mapping[int, float] | None = None) -> Account:
        """Decided by this last word."""
        return Account(self.answers, *self.take(last), second)


class Doubt:
    """What is known of one query's pairs; a document that was not scored passes for now, and is noted."""

    def __init__(self, case: Case, library: Library, rules: Rules) -> None:
        self.case = case
        self.answers = list(case.answers) or [library.at[id] for id in case.question.positives]
        self.missing: dict[int, None] = dict.fromkeys(self.answers)
        self.scores: dict[int, float] = {}
        self._rules = rules

    def last(self, at: int) -> tuple[float | None, str | None]:
        """The score of a document and whether it is the reason to refuse it."""
        if at not in self.scores:
            self.missing[at] = None
            return None, None
        weakest = min(self.scores[answer] for answer in self.answers)
        return self.scores[at], self._rules.overrules(self.scores[at], weakest)

    def tried(self) -> Account:
        """The account as it would be if all that was not scored yet passed."""
        second = {at: self.scores[at] for at in self.answers if at in self.scores}
        return self.case.account(self.last, second)


def decided(
    cases: Iterable[Case], reranker: Reranker | None, library: Library, rules: Rules, block: int
) -> Iterator[tuple[Question, Account]]:
    """Every query with its account; so many of them share a wave."""
    if reranker is None:
        yield from ((case.question, case.account(nobody)) for case in cases)
        return
    some: list[Case] = []
    for case in cases:
        some.append(case)
        if len(some) == block:
            yield from _in_waves(some, reranker, library, rules)
            some = []
    yield from _in_waves(some, reranker, library, rules)


def _in_waves(
    cases: Sequence[Case], reranker: Reranker, library: Library, rules: Rules
) -> Iterator[tuple[Question, Account]]:
    """Score what would be taken if all of it passed, then what refusals leave missing, until nothing is.

    Nothing is scored that would not be when candidates were asked for one at a time: what passes for now stands before
    whatever is asked for after it is refused.
    """
    doubts = [Doubt(case, library, rules) for case in cases]
    accounts = [doubt.tried() for doubt in doubts]
    while wanted := [(doubt, at) for doubt in doubts for at in doubt.missing]:
        pairs = [(doubt.case.question.query, library.passage(at)) for doubt, at in wanted]
        for (doubt, at), score in zip(wanted, reranker.scores(pairs), strict=True):
            doubt.scores[at] = score
        for number, doubt in enumerate(doubts):
            if doubt.missing:
                doubt.missing = {}
                accounts[number] = doubt.tried()
    yield from ((doubt.case.question, account) for doubt, account in zip(doubts, accounts, strict=True))
