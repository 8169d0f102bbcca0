"""Rankings by document: where the texts of a snapshot are parts, figures that another way of cutting leaves alike."""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import xxhash

from embspec.stages.snapshot import rows

MORE = 4  # so many times as deep a query is ranked again whose texts are of too few documents


class Pages(NamedTuple):
    """The documents that the texts of a snapshot are parts of."""

    owner: Mapping[str, str]  # part -> its document; a text that is a document itself is not there
    same: Mapping[str, str]  # document -> the first of its exact duplicates
    depth: int  # documents that a ranking has, where there are so many
    total: int  # documents there are

    def of(self, ids: Iterable[str]) -> list[str]:
        """The documents of ranked texts, each where its first text stands."""
        return list(dict.fromkeys(self.owner.get(id, id) for id in ids))[: self.depth]

    def enough(self, ids: Iterable[str]) -> bool:
        """Whether these are the texts of as many documents as a ranking has."""
        return len(self.of(ids)) >= min(self.depth, self.total)

    def judged(self, grades: Mapping[str, float]) -> dict[str, float]:
        """A document is worth what the best of its parts is."""
        found: dict[str, float] = {}
        for id, grade in grades.items():
            page = self.owner.get(id, id)
            found[page] = max(grade, found.get(page, grade))
        return found


def pages(path: Path, manifest: Path, exact: bool, depth: int) -> Pages:
    """The documents of a snapshot; those whose parts are the same, one by one, are duplicates."""
    owner: dict[str, str] = {}
    held: dict[str, str] = {}  # one copy of each name, however many parts it has
    for row in rows(path):
        if (parent := row.get("document")) and parent != row["id"]:
            owner[row["id"]] = held.setdefault(parent, parent)
    digests: dict[str, xxhash.xxh3_128] = {}
    for line in manifest.read_text(encoding="utf-8").split("\n")[:-1]:
        name, digest = line.split("\t")
        digests.setdefault(owner.get(name, name), xxhash.xxh3_128()).update(digest.encode())
    return Pages(owner, _same(digests) if exact else {}, depth, len(digests))


def _same(digests: Mapping[str, xxhash.xxh3_128]) -> dict[str, str]:
    first: dict[bytes, str] = {}
    same: dict[str, str] = {}
    for name, digest in digests.items():
        if (head := first.setdefault(digest.digest(), name)) != name:
            same[name] = same[head] = head
    return same
