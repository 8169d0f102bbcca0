"""The shipped handbook, built once from an empty store."""
from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from embspec.api import Outcome, Project
from embspec.lock.text import Lock
from tests.support.workers import Shared

SPECS = Path(__file__).parents[2] / "specs"


class Handbook(NamedTuple):
    """A copy of specs/ that was built, and the lock it came with."""

    folder: Path
    project: Project
    outcome: Outcome
    shipped: Lock


@pytest.fixture(scope="session")
def handbook(tmp_path_factory: pytest.TempPathFactory) -> Handbook:
    """The demo, elsewhere and with an empty store."""
    folder = tmp_path_factory.mktemp("handbook")
    shutil.copytree(SPECS, folder / "specs")
    project = Project(str(folder / "specs" / "handbook.yaml"), store=str(folder / "store"), environ={})
    shipped = project.lock.lock
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("embspec.run.build.Workers", Shared)
        return Handbook(folder, project, project.build(), shipped)
