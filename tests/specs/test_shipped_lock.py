"""The locks we ship are what this code makes of the specs we ship."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from embspec.api import Project
from embspec.run.build import Order

SPECS = Path(__file__).parents[2] / "specs"
LOCKS = sorted(SPECS.glob("*.lock"))


def test_every_shipped_spec_has_its_lock() -> None:
    """A spec without a lock, or a lock without a spec, would be half of a promise."""
    assert LOCKS
    assert [p.stem for p in LOCKS] == sorted(p.stem for p in SPECS.glob("*.yaml"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda p: p.stem)
def test_the_lock_is_built_again_to_its_own_digests(lock: Path, tmp_path: Path) -> None:
    """A copy of specs/ alone, elsewhere and with an empty store, gives every digest of the shipped lock."""
    shutil.copytree(SPECS, tmp_path / "specs")
    copy = tmp_path / "specs" / lock.name
    outcome = Project(str(copy.with_suffix(".yaml"))).build(Order(locked=True))
    assert outcome.plan.green
    assert copy.read_bytes() == lock.read_bytes()
    assert {name for name, did in outcome.done.items() if did.step.state == "run"} >= {"corpus", "split", "report"}
