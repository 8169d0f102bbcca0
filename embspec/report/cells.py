"""Small parts of a Markdown page: tables, figures, names."""
from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from embspec.measure.forms import Form, Row

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


def signed(row: Row) -> str:
    """A difference with its limits."""
    return f"{row['value']:+.4f}" + ("" if row["low"] is None else f" [{row['low']:+.4f}, {row['high']:+.4f}]")


def figure(row: Row) -> str:
    """A figure with its limits."""
    return " ".join(part for part in (number(row["value"]), span(row)) if part)


def names(each: Form) -> list[str]:
    """System, dim and precision; words alone have neither of the latter."""
    return [each.system, "" if each.dim is None else str(each.dim), each.precision or ""]


def split_parts(split: Row) -> str:
    """The parts of a split as a table."""
    rows = [[part, str(has["queries"]), str(has["documents"])] for part, has in split["parts"].items()]
    return table(["part", "queries", "documents"], rows)


def number(value: float | None) -> str:
    """Four digits; what could not be computed is blank, not zero."""
    return "" if value is None else f"{value:.4f}"


def share(value: float) -> str:
    """A share as a percentage."""
    return f"{100 * value:.1f} %"


def shares(row: Row) -> str:
    """The limits of a share."""
    return "" if row["low"] is None else f" [{share(row['low'])}, {share(row['high'])}]"
