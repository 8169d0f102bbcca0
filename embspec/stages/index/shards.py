"""Which shard a document lies in: by its id alone, so that an edit of one document moves one shard."""
from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import xxhash

from embspec.stages.snapshot import Document, count

ROWS = 4096  # rows of a shard, about


class Row(NamedTuple):
    """A document, and its line of the corpus, which the index keeps as it is."""

    document: Document
    line: bytes


class Shards:
    """Places of all documents of a corpus, shard by shard: 8 bytes a document, whatever its size."""

    def __init__(self, path: Path, shards: int = 0) -> None:
        """Shards of a corpus, as many as given or else as its rows ask for."""
        self._path = path
        self.rows = count(path)
        self.count = shards or shards_of(self.rows)
        self._places = [array("Q") for _ in range(self.count)]
        place = 0
        with open(path, "rb") as lines:
            for line in lines:
                self._places[shard_of(json.loads(line)["id"], self.count)].append(place)
                place += len(line)

    def __iter__(self) -> Iterator[list[Row]]:
        """The rows of each shard in turn, by id."""
        for places in self._places:
            with open(self._path, "rb") as lines:
                rows = []
                for place in places:
                    lines.seek(place)
                    rows.append(_row(lines.readline()))
            yield sorted(rows)


def shards_of(rows: int) -> int:
    """The power of two nearest to a shard for each 4,096 rows, the smaller of two that are as near; at least 1."""
    count = 1
    while 3 * count * ROWS < 2 * rows:  # rows / 4096 lies nearer to 2 · count than to count
        count *= 2
    return count


def shard_of(id: str, count: int) -> int:
    """The number of a document's shard among so many, a power of two."""
    return xxhash.xxh3_64_intdigest(id.encode()) & (count - 1)


def _row(line: bytes) -> Row:
    return Row(Document.of(json.loads(line)), line)
