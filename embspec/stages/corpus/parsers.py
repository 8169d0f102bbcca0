"""What the readers of foreign formats share: the package they need, a file on the disk, and what a parser throws."""
from __future__ import annotations

import importlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import NamedTemporaryFile
from types import TracebackType
from typing import Any

from embspec.errors import Where
from embspec.stages.corpus.documents import Source
from embspec.stages.reading import Problems

PARSED = 16 << 20
"""The most bytes of a file that is held as a tree: that takes many times the memory of its text."""
INSTALL = 'pip install "embspec[readers]"'


def load(module: str, package: str, where: Where, problems: Problems) -> Any:
    """The module of a format; None where it is not installed, which is noted once."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not (module + ".").startswith(error.name + "."):
            raise  # it is there, and something that it needs is not
    text = f"the package `{package}` is not installed here"
    if all(problem.text != text for problem in problems.shown):
        problems.add("nowhere.package", text, where, INSTALL)
    return None


@contextmanager
def parsing(what: str, where: Where, problems: Problems, fix: str = "") -> Iterator[None]:
    """Whatever a parser throws is a problem of the file; what is raised in a line of ours is a bug, and stays one."""
    try:
        yield
    except RecursionError:
        problems.add("input.unreadable", f"this file is nested too deeply to be read as {what}", where, fix)
    except MemoryError:
        problems.add("input.unreadable", f"reading this file as {what} takes more memory than there is", where, fix)
    except Exception as error:
        if _is_ours(error.__traceback__):
            raise
        said = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        problems.add("input.unreadable", f"this file cannot be read as {what}: {said}", where, fix)


def _is_ours(trace: TracebackType | None) -> bool:
    """Whether the line that raised is one of this package."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and str(trace.tb_frame.f_globals.get("__name__")).startswith("embspec.")


@contextmanager
def on_disk(source: Source) -> Iterator[str]:
    """The path of a copy: some parsers jump about in a file, and a tree gives it from the beginning to the end."""
    with NamedTemporaryFile(dir=source.scratch) as file:
        with source.tree.open(source.name) as given:
            shutil.copyfileobj(given, file, 1 << 20)
        file.flush()
        yield file.name
