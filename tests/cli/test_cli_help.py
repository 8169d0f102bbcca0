"""What the commands say about themselves."""
from __future__ import annotations

import re
from pathlib import Path

import pytest

import embspec as package
from embspec.cli.main import COMMANDS
from embspec.errors import EXITS
from tests.support.command import embspec

# The table that people and scripts rely on: a code never changes its meaning.
TABLE = {
    0: "done, up to date",
    1: "internal error",
    2: "usage",
    3: "spec or input invalid",
    10: "there is work to do",
    11: "the lock is out of date",
    12: "lock unreadable",
    13: "a retrain trigger fired",
    20: "a gate failed, or could not be computed",
    21: "a gate is inconclusive and the policy says stop",
    22: "the verdict is not to tune",
    23: "promote, rollback or guard refused",
    30: "differs, within tolerance",
    31: "differs beyond tolerance",
    32: "is nowhere to be found",
    40: "a stage failed; the path of its log is printed",
    41: "stopped, resumable",
    42: "a budget was reached, resumable",
    50: "digest mismatch: corrupt or tampered object",
    60: "waited too long for another build",
    70: "could not be reached",
}


def test_the_exit_codes_are_the_table_and_help_prints_them() -> None:
    """Every code has its meaning, and `--help` shows each of them."""
    assert list(EXITS) == list(TABLE)
    said = embspec("--help")
    shown = re.sub(r"\s+", " ", said.out.split("Exit codes:")[1])
    for code, text in TABLE.items():
        assert text in EXITS[code]
        assert f" {code} {EXITS[code]}" in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_an_example(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--help` gives an example that begins with the command, and exits 0 anywhere."""
    monkeypatch.chdir(tmp_path)
    said = embspec(name, "--help")
    assert said.exit == 0
    assert f"Example: embspec {name}" in said.out
    assert embspec(name, "-h").out == said.out
    assert f"  {name} " in embspec("--help").out


def test_the_table_of_commands_and_their_files_agree() -> None:
    """One file per command, and nothing else that calls itself one."""
    folder = Path(package.__file__).parent / "cli"
    files = {p.stem for p in folder.glob("*.py") if "@click.command(" in p.read_text(encoding="utf-8")}
    assert files == set(COMMANDS)


def test_version_and_nothing_at_all() -> None:
    """`--version` says the version; no words at all is a question for help."""
    assert embspec("--version").out == f"embspec {package.__version__}\n"
    said = embspec()
    assert (said.exit, said.out) == (2, "")
    assert "Commands:" in said.err
