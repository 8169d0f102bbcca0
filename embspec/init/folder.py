"""A folder as `init` sees it: its files, and the first rows of those that hold rows."""
from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from typing import IO, Any, NamedTuple

from embspec.errors import Problem, Where
from embspec.stages.corpus.documents import plain
from embspec.stages.corpus.parsers import load, parsing
from embspec.stages.reading import DELIMITERS, LIMIT, Problems, Row, csv_rows, ending, json_rows, parse, whole

FIRST = 200  # rows of a file that are looked at
ROWS = (".jsonl", ".csv", ".tsv", ".parquet")
# Folders that hold what tools put there: nobody's documents.
TOOLS = ("node_modules", "__pycache__", "site-packages", "venv", "vendor", "build", "dist", "target")


class Folder:
    """Files by their path from the folder that the spec lies in; what a reader asks of a tree."""

    def __init__(
        self, base: str, names: Sequence[str], beside: Sequence[str] = (), barred: Mapping[str, str] | None = None
    ) -> None:
        self.base = base
        self._names = list(names)
        self.there = sorted({*names, *beside})  # all that a glob could meet
        self.barred = barred or {}  # what a build stops at when a glob meets it, and why

    def names(self) -> Sequence[str]:
        """All files, in order."""
        return self._names

    def path(self, name: str) -> str:
        """Where a file lies."""
        return os.path.join(self.base, name)

    def size(self, name: str) -> int:
        """Its bytes."""
        return os.stat(self.path(name)).st_size

    def open(self, name: str) -> IO[bytes]:
        """Its bytes, as far as they are read."""
        return open(self.path(name), "rb")

    def digest(self, name: str) -> str:
        """Nothing is hashed here."""
        return ""


class Table(NamedTuple):
    """A file of rows by the first of them; what keeps it from being read, where something does."""

    name: str
    rows: Sequence[Mapping[str, Any]]
    columns: Sequence[str]
    problem: Problem | None = None

    def values(self, column: str) -> list[Any]:
        """What the first rows have under a name, where they have something."""
        found = (row.get(column) for row in self.rows)
        return [value for value in found if value is not None and value != "" and value != []]

    def filled(self, column: str) -> bool:
        """Whether nearly every row has something there."""
        return bool(self.rows) and len(self.values(column)) >= 0.9 * len(self.rows)


def opened(base: str, prefix: str, root: str, spec: str) -> Folder:
    """The files below a folder, without hidden ones and what builds wrote, as this spec in `base` names them."""
    names: list[str] = []
    barred: dict[str, str] = {}
    beside = [spec]
    start = os.path.normpath(os.path.join(base, prefix))
    for name, entry in _below(start, f"{prefix}/" if prefix else "", os.path.join(root, "out")):
        if why := _barred(name, entry, root):
            barred[name] = why
            beside.append(name)
        elif name != spec and entry.is_file():
            names.append(name)
    ends = {name[len(name) - len(ending(name)):] for name in names}
    # A folder that is a link is met by every glob that goes down to it, whatever is in it.
    beside += [f"{name}/_{end}" for name in barred if os.path.isdir(os.path.join(base, name)) for end in ends]
    return Folder(base, sorted(names), beside, barred)


def _below(folder: str, prefix: str, out: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Every file and link below a folder."""
    with os.scandir(folder) as listed:
        entries = sorted(listed, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name[0] == ".":
            continue
        if not entry.is_dir(follow_symlinks=False):
            yield prefix + entry.name, entry
        elif entry.path != out:
            yield from _below(entry.path, f"{prefix}{entry.name}/", out)


def _barred(name: str, entry: os.DirEntry[str], root: str) -> str:
    """Why a build would not read a file; empty where it would."""
    if entry.is_symlink():
        real = os.path.realpath(entry.path)
        if entry.is_dir():
            return "a link to a folder, and links are not followed"
        if not os.path.exists(real):
            return "a link to nothing"
        if not real.startswith(os.path.realpath(root).rstrip("/") + "/"):
            return "a link that leads out of the project"
    text = name.encode(errors="replace").decode() == name and not any(sign < " " or sign == "\x7f" for sign in name)
    return "" if text else "its name has a control character, or is not UTF-8"


def is_tools(name: str) -> bool:
    """Whether a file lies in a folder that tools fill."""
    return any(part in TOOLS or part.endswith((".egg-info", ".dist-info")) for part in name.split("/")[:-1])


def table(folder: Folder, name: str) -> Table:
    """The first rows of a file."""
    problems = Problems()
    rows: list[Mapping[str, Any]] = [row.values for row in islice(_rows(folder, name, problems), FIRST)]
    columns = list(dict.fromkeys(column for row in rows for column in row if column))
    if len(columns) == 1 and ending(name) in (".csv", ".tsv") and any(sign in columns[0] for sign in DELIMITERS):
        # The reader itself says what the delimiter should be.
        rows = [row.values for row in csv_rows(folder, name, [("\0",)], problems)]
    if not rows and not problems.shown:
        problems.add("input.empty", "there are no rows in it", Where(name))
    problem = problems.shown[0] if problems.shown else None
    return Table(name, rows, columns, problem)


def _rows(folder: Folder, name: str, problems: Problems) -> Iterator[Row]:
    if ending(name) == ".jsonl":
        yield from map(_dug, json_rows(folder, name, problems))
    elif ending(name) == ".parquet":
        yield from _parquet(folder, name, problems)
    else:
        yield from csv_rows(folder, name, (), problems)


def _dug(row: Row) -> Row:
    """A row with what lies deeper in it under its path, as `fields` of a source name it."""
    return row._replace(values={**row.values, **dict(_deeper(row.values, "", 3))})


def _deeper(value: Any, path: str, levels: int) -> Iterator[tuple[str, Any]]:
    if levels and isinstance(value, dict):
        for key, inner in value.items():
            yield from _deeper(inner, f"{path}.{key}" if path else str(key), levels - 1)
    elif path.count("."):
        yield path, value


def _parquet(folder: Folder, name: str, problems: Problems) -> Iterator[Row]:
    parquet = load("pyarrow.parquet", "pyarrow", Where(name), problems)
    if parquet is None:
        return
    with parsing("Parquet", Where(name), problems), closing(parquet.ParquetFile(folder.path(name))) as file:
        for batch in islice(file.iter_batches(FIRST, use_threads=False), 1):
            for number, values in enumerate(batch.to_pylist(), 1):
                yield Row(Where(name, number), {key: plain(value) for key, value in values.items()})


def mapping(folder: Folder, name: str) -> Mapping[str, Any]:
    """What a JSON file holds, where that is one object of a size to look at."""
    problems = Problems()
    text = whole(folder, name, problems) if folder.size(name) <= LIMIT else None
    try:
        value = parse(text) if text is not None else None
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
