"""A small project on disk for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.mini import project


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The spec of a small project that is the working directory."""
    path = project(tmp_path / "mini")
    monkeypatch.chdir(tmp_path / "mini")
    return path
