"""What a person may have meant whose ids and quotes lead nowhere: looked for only then, in a pass of its own."""
from __future__ import annotations

import difflib
import heapq
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from embspec.stages.pairs.asked import Judgement
from embspec.stages.pairs.documents import pages
from embspec.stages.pairs.quotes import collapsed, nearest_texts
from embspec.stages.reading import SHOWN, Problems

LIKE, SHARE = 0.6, 0.5
CLOSE = 5  # ids that are compared letter by letter


def short(text: str) -> str:
    """A quote as a message shows it."""
    words = collapsed(text)
    return repr(words if len(words) <= 60 else words[:57] + "…")


def dangling(lost: Sequence[Judgement], path: Path, field: str, retrain: str, problems: Problems) -> None:
    """Note every positive whose id the snapshot lacks, with the id that is nearest."""
    ordered = sorted(lost, key=lambda one: one.where)
    near = _nearest_ids({one.document for one in ordered[:SHOWN]}, path) if ordered else {}
    for one in ordered:
        meant = near.get(one.document)
        fix = f"did you mean {meant!r}? " if meant else "correct the id; "
        problems.add("input.dangling", f"the snapshot of the corpus has no {one.document!r}", one.where,
                     fix + retrain, field)


def _nearest_ids(names: set[str], path: Path) -> dict[str, str]:
    """The id of the snapshot that is spelt most like each of these."""
    grams: dict[str, list[str]] = {}
    for name in sorted(names):
        for gram in _grams(name):
            grams.setdefault(gram, []).append(name)
    best: dict[str, list[tuple[int, str]]] = {name: [] for name in names}
    for known in _ids(path):
        votes = Counter(name for gram in _grams(known) & grams.keys() for name in grams[gram])
        for name, shared in votes.items():
            heapq.heappush(best[name], (2 * shared - len(known), known))
            if len(best[name]) > CLOSE:
                heapq.heappop(best[name])
    found = {}
    for name, close in best.items():
        ranked = sorted((-difflib.SequenceMatcher(None, name, known).ratio(), known) for _, known in close)
        if ranked and -ranked[0][0] >= LIKE:
            found[name] = ranked[0][1]
    return found


def _grams(name: str) -> set[str]:
    padded = f"\0{name.casefold()}\0"
    return {padded[at : at + 3] for at in range(len(padded) - 2)}


def _ids(path: Path) -> Iterator[str]:
    """The ids that a positive can name: of rows, and of the documents they were cut from."""
    before = None
    with open(path, "rb") as lines:
        for line in lines:
            row = json.loads(line)
            if row.get("start") is not None and row["document"] != before:
                before = row["document"]
                yield before
            if row.get("start") is None:
                yield row["id"]


def nowhere(lost: Sequence[Judgement], path: Path, field: str, problems: Problems) -> None:
    """Note every quote that is in no document, with the document that has most of its words."""
    ordered = sorted(lost, key=lambda one: one.where)
    quotes = {number: one.quote for number, one in enumerate(ordered[:SHOWN])}
    near = nearest_texts(quotes, ((page.id, f"{page.title} {page.text}") for page in pages(path))) if quotes else {}
    for number, one in enumerate(ordered):
        name, share = near.get(number, ("", 0.0))
        where = f"in {one.document!r}" if one.document and not one.loose else "in any document of the snapshot"
        close = f"nearest is {name!r}, which has {share:.0%} of its words; " if share >= SHARE else ""
        problems.add("input.quote", f"the quote {short(one.quote)} is not {where}", one.where,
                     f"{close}copy the words as the document has them", field)
