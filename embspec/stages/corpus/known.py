"""Files that were read before: what a file gave is kept by its digest, so that only one that changed is read again."""
from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable, Iterator
from importlib import metadata

import xxhash

from embspec.errors import Where
from embspec.plan.protocol import Desk, Params, Rows
from embspec.stages.corpus.documents import Document, Fields, Source
from embspec.stages.live import PARSERS
from embspec.stages.reading import Problems, ending

RECIPE = 2
"""Raised, together with that of the stage, when a reader gives other documents for the same bytes."""
MOST = 1 << 20
"""Letters of documents that are kept of a file, if there are several: more would have to lie in memory for that."""
OBJECT = 512
"""As many letters as a document takes room beside its texts: a file of short rows has many."""

Read = Callable[[Source, Fields, Problems], Iterator[Document]]


class Known:
    """The desk's memory of files, by name and digest; one space for each kind, with all that its documents hang on."""

    def __init__(self, params: Params, desk: Desk) -> None:
        self.files_read = 0
        self._params, self._desk = params, desk
        self._spaces: dict[str, Rows] = {}

    def documents(self, source: Source, read: Read, fields: Fields, problems: Problems) -> Iterator[Document]:
        """The documents of a file, read only where its bytes are new."""
        rows, digest = self._rows(ending(source.name)), source.tree.digest(source.name)
        kept = rows.find([_name(source.name, digest)])[0] if digest else None
        if kept is not None:
            yield from _unpacked(kept, source.name, fields)
            return
        self.files_read += 1
        # Apart from those of other files, or what is kept would say what was met in them.
        own, before = Fields(self._params), problems.count
        found: list[Document] | None = []
        size = 0
        for document in read(source, own, problems):
            yield document
            size += OBJECT + len(document.text) + len(document.title) + len(str(document.metadata))
            if found is not None:
                found.append(document)
                if size > MOST and len(found) > 1:
                    found = None
        fields.join(own.met, own.unmet)
        if problems.count == before and found is not None and (digest := source.tree.digest(source.name)):
            rows.add([_name(source.name, digest)], [_packed(found, own)])

    def _rows(self, end: str) -> Rows:
        if end not in self._spaces:
            package = PARSERS.get(end, "")
            said = {name: self._params.get(name) for name in sorted(self._params) if name in _asked(self._params)}
            self._spaces[end] = self._desk.rows({
                "documents": str(RECIPE), "ending": end, "params": json.dumps(said),
                "python": ".".join(map(str, sys.version_info[:3])), "unicode": unicodedata.unidata_version,
                "package": f"{package} {_version(package)}",
            })
        return self._spaces[end]


def _asked(params: Params) -> set[str]:
    """What the documents of a file hang on: not on which files there are, nor on what becomes of the documents."""
    return {name for name in params if name.startswith("corpus.fields.")} | {"corpus.metadata", "corpus.normalize"}


def _version(package: str) -> str:
    try:
        return metadata.version(package) if package else ""
    except metadata.PackageNotFoundError:
        return ""


def _name(name: str, digest: str) -> bytes:
    return xxhash.xxh3_128_digest(f"{name}\0{digest}".encode())


def _packed(found: list[Document], own: Fields) -> bytes:
    rows = [(*document[:5], document.where.line) for document in found]
    said = json.dumps([sorted(own.met), sorted(own.unmet), rows], ensure_ascii=False, separators=(",", ":"))
    return said.encode("utf-8", "surrogatepass")


def _unpacked(kept: bytes, name: str, fields: Fields) -> Iterator[Document]:
    met, unmet, rows = json.loads(kept.decode("utf-8", "surrogatepass"))
    fields.join(met, unmet)
    for *values, line in rows:
        key, title, text, parent, said = values
        yield Document(key, title, text, parent, said, Where(name, line))
