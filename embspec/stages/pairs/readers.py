"""Formats of pairs: how each file becomes asked questions, in literal tables."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

from embspec.errors import Where
from embspec.plan.protocol import Tree
from embspec.stages.pairs import faq, llamaindex
from embspec.stages.pairs.asked import FIX, Asked, Judgement, asked, judgements, plain_rows, quoted
from embspec.stages.pairs.beir import read_beir
from embspec.stages.pairs.fields import Fields
from embspec.stages.reading import (
    Names,
    Problems,
    Row,
    csv_rows,
    ending,
    identifier,
    json_rows,
    kind,
    lacks_field,
    pick,
    some,
)

Judge = Callable[[Row, Fields, Problems], "list[Judgement] | None"]


def by_text(row: Row, fields: Fields, problems: Problems) -> list[Judgement] | None:
    """The judgements of a row that brings the texts of its positives along."""
    given = pick(row, fields.quote)
    if given is None:
        lacks_field(fields.quote, row.values, row.where, problems)
        return None
    texts = given if isinstance(given, list) else [given]
    if not texts:
        problems.add("input.no-positive", f"{fields.quote[0]!r} is an empty list", row.where, FIX)
    found = [quoted("", text, 1, row.where, problems, fields.quote[0]) for text in texts]
    good = [one for one in found if one is not None]
    return good if good and len(good) == len(found) else None


def by_passage(row: Row, fields: Fields, problems: Problems) -> list[Judgement] | None:
    """The judgements of a row with passages: by their id where the snapshot has it, else by their text."""
    given = pick(row, fields.positives)
    if given is None:
        lacks_field(fields.positives, row.values, row.where, problems)
        return None
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        text = f"{fields.positives[0]!r} must be a list of {{docid, title, text}}, found {kind(given)}"
        problems.add("input.type", text, row.where)
        return None
    if not given:
        problems.add("input.no-positive", f"{fields.positives[0]!r} is an empty list", row.where, FIX)
    found = [_passage(one, row.where, problems) for one in given]
    good = [one for one in found if one is not None]
    return good if good and len(good) == len(found) else None


def _passage(values: Mapping[str, object], where: Where, problems: Problems) -> Judgement | None:
    words = values.get("text")
    if values.get("docid") is None:
        if words is None:
            lacks_field(("docid", "text"), values, where, problems)
            return None
        return quoted("", words, 1, where, problems, "text")
    name = identifier(values["docid"], where, problems, "docid")
    if name is None:
        return None
    if not isinstance(words, str) or not words.strip():
        return Judgement(name, 1, where)
    return quoted(name, words, 1, where, problems, "text", loose=True)


JUDGES: dict[str, Judge] = {
    "embspec": judgements,
    "csv": judgements,
    "faq": judgements,
    "bge": by_text,
    "cohere": by_text,
    "tevatron": by_passage,
}
"""How a row of each format names its answers."""

SHAPES: Sequence[tuple[str, Names]] = (
    ("tevatron", ("positive_passages",)),
    ("cohere", ("relevant_passages",)),
    ("bge", ("pos",)),
    ("faq", ("answer",)),
)
"""What `format: auto` takes a file for whose first row has these fields and none of ours that name an answer."""

ENDINGS: dict[str, str] = {
    ".jsonl": "rows", ".csv": "table", ".tsv": "table", ".json": "llamaindex",
    ".yml": "faq-yaml", ".yaml": "faq-yaml", ".md": "faq-markdown", ".markdown": "faq-markdown",
}
"""How the file with an ending is read, as far as the spec names no format that says so."""


def _shape(row: Row, fields: Fields) -> str:
    """The format of a file by its first row."""
    if any(name in row.values for names in (fields.positive, fields.positives, fields.quote, fields.span)
           for name in names):
        return "embspec"
    return next((form for form, needed in SHAPES if all(name in row.values for name in needed)), "embspec")


def _asked_rows(rows: Iterator[Row], form: str, fields: Fields, problems: Problems) -> Iterator[Asked]:
    """Rows of one file as questions; `auto` is decided by the first of them."""
    first = next(rows, None)
    if first is None:
        return
    if form == "auto":
        fields.take("embspec")
        form = _shape(fields.dug(first), fields)
    fields.take(form)
    judge = JUDGES[form]
    for row in plain_rows(chain([first], rows), fields):
        found = asked(row, fields, judge(row, fields, problems), problems)
        if found is not None:
            yield found


def read_jsonl(tree: Tree, name: str, form: str, fields: Fields, problems: Problems) -> Iterator[Asked]:
    """One question per JSON object: ours, or those of BGE, Cohere, Tevatron, or an FAQ's."""
    yield from _asked_rows(json_rows(tree, name, problems), form, fields, problems)


def read_csv(tree: Tree, name: str, form: str, fields: Fields, problems: Problems) -> Iterator[Asked]:
    """A table with one answer in each row; rows of one query are merged later."""
    fields.take("faq" if form == "faq" else "embspec")
    others = ("question", "answer") if form == "auto" else ()
    query = (*fields.query, *others[:1])
    answer = (*fields.positive, *fields.quote, *fields.span, *fields.positives, *others[1:])
    form = "embspec" if form == "csv" else form
    yield from _asked_rows(csv_rows(tree, name, (query, answer), problems), form, fields, problems)


def read_faq_yaml(tree: Tree, name: str, form: str, fields: Fields, problems: Problems) -> Iterator[Asked]:
    """The questions and answers of a YAML file."""
    yield from _faq(faq.yaml_rows(tree, name, problems), name, fields, problems)


def read_faq_markdown(tree: Tree, name: str, form: str, fields: Fields, problems: Problems) -> Iterator[Asked]:
    """The headings of a Markdown file that are questions, with the text below each."""
    yield from _faq(faq.markdown_rows(tree, name, problems), name, fields, problems)


def _faq(rows: Iterator[Row], name: str, fields: Fields, problems: Problems) -> Iterator[Asked]:
    """Questions of a file that may be a document itself: then the answer is a place in it."""
    for found in _asked_rows(rows, "faq", fields, problems):
        at_home = [one._replace(document=name, loose=True) if one.quote and not one.document else one
                   for one in found.judgements]
        yield found._replace(judgements=at_home)


Reader = Callable[[Tree, str, str, Fields, Problems], Iterator[Asked]]

READERS: dict[str, Reader] = {
    "rows": read_jsonl,
    "table": read_csv,
    "llamaindex": llamaindex.read,
    "faq-yaml": read_faq_yaml,
    "faq-markdown": read_faq_markdown,
}
"""Files that are read one by one; a BEIR folder is read as a whole, and `from: headings` opens none."""

FORMATS: dict[str, str] = {
    "embspec": "rows", "bge": "rows", "cohere": "rows", "tevatron": "rows", "csv": "table", "llamaindex": "llamaindex",
}
"""How a format is read whatever the file is called; an FAQ goes by its ending."""


def read(tree: Tree, names: Sequence[str], form: str, fields: Fields, problems: Problems) -> Iterator[Asked]:
    """All rows of a source, file by file in the order of their names."""
    if form == "beir":
        yield from read_beir(tree, names, fields, problems)
        return
    for name in names:
        how = FORMATS.get(form) or ENDINGS.get(ending(name), "")
        if not how or (form == "faq" and how == "llamaindex"):
            fix = f"endings that are read: {some(ENDINGS)}; for another ending say which `format` it is"
            text = f"files ending in {ending(name) or 'nothing'} are not read as pairs"
            problems.add("input.format", text, Where(name), fix)
        else:
            yield from READERS[how](tree, name, form, fields, problems)
