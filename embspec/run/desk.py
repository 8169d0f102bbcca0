"""What a running stage is handed: its parameters, its needs and a desk, and nothing else."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from embspec.plan.protocol import Progress


class StageDesk:
    """Scratch space and a voice."""

    def __init__(self, scratch: Path, tell: Callable[[Progress], None]) -> None:
        self.scratch = scratch
        self._tell = tell

    def tell(self, event: Progress) -> None:
        """Say how far the work is."""
        self._tell(event)


class Declared(Mapping[str, Any]):
    """A mapping that remembers what was read of it; what was not declared is not there."""

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
        self.read.update(self._values)
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
