"""Every scenario folder gives the transcript that lies beside it."""
from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.scenario import Scenario, lay, parse

HERE = Path(__file__).parent
FOLDERS = sorted(path.parent for path in HERE.glob("*/steps.txt"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.name))
def test_scenario(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config) -> None:
    """The steps say and do what `expected.txt` holds; `pytest --pin` writes it anew, to be read in the review."""
    project = tmp_path / "project"
    lay(folder, HERE / "start", project)
    steps = parse((folder / "steps.txt").read_text(encoding="utf-8"))
    found = Scenario(project, monkeypatch).run(steps)
    expected = folder / "expected.txt"
    if pytestconfig.getoption("--pin"):
        expected.write_text(found, encoding="utf-8")
    assert found == expected.read_text(encoding="utf-8")
