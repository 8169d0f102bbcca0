"""A desk for the tests of one stage: scratch space, a voice, and a bank of rows in memory that counts."""
from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from embspec.plan.protocol import Progress

Answering = Callable[[list[Any]], Iterable[str | bytes]]
"""A program that a test has: from questions to lines."""

Space = tuple[tuple[str, str], ...]


class Bank:
    """What a desk keeps of earlier work; hand one to several desks to have it warm."""

    def __init__(self) -> None:
        self.spaces: dict[Space, dict[bytes, bytes]] = {}
        self.finds = 0  # names looked up
        self.hits = 0  # names that were there
        self.adds = 0  # rows put in


class BankRows:
    """The rows of one space."""

    def __init__(self, bank: Bank, rows: dict[bytes, bytes]) -> None:
        self._bank, self._rows = bank, rows

    def find(self, names: Sequence[bytes]) -> list[bytes | None]:
        """What is there for each name."""
        found = [self._rows.get(self._checked(name)) for name in names]
        self._bank.finds += len(found)
        self._bank.hits += sum(row is not None for row in found)
        return found

    def add(self, names: Sequence[bytes], rows: Sequence[bytes]) -> None:
        """Keep rows under their names."""
        for name, row in zip(names, rows, strict=True):
            self._rows[self._checked(name)] = bytes(row)
        self._bank.adds += len(names)

    @staticmethod
    def _checked(name: bytes) -> bytes:
        if not isinstance(name, bytes) or len(name) != 16:
            raise TypeError(f"a name is a digest of 16 bytes, not {name!r}")
        return name


class Desk:
    """A desk that keeps what it was told."""

    def __init__(self, scratch: Path, digests: Mapping[str, str] | None = None, seed: int = 0,
                 bank: Bank | None = None, kept: Path | None = None, program: Answering | None = None) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        self.scratch = scratch
        self.digests: Mapping[str, str] = digests or {}
        self.seed = seed
        self.kept = kept
        self.now = 0.0  # what its clock says
        self.bank = bank if bank is not None else Bank()
        self.told: list[Progress] = []
        self.asks = program is not None
        self.program = program
        self.asked: list[list[Any]] = []  # the questions of each time that the program was run

    def ask(self, questions: Path, answers: Path, many: int) -> None:
        """Have the program of the test answer; what it writes before it gives up is there."""
        found = [json.loads(line) for line in questions.read_text("utf-8").split("\n")[:-1]]
        assert len(found) == many
        self.asked.append(found)
        assert self.program
        with open(answers, "wb") as file:
            for line in self.program(found):
                file.write((line if isinstance(line, bytes) else line.encode()) + b"\n")

    def tell(self, event: Progress) -> None:
        """Keep a word of progress."""
        self.told.append(event)

    def seconds(self) -> float:
        """What the test says the time is."""
        return self.now

    def rows(self, space: Mapping[str, str], anywhere: bool = False) -> BankRows:
        """The rows of one space; spaces are told apart by all they say."""
        for key, value in space.items():
            if not (isinstance(key, str) and isinstance(value, str)):
                raise TypeError(f"a space says words alone, not {key!r}: {value!r}")
        return BankRows(self.bank, self.bank.spaces.setdefault(tuple(sorted(space.items())), {}))
