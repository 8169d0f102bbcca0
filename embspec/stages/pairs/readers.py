"""Formats of pairs: how each file becomes asked questions, in one table."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from embspec.errors import Where
from embspec.plan.protocol import Tree
from embspec.stages.pairs.fields import Fields, extras, grade
from embspec.stages.reading import (
    Problems,
    Row,
    count,
    csv_rows,
    encoded,
    ending,
    identifier,
    json_rows,
    kind,
    lacks_field,
    lines,
    nfc,
    pick,
    some,
    string,
)


class Judgement(NamedTuple):
    """How far a document answers a query; grade 0 says that it does not."""

    document: str
    grade: int
    where: Where


class Asked(NamedTuple):
    """One row: a query, its id where it has one, and its judgements."""

    id: str | None
    query: str
    judgements: Sequence[Judgement]
    extras: dict[str, Any]  # filter, role, group, session, weight: those that the row has
    where: Where


def read_embspec(tree: Tree, name: str, fields: Fields, problems: Problems) -> Iterator[Asked]:
    """Our jsonl: `query` with `positive` (an id or a list) or `positives` (`[{id, grade}]`)."""
    for row in json_rows(tree, name, problems):
        fields.meet(row.values)
        judged = _positives(row, fields, problems)
        asked = _asked(row, fields, judged, problems)
        if asked is not None:
            yield asked


def read_csv(tree: Tree, name: str, fields: Fields, problems: Problems) -> Iterator[Asked]:
    """A table with one positive in each row; rows of one query are merged later."""
    for row in csv_rows(tree, name, (fields.query, fields.positive), problems):
        fields.meet(row.values)
        asked = _asked(row, fields, _positive(row, fields, problems), problems)
        if asked is not None:
            yield asked


def _asked(row: Row, fields: Fields, judged: Sequence[Judgement] | None, problems: Problems) -> Asked | None:
    """A row with its judgements; None where something is amiss, which is noted."""
    text = string(row, fields.query, problems, needed=True)
    if text is not None and not text.strip():
        problems.add("input.empty-query", "the query is empty", row.where, "write the question, or take the row out")
        text = None
    given = pick(row, fields.id)
    name = None if given in (None, "") else identifier(given, row.where, problems)
    more = extras(row, fields, problems)
    if text is None or judged is None or more is None or (name is None and given not in (None, "")):
        return None
    query = nfc(text).strip()
    writable = encoded({"query": query, **more}, row.where, problems) is not None
    return Asked(name, query, judged, more, row.where) if writable else None


def _positive(row: Row, fields: Fields, problems: Problems) -> list[Judgement] | None:
    """The ids under `positive`, all with the row's own grade."""
    given = pick(row, fields.positive)
    if given is None:
        lacks_field(fields.positive, row.values, row.where, problems)
        return None
    graded = grade(pick(row, fields.grade), row.where, problems)
    ids = given if isinstance(given, list) else [given]
    found = [identifier(one, row.where, problems, "id of a positive") for one in ids]
    if not ids:
        _none_positive(row.where, problems)
    if graded is None or not ids or None in found:
        return None
    return [Judgement(one, graded, row.where) for one in found if one is not None]


def _positives(row: Row, fields: Fields, problems: Problems) -> list[Judgement] | None:
    """The judgements of a jsonl row, in either of its two forms."""
    several = pick(row, fields.positives)
    if several is None:
        if pick(row, fields.positive) is None and _anchored(row, problems):
            return None
        return _positive(row, fields, problems)
    if pick(row, fields.positive) is not None:
        text = f"both {fields.positive[0]!r} and {fields.positives[0]!r}"
        problems.add("input.conflict", text, row.where, "write one of the two")
        return None
    if not isinstance(several, list):
        text = f"{fields.positives[0]!r} must be a list of {{id, grade}}, found {kind(several)}"
        problems.add("input.type", text, row.where)
        return None
    if not several:
        _none_positive(row.where, problems)
        return None
    found = [_one(entry, row, problems) for entry in several]
    return None if None in found else [one for one in found if one is not None]


def _one(entry: Any, row: Row, problems: Problems) -> Judgement | None:
    """One entry of `positives`: `{id, grade}`, or an id alone."""
    values = entry if isinstance(entry, dict) else {"id": entry}
    if "id" not in values:
        lacks_field(("id",), values, row.where, problems)
        return None
    name = identifier(values["id"], row.where, problems, "id of a positive")
    graded = grade(values.get("grade"), row.where, problems)
    return None if name is None or graded is None else Judgement(name, graded, row.where)


def _none_positive(where: Where, problems: Problems) -> None:
    fix = "name a document that answers it, or take the query out"
    problems.add("input.no-positive", "this query has no positive document", where, fix)


