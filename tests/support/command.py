"""Runs embspec inside the test's own process: many commands in a second, and what each one said."""
from __future__ import annotations

import contextlib
import io
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from embspec.__main__ import main


class Said(NamedTuple):
    """What a command left: its exit code, both streams apart, and both as a person saw them."""

    exit: int
    out: str
    err: str
    both: str

    @property
    def json(self) -> Any:
        """The one object on stdout."""
        return json.loads(self.out)

    @property
    def codes(self) -> list[str]:
        """The codes of the errors that --json gave."""
        return [error["code"] for error in self.json["errors"]]


class Stream(io.StringIO):
    """A stream that also writes down, line by line, what is seen where it runs together with the other one."""

    def __init__(self, seen: list[str], mark: str) -> None:
        super().__init__()
        self._seen, self._mark, self._rest = seen, mark, ""

    def write(self, text: str) -> int:
        *whole, self._rest = (self._rest + text).split("\n")
        self._seen += [f"{self._mark}{line}\n" for line in whole]
        return super().write(text)

    def end(self) -> None:
        """A last line without its newline is seen too."""
        if self._rest:
            self._seen.append(f"{self._mark}{self._rest}\n")


@contextlib.contextmanager
def _as_program(args: tuple[str, ...]) -> Iterator[None]:
    argv, stop = sys.argv, signal.getsignal(signal.SIGTERM)
    started, package = sys.modules["__main__"], getattr(sys.modules["__main__"], "__package__", None)
    sys.argv, started.__package__ = ["embspec", *args], None  # it is called as it is under `python -m pytest` too
    try:
        yield
    finally:
        sys.argv, started.__package__ = argv, package
        signal.signal(signal.SIGTERM, stop)


def embspec(*args: str | Path) -> Said:
    """Run a command from the door on; stderr is marked with `~ ` where both streams are shown as one."""
    seen: list[str] = []
    out, err = Stream(seen, ""), Stream(seen, "~ ")
    code = 0
    with _as_program(tuple(map(str, args))), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    for stream in (out, err):
        stream.end()
    return Said(code, out.getvalue(), err.getvalue(), "".join(seen))
