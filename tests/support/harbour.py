"""The small project of the end-to-end tests: 22 documents of a harbour, 26 questions, one gate."""
from __future__ import annotations

import shutil
from pathlib import Path

START = Path(__file__).parents[1] / "e2e" / "start"
SPEC, LOCK = Path("specs/harbour.yaml"), Path("specs/harbour.lock")
STAGES = ["corpus", "snapshot", "pairs.gold", "split", "lexical", "evaluate", "gates", "report"]


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
