"""Which files of a folder are documents, and what is in them."""
from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

from embspec.errors import Problem
from embspec.init.folder import FIRST, ROWS, Folder, Table, is_tools
from embspec.retrieval import languages
from embspec.stages.corpus import markdown
from embspec.stages.corpus.documents import Document, Fields, Source, plain
from embspec.stages.corpus.readers import READERS
from embspec.stages.faq import composed, rows
from embspec.stages.pairs.quotes import collapsed
from embspec.stages.reading import Problems, ending, whole

WHOLE = tuple(end for end in READERS if end not in (*ROWS, ".yml", ".yaml"))
YAML = (".yml", ".yaml")
# What people and tools put beside documents, in a format that documents have.
ASIDE = ("requirements*.txt", "constraints*.txt", "license*", "licence*", "copying*", "notice*", "cmakelists.txt",
         "robots.txt", "manifest*.txt", "top_level.txt")
ID = ("_id", "id", "doc_id", "docid", "chunk_id", "document_id", "passage_id", "pid", "key", "uuid", "slug", "url",
      "path", "sku", "part", "code", "number")
TEXT = ("text", "content", "contents", "body", "passage", "page_content", "chunk", "document", "article", "abstract",
        "description", "note", "answer")
TITLE = ("title", "heading", "headline", "name", "subject")
PARENT = ("source_id", "parent_id", "parent", "document_id", "doc_id", "source")
METADATA = ("access", "language", "lang", "doc_type", "department", "product_area", "date", "source", "category")
LONG = 2000  # characters: what a model of 512 tokens reads
LETTERS = 1 << 20  # of documents, by which their language is told
_WORD = re.compile(r"\w\w+")


class Corpus(NamedTuple):
    """The files that are documents, and how their rows are read."""

    files: tuple[str, ...]
    fields: Mapping[str, str]  # where they are not ours
    metadata: tuple[str, ...] = ()


class Survey(NamedTuple):
    """What one reading of all documents found."""

    documents: int
    long: int  # of those that come in rows: how many are longer than models read
    language: str
    problems: Sequence[Problem]
    named: frozenset[str]  # of the values that were looked for, those that are ids
    quoted: frozenset[str]  # and those that stand in a text


class Left(NamedTuple):
    """What was seen and is not in the spec, and why."""

    what: str
    why: str


def whole_files(folder: Folder) -> tuple[list[str], list[str], list[Left]]:
    """The files that are one document each, those that by their names are none, and what is empty."""
    found, aside, left = [], [], []
    for name in folder.names():
        if ending(name) not in WHOLE or is_tools(name):
            continue
        if not folder.size(name):
            left.append(Left(name, "the file is empty"))
        elif any(fnmatch(name.rpartition("/")[2].lower(), pattern) for pattern in ASIDE):
            aside.append(name)
        else:
            found.append(name)
    return found, aside, left


def faq_files(folder: Folder) -> dict[str, int]:
    """The YAML files that are FAQs, with how many questions each has."""
    found = {}
    for name in folder.names():
        if ending(name) in YAML and not is_tools(name):
            problems = Problems()
            text = whole(folder, name, problems)
            node = None if text is None or "?" not in text else composed(text, name, problems)
            if number := len(list(rows(node, name, Problems()))):
                found[name] = number
    return found


def fields_of(table: Table) -> dict[str, str] | None:
    """Which column of a table is what of a document; None where it has no text or no id."""
    text = _text(table)
    if not text:
        return None
    called = {name.lower(): name for name in table.columns}
    keys = [called[name] for name in ID if name in called and called[name] != text]
    keys += [name for name in table.columns if name != text and name not in keys]
    key = next((name for name in keys if _is_key(table, name)), "")
    if not key:
        return None
    title = next((called[name] for name in TITLE if name in called and called[name] not in (key, text)
                  and all(isinstance(value, str) for value in table.values(called[name]))), "")
    parent = next((called[name] for name in PARENT if name in called and called[name] not in (key, text, title)
                   and _is_parent(table, called[name])), "")
    said = {"id": key, "text": text, "title": title, "document": parent}
    ours = {"id": ("_id", "id"), "text": ("text",), "title": ("title", ""), "document": ("",)}
    return {role: name for role, name in said.items() if name not in ours[role]}


def _text(table: Table) -> str:
    """The column of texts: one that is called so, else the longest that is as long as sentences are."""
    called = {name.lower(): name for name in table.columns}
    texts = [name for name in table.columns if table.filled(name)
             and all(isinstance(value, str) for value in table.values(name))]
    for name in TEXT:
        if called.get(name) in texts:
            return called[name]
    longest = max(texts, key=lambda name: sum(map(len, table.values(name))), default="")
    return longest if longest and _mean(table, longest) >= 80 else ""


