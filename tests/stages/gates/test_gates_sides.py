"""Which two measured things a gate compares."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from embspec.measure.gate import line, parse_line
from tests.support.benches import Bench, Row, params, put_runs, ranked

NONE, RRF = {"method": "none"}, {"method": "rrf", "k": 60}
SHARES: Mapping[tuple[str, int | None, str | None], int] = {  # of eight queries so many are found first
    ("bm25", None, None): 1,
    ("base", 64, "float32"): 3,
    ("base", 32, "float32"): 2,
    ("hybrid", 64, "float32"): 4,
    ("tuned", 64, "float32"): 8,
    ("tuned", 32, "float32"): 6,
    ("tuned", 64, "int8"): 7,
    ("tuned", 32, "int8"): 5,
    ("tuned+bm25", 64, "float32"): 2,
    ("tuned+bm25", 32, "float32"): 1,
}


def choice(**changed: Any) -> dict[str, Any]:
    """What ships."""
    plain = {"dim": 32, "precision": "float32", "similarity": "cosine", "fusion": NONE, "fused": RRF, "depth": 100}
    return {**plain, **changed}


def judged(folder: Path, gate: str, what: Mapping[str, Any] | None = None) -> Row:
    """The verdict of one gate over the systems above, eight queries each, and what ships beside them."""
    what = what or choice()
    bench = Bench(folder, {"a": "kelp"})
    system = "tuned" if what["fusion"] == NONE else "tuned+bm25"
    found = {**SHARES, ("shipped", what["dim"], what["precision"]): SHARES[system, what["dim"], what["precision"]]}
    put_runs(bench, [
        ranked(f"q{n}", 1 if n < first else None, system=name, dim=dim, precision=precision)
        for (name, dim, precision), first in found.items() for n in range(8)
    ])
    bench.put("choose/choice.json", [what])
    bench.make("gates", params(**{f"gates.{line(parse_line(gate))}": "on"}))
    (verdict,) = bench.json("gates/verdict.json")["gates"]
    return dict(verdict)


@pytest.mark.parametrize(
    ("gate", "system", "ref"),
    [
        ("mrr >= 0.5", 6, None),  # what ships
        ("mrr of tuned >= 0.5", 8, None),  # a system's best form
        ("mrr dim 32 >= 0.5", 6, None),  # the tuned model, in float32
        ("mrr precision int8 >= 0.5", 7, None),  # the tuned model, at full dim
        ("mrr dim 32 precision int8 >= 0.5", 5, None),
        ("mrr dim 32 of base >= 0.1", 2, None),
        ("mrr of tuned+bm25 >= 0.1", 2, None),
        ("mrr >= base", 6, 3),  # the base at its own best, not at the dim that ships
        ("mrr dim 32 >= base", 6, 2),  # both sides have the dim that is named
        ("mrr >= bm25", 6, 1),
        ("mrr dim 32 >= bm25", 6, 1),  # words have no dim
        ("mrr >= hybrid", 6, 4),
        ("mrr of tuned >= tuned+bm25", 8, 2),
        ("mrr of tuned+bm25 <= tuned", 2, 8),
        ("mrr >= full * 0.9", 6, 8),  # what ships, cut less
        ("mrr dim 32 >= full * 0.9", 6, 8),
        ("mrr dim 32 precision int8 >= full * 0.9", 5, 7),  # the same precision at full dim
        ("mrr precision int8 >= float32 * 0.9", 7, 8),
        ("mrr dim 32 precision int8 >= float32 * 0.9", 5, 6),  # the same dim in float32
        ("mrr dim 32 of base >= full - 0.1", 2, 3),
        ("mrr of bm25 <= shipped", 1, 6),
        ("mrr dim 64 of base <= shipped", 3, 6),  # what ships has one form
    ],
)
def test_both_sides_are_at_their_form(tmp_path: Path, gate: str, system: int, ref: int | None) -> None:
    """A gate that names nothing is about what ships; one that names dim or precision has both sides there."""
    found = judged(tmp_path, gate)
    assert (found["system"], found["ref"]) == (system / 8, None if ref is None else ref / 8)


@pytest.mark.parametrize(
    ("ref", "what", "expected"),
    [
        ("full", choice(dim=32, precision="int8"), 7),
        ("float32", choice(dim=32, precision="int8"), 6),
        ("full", choice(dim=32, fusion=RRF), 2),
        ("float32", choice(dim=32, fusion=RRF), 1),
    ],
)
def test_what_ships_against_itself(tmp_path: Path, ref: str, what: dict[str, Any], expected: int) -> None:
    """Full is what ships at full dim with its precision and fusion, float32 the same in float32."""
    assert judged(tmp_path, f"mrr >= {ref} - 0.1", what)["ref"] == expected / 8


def test_locked_is_the_base_and_says_so(tmp_path: Path) -> None:
    """Where no baseline is pinned the comparison is with the base, and the note says it."""
    found = judged(tmp_path, "mrr >= locked")
    assert (found["system"], found["ref"]) == (6 / 8, 3 / 8)
    assert "locked is base" in found["note"]


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        ("mrr dim 48 >= 0.5", "tuned dim 48 float32 was not measured"),
        ("mrr precision binary >= 0.5", "tuned dim 64 binary was not measured"),
        ("mrr dim 32 precision int8 >= base", "base dim 32 int8 was not measured"),
        ("mrr dim 32 of bm25 >= 0.1", "bm25 has neither dim nor precision"),
        ("mrr of bm25 >= full", "bm25 has no full form"),
        ("mrr of run:vendor >= 0.5", "run:vendor was not measured on domain"),
        ("mrr on ood >= 0.5", "shipped was not measured on ood"),
    ],
)
def test_what_was_not_measured_is_named(tmp_path: Path, gate: str, says: str) -> None:
    """No other form stands in: the verdict is an error that says what is missing."""
    found = judged(tmp_path, gate)
    assert found["verdict"] == "error" and says in found["note"]
