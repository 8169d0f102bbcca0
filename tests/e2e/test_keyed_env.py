"""`keys.env`: by default another environment moves nothing; pinned, it makes every stage anew and is named for it."""
from __future__ import annotations

from pathlib import Path

import pytest

from embspec.lock.text import read
from embspec.store import environment
from tests.support.command import embspec
from tests.support.harbour import LOCK, SPEC, STAGES

WORK = [name for name in STAGES if name != "snapshot"]


def another(patch: pytest.MonkeyPatch) -> None:
    """The same machine with another numpy."""
    real = environment._version
    patch.setattr(environment, "_version", lambda name: "9.9" if name == "numpy" else real(name))


def why() -> dict[str, list[str]]:
    """What would run, with its fields."""
    stages = embspec("plan", "--json").json["stages"]
    return {s["name"]: [one["field"] for one in s["why"]] for s in stages if s["state"] != "clean"}


def test_by_default_an_environment_is_recorded_and_keys_nothing(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All is up to date, and no pin names an environment; `status` says how this one differs."""
    another(monkeypatch)
    assert why() == {} and embspec("build", "--locked").exit == 0
    assert 'here "9.9" (not keyed)' in embspec("status").out
    assert all("env" not in block.pin for block in read(LOCK.read_text(), "").blocks.values())


def test_pinned_it_makes_anew_what_imports_what_moved(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under `env: pin` each stage has its environment in its key; another numpy makes those stale that import it."""
    with open(SPEC, "a") as file:
        file.write("keys: {env: pin}\n")
    assert set(why()) == set(WORK)
    assert embspec("build", "-q").exit == 0 and why() == {}
    before = read(LOCK.read_text(), "").blocks
    assert all(before[name].pin["env"] for name in WORK if name in before)
    assert embspec("build", "--locked").exit == 0
    another(monkeypatch)
    found = why()
    moved = {name for name, fields in found.items() if "pin env" in fields}
    assert moved == {"survey", "pairs.gold", "split", "lexical", "evaluate", "gates"} and "corpus" not in found
    assert embspec("build", "--locked").exit == 11
    assert embspec("build", "-q").exit == 0
    after = read(LOCK.read_text(), "").blocks
    assert after["split"].pin["env"] != before["split"].pin["env"] and after["split"].out == before["split"].out
    assert after["corpus"] == before["corpus"] and why() == {}
