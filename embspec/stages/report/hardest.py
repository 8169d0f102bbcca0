"""The test questions that are answered worst, to be read and understood."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

EXAMPLES = 10
SUITE = "domain"  # the suite of the test questions
METRIC = "ndcg@10"

Row = Mapping[str, Any]


def hardest(scores: Sequence[Row], runs: Sequence[Row], tests: Sequence[Row], metrics: Sequence[str]) -> list[Row]:
    """The worst of the first system by where the first right document stands, with what stands first instead."""
    texts = {row["id"]: row for row in tests}
    ranked = [row for row in runs if row["suite"] == SUITE and row["query"] in texts]
    if not ranked:
        return []
    system = ranked[0]["system"]
    metric = METRIC if METRIC in metrics else metrics[0]
    values = {row["query"]: row["scores"][metric] for row in scores
              if row["suite"] == SUITE and row["system"] == system}
    worst = sorted((row for row in ranked if row["system"] == system), key=_badness)
    return [
        {
            "query": texts[row["query"]]["query"],
            "positives": [positive["id"] for positive in texts[row["query"]]["positives"]],
            "system": system,
            "rank": _rank(row),
            "depth": len(row["ids"]),
            "first": row["ids"][0] if row["ids"] and not row["gains"][0] else None,
            "metric": metric,
            "value": values[row["query"]],
        }
        for row in worst[:EXAMPLES]
        if _rank(row) != 1
    ]


def _rank(row: Row) -> int | None:
    """The rank of the first right document, None where no right one was found."""
    return next((rank for rank, grade in enumerate(row["gains"], 1) if grade > 0), None)


def _badness(row: Row) -> tuple[bool, int, str]:
    rank = _rank(row)
    return rank is not None, -(rank or 0), row["query"]
