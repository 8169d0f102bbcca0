"""The work of `candidates`: the files of negatives that somebody else found, question by question."""
from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from embspec.errors import Where
from embspec.plan.protocol import Desk, Made, Params, Progress, Tree, is_address
from embspec.stages.live import given_paths
from embspec.stages.reading import Problems, Row, count, identifier, json_rows, line, nfc
from embspec.stages.snapshot import normalise, rows

EXAMPLES = 5
PAIRS = "pairs."
NEGATIVES = ("negatives", "negative")
NOT_FOUND = "paths count from the folder of the spec that names them"
SHAPE = 'write {"query": "…", "negatives": ["ID", …]}, or `id` of the row of pairs instead of `query`'
ASKED = "write each question as the pairs do, or name the `id` that its row has there; or take the miner out"
ONE_OF = "correct the id or the query, or leave one of them out"
IN_SNAPSHOT = (
    "correct the ids, or take the lines out; pairs and negatives see the snapshot, not the live documents: "
    "`embspec build --retrain` moves it to those"
)


class Found:
    """What the files say, question by question, and what is counted on the way: a line is not kept."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, dict[str, None]]] = {}  # file -> question, normalised -> documents in order
        self.rows = self.unknown = 0
        self.negatives = self.lost = 0  # documents of each line, whether or not its question is asked
        self.examples: list[tuple[Where, str]] = []  # the first of those that the snapshot lacks

    def add(self, questions: Collection[str], ids: Collection[str], where: Where, documents: Mapping[str, str]) -> None:
        """One line that names documents."""
        self.rows += 1
        self.unknown += not questions
        self.negatives += len(ids)
        if lost := sorted(id for id in ids if id not in documents):
            self.lost += len(lost)
            self.examples += [(where, id) for id in lost[: EXAMPLES - len(self.examples)]]
        for question in questions:
            # One text stands for an id, however many lines name it.
            self.files[where.file].setdefault(question, {}).update((documents.get(id, id), None) for id in ids)


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write `given.jsonl`: a line for each file and question, its documents in the order of the file."""
    tree: Tree = needs["live"]
    names, problems, found = sorted(tree.names()), Problems(), Found()
    documents = _ids(needs["snapshot/manifest"])
    asked = _questions([path for role, path in needs.items() if role.startswith(PAIRS)])
    desk.tell(Progress("reading negatives"))
    spelt: dict[str, dict[str, str]] = {}  # a file -> the paths that mean it, each with its field
    for path, field in sorted(given_paths(params).items()):
        name = path if is_address(path) else posixpath.normpath(path.rpartition("//")[2])
        spelt.setdefault(name, {})[path] = field
    for name, paths in sorted(spelt.items()):
        if name in names:
            _read(tree, name, paths, asked, documents, found, problems)
        else:
            for path, field in paths.items():
                problems.add("input.missing", f"there is no file {path}", None, NOT_FOUND, field)
    _check_there(found, problems)
    problems.stop()
    lines = sorted((path, name) for name, paths in spelt.items() for path in paths)
    with open(out / "given.jsonl", "wb") as file:
        for path, name in lines:
            for question, ids in sorted(found.files[name].items()):
                file.write(line({"file": path, "query": question, "negatives": list(ids)}))
    given = [ids for _, name in lines for ids in found.files[name].values()]
    stat = {"queries": len(given), "negatives": sum(map(len, given)), "unknown": found.unknown}
    return Made(stat=stat, counts={"files_read": len(names), "rows": found.rows})


def _ids(manifest: Path) -> dict[str, str]:
    """The ids of the snapshot's documents, each by itself: the text that stands for all that are equal to it."""
    with open(manifest, encoding="utf-8", newline="\n") as file:
        return {id: id for id in (line.partition("\t")[0] for line in file)}


class Questions(NamedTuple):
    """What the sources of pairs ask: all questions, and those of each id, which two sources may share."""

    texts: frozenset[str]
    by_id: Mapping[str, frozenset[str]]


