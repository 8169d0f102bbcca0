"""What a plan would cost."""

from __future__ import annotations

import pytest

from embspec.plan.price import price, size
from tests.support.toys import built


def test_seconds_and_bytes_of_what_would_run() -> None:
    """Summed over the stages that run; a stage that never ran here is named, not guessed."""
    toys = built()
    toys.files["docs/a"] = "other"
    now = toys.plan()
    names = [s.node.name for s in now.steps if s.state == "run" and not s.node.stage.follow]
    assert names
    found = price(now, toys.blocks, {names[0]: 1.5})
    assert found and found.seconds == 1.5 and found.unknown == tuple(names[1:])
    assert found.bytes == sum(int(text.split(" ")[-1]) for text in toys.blocks[names[0]].out.values())
    assert "1.5 s" in str(found) and all(name in str(found) for name in names[1:])


def test_nothing_is_said_where_nothing_is_known() -> None:
    """A plan with nothing to do, or whose stages never ran here, has no price."""
    toys = built()
    assert price(toys.plan(), toys.blocks, {"corpus": 1.0}) is None
    toys.files["docs/a"] = "other"
    assert price(toys.plan(), toys.blocks, {}) is None


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (91_402_233, "91 MB"), (4 * 10**12, "4000 GB")],
)
def test_sizes_as_people_read_them(count: int, text: str) -> None:
    """In thousands, rounded down."""
    assert size(count) == text
