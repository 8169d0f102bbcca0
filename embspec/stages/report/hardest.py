"""What of the rankings is shown: the hardest test questions, and how hard all are for plain words."""
from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from embspec.measure.forms import BM25, SHIPPED, SUITE, Form, Row, form

EXAMPLES = 10
METRIC = "ndcg@10"


class Ranked(NamedTuple):
    """What is kept of the rankings, which are read once and are too many to hold."""

    worst: Sequence[Row]  # runs of the system that is looked into
    firsts: Mapping[str, Sequence[Row]]  # by suite, what words say: the query, its cluster, the grade of the first


def ranked(runs: Iterable[Row], tests: Iterable[str], shown: str | None) -> Ranked:
    """Keep of each suite what BM25 ranks first, and of the test the runs of a system that go worst."""
    known = set(tests)
    looked: Form | None = None
    some: list[Row] = []
    firsts: dict[str, list[Row]] = {}
    for run in runs:
        if run["system"] == BM25:
            firsts.setdefault(run["suite"], []).append({"query": run["query"], "cluster": run["cluster"],
                                                        "found": run["gains"][:1] > [0]})
        if run["suite"] == SUITE and run["query"] in known and shown in (None, run["system"]):
            looked = looked or form(run)
            some += [run] if form(run) == looked else []
    return Ranked(heapq.nsmallest(EXAMPLES, some, key=_badness), firsts)


def system(choice: Mapping[str, Any] | None) -> str | None:
    """The system to look into: what ships, else whichever was measured first."""
    return None if choice is None else SHIPPED


def hardest(
    worst: Sequence[Row], scores: Mapping[Form, Sequence[Row]], tests: Iterable[Row], metrics: Sequence[str]
) -> list[dict[str, Any]]:
    """The worst by where the first right document stands, with what stands first instead."""
    metric = METRIC if METRIC in metrics else metrics[0]
    texts = {row["id"]: row for row in tests}
    values = {row["query"]: row["scores"][metric] for row in scores[form(worst[0])]} if worst else {}
    return [
        {
            "query": texts[row["query"]]["query"],
            "positives": [positive["id"] for positive in texts[row["query"]]["positives"]],
            "system": row["system"],
            "rank": _rank(row),
            "depth": len(row["ids"]),
            "first": row["ids"][0] if row["ids"] and not row["gains"][0] else None,
            "metric": metric,
            "value": values[row["query"]],
        }
        for row in worst
        if _rank(row) != 1
    ]


def _rank(row: Row) -> int | None:
    """The rank of the first right document, None where no right one was found."""
    return next((rank for rank, grade in enumerate(row["gains"], 1) if grade > 0), None)


def _badness(row: Row) -> tuple[bool, int, str]:
    rank = _rank(row)
    return rank is not None, -(rank or 0), row["query"]
