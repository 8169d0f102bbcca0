"""How a build is told: one line an event in CI, a bar on a terminal."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from embspec.api import Event
from embspec.cli.common import on_terminal, say

_SAID = {"start": "running", "done": "done", "reuse": "reused", "wait": "waiting", "note": "note"}


@contextmanager
def telling(quiet: bool, verbose: bool) -> Iterator[Callable[[Event], None]]:
    """A voice for a build."""
    if quiet:
        yield lambda event: None
    elif on_terminal() and not verbose:  # a bar shows only the last word of progress
        with _bars() as tell:
            yield tell
    else:
        yield lambda event: _line(event, verbose)


def _line(event: Event, verbose: bool) -> None:
    if event.what == "progress":
        if verbose:
            say(f"{event.stage}: {event.text}" + (f" {event.done}/{event.total}" if event.total else ""))
        return
    head = f"{event.stage}: " if event.stage else ""
    say(f"{head}{_SAID[event.what]}" + (f" ({event.text})" if event.text else ""))


@contextmanager
def _bars() -> Iterator[Callable[[Event], None]]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)

        def tell(event: Event) -> None:
            if event.what == "progress":
                text = escape(f"{event.stage}: {event.text}")
                progress.update(task, description=text, completed=event.done, total=event.total or None)
                return
            if event.what == "start":
                progress.reset(task, total=None, description=escape(event.stage))
            text = f" [dim]({escape(event.text)})[/dim]" if event.text else ""
            progress.console.print(f"{escape(event.stage)}: {_SAID[event.what]}{text}", highlight=False)

        yield tell
