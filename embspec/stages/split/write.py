"""The artefacts of `split`: three parts and the pool that checkpoints rank."""
from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import xxhash

from embspec.stages.reading import line
from embspec.stages.split.rows import Documents, Query, cluster, lines

POOL = 5000  # snapshot texts that checkpoints may rank, beside the positives

Marks = Mapping[int, Mapping[str, bool]]
"""What is said of a query (by position) beside its row: `grown`, `leaking`."""


def write_part(
    path: Path, members: Sequence[int], queries: Sequence[Query], documents: Documents, marks: Marks
) -> None:
    """One part, each row as its source wrote it with trust and cluster, in the order of ids."""
    names = _names([queries[at] for at in members])
    with ExitStack() as stack, path.open("wb") as file:
        opened: dict[Path, IO[bytes]] = {}
        for name, at in sorted(zip(names, members, strict=True)):
            query = queries[at]
            if query.path not in opened:
                opened[query.path] = stack.enter_context(query.path.open("rb"))
            opened[query.path].seek(query.offset)
            row = json.loads(opened[query.path].readline())
            row |= {"id": name, "trust": query.trust, "cluster": cluster(query, documents), **marks.get(at, {})}
            file.write(line(row))


def write_pool(path: Path, positives: set[str], documents: Documents, snapshot: Path, seed: int) -> None:
    """Positives of validation, then other snapshot documents, each in hash order and with its text."""

    def order(names: Iterable[str]) -> Iterable[tuple[int, str]]:
        return ((xxhash.xxh3_64_intdigest(f"{seed}\0pool\0{name}".encode()), name) for name in names)

    others = heapq.nsmallest(POOL, order(name for name in documents.ids if name not in positives))
    pool = [*sorted(order(positives)), *others]
    wanted = {name for _, name in pool}
    # The texts are not kept: where their rows start is known after a second pass, and each is read when it is its turn.
    starts = {row["id"]: offset for offset, row in lines(snapshot) if row["id"] in wanted}
    with path.open("wb") as file, snapshot.open("rb") as texts:
        for _, name in pool:
            texts.seek(starts[name])
            row = json.loads(texts.readline())
            own = {"id": name, "positive": name in positives, "title": row["title"] or "", "text": row["text"]}
            own |= {"context": row["context"]} if row.get("context") else {}
            file.write(line(own))


def _names(members: Sequence[Query]) -> list[str]:
    """Ids that are unique within a part: those that two sources share are written with the source before them."""
    count = Counter(query.id for query in members)
    if all(number == 1 for number in count.values()):
        return [query.id for query in members]
    sources = {query.source for query in members}
    # An id that looks like a written-out one is written out too, else the two could meet.
    return [
        f"{query.source}/{query.id}" if count[query.id] > 1 or query.id.split("/")[0] in sources else query.id
        for query in members
    ]
