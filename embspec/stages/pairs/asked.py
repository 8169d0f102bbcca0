"""What a row of pairs asks, and the ways in which it can name its answer."""
from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from embspec.errors import Where
from embspec.stages.pairs.fields import Fields, extras, grade
from embspec.stages.reading import (
    Problems,
    Row,
    encoded,
    identifier,
    kind,
    lacks_field,
    nfc,
    parse,
    pick,
    string,
)

# A span as text: the form that the id of a chunk has.
SPAN = re.compile(r"(.+)#(\d{1,12})-(\d{1,12})", re.DOTALL)
FIX = "name a document that answers it, or take the query out"


class Judgement(NamedTuple):
    """How far a document answers a query; grade 0 says that it does not.

    A document alone is an id. With `start` and `end` it is a span of it, with `quote` the place of these words in it;
    a quote alone is looked for everywhere. `loose` takes the words where the id leads nowhere, and the other way round.
    """

    document: str
    grade: int
    where: Where
    start: int = -1
    end: int = -1
    quote: str = ""
    loose: bool = False
    places: tuple[tuple[int, int], ...] = ()  # all of them, where one text holds several


class Asked(NamedTuple):
    """One row: a query, its id where it has one, and its judgements."""

    id: str | None
    query: str
    judgements: Sequence[Judgement]
    extras: dict[str, Any]  # filter, role, group, session, weight: those that the row has
    where: Where


def asked(row: Row, fields: Fields, judged: Sequence[Judgement] | None, problems: Problems) -> Asked | None:
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


def judgements(row: Row, fields: Fields, problems: Problems) -> list[Judgement] | None:
    """The judgements of a row in our own form: `positives`, or `positive`, `quote` or `span` with the row's grade."""
    several = pick(row, fields.positives)
    single = [names for names in (fields.positive, fields.quote, fields.span) if _has(row, names)]
    if several is None or (isinstance(several, str) and not several.strip()):
        return _single(row, fields, problems)
    if single:
        text = f"both {single[0][0]!r} and {fields.positives[0]!r}"
        problems.add("input.conflict", text, row.where, "write one of the two")
        return None
    if isinstance(several, str):  # a cell of a table
        several = _json(several)
    if not isinstance(several, list):
        text = f"{fields.positives[0]!r} must be a list of {{id, grade}}, found {kind(several)}"
        problems.add("input.type", text, row.where)
        return None
    return _all([_entry(one, row.where, problems) for one in several], row.where, problems)


def _has(row: Row, names: tuple[str, ...]) -> bool:
    value = pick(row, names)
    return value is not None and value != ""


def _single(row: Row, fields: Fields, problems: Problems) -> list[Judgement] | None:
    """One answer, or several of one grade: by id, by the words of it, or by its place."""
    ids, quotes, span = (pick(row, names) for names in (fields.positive, fields.quote, fields.span))
    graded = grade(pick(row, fields.grade), row.where, problems)
    if graded is None:
        return None
    if _has(row, fields.span):
        if _has(row, fields.positive) or _has(row, fields.quote):
            other = fields.positive if _has(row, fields.positive) else fields.quote
            text = f"both {fields.span[0]!r} and {other[0]!r}"
            problems.add("input.conflict", text, row.where, "write one of the two")
            return None
        several = isinstance(span, list) and all(isinstance(one, (str, dict)) for one in span)
        found = [_span(one, graded, row.where, problems) for one in (span if several else [span])]
        return _all(found, row.where, problems)
    if _has(row, fields.quote):
        return _quotes(ids if _has(row, fields.positive) else None, quotes, graded, row, fields, problems)
    if ids is None:
        ways = (fields.positive, fields.positives, fields.quote, fields.span)
        lacks_field(tuple(name for names in ways for name in names), row.values, row.where, problems)
        return None
    named = [identifier(one, row.where, problems, "id of a positive") for one in _list(ids)]
    return _all([None if one is None else Judgement(one, graded, row.where) for one in named], row.where, problems)


