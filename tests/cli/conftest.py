"""A project to run commands in."""
from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import embspec
from tests.support.harbour import settle


@pytest.fixture
def harbour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small project, with nothing built; commands run in it."""
    monkeypatch.chdir(settle(tmp_path / "project"))
    return tmp_path / "project"


@pytest.fixture
def built(harbour: Path) -> Path:
    """The small project after its first build."""
    assert embspec("build", "-q").exit == 0
    return harbour
