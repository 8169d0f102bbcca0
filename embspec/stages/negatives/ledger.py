"""What became of each candidate of a query, and what all of it says."""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from embspec.stages.negatives.guard import MARGINS, Rules
from embspec.stages.negatives.miners import Miner

DIGITS = 4  # of a score that is only shown
TOO_EASY = 0.9  # share of rows that the base needs no training for


class Entry(NamedTuple):
    """A document that was looked at for a query; `guard` is why it was refused."""

    at: int
    miner: str
    rank: int | None
    score: float
    guard: str | None


Found = tuple[Miner, Sequence[int]]
"""A miner's candidates for one query, in its order from rank `low` on."""

Judge = Callable[[int], tuple[float, str | None]]
"""The score of a document and why it may not be a negative, None where it may."""


class Order(NamedTuple):
    """What tells documents apart for one query: an order that seed and query alone decide, and a digest of the text."""

    chance: Callable[[int], int]
    text: Callable[[int], int]


def take(found: Sequence[Found], judge: Judge, order: Order, taken: dict[int, int]) -> list[Entry]:
    """Negatives of one query, miner after miner; `taken` (digest of the text: document) grows.

    What one miner took the next leaves out, and so does it a copy: the same text twice would teach nothing more.
    """
    entries: list[Entry] = []
    for miner, candidates in found:
        ranks: list[tuple[int | None, int]] = [
            (None if miner.kind == "random" else miner.low + n, at) for n, at in enumerate(candidates)
        ]
        if miner.sampling == "random":
            entries += _drawn(miner, ranks, judge, order, taken)
        else:
            entries += _first(miner, ranks, judge, order, taken)
    return entries


def _first(
    miner: Miner, ranks: Sequence[tuple[int | None, int]], judge: Judge, order: Order, taken: dict[int, int]
) -> list[Entry]:
    """From the top, until there are enough."""
    entries: list[Entry] = []
    left = miner.number
    for rank, at in ranks:
        if not left:
            break
        if order.text(at) in taken:
            continue
        entries.append(Entry(at, miner.name, rank, *judge(at)))
        if entries[-1].guard is None:
            taken[order.text(at)] = at
            left -= 1
    return entries


def _drawn(
    miner: Miner, ranks: Sequence[tuple[int | None, int]], judge: Judge, order: Order, taken: dict[int, int]
) -> list[Entry]:
    """All ranks are judged, and chance chooses among those that pass."""
    judged = [Entry(at, miner.name, rank, *judge(at)) for rank, at in ranks if order.text(at) not in taken]
    passed = sorted((entry.at for entry in judged if entry.guard is None), key=order.chance)
    chosen: dict[int, int] = {}
    for at in passed:
        if len(chosen) < miner.number:
            chosen.setdefault(order.text(at), at)
    taken |= chosen
    return [entry for entry in judged if entry.guard is not None or taken.get(order.text(entry.at)) == entry.at]


class Tally:
    """What the ledger says as a whole."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.rows = self.dropped = self.short = self.negatives = 0
        self.refused: Counter[str] = Counter()
        self._easy = self._judged = self._doubtful = 0

    def add(self, entries: Sequence[Entry], weakest: float, wanted: int, drop: bool) -> None:
        """One query more, with what was looked at for it."""
        kept = [entry for entry in entries if entry.guard is None]
        self.refused.update({entry.at: entry.guard for entry in entries if entry.guard is not None}.values())
        # Margins take out just what would be hard: a row is easy where they took out nothing over the positive.
        rivals = [entry.score for entry in entries if entry.guard is None or entry.guard in MARGINS]
        self._judged += bool(rivals)
        self._easy += bool(rivals) and max(rivals) < weakest
        self.short += len(kept) < wanted
        if drop:
            self.dropped += 1
            return
        self.rows += 1
        self.negatives += len(kept)
        self._doubtful += sum(self._rules.doubts(entry.score, weakest) for entry in kept)

    @property
    def easy(self) -> float:
        """The share of rows whose positives the base already ranks over all that was looked at and is not excluded."""
        return round(self._easy / self._judged, DIGITS) if self._judged else 0.0

    @property
    def false_negatives(self) -> float:
        """An estimate: the share of negatives that margins twice as wide would refuse."""
        return round(self._doubtful / self.negatives, DIGITS) if self.negatives else 0.0

    def summary(self) -> dict[str, Any]:
        """The first line of the ledger."""
        return {
            "rows": self.rows,
            "dropped": self.dropped,
            "short": self.short,
            "negatives": self.negatives,
            "refused": dict(sorted(self.refused.items())),
            "easy": self.easy,
            "too_easy": self.easy > TOO_EASY,
            "false_negatives": self.false_negatives,
        }


def line(question: str, weakest: float | None, entries: Sequence[Entry], ids: Sequence[str]) -> Mapping[str, Any]:
    """One query's line of the ledger."""
    return {
        "id": question,
        "positive": None if weakest is None else round(weakest, DIGITS),
        "candidates": [
            {"id": ids[e.at], "miner": e.miner, "rank": e.rank, "score": round(e.score, DIGITS), "guard": e.guard}
            for e in entries
        ],
    }
