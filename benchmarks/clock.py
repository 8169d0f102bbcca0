"""Times and memory of whole processes, taken side by side."""
from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

RESULTS = Path(__file__).parent / "results"


class Command(NamedTuple):
    """One process: what is run, what is done before each run and not timed, and what it has to say."""

    args: Sequence[str]
    folder: str
    env: Mapping[str, str]
    said: str = ""
    before: Callable[[], None] = lambda: None


class Took(NamedTuple):
    """Wall-clock seconds and peak memory of one process, in MB, and the seconds that processors worked for it."""

    seconds: float
    megabytes: float
    cpu: float = 0.0


def once(command: Command) -> Took:
    """Run a process to its end; a process that fails or says something else has no time."""
    command.before()
    with tempfile.TemporaryFile() as file:
        start = time.perf_counter()
        child = subprocess.Popen(command.args, cwd=command.folder, env=dict(command.env), stdout=file, stderr=file)
        _, child.returncode, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        file.seek(0)
        said = file.read().decode(errors="replace")
    if child.returncode or command.said not in said:
        raise SystemExit(f"{' '.join(command.args)} ended with {child.returncode}; "
                         f"expected `{command.said}`, it said:\n{said}")
    return Took(seconds, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime)


def side_by_side(commands: Sequence[Command], rounds: int) -> list[Took]:
    """Medians of several commands that take turns, after one turn that does not count."""
    for command in commands:
        once(command)
    turns = [[once(command) for command in commands] for _ in range(rounds)]
    columns = zip(*turns, strict=True)
    return [Took(*(median(list(values)) for values in zip(*column, strict=True))) for column in columns]


def median(values: list[float]) -> float:
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2


def own_peak() -> float:
    """This process's peak in MB: Linux counts it to a child until the child's own program starts."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def machine() -> dict[str, Any]:
    """What a figure depends on; nothing that names a host."""
    return {"cpus": len(os.sched_getaffinity(0)), "arch": platform.machine(), "system": platform.system(),
            "python": platform.python_version(), "load": round(os.getloadavg()[0], 2)}


def save(name: str, value: Mapping[str, Any]) -> None:
    """Write `results/NAME.json`."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(value, indent=1, ensure_ascii=False)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns by width, the first to the left."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = []
    for row in (head, *rows):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
