"""`docs/where.md` sends nobody to a place that is not there."""
from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/where.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.+?) \| `([\w/]+\.py)` \| `([\w.]+)` \|$", TEXT, re.MULTILINE)


def names(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    """What a module or class defines, by name."""
    found: dict[str, ast.stmt] = {}
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found[node.name] = node
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {t.id: node for t in targets if isinstance(t, ast.Name)}
    return found


@pytest.mark.parametrize(("question", "path", "symbol"), ROWS, ids=[f"{path}:{symbol}" for _, path, symbol in ROWS])
def test_each_place_exists(question: str, path: str, symbol: str) -> None:
    """The file defines the name, in the class before the dot where there is one."""
    body = ast.parse((ROOT / "embspec" / path).read_text(encoding="utf-8")).body
    for part in symbol.split("."):
        known = names(body)
        assert part in known, f"{question}: {path} has no {symbol}"
        body = getattr(known[part], "body", [])


def test_every_line_of_the_table_is_read() -> None:
    """A row in another form would be held by nothing; no question stands twice."""
    assert len(ROWS) == sum(line.startswith("| ") for line in TEXT.splitlines()) - 1
    assert len({question for question, _, _ in ROWS}) == len(ROWS) >= 25


def test_every_room_is_in_the_table() -> None:
    """Whoever looks for a behaviour is led to its room at least once."""
    rooms = {p.name for p in (ROOT / "embspec").iterdir() if p.is_dir() and (p / "__init__.py").exists()}
    assert rooms == {path.split("/")[0] for _, path, _ in ROWS if "/" in path}
