"""Which files of a folder are pairs, of which format, and what their fields are called."""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from embspec.init.folder import Folder, Table, is_tools, mapping
from embspec.stages.pairs import faq, llamaindex
from embspec.stages.pairs.fields import MOST, OTHERS, ROLES
from embspec.stages.pairs.readers import SHAPES
from embspec.stages.reading import Problems, ending, lines, whole

QUERY = ("query", "question", "q", "search_query", "query_text", "search", "utterance", "anchor", "claim", "prompt",
         "subject", "title")
ANSWER = ("answer", "quote", "passage", "evidence", "context", "response", "snippet", "solution", "a")
GRADE = ("grade", "relevance", "score", "label", "rating")
SESSION = ("session", "session_id", "conversation_id")
TRIED = 20  # values of a column that are looked for in the documents
ENOUGH = 0.5  # share of them that has to be there
QUESTIONS = 3  # headings of a page that have to be questions before it is an FAQ

# Words in a file's path that say who wrote its questions: trust, and the parts that such a source may enter.
HINTS: Sequence[tuple[str, str, tuple[str, ...]]] = (
    ("gold golden test eval evaluation benchmark judged judgements judgments labelled labeled qrels", "gold", ()),
    ("dev val valid validation", "gold", ("validation",)),
    ("synth synthetic generated llm qgen", "synthetic", ()),
    ("train training", "curated", ()),
    ("click clicks clicklog implicit", "implicit", ()),
)


class Source(NamedTuple):
    """A source of pairs as the spec will name it; without trust nothing says who wrote its questions."""

    name: str
    path: str
    format: str = "auto"
    qrels: str = ""
    fields: Mapping[str, str] = {}
    trust: str = ""
    roles: tuple[str, ...] = ()
    about: str = ""
    headings: bool = False
    rows: int = 0  # about
    queries: int = 0  # as the stage counts them


def is_asked(table: Table) -> bool:
    """Whether the rows of a table ask something, and are no documents."""
    return bool(shaped(table)) or (bool(query_of(table)) and len(table.columns) > 1)


def query_of(table: Table) -> str:
    """The column of the questions, by its name."""
    called = _called(table)
    texts = {name for name in table.columns if all(isinstance(value, str) for value in table.values(name))}
    # `title` and `subject` are questions only where they lie within something, as in a ticket.
    names = [name for word in QUERY for last, name in called.items() if last.rpartition(".")[2] == word
             and (word not in ("title", "subject") or "." in name)]
    return next((name for name in names if name in texts and table.filled(name)), "")


def _called(table: Table) -> dict[str, str]:
    return {name.lower(): name for name in table.columns}


class Tried(NamedTuple):
    """What of a table is looked for in the documents: by column, the values as texts."""

    ids: Mapping[str, Sequence[str]]
    quotes: Mapping[str, Sequence[str]]


def tried(table: Table) -> Tried:
    """The values that may name a document, and those that may stand in one."""
    ids: dict[str, list[str]] = {}
    quotes: dict[str, list[str]] = {}
    for column in table.columns:
        values = [one for value in table.values(column)[:TRIED] for one in _each(value)][:TRIED]
        if column != query_of(table) and values:
            ids[column] = values
            if sum(map(len, values)) >= 8 * len(values):
                quotes[column] = values
    return Tried(ids, quotes)


def _each(value: Any) -> list[str]:
    """A value as texts: each of a list, the id of an answer with a grade."""
    if isinstance(value, list):
        return [text for one in value for text in _each(one)]
    if isinstance(value, dict):
        return _each(value.get("id", value.get("quote")))
    return [str(value).strip()] if isinstance(value, (str, int)) and not isinstance(value, bool) else []


def shaped(table: Table) -> str:
    """The format of a table whose fields are those of another tool; empty where they are not."""
    return next((form for form, needed in SHAPES if form != "faq" and set(needed) <= set(table.columns)), "")


def fields_of(table: Table, named: frozenset[str], quoted: frozenset[str]) -> dict[str, str] | None:
    """What the columns of a table are, by which of its values the documents have; None where none is an answer."""
    query, seen = query_of(table), tried(table)
    answer = {"positive": _best(seen.ids, named)}
    if not answer["positive"]:
        answer = {"quote": _best(seen.quotes, quoted)}
    if not any(answer.values()):
        return None
    found = {"query": query, **answer}
    called = _called(table)
    grade = next((called[word] for word in GRADE if word in called and _is_grade(table, called[word])), "")
    session = next((called[word] for word in SESSION if word in called), "")
    found |= {role: name for role, name in (("grade", grade), ("session", session)) if name}
    faq_row = "quote" in found and {query, found["quote"]} == {"question", "answer"}
    ours = {**ROLES, **(OTHERS["faq"] if faq_row else {})}
    return {role: name for role, name in found.items()
            if name not in ours[role] and not (role == "positive" and name in ROLES["positives"])}


