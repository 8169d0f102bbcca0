"""What became of each candidate of a query, and what all of it says."""
from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count, repeat
from typing import Any, NamedTuple

from embspec.stages.negatives.guard import MARGINS, Rules
from embspec.stages.negatives.miners import Miner

DIGITS = 4  # of a share
TOO_EASY = 0.9  # share of rows that the base needs no training for
COPY = "copy"  # the guard's word for a text that is a negative already, under another id
BINS, MICRO = 20, 1_000_000  # of a histogram; scores have six digits, and as whole numbers no bin is a matter of luck
SLACK = 10  # millionths by which rounding may carry a cosine past its bounds
FIRST = 10  # ids that a summary names


class Entry(NamedTuple):
    """A document that was looked at for a query; `guard` is why it was refused."""

    at: int
    miner: str
    rank: int | None
    score: float
    guard: str | None
    second: float | None = None  # the cross-encoder's score, where it was asked


class Look(NamedTuple):
    """How far a miner looked for one query: from rank `low` (None where it draws) at so many, and at `left` no more."""

    miner: str
    low: int | None
    looked: int
    left: int
    wanted: int
    found: int
    undrawn: Sequence[int] = ()  # what passed and was not drawn


class Account(NamedTuple):
    """A query's page: the score of each answer, what became of each candidate, how far each miner looked."""

    answers: Mapping[int, float] = {}
    entries: Sequence[Entry] = ()
    looks: Sequence[Look] = ()
    second: Mapping[int, float] | None = None  # the cross-encoder's score of each answer, where there is one

    @property
    def weakest(self) -> float | None:
        """The score that margins count from."""
        return min(self.answers.values(), default=None)

    @property
    def kept(self) -> list[Entry]:
        """The negatives."""
        return [entry for entry in self.entries if entry.guard is None]


Found = tuple[Miner, Sequence[int]]
"""A miner's candidates for one query, in its order from rank `low` on."""

Judge = Callable[[int], tuple[float, str | None]]
"""The score of a document and why it may not be a negative, None where it may."""

Last = Callable[[int], tuple[float | None, str | None]]
"""The same by the cross-encoder, which is asked only of what would be taken: nothing else is as dear."""


class Order(NamedTuple):
    """What tells documents apart for one query: an order that seed and query alone decide, and a digest of the text."""

    chance: Callable[[int], int]
    text: Callable[[int], int]


def nobody(at: int) -> tuple[float | None, str | None]:
    """The last word where there is no cross-encoder."""
    return None, None


def take(
    found: Sequence[Found], judge: Judge, order: Order, taken: dict[int, int], last: Last = nobody
) -> tuple[list[Entry], list[Look]]:
    """Negatives of one query, miner after miner; `taken` (digest of the text: document) grows.

    What one miner took the next leaves out, and so does it a copy: the same text twice would teach nothing more.
    """
    entries: list[Entry] = []
    looks: list[Look] = []
    for miner, candidates in found:
        way = _drawn if miner.sampling == "random" else _first
        some, look = way(miner, candidates, judge, order, taken, last)
        entries += some
        looks.append(look)
    return entries, looks


def _ranked(miner: Miner, candidates: Sequence[int]) -> Iterator[tuple[int | None, int]]:
    """With their ranks, where they have some."""
    ranks = repeat(None) if miner.kind == "random" else count(miner.low)
    return zip(ranks, candidates, strict=False)


def _first(
    miner: Miner, candidates: Sequence[int], judge: Judge, order: Order, taken: dict[int, int], last: Last
) -> tuple[list[Entry], Look]:
    """From the top, until there are enough."""
    entries: list[Entry] = []
    looked = found = 0
    for rank, at in _ranked(miner, candidates):
        if found == miner.number:
            break
        looked += 1
        text = order.text(at)
        if taken.get(text) == at:
            continue
        entry = Entry(at, miner.name, rank, *judge(at))
        if entry.guard is None and text in taken:
            entry = entry._replace(guard=COPY)
        elif entry.guard is None:
            entry = _asked(entry, last)
            if entry.guard is None:
                taken[text] = at
                found += 1
        entries.append(entry)
    return entries, _look(miner, looked, len(candidates), found)


def _drawn(
    miner: Miner, candidates: Sequence[int], judge: Judge, order: Order, taken: dict[int, int], last: Last
) -> tuple[list[Entry], Look]:
    """All ranks are judged, and chance chooses among those that pass."""
    judged = [Entry(at, miner.name, rank, *judge(at)) for rank, at in _ranked(miner, candidates)
              if taken.get(order.text(at)) != at]
    passed = [n for n, entry in enumerate(judged) if entry.guard is None and order.text(entry.at) not in taken]
    chosen: dict[int, int] = {}
    for n in sorted(passed, key=lambda n: order.chance(judged[n].at)):
        if len(chosen) == miner.number:
            break
        if order.text(judged[n].at) in chosen:
            continue
        judged[n] = _asked(judged[n], last)
        if judged[n].guard is None:
            chosen[order.text(judged[n].at)] = judged[n].at
    taken |= chosen
    entries: list[Entry] = []
    undrawn: list[int] = []
    for entry in judged:
        same = taken.get(order.text(entry.at))
        if entry.guard is not None or same == entry.at:
            entries.append(entry)
        elif same is not None:
            entries.append(entry._replace(guard=COPY))
        else:
            undrawn.append(entry.at)
    return entries, _look(miner, len(candidates), len(candidates), len(chosen))._replace(undrawn=undrawn)


