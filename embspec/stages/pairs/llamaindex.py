"""LlamaIndex' EmbeddingQAFinetuneDataset: one JSON object with `queries`, `corpus` and `relevant_docs`."""
from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from embspec.errors import Where
from embspec.plan.protocol import Tree
from embspec.stages.pairs.asked import FIX, Asked, Judgement, asked, quoted
from embspec.stages.pairs.fields import Fields
from embspec.stages.reading import Problems, Row, identifier, kind, nearest, parse, some, whole

PARTS = ("queries", "corpus", "relevant_docs")


def read(tree: Tree, name: str, form: str, fields: Fields, problems: Problems) -> Iterator[Asked]:
    """A query per entry; its documents by id where the snapshot has that, else by the text that `corpus` gives."""
    text = whole(tree, name, problems)
    values = None if text is None else _parsed(text, name, problems)
    if text is None or values is None:
        return
    fields.take("llamaindex")
    lines = _Lines(text)
    for key, query in values["queries"].items():
        row = Row(Where(name, lines.of(key)), {fields.id[0]: key, fields.query[0]: query})
        fields.meet(row.values)
        found = asked(row, fields, _judged(key, row.where, values, problems), problems)
        if found is not None:
            yield found
    for key in values["relevant_docs"]:
        if key not in values["queries"]:
            text = f"the query {key!r} of `relevant_docs` is not among the queries"
            problems.add("input.unknown-query", text, Where(name), f"{nearest(key, values['queries'])}add the query")


def _parsed(text: str, name: str, problems: Problems) -> Mapping[str, Any] | None:
    """The three mappings of the file; None where they are not there, which is noted."""
    fix = "save the data set by its own `save_json`; for one JSON object a line name the file .jsonl, or say `format`"
    try:
        values = parse(text)
    except json.JSONDecodeError as error:
        problems.add("input.json", f"not JSON: {error.msg.lower()}", Where(name, error.lineno, error.colno), fix)
        return None
    except (ValueError, RecursionError) as error:
        problems.add("input.json", f"not JSON that can be read: {error}", Where(name), fix)
        return None
    if not isinstance(values, dict) or any(not isinstance(values.get(part), dict) for part in PARTS):
        there = some(values) or "nothing" if isinstance(values, dict) else kind(values)
        text = f"expected an object with the mappings `queries`, `corpus` and `relevant_docs`; there is: {there}"
        problems.add("input.format", text, Where(name), fix)
        return None
    return values


def _judged(key: str, where: Where, values: Mapping[str, Any], problems: Problems) -> list[Judgement] | None:
    """The documents of one query."""
    given = values["relevant_docs"].get(key)
    if given is not None and not isinstance(given, list):
        problems.add("input.type", f"`relevant_docs` of {key!r} must be a list of ids, found {kind(given)}", where)
        return None
    if not given:
        problems.add("input.no-positive", f"the query {key!r} has no relevant document", where, FIX)
        return None
    found = [_judgement(one, where, values["corpus"], problems) for one in given]
    good = [one for one in found if one is not None]
    return good if len(good) == len(found) else None


def _judgement(given: Any, where: Where, corpus: Mapping[str, Any], problems: Problems) -> Judgement | None:
    name = identifier(given, where, problems, "id of a relevant document")
    if name is None:
        return None
    words = corpus.get(given) if isinstance(given, str) else None
    return Judgement(name, 1, where) if words is None else quoted(name, words, 1, where, problems, "corpus", loose=True)


class _Lines:
    """The line on which each key stands: they come in the order of the file, so that one walk finds them."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._line = text, max(text.find('"queries"'), 0), 0
        self._line = 1 + text.count("\n", 0, self._at)

    def of(self, key: str) -> int:
        """The line of the next key; 0 where it is spelt in a way that is not found."""
        spellings = (json.dumps(key), json.dumps(key, ensure_ascii=False))
        found = [at for spelt in spellings if (at := self._text.find(spelt, self._at)) >= 0]
        if not found:
            return 0
        self._line += self._text.count("\n", self._at, min(found))
        self._at = min(found)
        return self._line
