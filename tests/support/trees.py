"""A live tree and a desk in memory, and what a make that fails says."""
from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import pytest

from embspec.errors import EmbspecError, Problem
from embspec.plan.protocol import Made, Progress
from tests.support.desk import Bank, BankRows

Make = Callable[..., Made]


class MemoryTree:
    """Files by name; `opened` says which of them were read."""

    def __init__(self, files: Mapping[str, str | bytes]) -> None:
        self.files = {name: data.encode() if isinstance(data, str) else data for name, data in files.items()}
        self.opened: list[str] = []
        self.known = False  # whether digests are told of files that were not opened

    def names(self) -> Sequence[str]:
        """The names in the order given: no reader may count on another one."""
        return list(self.files)

    def open(self, name: str) -> IO[bytes]:
        """A stream over one file."""
        self.opened.append(name)
        return io.BytesIO(self.files[name])

    def digest(self, name: str) -> str:
        """The sha256 of a file that was opened, or of any where that is known."""
        known = self.known or name in self.opened
        return hashlib.sha256(self.files[name]).hexdigest() if known else ""


class MemoryDesk:
    """A desk with a scratch folder that keeps what it was told."""

    def __init__(self, scratch: Path) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        self.scratch = scratch
        self.told: list[Progress] = []
        self.bank = Bank()
        self.asks = False

    def rows(self, space: Mapping[str, str], anywhere: bool = False) -> BankRows:
        """The rows of one space, kept as long as the desk."""
        return BankRows(self.bank, self.bank.spaces.setdefault(tuple(sorted(space.items())), {}))

    def tell(self, event: Progress) -> None:
        """Keep a word of progress."""
        self.told.append(event)


def run(make: Make, folder: Path, params: Mapping[str, Any], needs: Mapping[str, Any]) -> tuple[Made, Path]:
    """Run a make in a folder of its own; what it said and where its artefacts lie."""
    out = folder / "out"
    out.mkdir(parents=True, exist_ok=True)
    return make(params, needs, out, MemoryDesk(folder / "scratch")), out


def problems(make: Make, folder: Path, params: Mapping[str, Any], needs: Mapping[str, Any]) -> tuple[Problem, ...]:
    """The problems of a make that must fail."""
    with pytest.raises(EmbspecError) as caught:
        run(make, folder, params, needs)
    return caught.value.problems


def brief(found: Sequence[Problem]) -> list[tuple[str, str]]:
    """Code and place of each problem."""
    return [(problem.code, str(problem.where) if problem.where else problem.field) for problem in found]
