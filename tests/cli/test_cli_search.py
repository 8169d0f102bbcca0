"""What `search` shows of two lists."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from embspec.api import Project
from embspec.cli.search import command, lines

FOUND = {
    "query": "reset the valve",
    "tuned": [
        {"id": "valve", "score": 0.91, "title": "Valves", "text": "press the button " * 20},
        {"id": "pump", "score": 0.5, "title": "", "text": "clean the pump"},
    ],
    "base": [{"id": "p" * 90, "score": 0.4321, "title": "Pumps", "text": "clean the pump"}],
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What the project was asked."""
    calls: list[tuple[str, int]] = []

    def search(self: Project, query: str, k: int) -> dict[str, Any]:
        calls.append((query, k))
        return FOUND

    monkeypatch.setattr(Project, "search", search, raising=False)
    return calls


def run(*words: str | Path) -> Result:
    """The command alone."""
    return CliRunner().invoke(command, list(map(str, words)), catch_exceptions=False)


def test_side_by_side_where_there_is_room() -> None:
    """Two columns of one width, tuned on the left, and no line is longer than the terminal."""
    shown = lines(FOUND, 101)
    assert all(len(line) <= 101 for line in shown)
    assert shown[0].split() == ["tuned", "base"]
    start = shown[0].index("base")
    assert shown[1][:start].rstrip() == " 1  0.910  valve  Valves"
    assert shown[1][start:].startswith(" 1  0.432  ppp") and shown[1].endswith("…")
    assert shown[2][:start].startswith("    press the button") and shown[2][start:] == "    clean the pump"
    assert shown[3][:start].rstrip().endswith("…") and shown[3] == shown[3][:start].rstrip()
    assert shown[4] == " 2  0.500  pump"


def test_one_under_the_other_where_there_is_none() -> None:
    """A narrow terminal has both lists one after the other, each hit as many lines."""
    shown = lines(FOUND, 60)
    assert all(len(line) <= 60 for line in shown)
    assert shown.index("tuned") == 0 and shown[shown.index("base") - 1] == ""
    assert shown.index("base") == 1 + 2 * 3 + 1


@pytest.mark.parametrize("words", [["reset the valve"], ["reset", "the", "valve"], ["reset the valve", "-k", "3"]])
def test_a_question_needs_no_quotes(harbour: Path, asked: list[tuple[str, int]], words: list[str]) -> None:
    """Loose words are one question, the spec may stand anywhere, and -k says how many."""
    said = run(*words, harbour / "specs" / "harbour.yaml")
    assert said.exit_code == 0
    assert asked == [("reset the valve", 3 if "-k" in words else 5)]
    assert "valve  Valves" in said.output


def test_the_machine_form(harbour: Path, asked: list[tuple[str, int]]) -> None:
    """One object with both lists as they were found."""
    said = run("reset the valve", "--json")
    assert json.loads(said.stdout) == {"exit": 0, "spec": "specs/harbour.yaml", **FOUND}


@pytest.mark.parametrize("words", [[], ["  "], ["specs/harbour.yaml"]])
def test_no_question_is_said(harbour: Path, asked: list[tuple[str, int]], words: list[str]) -> None:
    """Without a question nothing is asked, and the message shows how."""
    with pytest.raises(Exception, match="search needs a question"):
        run(*words)
    assert asked == []