def _questions(sources: Sequence[Path]) -> Questions:
    by_id: dict[str, set[str]] = {}
    for path in sources:
        for row in rows(path):
            by_id.setdefault(row["id"], set()).add(normalise(row["query"]))
    texts = frozenset(text for some in by_id.values() for text in some)
    return Questions(texts, {id: frozenset(some) for id, some in by_id.items()})


def _read(
    tree: Tree, name: str, paths: Mapping[str, str], asked: Questions, documents: Mapping[str, str], found: Found,
    problems: Problems,
) -> None:
    """The lines of one file; what is amiss with one is noted, and a file that would give no negative at all is too."""
    found.files[name] = {}
    rows, unknown, wrong = found.rows, found.unknown, _noted(problems)
    strange: list[str] = []
    for row in json_rows(tree, name, problems):
        questions, ids = _meant(row, asked, problems), _documents(row, problems)
        spelt = dict.fromkeys(id if id in documents else nfc(id) for id in ids)
        if spelt:
            found.add(questions, spelt, row.where, documents)
            if not questions and len(strange) < EXAMPLES:
                text = row.values.get("query")
                strange.append(f"{text or row.values.get('id')!r} ({row.where})")
    rows, unknown = found.rows - rows, found.unknown - unknown
    if _noted(problems) > wrong or unknown < rows:
        return
    for path, field in paths.items():
        if not rows:
            problems.add("input.empty", f"no negative in {path}", None, f"{SHAPE}; or take the miner out", field)
        else:
            rest = f" and {rows - EXAMPLES} more" if rows > EXAMPLES else ""
            text = f"of the {count(rows, 'line')} in {path} none has a question that a source of pairs asks: "
            problems.add("input.dangling", text + ", ".join(strange) + rest, None, ASKED, field)


def _noted(problems: Problems) -> int:
    return len(problems.shown) + problems.more


def _meant(row: Row, asked: Questions, problems: Problems) -> frozenset[str]:
    """The questions that a line is about: by its id where a source has that, else by its words."""
    named, text = row.values.get("id"), row.values.get("query")
    if named is None and text is None:
        problems.add("input.field", "neither 'query' nor 'id' says which question this is about", row.where, SHAPE)
        return frozenset()
    if text is not None and not isinstance(text, str):
        problems.add("input.type", "'query' must be a text", row.where, SHAPE)
        return frozenset()
    id = None if named is None else identifier(named, row.where, problems)
    plain = normalise(text or "")
    by_id = asked.by_id.get(id, frozenset()) if id is not None else frozenset()
    if by_id and plain and plain not in by_id:
        asks = " or ".join(map(repr, sorted(by_id)))
        problems.add("input.conflict", f"id {id} asks {asks}, not {text!r}", row.where, ONE_OF)
        return frozenset()
    return frozenset((plain,)) & (by_id or asked.texts) if plain else by_id


def _documents(row: Row, problems: Problems) -> list[str]:
    """The documents of a line: one id or several, under either name."""
    named = [name for name in NEGATIVES if row.values.get(name) is not None]
    if len(named) != 1:
        text = "both 'negatives' and 'negative'" if named else "no field 'negative' or 'negatives'"
        problems.add("input.conflict" if named else "input.field", text, row.where, SHAPE)
        return []
    value = row.values[named[0]]
    found = [identifier(one, row.where, problems, "id of a negative")
             for one in (value if isinstance(value, list) else [value])]
    return [id for id in found if id is not None]


def _check_there(found: Found, problems: Problems) -> None:
    """A negative that the snapshot lacks is a problem: it would never be one, and nobody would know."""
    if found.lost:
        examples = ", ".join(f"{document!r} ({where})" for where, document in found.examples)
        rest = f" and {found.lost - EXAMPLES} more" if found.lost > EXAMPLES else ""
        total = count(found.negatives, "negative")
        text = f"of {total} the snapshot of the corpus lacks {found.lost}: {examples}{rest}"
        problems.add("input.dangling", text, found.examples[0][0], IN_SNAPSHOT, "negatives.miners")