def _mean(table: Table, name: str) -> float:
    values = table.values(name)
    return sum(map(len, values)) / len(values)


def _is_key(table: Table, name: str) -> bool:
    """Whether each row has a short value of its own there."""
    values = table.values(name)
    plain = all(isinstance(value, (str, int)) and not isinstance(value, bool) for value in values)
    return plain and len(values) == len(table.rows) == len({str(value) for value in values}) and all(
        len(str(value)) <= 300 and "\n" not in str(value) for value in values)


def _is_parent(table: Table, name: str) -> bool:
    """Whether several rows are of one document there."""
    values = table.values(name)
    plain = all(isinstance(value, (str, int)) and not isinstance(value, bool) for value in values)
    return plain and len(values) == len(table.rows) and 1 < len({str(value) for value in values}) < len(values)


def in_rows(tables: Sequence[Table], folder: Folder) -> tuple[list[str], dict[str, str], list[Left]]:
    """The tables of documents that one mapping of fields reads: of several the one of most bytes."""
    groups: dict[tuple[tuple[str, str], ...], list[str]] = {}
    left = []
    for table in tables:
        fields = fields_of(table)
        if fields is None:
            left.append(Left(table.name, f"no text with an id of its own in each row; columns: {_some(table)}"))
        else:
            groups.setdefault(tuple(sorted(fields.items())), []).append(table.name)
    if not groups:
        return [], {}, left
    best = max(sorted(groups), key=lambda key: sum(map(folder.size, groups[key])))
    why = "its columns are called otherwise than in the other files, and `corpus.fields` is one for all"
    left += [Left(name, why) for key, names in groups.items() if key != best for name in names]
    return groups[best], dict(best), left


def _some(table: Table) -> str:
    return ", ".join(table.columns[:8]) or "none"


def metadata(corpus: Corpus, tables: Mapping[str, Table], folder: Folder) -> tuple[str, ...]:
    """The fields that slices and filters go by, where the first files and rows have them as plain values."""
    met: dict[str, list[Any]] = {}
    for name in corpus.files[:FIRST]:
        rows = tables[name].rows if name in tables else [_front(folder, name)]
        for row in rows:
            for field in METADATA:
                if row.get(field) not in (None, ""):
                    met.setdefault(field, []).append(row[field])
    taken = set(corpus.fields.values())
    return tuple(name for name in METADATA if name in met and name not in taken and all(map(_is_plain, met[name])))


def _front(folder: Folder, name: str) -> Mapping[str, Any]:
    """What a Markdown file says of itself."""
    if ending(name) != ".md":
        return {}
    text = whole(folder, name, Problems())
    page = None if text is None else markdown.split(text, name, Problems())
    return {} if page is None else {key: plain(value) for key, value in page.front.items()}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_plain(one) and not isinstance(one, list) for one in value)
    return isinstance(value, (str, int, float))


def look(corpus: Corpus, folder: Folder, ids: set[str], quotes: set[str], scratch: Path) -> Survey:
    """Read every document once, as the build will: what is in them, and what is wrong with which file."""
    fields = Fields({f"corpus.fields.{role}": name for role, name in corpus.fields.items()})
    problems, noted = Problems(), _Noted(ids, quotes)
    for name in corpus.files:
        for document in READERS[ending(name)](Source(folder, name, scratch), fields, problems):
            noted.note(document)
    return Survey(noted.number, noted.long, languages.found(noted.words), problems.shown, frozenset(noted.named),
                  frozenset(noted.quoted))


class _Noted:
    """What is kept of the documents while they pass."""

    def __init__(self, ids: set[str], quotes: set[str]) -> None:
        self.number = self.long = self._letters = 0
        self.words: Counter[str] = Counter()
        self.named: set[str] = set()
        self.quoted: set[str] = set()
        self._ids = ids
        self._quotes = {text: collapsed(text) for text in quotes}

    def note(self, document: Document) -> None:
        """One more."""
        self.number += 1
        self.long += len(document.text) > LONG and ending(document.where.file) in ROWS
        if self._letters < LETTERS:
            self._letters += len(document.text)
            self.words.update(word.lower() for word in _WORD.findall(document.text))
        self.named |= {document.id, document.document or document.id} & self._ids
        if self._quotes:
            text = collapsed(document.text)
            found = [quote for quote, words in self._quotes.items() if words in text]
            self.quoted.update(found)
            for quote in found:
                del self._quotes[quote]
