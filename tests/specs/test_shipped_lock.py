"""The locks we ship are what this code makes of the specs we ship."""

from __future__ import annotations

from pathlib import Path

import pytest

from embspec.api import Project
from embspec.plan.plan import PACKAGES
from tests.specs.conftest import SPECS, Handbook

LOCKS = sorted(SPECS.glob("*.lock"))


def test_every_shipped_spec_has_its_lock() -> None:
    """A spec without a lock, or a lock without a spec, would be half of a promise."""
    assert LOCKS
    assert sorted(p.stem for p in LOCKS) == sorted(p.stem for p in SPECS.glob("*.yaml"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda p: p.stem)
def test_the_lock_is_what_spec_and_inputs_say(lock: Path) -> None:
    """Each key is the one of today's spec and files; nothing runs for that."""
    assert Project(str(lock.with_suffix(".yaml"))).check_lock().green


def test_the_lock_is_built_again_to_its_own_digests(handbook: Handbook) -> None:
    """A copy of specs/ alone, elsewhere and with an empty store, gives every digest of the shipped lock.

    What was computed with floats is promised for the environment that the lock names, and is compared in that alone.
    """
    ran = {name for name, did in handbook.outcome.done.items() if did.step.state == "run"}
    assert ran >= {"base", "corpus", "split", "train", "evaluate", "index", "report", "card"}
    made, shipped = handbook.outcome.lock, handbook.shipped
    exact = [step.node.name for step in handbook.outcome.plan.steps if not step.node.settles]
    for name in exact[: exact.index("lexical") + 1]:  # what comes after them stands on floats
        assert made.blocks[name] == shipped.blocks[name]
    train = next(step.node for step in handbook.outcome.plan.steps if step.node.name == "train")
    here = handbook.project.world.here(train.packages, shipped.blocks["train"].pin)
    named = {k: v for k, v in shipped.envs[shipped.blocks["train"].env].items() if k != PACKAGES}
    if here != named:
        pytest.skip("this environment is not the one that the shipped lock names")
    assert made == shipped
