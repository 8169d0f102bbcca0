"""What a running stage is handed: its parameters, its needs and a desk, and nothing else."""
from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import xxhash

from embspec.plan.canonical import canonical_json
from embspec.plan.protocol import Progress, Rows
from embspec.run.programs import Program, run
from embspec.store.bank import Bank

_63_BITS = (1 << 63) - 1


class Given(NamedTuple):
    """What the desk of one stage says, as plain values that cross to another process."""

    seed: int
    digests: Mapping[str, str]
    store: str
    engine: Mapping[str, str]  # what rows hang on beside what the stage says of them
    kept: str = ""  # where an unfinished run of the same work may leave what the next one goes on from
    program: Program | None = None  # the command that the stage declared; none where inputs are merely looked at


class StageDesk:
    """Scratch space, a seed, a voice, and the bank of rows."""

    def __init__(self, scratch: Path, given: Given, tell: Callable[[Progress], None]) -> None:
        self.scratch = scratch
        self.seed = given.seed
        self.digests = given.digests
        self.kept = Path(given.kept) if given.kept else None
        self.asks = given.program is not None
        self._program = given.program
        self._engine = given.engine
        self._bank = Bank(given.store)
        self._tell = tell

    def tell(self, event: Progress) -> None:
        """Say how far the work is."""
        self._tell(event)

    def rows(self, space: Mapping[str, str], anywhere: bool = False) -> Rows:
        """Rows that were computed before, by this engine on this kind of machine, or by any where floats are none."""
        return self._bank.rows(space if anywhere else {**space, **self._engine})

    def seconds(self) -> float:
        """Seconds from a moment that means nothing."""
        return time.monotonic()

    def ask(self, questions: Path, answers: Path, many: int) -> None:
        """Have the declared command answer every line of a file, in any order, into another one."""
        if self._program is None:
            raise KeyError("a stage may ask only the command that it declared")
        run(self._program, questions, answers, many, self._tell)

    def close(self) -> None:
        """Keep the rows that are not yet on disk."""
        self._bank.close()


def seed_of(params: Mapping[str, Any], stage: str) -> int:
    """A seed for each stage, from the spec's one; a stage that does not declare that draws what it draws anyway."""
    return xxhash.xxh3_64_intdigest(canonical_json([params.get("seed", 0), stage])) & _63_BITS


class Declared(Mapping[str, Any]):
    """A mapping that remembers which values were asked for; what was not declared is not there."""

    def __init__(self, values: Mapping[str, Any], stage: str, what: str) -> None:
        self._values, self._stage, self._what = values, stage, what
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            raise KeyError(f"stage {self._stage} reads {self._what} `{name}`, which it did not declare or is not there")
        self.read.add(name)
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        self.read.add(str(name))
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
