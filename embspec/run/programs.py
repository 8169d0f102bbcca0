"""Runs a command that a spec names: questions in by its stdin, answers out by its stdout, what it says into a log."""
from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from embspec.errors import EmbspecError, Where, fail
from embspec.plan.protocol import Progress
from embspec.run.family import ends_with_parent

LOOK = 0.1  # seconds between two looks at what was answered
PATIENCE = 5.0  # seconds that a program has to end by itself when it is told to
SAID = 200  # letters of its last words that a message repeats
_LINES = 1 << 16
_BREAK = re.compile(r"[\r\n]+")  # a bar of progress goes back to where its line begins
_ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


class Program(NamedTuple):
    """A command as one build may run it."""

    field: str
    words: Sequence[str]
    folder: str  # that of the file that names it
    allowed: bool
    log: str

    def __str__(self) -> str:
        return shlex.join(self.words)


def run(program: Program, questions: Path, answers: Path, many: int, tell: Callable[[Progress], None]) -> None:
    """Have every line of a file answered into another; what was answered before an error is there."""
    asked = f"`{program}` for {many} document" + ("" if many == 1 else "s")
    if not program.allowed:
        raise fail("usage.allow-code", f"this build has to run {asked}, and no command of a spec runs unasked",
                   fix="read what it does, then add --allow-code", field=program.field)
    os.makedirs(os.path.dirname(program.log), exist_ok=True)
    with open(questions, "rb") as given, open(answers, "wb") as said, open(program.log, "wb") as log:
        process = _started(program, given.fileno(), said.fileno(), log.fileno())
        try:
            _wait(process, answers, f"asking `{program}`", many, tell)
        finally:
            _end(process)
    if process.returncode:
        raise _failed(program, process.returncode)


def _started(program: Program, questions: int, answers: int, log: int) -> subprocess.Popen[bytes]:
    """The program in a session of its own, so that all that it starts ends with it."""
    try:
        return subprocess.Popen(
            _found(program), stdin=questions, stdout=answers, stderr=log, cwd=program.folder, start_new_session=True,
            preexec_fn=ends_with_parent(os.getpid()))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise fail("spec.command", f"`{program.words[0]}` cannot be run: {reason}",
                   fix="name a program that is on the PATH, or one by its path from this file: ./NAME",
                   field=program.field) from None


def _found(program: Program) -> list[str]:
    """The words to run: a program that is named by a path is looked for where the file lies that names it."""
    first, *rest = program.words
    return [os.path.join(program.folder, first) if "/" in first else first, *rest]


def _wait(
    process: subprocess.Popen[bytes], answers: Path, text: str, many: int, tell: Callable[[Progress], None]
) -> None:
    told = done = 0
    with open(answers, "rb") as file:
        tell(Progress(text, 0, many))
        while process.returncode is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK)
            while block := file.read(_LINES):
                done += block.count(b"\n")
            if done != told:
                tell(Progress(text, min(done, many), many))
                told = done


def _end(process: subprocess.Popen[bytes]) -> None:
    """Nothing that it started goes on, however this ends."""
    try:
        if process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
    finally:  # a second Ctrl-C ends the patience, and nothing else
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _failed(program: Program, code: int) -> EmbspecError:
    """How it ended, with its last words."""
    how = f"exit code {code}" if code > 0 else _signal(-code)
    with open(program.log, "rb") as file:
        file.seek(max(0, os.path.getsize(program.log) - (1 << 12)))
        lines = _BREAK.split(file.read().decode("utf-8", "replace"))
    last = next((line for line in map(_plain, reversed(lines)) if line), "it said nothing")
    return fail("stage.program", f"`{program}` ended with {how}: {last[:SAID]}", Where(os.path.relpath(program.log)),
                "all that it said is in that file; what it answered is kept, and is not asked again")


def _signal(number: int) -> str:
    """A signal by its name; those of real time have none."""
    return next((each.name for each in signal.Signals if each == number), f"signal {number}")


def _plain(line: str) -> str:
    """A line without what colours a terminal, or does worse to it."""
    shown = "".join(sign if sign.isprintable() else " " for sign in _ESCAPE.sub("", line))
    return " ".join(shown.split())
