"""Rows to queries: the same question asked twice is one query with the positives of both."""
from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import xxhash

from embspec.errors import Where
from embspec.stages.pairs.asked import Asked, Judgement
from embspec.stages.reading import Problems, nfc
from embspec.stages.times import seconds

SINGLE = ("group", "session", "weight")  # of these a query has one; a filter or role makes it another query


class Query(NamedTuple):
    """A query as it goes into the artefact; judgements by document, grades over 0 alone."""

    id: str
    query: str
    positives: Sequence[Judgement]
    extras: Mapping[str, Any]


class Merged(NamedTuple):
    """All queries by id, how many rows were merged into others, and how many judgements said `not relevant`."""

    queries: list[Query]
    merged: int
    not_relevant: int


def identity(asked: Asked) -> str:
    """What makes two rows one query: the words, and the filter and role they are asked under."""
    words = " ".join(nfc(asked.query).split())
    under = {key: asked.extras[key] for key in ("filter", "role") if key in asked.extras}
    return words + ("\0" + json.dumps(under, sort_keys=True, ensure_ascii=False) if under else "")


def merge(rows: Iterable[Asked], problems: Problems) -> Merged:
    """Group rows by what they ask; whatever contradicts itself is noted."""
    groups: dict[str, list[Asked]] = {}
    named: dict[str, tuple[str, Where]] = {}
    for asked in rows:
        key = identity(asked)
        if asked.id is not None:
            first, where = named.setdefault(asked.id, (key, asked.where))
            if first != key:
                text = f"the id {asked.id!r} is that of another query too, at {where}"
                problems.add("input.duplicate", text, asked.where, "give each query an id of its own")
                continue
        groups.setdefault(key, []).append(asked)
    queries, dropped = [], 0
    for key, group in groups.items():
        query, zeros = _fold(key, group, problems)
        queries.append(query)
        dropped += zeros
    queries.sort(key=lambda query: query.id)
    return Merged(queries, sum(map(len, groups.values())) - len(groups), dropped)


def _fold(key: str, group: Sequence[Asked], problems: Problems) -> tuple[Query, int]:
    """One query of rows that ask the same, and how many of its judgements said `not relevant`."""
    ids = [asked.id for asked in group if asked.id is not None]
    name = min(ids) if ids else xxhash.xxh3_128_hexdigest(key.encode())
    judged: dict[str, Judgement] = {}
    for one in (judgement for asked in group for judgement in asked.judgements):
        before = judged.setdefault(one.document, one)
        if before[:1] + before[3:] != one[:1] + one[3:]:
            # Two places in one chunk: the better one says what the chunk is worth.
            judged[one.document] = min(before, one, key=lambda each: (-each.grade, each.start, each.end))
        elif before.grade != one.grade:
            text = f"{one.document!r} has grade {one.grade} here and {before.grade} at {before.where}"
            problems.add("input.conflict", text, one.where, "give a document one grade for each query")
    places = _places(group)
    positives = sorted(one._replace(places=places.get(one.document, ())) for one in judged.values() if one.grade > 0)
    if not positives:
        fix = "name a document that answers it, or take the query out"
        problems.add("input.no-positive", "no document is relevant for this query: all grades are 0",
                     group[0].where, fix)
    extras = dict(group[0].extras)
    for asked in group[1:]:
        for role in SINGLE:
            _agree(role, extras, asked, group[0].where, problems)
    times = [asked.extras["time"] for asked in group if "time" in asked.extras]
    if times:
        extras["time"] = max(times, key=_when)  # what is asked again is as new as its last time
    return Query(name, min(asked.query for asked in group), positives, extras), len(judged) - len(positives)


def _when(text: str) -> tuple[float, str]:
    """Where a time stands among others, in whatever form it is written; what is none is told where it matters."""
    found = seconds(text)
    return -math.inf if found is None else found, text


def _places(group: Sequence[Asked]) -> dict[str, tuple[tuple[int, int], ...]]:
    """Texts with several places that answer: which of them share a text is a matter of how documents are cut."""
    found: dict[str, set[tuple[int, int]]] = {}
    for one in (judgement for asked in group for judgement in asked.judgements):
        if one.grade > 0 and one.start >= 0:
            found.setdefault(one.document, set()).add((one.start, one.end))
    return {document: tuple(sorted(some)) for document, some in found.items() if len(some) > 1}


def _agree(role: str, extras: dict[str, Any], asked: Asked, first: Where, problems: Problems) -> None:
    """Take over what only a later row of a query says; two answers are a problem."""
    value = asked.extras.get(role)
    if value is None or extras.setdefault(role, value) == value:
        return
    text = f"{role} {value!r} here, but {extras[role]!r} for the same query at {first}"
    problems.add("input.conflict", text, asked.where, f"give the rows of one query one {role}")
