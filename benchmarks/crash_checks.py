"""What is looked at after builds were killed: objects, records, locks, out/, temporary files, processes."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from embspec.plan.values import Record, digest_of
from embspec.store.objects import Objects, file_digest

OLD_S = 7200  # what is younger than an hour is not swept: it may be of a process on another machine
PATIENCE_S = 30.0


WRONG = ("corrupt", "broken", "other_locks", "other_files", "unswept", "processes")


class Found(NamedTuple):
    """Counts over all rounds."""

    objects: int = 0
    corrupt: int = 0
    records: int = 0
    broken: int = 0
    locks: int = 0
    other_locks: int = 0
    files: int = 0
    other_files: int = 0
    temporaries: int = 0
    unswept: int = 0
    processes: int = 0

    def __add__(self, other: object) -> Found:
        assert isinstance(other, Found)
        return Found(*(a + b for a, b in zip(self, other, strict=True)))


def check(place: Path, trees: Sequence[Path], usual: Path, env: Mapping[str, str], mark: str) -> Found:
    """Everything of one round; first what the kills left, then what a build after them leaves."""
    store = place / "store"
    left = processes(mark)
    temporaries = age(place)
    for tree in trees:
        subprocess.run([sys.executable, "-m", "embspec", "build", "-q", "--refresh", "gates"], cwd=tree, env=dict(env),
                       check=True)
    unswept = list(temporary(place))
    for path in unswept:
        print(f"left: {path.relative_to(place)}", file=sys.stderr)
    return Found(*objects(store), *records(store), *compared(trees, usual), temporaries, len(unswept), left)


def processes(mark: str) -> int:
    """How many processes of the round there still are, after those that notice it late have had some time."""
    until = time.monotonic() + PATIENCE_S
    while (left := _living(mark)) and time.monotonic() < until:
        time.sleep(0.1)
    for pid in left:
        print(f"still there: {pid} {Path(f'/proc/{pid}/cmdline').read_bytes()!r}", file=sys.stderr)
    return len(left)


def _living(mark: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue  # another user's, or gone
    return found


def temporary(place: Path) -> Iterator[Path]:
    """What a write begins with and a finished one leaves nothing of."""
    tmp = place / "store" / "tmp"
    yield from sorted(tmp.glob("*"))
    for path in sorted(place.rglob(".embspec-*")):
        if tmp not in path.parents:
            yield path
    for tree in sorted(place.glob("tree*")):
        yield from sorted(path for ending in ("new", "old") for path in (tree / "out").rglob(f"*.{ending}"))


def age(place: Path) -> int:
    """Make the temporary files old, and count them."""
    then = time.time() - OLD_S
    paths = list(temporary(place))
    for path in paths:
        os.utime(path, (then, then))
    return len(paths)


def objects(store: Path) -> tuple[int, int]:
    """How many there are, and how many of them hold other bytes than their name says."""
    count, corrupt = 0, 0
    for path in sorted((store / "obj").rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            count += 1
            corrupt += file_digest(str(path))[0] != path.parent.name + path.name
    return count, corrupt


def records(store: Path) -> tuple[int, int]:
    """How many there are, and how many of them do not parse or name an artefact that is not there."""
    here = Objects(str(store))
    count, broken = 0, 0
    for path in sorted((store / "act").rglob("*.json")):
        if path.name.startswith("."):
            continue
        count += 1
        try:
            record = Record(**json.loads(path.read_bytes()))
            broken += not all(here.has(digest_of(text)) for text in record.out.values())
        except (ValueError, TypeError):
            broken += 1
    return count, broken


def compared(trees: Sequence[Path], usual: Path) -> tuple[int, int, int, int]:
    """Locks and files of out/, and how many of each are not those of a build that nobody disturbed."""
    locks = list((usual / "specs").glob("*.lock"))
    others = sum((tree / lock.relative_to(usual)).read_bytes() != lock.read_bytes() for tree in trees for lock in locks)
    whole = files(usual / "out")
    count, differ = 0, 0
    for tree in trees:
        here = files(tree / "out")
        count += len(here)
        differ += sum(here.get(name) != whole.get(name) for name in here.keys() | whole.keys())
    return len(locks) * len(trees), others, count, differ


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*"))
            if p.is_file() and p.name != ".gitignore"}
