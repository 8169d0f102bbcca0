"""The folder of checkpoints: each is written whole or not at all, checked when it is read, and the last two are kept.

A checkpoint is a state, which is JSON, and the parts that it names: safetensors. Nothing that is read here can run.
"""
from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

FORMAT = 1
KEPT = 2
_STATE = re.compile(r"state-(\d{9})\.json")

Write = Callable[[Path], object]


class Point(NamedTuple):
    """A training after a step, as it lies on disk."""

    step: int
    facts: Mapping[str, Any]
    parts: Mapping[str, Path]


class Points:
    """One folder, which one process has at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, tuple[str, int]] = {}  # files that are there and whole: digest and size

    def newest(self, before: int) -> tuple[Point | None, list[int]]:
        """The last whole one of an earlier step, and the steps of those that could not be used, which are removed."""
        damaged: list[int] = []
        for step, path in sorted(self._states(), reverse=True):
            point = self._opened(step, path) if step < before else None
            if point:
                return point, damaged
            damaged.append(step)
            with suppress(OSError):
                path.unlink()
        return None, damaged

    def put(self, step: int, facts: Mapping[str, Any], parts: Mapping[str, tuple[str, Write]]) -> None:
        """Keep a training; a part is the name of a file and how it is written, which a file that is there is not again.

        The state comes last: until it is there, and whole, the one before it is what counts.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            named = {role: [name, *self._part(name, write)] for role, (name, write) in parts.items()}
            text = json.dumps({"format": FORMAT, "step": step, "parts": named, "facts": facts}, sort_keys=True).encode()
            state = hashlib.sha256(text).hexdigest().encode() + b"\n" + text
            self._file(f"state-{step:09}.json", lambda path: path.write_bytes(state))
            _sync(self._folder)
        finally:
            self._prune()

    def _part(self, name: str, write: Write) -> tuple[str, int]:
        if name not in self._known:
            self._known[name] = self._file(name, write)
        return self._known[name]

    def _file(self, name: str, write: Write) -> tuple[str, int]:
        """Its digest and size, once the disk has it under its name."""
        new = self._folder / f"{name}.new"
        write(new)
        _sync(new)
        found = _digest(new), new.stat().st_size
        os.replace(new, self._folder / name)
        return found

    def _states(self) -> Iterator[tuple[int, Path]]:
        with suppress(OSError):
            for name in sorted(os.listdir(self._folder)):
                if match := _STATE.fullmatch(name):
                    yield int(match[1]), self._folder / name

    def _opened(self, step: int, path: Path) -> Point | None:
        """The checkpoint with all its parts, or nothing where any byte is not what was written."""
        state = _read(path)
        if state is None or (state.get("format"), state.get("step")) != (FORMAT, step):
            return None
        try:
            for name, digest, size in state["parts"].values():
                file = self._folder / name
                if file.stat().st_size != size or _digest(file) != digest:
                    return None
                self._known[name] = (digest, size)
        except OSError:
            return None
        return Point(step, state["facts"], {role: self._folder / name for role, (name, *_) in state["parts"].items()})

    def _prune(self) -> None:
        """Away with all that the last checkpoints do not name, what was half written too."""
        last = sorted(self._states())[-KEPT:]
        named = {path.name for _, path in last}
        for _, path in last:
            named.update(name for name, *_ in (_read(path) or {"parts": {}})["parts"].values())
        for path in sorted(self._folder.iterdir()):
            if path.name not in named:
                self._known.pop(path.name, None)
                with suppress(OSError):
                    path.unlink()


def copy(source: Path) -> Write:
    """A part that is another file's bytes."""
    return lambda target: shutil.copyfile(source, target)


def _read(path: Path) -> dict[str, Any] | None:
    """A state, whose first line is the digest of the rest."""
    with suppress(OSError, ValueError):
        digest, text = path.read_bytes().split(b"\n", 1)
        if hashlib.sha256(text).hexdigest().encode() == digest:
            found: dict[str, Any] = json.loads(text)
            return found
    return None


def _digest(path: Path) -> str:
    hashed = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            hashed.update(chunk)
    return hashed.hexdigest()


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