def _anchored(row: Row, problems: Problems) -> bool:
    """Does a row name its answer by its words instead of its id? This version cannot resolve that."""
    for name in ("quote", "span"):
        if row.values.get(name) is not None:
            text = f"{name!r} is not read by this version: a positive is named by the id of its document"
            problems.add("input.unsupported", text, row.where, "write `positive` with the document's id")
            return True
    return False


def read_beir(tree: Tree, names: Sequence[str], fields: Fields, problems: Problems) -> Iterator[Asked]:
    """A BEIR folder: texts from queries.jsonl, judgements from one table under qrels/."""
    texts = [name for name in names if name.rpartition("/")[2] == "queries.jsonl"]
    tables = [name for name in names if name not in texts]
    if not texts:
        problems.add("input.missing", "this BEIR folder has no queries.jsonl", field=fields.spec("path"))
    if len(tables) != 1 and (tables or not fields.qrels):
        text = f"which judgements? there are {some(tables)}" if tables else "which judgements?"
        fix = "name a table under qrels/, without its ending, as `qrels`"
        problems.add("input.qrels", text, None, fix, fields.spec("qrels"))
    elif not tables:
        fix = "name a table that is under qrels/, without its ending"
        text = f"this BEIR folder has no qrels/{fields.qrels}.tsv"
        problems.add("input.missing", text, None, fix, fields.spec("qrels"))
    if not texts or len(tables) != 1:
        return
    judged: dict[str, list[Judgement]] = {}
    for query, judgement in _qrels(tree, tables[0], problems):
        judged.setdefault(query, []).append(judgement)
    yield from _beir_queries(tree, texts[0], judged, fields, problems)
    for query, rest in sorted(judged.items(), key=lambda item: item[1][0].where):
        text = f"the query {query!r} is not in {texts[0]}"
        problems.add("input.unknown-query", text, rest[0].where, "add the query, or take its judgements out")


def _beir_queries(
    tree: Tree, name: str, judged: dict[str, list[Judgement]], fields: Fields, problems: Problems
) -> Iterator[Asked]:
    """The queries that have judgements, each taken out of `judged`; the others belong to another table."""
    met: dict[str, int] = {}
    for row in json_rows(tree, name, problems):
        fields.meet(row.values)
        given = pick(row, fields.id)
        if given is None:
            lacks_field(fields.id, row.values, row.where, problems)
            continue
        query = identifier(given, row.where, problems)
        if query is None:
            continue
        if query in met:
            text = f"the id {query!r} is that of {Where(name, met[query])} too"
            problems.add("input.duplicate", text, row.where, "give each query an id of its own")
            continue
        met[query] = row.where.line
        if query in judged:
            asked = _asked(row, fields, judged.pop(query), problems)
            if asked is not None:
                yield asked


def _qrels(tree: Tree, name: str, problems: Problems) -> Iterator[tuple[str, Judgement]]:
    """Query and judgement of each row of a table with tabs; a first row without a number is its header."""
    for number, line in enumerate(lines(tree, name, problems), 1):
        cells = line.rstrip("\n").split("\t")
        if line.isspace() or (number == 1 and len(cells) == 3 and not any(sign.isdigit() for sign in cells[2])):
            continue
        where = Where(name, number)
        if len(cells) != 3:
            text = f"{count(len(cells), 'cell')} where three are expected: query-id, corpus-id and score"
            problems.add("input.row", text, where, "separate them by tabs")
            continue
        query = identifier(cells[0], where, problems, "query-id")
        document = identifier(cells[1], where, problems, "corpus-id")
        graded = grade(cells[2], where, problems)
        if query is not None and document is not None and graded is not None:
            yield query, Judgement(document, graded, where)


Reader = Callable[[Tree, str, Fields, Problems], Iterator[Asked]]

READERS: dict[str, Reader] = {
    "embspec": read_embspec,
    "csv": read_csv,
}
"""Formats that are read file by file; a BEIR folder is read as a whole."""

ENDINGS: dict[str, str] = {".jsonl": "embspec", ".csv": "csv", ".tsv": "csv"}
"""What `format: auto` takes a file for."""


def read(tree: Tree, names: Sequence[str], form: str, fields: Fields, problems: Problems) -> Iterator[Asked]:
    """All rows of a source, file by file in the order of their names."""
    if form == "beir":
        yield from read_beir(tree, names, fields, problems)
        return
    for name in names:
        reader = READERS.get(ENDINGS.get(ending(name), "") if form == "auto" else form)
        if reader is None:
            fix = f"endings that are read: {some(ENDINGS)}; for another ending say which `format` it is"
            text = f"files ending in {ending(name) or 'nothing'} are not read as pairs"
            problems.add("input.format", text, Where(name), fix)
        else:
            yield from reader(tree, name, fields, problems)