def _best(tried: Mapping[str, Sequence[str]], there: frozenset[str]) -> str:
    """The column of whose values most are there."""
    shares = {column: sum(value in there for value in values) / len(values) for column, values in tried.items()}
    best = max(sorted(shares), key=lambda column: shares[column], default="")
    return best if best and shares[best] >= ENOUGH else ""


def _is_grade(table: Table, column: str) -> bool:
    values = table.values(column)
    return table.filled(column) and all(str(value).isdecimal() and int(value) <= MOST for value in values)


def hinted(path: str) -> tuple[str, tuple[str, ...]]:
    """Trust and parts by the words of a path, the last of them first; empty where they say nothing."""
    for word in reversed(re.findall(r"[a-z]+", path.lower())):
        for words, trust, roles in HINTS:
            if word in words.split():
                return trust, roles
    return "", ()


def name_of(path: str, taken: Sequence[str]) -> str:
    """A name for a source: that of its file, which no other has."""
    last = path.rpartition("/")[2]
    stem = last.rpartition(".")[0] or last
    base = re.sub(r"[^a-z0-9_]+", "-", stem.lower()).strip("-") or "pairs"
    names = (base if number == 1 else f"{base}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def markdown_faqs(folder: Folder, names: Sequence[str]) -> dict[str, int]:
    """The pages whose headings are questions for the most part, with how many those are."""
    found = {}
    for name in names:
        text = whole(folder, name, Problems()) if ending(name) == ".md" else None
        if text is None or text.count("?") + text.lower().count("q:") < QUESTIONS:
            continue
        titles = [block.words for block in faq.headings(text) if block.level > 1]
        asked = sum(bool(faq.question(title)) for title in titles)
        if asked >= QUESTIONS and 2 * asked >= len(titles):
            found[name] = asked
    return found


def llamaindex_files(folder: Folder) -> list[str]:
    """The data sets of LlamaIndex: one JSON object of queries, texts and what answers what."""
    found = []
    for name in folder.names():
        if ending(name) == ".json" and not is_tools(name) and _begins(folder, name):
            values = mapping(folder, name)
            if all(isinstance(values.get(part), dict) for part in llamaindex.PARTS):
                found.append(name)
    return found


def _begins(folder: Folder, name: str) -> bool:
    """Whether a file could be one: most JSON is not, and need not be read whole for that."""
    with folder.open(name) as file:
        head = file.read(4096)
    return any(b'"' + part.encode() + b'"' in head for part in llamaindex.PARTS)


class Beir(NamedTuple):
    """A BEIR folder: its path with a slash, and the queries of each table of judgements."""

    path: str
    tables: Mapping[str, frozenset[str]]


def beir_folders(folder: Folder) -> list[Beir]:
    """Every folder with queries and at least one table of judgements."""
    tables: dict[str, list[str]] = {}
    for name in folder.names():
        place, _, table = name.rpartition("/")
        if table.endswith(".tsv") and (place == "qrels" or place.endswith("/qrels")):
            tables.setdefault(place.removesuffix("qrels"), []).append(name)
    there = set(folder.names())
    return [Beir(path, {name.rpartition("/")[2].removesuffix(".tsv"): _asked(folder, name) for name in sorted(names)})
            for path, names in sorted(tables.items())
            if f"{path}queries.jsonl" in there and not is_tools(f"{path}queries.jsonl")]


def _asked(folder: Folder, name: str) -> frozenset[str]:
    cells = (line.rstrip("\n").split("\t") for line in lines(folder, name, Problems()))
    return frozenset(row[0] for row in cells if len(row) == 3 and row[2].strip().lstrip("-").isdecimal())


PUBLISHED: Mapping[str, tuple[str, str]] = {
    "train": ("curated", "train"), "training": ("curated", "train"),
    "dev": ("gold", "validation"), "val": ("gold", "validation"), "valid": ("gold", "validation"),
    "validation": ("gold", "validation"), "test": ("gold", "test"),
}


def of_beir(found: Beir) -> list[Source]:
    """A source for each published split."""
    unusable = {table for table, _ in unused(found)}
    sources: list[Source] = []
    for table in found.tables:
        if table not in unusable:
            trust, part = PUBLISHED.get(table.lower(), ("", ""))
            name = name_of(table, [source.name for source in sources])
            about = f"the published judgements of qrels/{table}.tsv"
            sources.append(Source(name, found.path.rstrip("/") or ".", "beir", table, {}, trust,
                                  (part,) if part else (), about, rows=len(found.tables[table])))
    return sources


def unused(found: Beir) -> list[tuple[str, str]]:
    """The tables that are no split of their own, and why."""
    left = []
    for table, queries in found.tables.items():
        within = next((other for other, more in found.tables.items() if queries < more), "")
        if not queries:
            left.append((table, "there is no judgement in it"))
        elif within:
            left.append((table, f"all its questions are in {within}.tsv too"))
    return left
