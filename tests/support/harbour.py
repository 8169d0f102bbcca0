"""The small project of the end-to-end tests: 22 documents of a harbour, 26 questions, one gate."""
from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.command import embspec

START = Path(__file__).parents[1] / "e2e" / "start"
SPEC, LOCK = Path("specs/harbour.yaml"), Path("specs/harbour.lock")
STAGES = ["corpus", "snapshot", "survey", "pairs.gold", "split", "lexical", "evaluate", "gates", "report"]


def settle(project: Path) -> Path:
    """Write the project, as the root of its own."""
    shutil.copytree(START, project)
    (project / ".git").mkdir()  # enough of git for a root; a test that needs more says so
    return project


def edit(path: Path, old: str, new: str) -> None:
    """One replacement; the text must be there, once."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path} has {text.count(old)} times: {old}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes; nothing where the folder is not there."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="session")
def first_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with its first build and its store, made once and never touched: tests take copies."""
    folder = tmp_path_factory.mktemp("harbour")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(settle(folder / "project"))
        patch.setenv("EMBSPEC_STORE", str(folder / "store"))
        patch.delenv("CI", raising=False)
        assert embspec("build", "-q").exit == 0
    return folder


@pytest.fixture
def harbour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small project, with nothing built; commands run in it."""
    monkeypatch.chdir(settle(tmp_path / "project"))
    return tmp_path / "project"


def copied(folder: Path, to: Path) -> Path:
    """A project and the store beside it, for a test to change; the project's new place."""
    for name in ("project", "store"):
        shutil.copytree(folder / name, to / name, symlinks=True)
    return to / "project"


@pytest.fixture
def built(first_build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small project after its first build, which is green."""
    monkeypatch.chdir(copied(first_build, tmp_path))
    return tmp_path / "project"
