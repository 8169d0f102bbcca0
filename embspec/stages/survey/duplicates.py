"""Documents that are one another: exact and near duplicates as groups. Nothing is taken out for it."""
from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from embspec.plan.protocol import Desk, Params, Progress
from embspec.retrieval.duplicates import Groups, near_groups
from embspec.stages.lazily import Texts
from embspec.stages.snapshot import loaded

Found = Mapping[str, Any]


def found(path: Path, digests: Mapping[str, bytes], params: Params, desk: Desk) -> Found:
    """Groups by id, each kind as far as the spec asks for it."""
    names = list(digests)
    exact, near = params["corpus.dedup.exact"], params["corpus.dedup.near"]
    return {
        "exact": _grouped(_equal(digests), names) if exact else None,
        "near": None if near is None else {"threshold": near, **_grouped(_alike(path, near, desk), names)},
    }


def _equal(digests: Mapping[str, bytes]) -> list[list[int]]:
    """Texts with the same title and letters."""
    groups: dict[bytes, list[int]] = {}
    for at, digest in enumerate(digests.values()):
        groups.setdefault(digest, []).append(at)
    return list(groups.values())


def _alike(path: Path, threshold: float, desk: Desk) -> list[list[int]]:
    """Texts that hang together by being alike, the equal ones among them."""
    with path.open("rb") as file:
        found = texts(file)
        desk.tell(Progress(f"near-duplicates among {len(found)} documents"))
        return _joined(near_groups(found, threshold))


def texts(file: IO[bytes]) -> Texts:
    """The texts of a snapshot by place."""
    starts, end = array("Q"), 0
    for line in file:
        starts.append(end)
        end += len(line)

    def read(at: int) -> str:
        file.seek(starts[at])
        return str(loaded(file.readline())["text"])

    return Texts(len(starts), read)


def _joined(groups: Groups) -> list[list[int]]:
    up = {copies[0]: copies[0] for copies in groups.copies}

    def head(one: int) -> int:
        while up[one] != one:
            up[one] = up[up[one]]
            one = up[one]
        return one

    for one, other, _ in groups.links:
        low, high = sorted((head(one), head(other)))
        up[high] = low
    joined: dict[int, list[int]] = {}
    for copies in groups.copies:
        joined.setdefault(head(copies[0]), []).extend(copies)
    return list(joined.values())


def _grouped(groups: Sequence[Sequence[int]], names: Sequence[str]) -> dict[str, Any]:
    """Groups of more than one, and how many documents are in them."""
    several = sorted(sorted(group) for group in groups if len(group) > 1)
    return {"documents": sum(map(len, several)), "groups": [[names[at] for at in group] for group in several]}
