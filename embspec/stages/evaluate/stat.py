"""What the lock says of an evaluation: one line a system, since every line moves when the weights do."""
from __future__ import annotations

from collections.abc import Mapping

from embspec.measure.forms import SUITE
from embspec.stages.evaluate.systems import Choice, Form

DIGITS = 4

Means = Mapping[str, float]


def summary(suite: str, system: str, means: Means, count: int) -> dict[str, str]:
    """`tuned on ood: recall@10 0.71 ndcg@10 0.6 n=209`: means of a system at its best; `domain` is unsaid."""
    where = system if suite == SUITE else f"{system} on {suite}"
    return {where: " ".join([*(f"{metric} {_number(value)}" for metric, value in means.items()), f"n={count}"])}


def told_twice(choice: Choice, full: Form) -> bool:
    """Whether what ships is `tuned` or `tuned+bm25` at its best, whose line says it already."""
    return (choice["dim"], choice["precision"]) == full


def _number(value: float) -> str:
    return repr(round(value, DIGITS) + 0.0)
