"""embspec in the folder of a project, with the store beside it: in the test's own process, or as a program.

A process of its own imports the slow libraries anew for each build, which takes longer than all else that it does: that
is for what only a process shows, as to be killed, to be first, to run beside another, or to have another environment.
"""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import embspec
from tests.support.scenario import GIT
from tests.support.workers import Shared

CODE = str(Path(__file__).parents[2])

Stages = list[dict[str, Any]]
Done = subprocess.CompletedProcess[str]


def run(project: Path, *args: str, store: Path | None = None) -> Done:
    """A command, as a person runs it who has stood in the project all day; its stages run where they always do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        for name, value in {**GIT, "EMBSPEC_STORE": str(store or project.parent / "store")}.items():
            patch.setenv(name, value)
        patch.delenv("CI", raising=False)
        patch.setattr("embspec.run.build.Workers", Shared)
        said = embspec(*args)
    assert "Traceback" not in said.err, said.err
    return Done(list(args), said.exit, said.out, said.err)


def alone(project: Path, *args: str, before: tuple[str, ...] = ()) -> Done:
    """The same in a process of its own."""
    return subprocess.run([*before, *command(*args)], cwd=project, env=environ(project), capture_output=True,
                          text=True, check=False)


def start(project: Path, *args: str, store: Path | None = None) -> subprocess.Popen[str]:
    """A process of its own which goes on meanwhile; with the store beside the project, unless another is named."""
    env = {**environ(project), **({"EMBSPEC_STORE": str(store)} if store else {})}
    return subprocess.Popen(command(*args), cwd=project, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True)


def command(*args: str) -> list[str]:
    """embspec as a program."""
    return [sys.executable, "-m", "embspec", *args]


def environ(project: Path) -> dict[str, str]:
    """What a process of ours sees: the store lies beside the project."""
    kept = {name: text for name, text in os.environ.items() if name != "CI"}
    return {**kept, **GIT, "EMBSPEC_STORE": str(project.parent / "store"), "PYTHONPATH": CODE}


def built(project: Path, *args: str) -> Stages:
    """A build that is green; what --json says of its stages."""
    return stages(run(project, "build", "--json", *args))


def stages(done: Done) -> Stages:
    """What --json says of the stages of a build that is green."""
    assert done.returncode == 0, done.stdout + done.stderr
    return list(json.loads(done.stdout)["stages"])


def ran(stages: Stages) -> list[str]:
    """The stages that ran."""
    return [stage["name"] for stage in stages if stage["state"] == "run"]


def git(project: Path, *args: str) -> str:
    """A git command; what it printed."""
    return subprocess.run(["git", *args], cwd=project, env=environ(project), check=True, capture_output=True,
                          text=True).stdout


def commit(project: Path, text: str) -> None:
    """All that is not ignored."""
    git(project, "add", "-A")
    git(project, "commit", "-qm", text)


def clone(project: Path, name: str = "fresh") -> Path:
    """A fresh clone, in a folder of its own and so with an empty store beside it."""
    fresh = project.parent / name / "project"
    git(project, "clone", "-q", str(project), str(fresh))
    return fresh
