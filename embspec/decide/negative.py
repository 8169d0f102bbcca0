"""Why a document is a negative of a query or is none, by the ledger of the build that mined it."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Row = Mapping[str, Any]

NEGATIVE, REFUSED, DROPPED, UNDRAWN, UNSEEN = "negative", "refused", "dropped", "not drawn", "not looked at"
PASSED, NOT_ASKED, NOT_SET = "passed", "not asked", "not set"

# What a document is comes first. A guard is there where `negatives.guard.exclude` has its word; a row's own answers
# are refused in any case.
KINDS: Mapping[str, tuple[str, str]] = {
    "positive": ("", "an answer to this question, or to one like it, by a row of some source"),
    "duplicate": ("positives", "the text of an answer under another id, or nothing but the question again"),
    "near_duplicate": ("near_duplicates", "nearly the text of an answer"),
    "sibling": ("siblings", "a part of the document that an answer is of"),
    "test_document": ("test_documents", "an answer of a query that is held out, or a copy or another part of one"),
}


class Bound(NamedTuple):
    """A guard by score: what a negative may not be over, and how that comes about, from the weakest answer's score."""

    at: Callable[[float, float], float]
    words: Callable[[float, float], str]


BOUNDS: Mapping[str, Bound] = {
    "relative_margin": Bound(lambda weakest, by: weakest - abs(weakest) * by,
                             lambda weakest, by: f" = {number(weakest)} - {100 * by:g} %"),
    "absolute_margin": Bound(lambda weakest, by: weakest - by, lambda weakest, by: f" = {number(weakest)} - {by:g}"),
    "max_score": Bound(lambda weakest, by: by, lambda weakest, by: ""),
}
COPY, JUDGE = "copy", "cross_encoder"


class Guard(NamedTuple):
    """What one guard decided, and by which figures."""

    guard: str
    decision: str  # passed, refused, not asked, not set
    text: str


class Explained(NamedTuple):
    """One document and one training row, in one round of mining."""

    round: int
    query: str
    text: str
    positives: Sequence[Row]  # id and score of each, as far as the ledger has it
    weakest: float | None
    document: str
    passage: str
    found: Sequence[Row]  # miner and rank
    score: float | None
    guards: Sequence[Guard]
    verdict: str
    by: str | None  # the guard that refused
    because: Sequence[str]


def number(value: float) -> str:
    """As many digits as the ledger has, without zeros behind."""
    return f"{value:.6f}".rstrip("0").rstrip(".") if value else "0"


def explained(round: int, row: Row, line: Row, document: str, passage: str, params: Row) -> Explained:
    """What a query's line of the ledger says of a document."""
    entries = [one for one in line["candidates"] if one["id"] == document]
    told = next((one for one in entries if one["guard"] is None), entries[0] if entries else None)
    found = [{"miner": one["miner"], "rank": one["rank"]} for one in entries]
    scores = {one["id"]: one["score"] for one in line.get("answers", ())}
    positives = [{"id": id, "score": scores.get(id)} for id in sorted({*scores, *(p["id"] for p in row["positives"])})]
    whole = Explained(round, row["id"], row["query"], positives, line["positive"], document, passage, found,
                      told and told["score"], (), "", told and told["guard"], ())
    if told is None:
        verdict, because = _absent(line, document)
        return whole._replace(verdict=verdict, because=because)
    guards = list(_guards(told, line, params))
    if told["guard"]:
        return whole._replace(guards=guards, verdict=REFUSED, because=_also(line))
    return whole._replace(guards=guards, verdict=DROPPED if line.get("dropped") else NEGATIVE, because=_also(line))


def outside(round: int, row: Row, document: str, passage: str, why: str) -> Explained:
    """A query that is known and that nothing was mined for."""
    positives = [{"id": one["id"], "score": None} for one in row["positives"]]
    return Explained(round, row["id"], row["query"], positives, None, document, passage, (), None, (), UNSEEN, None,
                     (why,))