def _quotes(
    document: Any, quotes: Any, graded: int, row: Row, fields: Fields, problems: Problems
) -> list[Judgement] | None:
    """The words of the answer, in a document where one is named beside them."""
    name = ""
    if document is not None:
        if isinstance(document, list):
            text = f"{fields.quote[0]!r} is in one document, and {fields.positive[0]!r} is a list"
            problems.add("input.conflict", text, row.where, "write `positives` as [{id, quote}, …]")
            return None
        name = identifier(document, row.where, problems, "id of a positive") or ""
        if not name:
            return None
    found = [quoted(name, one, graded, row.where, problems, fields.quote[0]) for one in _list(quotes)]
    return _all(found, row.where, problems)


def quoted(
    document: str, words: Any, graded: int, where: Where, problems: Problems, called: str, loose: bool = False
) -> Judgement | None:
    """A judgement by the words of the answer."""
    if not isinstance(words, str):
        problems.add("input.type", f"{called!r} must be a text, found {kind(words)}", where)
        return None
    if not words.strip():
        problems.add("input.empty-quote", f"{called!r} is empty", where, "quote the words that answer the query")
        return None
    return Judgement(document, graded, where, quote=words, loose=loose)


def _entry(entry: Any, where: Where, problems: Problems) -> Judgement | None:
    """One of `positives`: `{id, grade}`, `{id, quote, grade}`, `{quote, grade}`, `{span, grade}`, or an id alone."""
    values = entry if isinstance(entry, dict) else {"id": entry}
    graded = grade(values.get("grade"), where, problems)
    if graded is None:
        return None
    if values.get("span") is not None:
        return _span(values["span"], graded, where, problems)
    name = ""
    if values.get("id") is not None:
        name = identifier(values["id"], where, problems, "id of a positive") or ""
        if not name:
            return None
    if values.get("quote") is not None:
        return quoted(name, values["quote"], graded, where, problems, "quote")
    if not name:
        lacks_field(("id", "quote", "span"), values, where, problems)
        return None
    return Judgement(name, graded, where)


def _span(value: Any, graded: int, where: Where, problems: Problems) -> Judgement | None:
    """A place: `{document, start, end}`, in characters of the document's text, or `DOCUMENT#START-END`."""
    if isinstance(value, str):
        found = SPAN.fullmatch(value.strip())
        value = {"document": found[1], "start": int(found[2]), "end": int(found[3])} if found else _json(value)
    if not isinstance(value, dict):
        text = f"a span is {{document, start, end}} or DOCUMENT#START-END, found {kind(value)}"
        problems.add("input.span", text, where)
        return None
    for name in ("document", "start", "end"):
        if value.get(name) is None:
            lacks_field((name,), value, where, problems)
            return None
    document = identifier(value["document"], where, problems, "document of a span")
    start, end = value["start"], value["end"]
    if not all(isinstance(one, int) and not isinstance(one, bool) for one in (start, end)) or not 0 <= start < end:
        text = f"a span goes from a character to a later one, found start {start!r} and end {end!r}"
        problems.add("input.span", text, where, "characters count from 0, and the end is not part of it")
        return None
    return None if document is None else Judgement(document, graded, where, start, end)


def _json(text: str) -> Any:
    """The value that a cell of a table spells; the text itself where it spells none."""
    try:
        return parse(text)
    except (ValueError, RecursionError):
        return text


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _all(found: Sequence[Judgement | None], where: Where, problems: Problems) -> list[Judgement] | None:
    """All judgements of a row, or none where one of them is amiss."""
    if not found:
        problems.add("input.no-positive", "this query has no positive document", where, FIX)
    good = [one for one in found if one is not None]
    return good if good and len(good) == len(found) else None


def plain_rows(rows: Iterator[Row], fields: Fields) -> Iterator[Row]:
    """Rows with what the spec names by a path inside them (`ticket.subject`) under that very name."""
    for row in rows:
        row = fields.dug(row)
        fields.meet(row.values)
        yield row
