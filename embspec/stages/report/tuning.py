"""What made the model, in figures: its training and its negatives, and which questions name identifiers."""
from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from embspec.measure.trace import RECORD
from embspec.stages.snapshot import rows

POINTS = 10  # of the curve that is shown
DIGITS = 6
UNSAID: Mapping[str, Any] = {"without": {"queries": 0, "first": []}, "miners": {}, "scores": None}

_LETTER_AND_DIGIT = re.compile(r"[^\W\d_]\S*\d|\d\S*[^\W\d_]")


def training(path: Path) -> dict[str, Any]:
    """How many steps, and the mean loss of up to ten stretches of them: one step alone says little."""
    losses = [loss for _, loss, _ in RECORD.iter_unpack(path.read_bytes())]
    count = min(POINTS, len(losses))
    ends = [len(losses) * (number + 1) // count for number in range(count)]
    stretches = [losses[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    curve = [
        {"step": end, "loss": round(math.fsum(some) / len(some), DIGITS)}
        for end, some in zip(ends, stretches, strict=True)
    ]
    return {"steps": len(losses), "curve": curve}


def negatives(path: Path) -> Any:
    """What the ledger says as a whole, which is its first line; that of an older build says less."""
    found = next(rows(path))["summary"]
    return {**found, **{name: value for name, value in UNSAID.items() if name not in found}}


def identifiers(tests: Iterable[Mapping[str, Any]]) -> set[str]:
    """The questions with a word that has an underscore, or a digit beside a letter: E-1042, px_200b, G60."""
    return {row["id"] for row in tests if any(map(_is_identifier, row["query"].split()))}


def _is_identifier(word: str) -> bool:
    return "_" in word.strip("_") or bool(_LETTER_AND_DIGIT.search(word))
