"""Small parts of a Markdown page: tables, figures, names."""
from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
_MARKS = re.compile(r"([\\`*_<>\[\]]|^#)")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def text(given: str) -> str:
    """What a person wrote, on one line and without marks of its own."""
    return _MARKS.sub(r"\\\1", " ".join(str(given).split()))


def code(given: str) -> str:
    """A name or a gate as it is spelt; one that holds backticks stands between more of them."""
    return f"`` {given} ``" if "`" in given else f"`{given}`"


def span(row: Row) -> str:
    """The limits of a figure, nothing where it has none."""
    return "" if row["low"] is None else f"[{number(row['low'])}, {number(row['high'])}]"


def number(value: float | None) -> str:
    """Four digits; what could not be computed is blank, not zero."""
    return "" if value is None else f"{value:.4f}"


def share(value: float) -> str:
    """A share as a percentage."""
    return f"{100 * value:.1f} %"


def shares(row: Row) -> str:
    """The limits of a share."""
    return "" if row["low"] is None else f" [{share(row['low'])}, {share(row['high'])}]"
