"""The corpus: every document of the live tree, in the order of ids, and a digest of each."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from embspec.errors import EmbspecError, Where
from embspec.plan.protocol import PROGRAM, Desk, Made, Params, Progress, Tree
from embspec.stages.corpus.contexts import Contexts
from embspec.stages.corpus.cut import MARK, Cut, Row, Way, digest, way
from embspec.stages.corpus.documents import Document, Fields, Source
from embspec.stages.corpus.known import Known
from embspec.stages.corpus.readers import READERS
from embspec.stages.live import CONTEXTS
from embspec.stages.reading import Problems, check_found, count, encoded, ending, listed, some

EVERY = 500  # files between two words of progress
NOT_FOUND = (
    "paths count from the folder of the spec that names them; a path to a folder means FOLDER/corpus.jsonl, "
    "for Markdown write FOLDER/**/*.md"
)


class Kept:
    """Documents read so far: texts in a file, ids and places in memory, so that memory does not grow with texts."""

    def __init__(self, file: IO[bytes], names: list[str]) -> None:
        self.file = file
        self.names = names
        self.end = 0
        self.rows: dict[str, tuple[int, int, bytes, int, int]] = {}  # id: offset, length, digest, file, line

    def add(self, document: Document, number: int, problems: Problems) -> None:
        """Keep a document of the file with this number; an id met before is a problem."""
        before = self.rows.get(document.id)
        if before is not None:
            first = Where(self.names[before[3]], before[4])
            problems.add(
                "input.duplicate",
                f"the id {document.id!r} is that of {first} too",
                document.where,
                "give each document an id of its own, or take one out",
            )
            return
        fields = document._asdict()
        where: Where = fields.pop("where")
        line = encoded(fields, where, problems)
        if line is None:
            return
        self.file.write(line)
        code = digest(document.title, document.text)
        self.rows[document.id] = (self.end, len(line), code, number, where.line)
        self.end += len(line)

    def ordered(self) -> Iterator[Row]:
        """Id, line and digest of each document, by id in the order of code points."""
        for key in sorted(self.rows):
            yield key, self._line(key), self.rows[key][2]

    def to_cut(self) -> Iterator[tuple[bytes, Where]]:
        """Line and place of each document, in the order in which ids of chunks begin."""
        for key in sorted(self.rows, key=lambda key: key + MARK):
            _, _, _, number, line = self.rows[key]
            yield self._line(key), Where(self.names[number], line)

    def _line(self, key: str) -> bytes:
        offset, length, *_ = self.rows[key]
        self.file.seek(offset)
        return self.file.read(length)


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write `documents.jsonl` and `manifest` (id, tab, digest of what is read) of the files of the tree."""
    tree: Tree = needs["live"]
    names = sorted(name for name in tree.names() if not name.startswith(PROGRAM))
    problems, fields = Problems(), Fields(params)
    cutting = _way(params, needs, desk, problems)
    check_found(listed(params["corpus.path"]), names, "corpus.path", problems, NOT_FOUND)
    with TemporaryFile(dir=desk.scratch) as file:
        kept, known = Kept(file, names), Known(params, desk)
        for number, name in enumerate(names):
            if number % EVERY == 0:
                desk.tell(Progress("reading documents", number, len(names)))
            for document in _documents(Source(tree, name, desk.scratch), known, fields, problems):
                kept.add(document, number, problems)
        if kept.rows:
            fields.check(problems)
        elif not problems.shown:
            text = f"no document in {names[0] if len(names) == 1 else count(len(names), 'file')}"
            fix = "an empty corpus cannot be searched: add documents, or name the files that have them"
            problems.add("input.empty", text, fix=fix, field="corpus.path")
        problems.stop()
        made = _whole(kept, out) if cutting is None else _cut(kept, Cut(cutting, desk), Contexts.of(
            params, needs, desk, cutting, fields.clean), out)
    return made._replace(stat={"documents": len(kept.rows), **made.stat},
                         counts={"files_read": known.files_read, **made.counts})


def _whole(kept: Kept, out: Path) -> Made:
    """Each document is one text."""
    _write(kept.ordered(), out)
    return Made(counts={"rows": len(kept.rows)})


def _cut(kept: Kept, cut: Cut, contexts: Contexts | None, out: Path) -> Made:
    """Documents as chunks; under contexts that a program writes, where the spec names one."""
    total = len(kept.rows)
    if contexts is None:
        _write(cut.rows(kept.to_cut(), total), out)
        return Made({"chunks": cut.chunks}, {}, {"rows": cut.chunks, "cut": cut.cut})
    with contexts:
        contexts.ask(cut.pieces(kept.to_cut(), total))
        _write(cut.rows(kept.to_cut(), total, contexts.put), out)
        answers = contexts.write()
    counts = {"rows": cut.chunks, "cut": cut.cut, "calls": contexts.calls}
    return Made({"chunks": cut.chunks}, {}, counts, {CONTEXTS: answers})


def _way(params: Params, needs: Mapping[str, Any], desk: Desk, problems: Problems) -> Way | None:
    """How documents are cut; what is wrong with that is told together with what is wrong with the files."""
    try:
        return way(params, needs, desk)
    except EmbspecError as error:
        for problem in error.problems:
            problems.add(*problem)
    return None


def _documents(source: Source, known: Known, fields: Fields, problems: Problems) -> Iterator[Document]:
    """The documents of one file."""
    reader = READERS.get(ending(source.name))
    if reader is None:
        fix = f"endings that are read: {some(READERS)}; narrow the path to those"
        text = f"files ending in {ending(source.name) or 'nothing'} are not read"
        problems.add("input.format", text, source.where, fix)
        return
    yield from known.documents(source, reader, fields, problems)


def _write(rows: Iterator[Row], out: Path) -> None:
    """Both artefacts, in one walk."""
    with open(out / "documents.jsonl", "wb") as documents, open(out / "manifest", "wb") as manifest:
        for key, line, code in rows:
            documents.write(line)
            manifest.write(f"{key}\t{code.hex()}\n".encode())


