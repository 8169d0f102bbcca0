"""What was measured: a system on a suite, at a dim and in a precision."""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

SUITE = "domain"  # the queries of the spec's own test part; it goes unsaid
PLAIN = "float32"  # the precision of vectors as the model gives them
BASE, TUNED, FUSED, SHIPPED, BM25 = "base", "tuned", "tuned+bm25", "shipped", "bm25"

Row = Mapping[str, Any]


class Form(NamedTuple):
    """One system as it was measured; words alone have neither dim nor precision."""

    suite: str
    system: str
    dim: int | None
    precision: str | None

    def __str__(self) -> str:
        size = "" if self.dim is None else f" dim {self.dim} {self.precision}"
        return self.system + size + ("" if self.suite == SUITE else f" on {self.suite}")


def form(row: Row) -> Form:
    """The form that a row of `scores` or `runs` is about."""
    return Form(row["suite"], row["system"], row["dim"], row["precision"])


def grouped(rows: Iterable[Row]) -> dict[Form, list[Row]]:
    """Rows by form: forms as they come, in each the order of query ids, so that two stand side by side."""
    found: dict[Form, list[Row]] = {}
    for row in rows:
        found.setdefault(form(row), []).append(row)
    return {key: sorted(some, key=lambda row: str(row["query"])) for key, some in found.items()}


def best(forms: Iterable[Form], suite: str, system: str) -> Form | None:
    """A system at its best form: float32 at full dim; of words, and of what ships, there is one."""
    some = [form for form in forms if (form.suite, form.system) == (suite, system)]
    return max(some, key=lambda form: (form.precision == PLAIN, form.dim or 0), default=None)
