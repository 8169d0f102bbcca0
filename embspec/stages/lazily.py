"""Texts that stay on disk."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import overload


class Texts(Sequence[str]):
    """So many texts, each read when it is asked for, however often: a corpus need not fit into memory."""

    def __init__(self, count: int, read: Callable[[int], str]) -> None:
        self._count, self._read = count, read

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...
    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        places = range(self._count)[at]
        return self._read(places) if isinstance(places, int) else [self._read(place) for place in places]
