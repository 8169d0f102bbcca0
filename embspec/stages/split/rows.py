"""The queries of all sources and the documents they name, read once and kept small."""
from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from embspec.errors import EmbspecError, Problem, Where
from embspec.stages.snapshot import normalise

PARTS = ("test", "validation", "train")  # a component that is joined by others moves only to the left
TRUST = ("gold", "curated", "synthetic", "implicit")  # the most trusted first
GIVEN, GROUP, TIME, QUERY = "given", "group", "time", "query"  # of `split.by`, what is treated apart
SHOWN = 20


class Source(NamedTuple):
    """One source of pairs: its name, how far it is trusted, the parts it may enter, its rows."""

    name: str
    trust: str
    roles: tuple[str, ...]
    path: Path


class Query(NamedTuple):
    """What the split needs of one row; the row itself stays in its file at `offset`."""

    source: str
    id: str
    trust: str
    roles: tuple[str, ...]
    text: str  # normalised: two spellings of one question are one node
    positives: tuple[str, ...]
    places: tuple[tuple[str, int, int], ...]  # positive and characters, of those that are a place in a document
    session: str
    group: str
    time: str
    role: str
    at: str
    path: Path
    offset: int


class Documents(NamedTuple):
    """The snapshot, as far as the split needs it; texts and owners of positives alone."""

    ids: list[str]
    owner: dict[str, str]  # positive -> its parent document, or itself
    texts: dict[str, str]
    ends: dict[str, int]  # document of a positive -> how many characters it has


def lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Each JSON line of an artefact with the byte where it starts."""
    offset = 0
    with path.open("rb") as file:
        for line in file:
            yield offset, json.loads(line)
            offset += len(line)


def read_queries(sources: Sequence[Source]) -> list[Query]:
    """Every row of every source, in an order that the order of lines and sources cannot change."""
    queries = [_query(source, offset, row) for source in sources for offset, row in lines(source.path)]
    queries.sort(key=lambda query: (query.source, query.id))
    return _narrow(queries, {source.name: source for source in sources})


def _query(source: Source, offset: int, row: Mapping[str, Any]) -> Query:
    good = [one for one in row["positives"] if one.get("grade", 1) > 0]
    places = {(one["id"], start, end) for one in good if "start" in one
              for start, end in one.get("places", [(one["start"], one["end"])])}
    return Query(
        source.name,
        row["id"],
        source.trust,
        source.roles,
        normalise(row["query"]),
        tuple(sorted({one["id"] for one in good})),
        tuple(sorted(places)),
        str(row.get("session") or ""),
        str(row.get("group") or ""),
        str(row.get("time") or ""),
        str(row.get("role") or ""),
        row.get("at", ""),
        source.path,
        offset,
    )


def _narrow(queries: list[Query], sources: Mapping[str, Source]) -> list[Query]:
    """A row that names its own part is held to it; other words in `role` say who asks and are none of the split's."""
    naming = {query.source for query in queries if query.role in PARTS}
    problems = []
    for query in queries:
        if query.source not in naming or not query.role:
            continue
        if query.role not in PARTS:
            text = f"role {query.role!r} of query {query.id!r} is no part, while other rows of {query.source} name one"
            problems.append((query, text, "write train, validation or test, or nothing"))
        elif query.role not in sources[query.source].roles:
            text = f"query {query.id!r} asks for {query.role}, which {query.source} may not enter"
            problems.append((query, text, f"add {query.role} to the roles of {query.source} in the spec"))
    if problems:
        found = [
            Problem("input.role", text, where(query), fix, f"pairs.{query.source}.roles")
            for query, text, fix in problems[:SHOWN]
        ]
        if len(problems) > SHOWN:
            found.append(Problem("input.role", f"and {len(problems) - SHOWN} more rows like these"))
        raise EmbspecError(*found)
    return [
        query._replace(roles=(query.role,)) if query.source in naming and query.role else query for query in queries
    ]


def where(query: Query) -> Where | None:
    """The file and line that a row came from, where it says so."""
    file, _, line = query.at.rpartition(":")
    if file and line.isdigit():
        return Where(file, int(line))
    return Where(query.at) if query.at else None


def read_documents(path: Path, queries: Sequence[Query]) -> Documents:
    """Stream the snapshot: all ids, but the texts of positives alone."""
    wanted = {one for query in queries for one in query.positives}
    found = Documents([], {}, {}, {})
    for _, row in lines(path):
        name = row["id"]
        found.ids.append(name)
        if name in wanted:
            found.owner[name] = row.get("document") or name
            found.texts[name] = row["text"]
        if (start := row.get("start")) is not None or name in wanted:
            owner, end = row.get("document") or name, len(row["text"]) if start is None else row["end"]
            found.ends[owner] = max(end, found.ends.get(owner, 0))
    _all_there(queries, found)
    return found


def _all_there(queries: Sequence[Query], found: Documents) -> None:
    missing = [(query, one) for query in queries for one in query.positives if one not in found.owner]
    if not missing:
        return
    fix = "name documents that the snapshot has; `embspec build --retrain` moves it to the live documents"
    problems = []
    for query, one in missing[:SHOWN]:
        text = f"query {query.id!r} names document {one!r}, which the snapshot lacks"
        problems.append(Problem("input.dangling", text, where(query), fix))
    if len(missing) > SHOWN:
        problems.append(Problem("input.dangling", f"and {len(missing) - SHOWN} more judgements like these"))
    raise EmbspecError(*problems)


def owners(query: Query, documents: Documents) -> list[str]:
    """The documents that a query's positives belong to, sorted."""
    return sorted({documents.owner[one] for one in query.positives})


def cluster(query: Query, documents: Documents) -> str:
    """The document that stands for the query when scores are resampled."""
    return documents.owner[query.positives[0]] if query.positives else query.id
