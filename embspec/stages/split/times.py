"""When a question was asked, for a split by time: the latest are tested."""
from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from embspec.errors import EmbspecError, Problem
from embspec.stages.split.rows import SHOWN, Query, where
from embspec.stages.times import FIRST, FORMS, seconds

_SPAN = (datetime.max.replace(tzinfo=timezone.utc) - FIRST).total_seconds()


def order(text: str) -> float:
    """A number in (0, 1], the smaller the later."""
    found = seconds(text)
    return math.inf if found is None else 1.0 - found / _SPAN


def said(place: float) -> str:
    """The time at such a place."""
    return (FIRST + timedelta(seconds=round((1.0 - place) * _SPAN))).isoformat(sep=" ").partition("+")[0]


def check(deciding: Sequence[Query], column: str) -> None:
    """Every query that decides where the cut is needs a time."""
    bad = [query for query in deciding if seconds(query.time) is None]
    if not bad:
        return
    problems = []
    for query in bad[:SHOWN]:
        text = (f"query {query.id!r} has the {column} {query.time!r}, which is no time" if query.time
                else f"query {query.id!r} has no {column!r}, and time is what is split by")
        problems.append(Problem("input.time", text, where(query), f"write a time: {FORMS}", "split.time_column"))
    if len(bad) > SHOWN:
        problems.append(Problem("input.time", f"and {len(bad) - SHOWN} more queries like these"))
    raise EmbspecError(*problems)
