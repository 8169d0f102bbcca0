"""A reproduction in the packages that the lock records."""
from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import embspec as package
from embspec import Project
from embspec.errors import NOWHERE, USAGE, EmbspecError
from embspec.lock.text import Lock
from embspec.plan.values import Block
from embspec.run import fresh
from embspec.run.fresh import Order, recorded
from embspec.stages.conditions import TORCH
from embspec.stages.street import STREET
from tests.support.command import embspec
from tests.support.harbour import LOCK, SPEC, built, edit, first_build

__all__ = ["built", "first_build"]

ROOT = Path(__file__).parents[2]

# Stands where pip would: writes down what was asked, and installs what the tests' own interpreter has.
PIP = """
import json, os, sys
folder = os.path.dirname(os.path.dirname(__file__))
args = sys.argv[1:]
with open(os.environ["ASKED"], "a") as file:
    listed = [open(args[i + 1]).read().split() for i, a in enumerate(args) if a in ("-r", "-c")]
    file.write(json.dumps([args, *listed]) + "\\n")
if any("9.9.9" in word for lines in listed for word in lines) or any("9.9.9" in a for a in args):
    sys.exit("ERROR: Could not find a version\\nERROR: No matching distribution found for numpy==9.9.9")
with open(os.path.join(folder, "borrowed.pth"), "w") as file:
    file.write(os.environ["BORROWED"])
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Virtual environments are real, their pip is ours; what it was asked, one call a line."""

    def environment(folder: str, version: str) -> str:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        module = Path(folder, "lib", f"python{sys.version_info.major}.{sys.version_info.minor}", "site-packages", "pip")
        module.mkdir(parents=True)
        (module / "__init__.py").write_text("")
        (module / "__main__.py").write_text(PIP)
        return str(Path(folder, "bin", "python"))

    monkeypatch.setattr(fresh, "environment", environment)
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    monkeypatch.setenv("BORROWED", f"{sysconfig.get_path('purelib')}\n{ROOT}\n")
    return tmp_path / "asked"


def test_the_whole_way(built: Path, asked: Path) -> None:
    """The recorded packages, then what embspec needs to speak, then embspec itself; its result is passed on."""
    said = embspec("reproduce", "--fresh-env", "--json")
    assert said.exit == 0, said.both
    assert said.json["class"] == "same" and all(row["equal"] for row in said.json["stages"])
    first, second, third = (json.loads(line) for line in asked.read_text().splitlines())
    assert first[0][:5] == ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"]
    env = Project(str(SPEC)).lock.lock.envs
    numpy = {lines["numpy"] for lines in env.values() if "numpy" in lines}
    assert {f"numpy=={version}" for version in numpy} == {line for line in first[1] if line.startswith("numpy==")}
    assert not any(line.startswith("embspec") for line in first[1])
    assert second[0][3] == "-c" and tuple(second[0][5:]) == fresh.DOOR and second[1] == first[1]
    assert third[0][3:] == ["--no-deps", f"embspec=={package.__version__}"]
    assert "exact" not in embspec("status").out  # no stage of words alone computes with floats
    assert list((built.parent / "store" / "again").rglob("*.json"))


def test_a_wheel_instead_of_a_version(built: Path, asked: Path) -> None:
    """--embspec names a file or a folder; one that is not there is said before anything is made."""
    assert embspec("reproduce", "--fresh-env", "--embspec", str(ROOT), "--stage", "gates", "-q").exit == 0
    assert json.loads(asked.read_text().splitlines()[-1])[0][3:] == ["--no-deps", str(ROOT)]
    assert embspec("reproduce", "--fresh-env", "--embspec", "gone.whl").exit == USAGE
    assert embspec("reproduce", "--embspec", str(ROOT)).exit == USAGE


def test_what_pip_says_is_passed_on(built: Path, asked: Path) -> None:
    """A package that is nowhere to be had: 32 with pip's last words."""
    text = re.sub(r"\n  packages: .*", "", LOCK.read_text())
    LOCK.write_text(re.sub(r"\n  numpy: .*", "\n  numpy: 9.9.9", text))
    said = embspec("reproduce", "--fresh-env", "--json")
    assert (said.exit, said.codes) == (NOWHERE, ["nowhere.environment"])
    error = said.json["errors"][0]
    assert error["text"].endswith("No matching distribution found for numpy==9.9.9") and "PIP_" in error["fix"]
    # Without the list of all packages their own needs are left to pip.
    assert "--no-deps" not in json.loads(asked.read_text().splitlines()[0])[0]


def test_what_it_finds_wrong_is_passed_on(built: Path, asked: Path) -> None:
    """The errors of the command in there are those of the command here."""
    edit(SPEC, "test: 0.6", "test: 0.5")
    said = embspec("reproduce", "--fresh-env", "--json")
    assert (said.exit, set(said.codes)) == (11, {"lock-stale.stage"})


def test_an_embspec_that_does_not_run(built: Path, asked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """32 with its last words, where what was installed cannot even start."""
    monkeypatch.setenv("BORROWED", "\n")
    said = embspec("reproduce", "--fresh-env", "--json")
    assert (said.exit, said.codes) == (NOWHERE, ["nowhere.environment"])
    assert "No module named embspec" in said.json["errors"][0]["text"]


def test_stages_of_two_environments_go_one_by_one(built: Path) -> None:
    """No environment has two versions of a package: each is named with its stage, and --stage takes one."""
    project = Project(str(SPEC))
    envs = {"env-1": {"numpy": "1.0", "python": "3.11.7", "embspec": "0.1.0"},
            "env-2": {"numpy": "2.0", "python": "3.12.1", "embspec": "0.1.0"}}
    lock = Lock({"split": Block(env="env-1"), "lexical": Block(env="env-2")}, envs)
    with pytest.raises(EmbspecError) as caught:
        recorded(Order(), lock, project.world)
    assert caught.value.exit == NOWHERE
    assert [p.text for p in caught.value.problems] == [
        "no environment has them all: numpy 1.0 (split) and 2.0 (lexical)",
        "no environment has them all: python 3.11.7 (split) and 3.12.1 (lexical)"]
    found = recorded(Order(stage="lexical"), lock, project.world)
    assert (dict(found.versions), found.whole, found.python) == ({"numpy": "2.0", "embspec": "0.1.0"}, False, "3.12.1")


def test_a_python_that_is_not_here_is_said(tmp_path: Path) -> None:
    """32 before anything is installed."""
    with pytest.raises(EmbspecError) as caught:
        fresh.environment(str(tmp_path / "env"), "3.2.1")
    assert caught.value.exit == NOWHERE and "there is no python3.2 here" in str(caught.value)


def test_the_door_is_what_embspec_depends_on() -> None:
    """What the package declares is installed by name, or recorded with the stages that import it."""
    declared = re.search(r"\ndependencies = \[\n(.*?)\]\n", (ROOT / "pyproject.toml").read_text(), re.DOTALL)
    assert declared
    names = set(re.findall(r'^  "([\w.-]+)', declared[1], re.MULTILINE))
    values = {"model.method": "full", "export.onnx.opset": 17, "numerics.device": "auto", "pairs.x.path": "x",
              "eval.bm25.tokenizer": "auto", "eval.bm25.language": "auto", "eval.bm25.stem": True,
              "corpus.path": "docs/*.md", "corpus.chunking.strategy": "structure"}
    stages = {p for s in STREET for p in (s.packages(values) if callable(s.packages) else s.packages)}
    assert names <= {*fresh.DOOR, *stages} and set(fresh.DOOR) <= names and set(TORCH) <= stages
