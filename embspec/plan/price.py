"""What a plan would cost, by what its stages cost before."""
from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from embspec.plan.plan import RUN, Plan
from embspec.plan.values import Block


class Price(NamedTuple):
    """Seconds and bytes of the stages that would run, where they ran before; `unknown` names those that did not."""

    seconds: float
    bytes: int
    unknown: tuple[str, ...]

    def __str__(self) -> str:
        known = f"about {self.seconds:.1f} s and {size(self.bytes)} by the last runs here"
        return known + (f", without {', '.join(self.unknown)}" if self.unknown else "")


def price(now: Plan, blocks: Mapping[str, Block], seconds: Mapping[str, float]) -> Price | None:
    """None where nothing that would run has run before."""
    names = [s.node.name for s in now.steps if s.state == RUN and not s.node.stage.follow]
    known = [name for name in names if name in seconds]
    if not known:
        return None
    made = [text for name in known if name in blocks for text in blocks[name].out.values()]
    total = sum(int(text.rsplit(" ", 1)[1]) for text in made)
    return Price(sum(seconds[name] for name in known), total, tuple(n for n in names if n not in seconds))


def size(count: int) -> str:
    """A count of bytes as a person reads it."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count //= 1000
    return f"{count} {unit}"
