"""Specs written in a test, read as a user's are."""
from __future__ import annotations

from pathlib import Path

import pytest

from embspec.errors import EmbspecError, Problem
from embspec.spec.load import Loaded, load

SMALLEST = "embspec: 1\ncorpus: {path: docs.jsonl}\n"


class Specs:
    """A project in a folder of its own; the spec under test is `specs/x.yaml`."""

    smallest = SMALLEST

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, text: str | bytes, name: str = "specs/x.yaml") -> str:
        """A file of the project."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return name

    def load(self, text: str | bytes, *sets: str, outside: bool = False) -> Loaded:
        """The spec, resolved."""
        return load(self.write(text), sets, root=str(self.root), allow_outside=outside)

    def problems(self, text: str | bytes, *sets: str) -> tuple[Problem, ...]:
        """All that is wrong with a spec."""
        with pytest.raises(EmbspecError) as caught:
            self.load(text, *sets)
        assert caught.value.exit == 3
        return caught.value.problems

    def wrong(self, text: str | bytes, *sets: str) -> list[tuple[str, str]]:
        """The codes of what is wrong, and where."""
        return [
            (problem.code, str(problem.where).removeprefix("specs/x.yaml:")) for problem in self.problems(text, *sets)
        ]

    def one(self, text: str | bytes, *sets: str) -> Problem:
        """The one thing that is wrong."""
        found = self.problems(text, *sets)
        assert len(found) == 1, [str(problem) for problem in found]
        return found[0]


@pytest.fixture
def specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Specs:
    """An empty project, with the prompt at its root."""
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.chdir(root)
    return Specs(root)
