"""The corpus: every document of the live tree, in the order of ids, and a digest of each."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import xxhash

from embspec.errors import Where
from embspec.plan.protocol import Desk, Made, Params, Progress, Tree
from embspec.stages.corpus.readers import READERS, Document, Fields
from embspec.stages.reading import Problems, check_found, count, encoded, ending, listed, some

EVERY = 500  # files between two words of progress
NOT_FOUND = (
    "paths count from the folder of the spec that names them; a path to a folder means FOLDER/corpus.jsonl, "
    "for Markdown write FOLDER/**/*.md"
)


def digest(title: str, text: str) -> bytes:
    """What the manifest says of a document: a change of title or text changes it, metadata do not."""
    return xxhash.xxh3_128_digest(f"{title}\0{text}".encode())


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

    def ordered(self) -> Iterator[tuple[str, bytes, bytes]]:
        """Id, line and digest of each document, by id in the order of code points."""
        for key in sorted(self.rows):
            offset, length, code, _, _ = self.rows[key]
            self.file.seek(offset)
            yield key, self.file.read(length), code


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write `documents.jsonl` and `manifest` (id, tab, digest of title and text) of the files of the tree."""
    tree: Tree = needs["live"]
    names = sorted(tree.names())
    problems, fields = Problems(), Fields(params)
    check_found(listed(params["corpus.path"]), names, "corpus.path", problems, NOT_FOUND)
    with TemporaryFile(dir=desk.scratch) as file:
        kept = Kept(file, names)
        for number, name in enumerate(names):
            if number % EVERY == 0:
                desk.tell(Progress("reading documents", number, len(names)))
            _read(tree, name, number, fields, kept, problems)
        if kept.rows:
            fields.check(problems)
        elif not problems.shown:
            text = f"no document in {count(len(names), 'file')}"
            problems.add("input.empty", text, fix="an empty corpus cannot be searched", field="corpus.path")
        problems.stop()
        _write(kept, out)
    rows = len(kept.rows)
    return Made(stat={"documents": rows}, counts={"files_read": len(names), "rows": rows})


def _read(tree: Tree, name: str, number: int, fields: Fields, kept: Kept, problems: Problems) -> None:
    """Keep the documents of one file."""
    reader = READERS.get(ending(name))
    if reader is None:
        fix = f"endings that are read: {some(READERS)}; narrow the path to those"
        problems.add("input.format", f"files ending in {ending(name) or 'nothing'} are not read", Where(name), fix)
        return
    for document in reader(tree, name, fields, problems):
        kept.add(document, number, problems)


def _write(kept: Kept, out: Path) -> None:
    """Both artefacts, in one walk."""
    with open(out / "documents.jsonl", "wb") as documents, open(out / "manifest", "wb") as manifest:
        for key, line, code in kept.ordered():
            documents.write(line)
            manifest.write(f"{key}\t{code.hex()}\n".encode())


