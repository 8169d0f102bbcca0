"""The trace of a training, 24 bytes a step, and where two of them part."""
from __future__ import annotations

import struct
from typing import NamedTuple

from embspec.errors import fail

RECORD = struct.Struct("<Qdd")
"""Of each step: a digest of the batch's ids, the loss, the gradient's norm."""


class Parting(NamedTuple):
    """The first step that two trainings do not share, and what of it is another; the first step is 0."""

    step: int
    what: str  # "batch", "loss", "norm" or "end"
    before: float
    after: float

    def __str__(self) -> str:
        if self.what == "batch":
            return f"step {self.step}: different batch"
        if self.what == "end":
            return f"step {self.step}: one ends there, after {self.before:g} and {self.after:g} steps"
        name = "loss" if self.what == "loss" else "gradient's norm"
        return f"step {self.step}: the {name} is " + " and ".join(apart(self.before, self.after))


def steps(trace: bytes) -> int:
    """How many steps it is long."""
    count, rest = divmod(len(trace), RECORD.size)
    if rest:
        raise fail("input.trace", f"this is no trace of a training: {len(trace)} bytes are not {RECORD.size} for each "
                   "step", fix="name a revision, a lock, or the file `trace` of the stage `train`")
    return count


def parting(then: bytes, now: bytes) -> Parting | None:
    """Where they part; None where they are the same to the end."""
    lengths = steps(then), steps(now)
    for step in range(min(lengths)):
        at = slice(step * RECORD.size, (step + 1) * RECORD.size)
        if then[at] == now[at]:
            continue
        old, new = RECORD.unpack(then[at]), RECORD.unpack(now[at])
        if old[0] != new[0]:
            return Parting(step, "batch", old[0], new[0])
        # By their bits: a loss that is no number is another one where its bits are.
        what, place = ("loss", 1) if then[at][8:16] != now[at][8:16] else ("norm", 2)
        return Parting(step, what, old[place], new[place])
    return None if lengths[0] == lengths[1] else Parting(min(lengths), "end", *lengths)


def apart(then: float, now: float) -> tuple[str, str]:
    """Two numbers with as many digits as tell them apart."""
    for digits in range(4, 17):
        pair = f"{then:.{digits}g}", f"{now:.{digits}g}"
        if pair[0] != pair[1]:
            return pair
    return repr(then), repr(now)