def _guards(told: Row, line: Row, params: Row) -> Iterator[Guard]:
    """Every guard in its order; behind the one that refused none was asked."""
    reason: str | None = told["guard"]
    over = False
    for name, there, text in _steps(told, line, params):
        decision = NOT_ASKED if over else "refused" if name == reason else PASSED
        over = over or name == reason
        yield Guard(name, decision if there else NOT_SET, text if there and decision != NOT_ASKED else "")
    if reason and not over:  # of a version that knows more guards
        yield Guard(reason, "refused", "")


def _steps(told: Row, line: Row, params: Row) -> Iterator[tuple[str, bool, str]]:
    """Name, whether the spec has it, and its figures."""
    reason, score, weakest = told["guard"], told["score"], line["positive"]
    exclude = str(params["negatives.guard.exclude"]).split()
    for name, (word, text) in KINDS.items():
        yield name, not word or word in exclude, text if name == reason else ""
    for name, bound in BOUNDS.items():
        by = params[f"negatives.guard.{name}"]
        text = "" if by is None else _compared(score, ">", "<=", bound.at(weakest, by)) + bound.words(weakest, by)
        yield name, by is not None, text
    if reason == COPY:
        yield COPY, True, _same(told, line)
    second = [one[JUDGE] for one in line.get("answers", ()) if JUDGE in one]
    asked = JUDGE in told and bool(second)
    by = params["negatives.guard.relative_margin"] or 0.0
    text = _by_judge(told[JUDGE], min(second), by) if asked else ""
    yield JUDGE, params[f"negatives.guard.{JUDGE}"] is not None, text


def _by_judge(score: float, weakest: float, by: float) -> str:
    margin = f" = {number(weakest)} - {100 * by:g} %" if by else ""
    bound = weakest - abs(weakest) * by
    return f"{_compared(score, '>=', '<', bound)}{margin} of the answer that the cross-encoder likes least"


def _compared(score: float, refuses: str, passes: str, bound: float) -> str:
    bad = score > bound or (refuses == ">=" and score == bound)
    against = number(bound) if score == bound or number(score) != number(bound) else repr(bound)
    return f"{number(score)} {refuses if bad else passes} {against}"


def _same(told: Row, line: Row) -> str:
    """Equal texts have equal scores, so the score names the one that was taken."""
    taken = [one["id"] for one in line["candidates"] if one["guard"] is None and one["score"] == told["score"]]
    return "its text is a negative already" + (f", as {' or '.join(taken)}" if taken else "")


def _also(line: Row) -> tuple[str, ...]:
    """That the whole row was left out."""
    if not line.get("dropped"):
        return ()
    kept = sum(one["guard"] is None for one in line["candidates"])
    wanted = sum(look["wanted"] for look in line["looks"])
    return (f"the row was dropped: it has {kept} negatives of {wanted}, and `negatives.on_shortage` is drop",)


def _absent(line: Row, document: str) -> tuple[str, list[str]]:
    """Why a document is not among the candidates, miner by miner."""
    if "looks" not in line:
        return UNSEEN, ["no miner came to it before it had enough, or before its window ended"]
    if not line["looks"]:
        return UNSEEN, ["the spec has no miners"]
    drawn = any(document in look.get("undrawn", ()) for look in line["looks"])
    return UNDRAWN if drawn else UNSEEN, [*(_missed(look, document) for look in line["looks"]), *_also(line)]


def _missed(look: Row, document: str) -> str:
    """How far a miner came."""
    miner, looked, left, had = look["miner"], look["looked"], look["left"], f"{look['found']} of {look['wanted']}"
    if document in look.get("undrawn", ()):
        return f"{miner}: it passed the guard and is not among the {look['found']} that chance drew"
    if not looked and not left:
        return f"{miner}: its window is empty for this query"
    if look["from"] is None:
        place = f"the {looked} documents drawn for this query" + (" that were looked at" if left else "")
    else:
        first, last = look["from"], look["from"] + looked - 1
        place = f"ranks {first} to {last}" if looked else f"any rank from {first} on"
    if left:
        return f"{miner}: it is not among {place}; that was enough ({had}), and {left} more were not looked at"
    return f"{miner}: it is not among {place}, which is the whole window ({had} found)"
