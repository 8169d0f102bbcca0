"""What a reader makes: documents out of rows, and one out of a whole file, with their metadata."""
from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from embspec.errors import Where
from embspec.plan.protocol import Params, Tree
from embspec.stages.reading import (
    Names,
    Problems,
    Row,
    identifier,
    kind,
    lacks_field,
    listed,
    nearest,
    nfc,
    pick,
    some,
    string,
)

BITS = 4096  # of a whole number that stays one
KNOWN = 200  # how many names of fields are remembered for messages: rows may have one of their own each


class Document(NamedTuple):
    """A document as it goes into the artefact; `document` is the id of the one it is a part of."""

    id: str
    title: str
    text: str
    document: str | None
    metadata: Mapping[str, Any]
    where: Where


class Source(NamedTuple):
    """A file to read, and a folder for what a parser wants to have on the disk."""

    tree: Tree
    name: str
    scratch: Path

    @property
    def where(self) -> Where:
        """The file as a place."""
        return Where(self.name)


class Page(NamedTuple):
    """A file that is one document: its title where it has one, its text, and what it says of itself."""

    title: str
    text: str
    front: Mapping[str, Any]


class Fields:
    """Which fields of a row are what; remembers which of them were met, so that a misspelt one is found."""

    def __init__(self, params: Params) -> None:
        def names(role: str, *defaults: str) -> Names:
            written = params.get(f"corpus.fields.{role}")
            return (written,) if written else defaults

        self.id = names("id", "_id", "id")
        self.text = names("text", "text")
        self.title = names("title", "title")
        self.document = names("document")
        self.metadata: Names = tuple(sorted(listed(params.get("corpus.metadata"))))
        self.clean: Callable[[str], str] = nfc if params.get("corpus.normalize", "nfc") == "nfc" else str
        spoken = dict.fromkeys(self.metadata, "corpus.metadata")
        for role in ("title", "document"):
            if params.get(f"corpus.fields.{role}"):
                spoken[getattr(self, role)[0]] = f"corpus.fields.{role}"
        self.unmet = spoken
        self.met: set[str] = set()

    def meet(self, values: Mapping[str, Any]) -> None:
        """Note the names that a row has."""
        for name in [name for name in self.unmet if name in values]:
            del self.unmet[name]
        if len(self.met) < KNOWN:
            self.met.update(map(str, values))

    def join(self, names: Iterable[str], unmet: Container[str]) -> None:
        """Note what was met in a file that was read apart, or by an earlier run."""
        self.unmet = {name: field for name, field in self.unmet.items() if name in unmet}
        if len(self.met) < KNOWN:
            self.met.update(names)

    def check(self, problems: Problems) -> None:
        """A field that the spec names and no document has is a mistake in one of the two."""
        for name, field in sorted(self.unmet.items()):
            fix = f"{nearest(name, self.met)}fields there are: {some(self.met) or 'none'}"
            problems.add("input.field", f"no document has the field {name!r}", fix=fix, field=field)


def of_rows(rows: Iterator[Row], fields: Fields, problems: Problems) -> Iterator[Document]:
    """Rows as documents; those with problems are noted and left out."""
    for row in rows:
        fields.meet(row.values)
        given = pick(row, fields.id)
        if given is None:
            lacks_field(fields.id, row.values, row.where, problems)
        key = None if given is None else identifier(given, row.where, problems)
        text = string(row, fields.text, problems, needed=True)
        title = string(row, fields.title, problems, needed=False) or ""
        rest = _parent_and_metadata(row, fields, problems)
        if text is None or not _is_text(text, row.where, problems):
            continue
        if key is not None and rest is not None:
            yield Document(key, fields.clean(title), fields.clean(text), *rest, row.where)


def of_page(name: str, page: Page, fields: Fields, problems: Problems) -> Iterator[Document]:
    """A whole file as one document, known by its path; without a title it is called by its name."""
    where = Where(name)
    # What a file says of itself goes before what its place says of it.
    front = {**_of_path(nfc(name)), **{key: plain(value) for key, value in page.front.items()}}
    fields.meet(front)
    row = Row(where, front)
    key = identifier(nfc(name), where, problems, "path")
    given = pick(row, fields.title)
    if given is not None and not isinstance(given, (str, int, float)):
        problems.add("input.type", f"the title must be a text, found {kind(given)}", where)
    title = str(given).strip() if given is not None else ""
    rest = _parent_and_metadata(row, fields, problems)
    title = fields.clean(title or page.title or PurePosixPath(nfc(name)).stem)
    if _is_text(page.text, where, problems) and key is not None and rest is not None:
        yield Document(key, title, fields.clean(page.text), *rest, where)


def _of_path(name: str) -> dict[str, Any]:
    """What the place of a file says of it; a file beside the spec lies in no folder."""
    return {"path": name, "folder": name.rpartition("/")[0]}


def _is_text(text: str, where: Where, problems: Problems) -> bool:
    """Is there something to read in a text? If not, that is noted."""
    if text.strip():
        return True
    problems.add("input.empty-text", "this document has no text", where, "give it a text, or take it out")
    return False


def _parent_and_metadata(
    row: Row, fields: Fields, problems: Problems
) -> tuple[str | None, dict[str, Any]] | None:
    """Whose part a row is, and its declared metadata, which may lie in a mapping `metadata` as BEIR has it."""
    parent, good = None, True
    given = pick(row, fields.document)
    if given not in (None, ""):
        parent = identifier(given, row.where, problems, f"parent {fields.document[0]!r}")
        good = parent is not None
    nested = row.values.get("metadata")
    inner: Mapping[str, Any] = nested if isinstance(nested, dict) and fields.metadata else {}
    fields.meet(inner)
    metadata: dict[str, Any] = {}
    for name in fields.metadata:
        value = row.values.get(name, inner.get(name))
        if value in (None, ""):
            continue
        if _is_plain(value):
            metadata[name] = _cleaned(value, fields.clean)
            continue
        text = f"metadata {name!r} must be a text, a number, true, false, or a list of these, found {kind(value)}"
        problems.add("input.type", text, row.where)
        good = False
    return (parent, metadata) if good else None


def plain(value: Any) -> Any:
    """A value as JSON has it: dates become their text, in a list too; a list in a list is refused later, as it is."""
    if isinstance(value, (list, tuple)):
        return [_scalar(item) for item in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, int) and value.bit_length() > BITS:
        return hex(value)  # as YAML may say it; Python refuses to write it in tens
    return value.isoformat() if isinstance(value, date) else value  # a datetime is one too


def _is_plain(value: Any) -> bool:
    """Is a value a scalar that JSON has, or a list of such?"""
    if isinstance(value, list):
        return all(not isinstance(item, list) and _is_plain(item) for item in value)
    return isinstance(value, (str, int, bool)) or (isinstance(value, float) and math.isfinite(value))


def _cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    """A metadata value with its texts normalised."""
    if isinstance(value, list):
        return [_cleaned(item, clean) for item in value]
    return clean(value) if isinstance(value, str) else value