def _asked(entry: Entry, last: Last) -> Entry:
    second, guard = last(entry.at)
    return entry._replace(guard=guard, second=second)


def _look(miner: Miner, looked: int, total: int, found: int) -> Look:
    low = None if miner.kind == "random" else miner.low
    return Look(miner.name, low, looked, total - looked, miner.number, found)


class Tally:
    """What the ledger says as a whole."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.rows = self.dropped = self.short = self.negatives = 0
        self.refused: Counter[str] = Counter()
        self._easy = self._judged = self._doubtful = self._without = 0
        self._bare: list[str] = []  # the first queries without a negative
        self._wanted: Counter[str] = Counter()
        self._found: Counter[str] = Counter()
        self._scores = {"positives": array("q"), "negatives": array("q")}

    def add(self, question: str, account: Account, wanted: int, drop: bool) -> None:
        """One query more, with what was looked at for it."""
        kept, weakest = account.kept, account.weakest or 0.0
        self.refused.update({entry.at: entry.guard for entry in account.entries if entry.guard is not None}.values())
        # Margins take out just what would be hard: a row is easy where they took out nothing over the positive.
        rivals = [entry.score for entry in account.entries if entry.guard is None or entry.guard in MARGINS]
        self._judged += bool(rivals)
        self._easy += bool(rivals) and max(rivals) < weakest
        self.short += len(kept) < wanted
        self._without += not kept
        self._bare += [question] if not kept and len(self._bare) < FIRST else []
        for look in account.looks:
            self._wanted[look.miner] += look.wanted
            self._found[look.miner] += look.found
        if drop:
            self.dropped += 1
            return
        self.rows += 1
        self.negatives += len(kept)
        self._doubtful += sum(self._rules.doubts(entry.score, weakest) for entry in kept)
        self._scores["positives"].extend(_micro(score) for score in account.answers.values())
        self._scores["negatives"].extend(_micro(entry.score) for entry in kept)

    @property
    def easy(self) -> float:
        """The share of rows whose positives the model already ranks over all that was looked at and is not excluded."""
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
            "without": {"queries": self._without, "first": self._bare},
            "negatives": self.negatives,
            "miners": {name: {"wanted": self._wanted[name], "found": self._found[name]} for name in self._wanted},
            "refused": dict(sorted(self.refused.items())),
            "easy": self.easy,
            "too_easy": self.easy > TOO_EASY,
            "false_negatives": self.false_negatives,
            "scores": histogram(self._scores),
        }


def _micro(score: float) -> int:
    return round(score * MICRO)


def histogram(scores: Mapping[str, Sequence[int]]) -> dict[str, Any] | None:
    """How many scores, in millionths, lie in each of 20 bins of one width; None where there are none.

    The bins go from -1 to 1, so that two builds can be laid side by side; only dot products, which have no bounds,
    get bins from their least to their greatest. A bin holds its lower end, the last one both.
    """
    some = [one for one in scores.values() if len(one)]
    if not some:
        return None
    low, high = min(map(min, some)), max(map(max, some))
    cosine = max(-low, high) <= MICRO + SLACK
    low, high = (-MICRO, MICRO) if cosine else (low, max(high, low + 1))
    found: dict[str, Any] = {"low": low / MICRO, "high": high / MICRO}
    for name, each in scores.items():
        bins = Counter(min(max((one - low) * BINS // (high - low), 0), BINS - 1) for one in each)
        found[name] = [bins[number] for number in range(BINS)]
    return found


def line(question: str, account: Account, dropped: bool, ids: Sequence[str]) -> Mapping[str, Any]:
    """One query's line of the ledger; the scores are those that the guard compared, to the last digit."""
    return {
        "id": question,
        "positive": account.weakest,
        "answers": [
            {"id": ids[at], "score": score, **_second(account.second[at] if account.second else None)}
            for at, score in account.answers.items()
        ],
        "dropped": dropped,
        "looks": [_shown(look, ids) for look in account.looks],
        "candidates": [
            {"id": ids[e.at], "miner": e.miner, "rank": e.rank, "score": e.score, "guard": e.guard,
             **_second(e.second)}
            for e in account.entries
        ],
    }


def _second(score: float | None) -> Mapping[str, float]:
    """Left out where no cross-encoder was asked."""
    return {} if score is None else {"cross_encoder": score}


def _shown(look: Look, ids: Sequence[str]) -> Mapping[str, Any]:
    """Without what was not drawn, where nothing is drawn."""
    said = {"miner": look.miner, "from": look.low, "looked": look.looked, "left": look.left, "wanted": look.wanted,
            "found": look.found}
    return {**said, "undrawn": [ids[at] for at in look.undrawn]} if look.undrawn else said
