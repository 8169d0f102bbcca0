"""A look at the machine."""
from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from tests.support.command import embspec


def test_a_healthy_machine(harbour: Path) -> None:
    """Everything good is exit 0, and the store that is looked at is the one that builds use."""
    said = embspec("doctor")
    assert said.exit == 0
    assert str(harbour.parent / "store") in said.out
    assert "BAD" not in said.out


def test_a_store_that_cannot_be_written(harbour: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file stands where the folder belongs: said, with what to do, exit 3."""
    Path("taken").write_text("", encoding="utf-8")
    monkeypatch.setenv("EMBSPEC_STORE", str(harbour / "taken"))
    said = embspec("doctor")
    assert said.exit == 3
    assert any(line.startswith("BAD store") for line in said.out.splitlines())
    assert "Traceback" not in said.both


def test_no_git_and_a_missing_package(harbour: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has its own line and its own remedy."""
    version = metadata.version

    def lacks(name: str) -> str:
        if name == "ruamel.yaml":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setenv("PATH", str(harbour))
    monkeypatch.setattr(metadata, "version", lacks)
    findings = {finding["what"]: finding for finding in embspec("doctor", "--json").json["findings"]}
    assert not findings["git"]["good"] and "install git" in findings["git"]["fix"]
    assert not findings["packages"]["good"] and findings["packages"]["fix"] == "pip install ruamel.yaml"
