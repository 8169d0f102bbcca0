"""Scenario folders: a small project, a list of steps, and the transcript that they must give.

A scenario is a folder with `steps.txt`, `expected.txt` and, where it needs more than the shared project in
`tests/e2e/start`, a `start/` of its own that is laid over it. A step is a line in the first column, and the lines
under it that are indented by two spaces belong to it:

    $ embspec build --locked      a command; its output and exit code go into the transcript
    write FILE                    the indented lines are the file's content
    append FILE                   they are added to its end
    replace FILE                  `- old` and `+ new`, in turn
    rm PATH / move A B / copy A B files and folders
    git ARGS                      run by git; its output is not shown
    cd FOLDER                     later commands run there, later names count from there
    env NAME=VALUE                for the steps after it
    remember FILE                 bytes and time stamp; `same FILE` asserts that neither has changed since
    remember FILE as NAME         and `equal FILE NAME` asserts that the bytes are those
    show FILE / tree FOLDER       a file's text, or the names below a folder, go into the transcript
"""
from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.command import embspec

GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": text for who in ("AUTHOR", "COMMITTER")
       for what, text in (("NAME", "A Keeper"), ("EMAIL", "keeper@example.org"), ("DATE", "2026-01-02T03:04:05Z"))},
}


class Step(NamedTuple):
    """One line of `steps.txt` with the lines that belong to it."""

    line: str
    body: list[str]

    @property
    def verb(self) -> str:
        """The first word."""
        return self.line.split()[0]

    @property
    def words(self) -> list[str]:
        """The words after the verb."""
        return self.line.split()[1:]


def parse(text: str) -> list[Step]:
    """The steps of a scenario; empty lines and comments between them are for people."""
    steps: list[Step] = []
    for line in text.splitlines():
        if line.startswith("  ") and steps:
            steps[-1].body.append(line[2:])
        elif line.strip() and not line.startswith("#"):
            steps.append(Step(line, []))
        elif not line.strip() and steps and steps[-1].verb in ("write", "append") and steps[-1].body:
            steps[-1].body.append("")
    return steps


class Scenario:
    """A project under way."""

    def __init__(self, project: Path, patch: pytest.MonkeyPatch) -> None:
        self.project, self.patch = project, patch
        self.kept: dict[str, tuple[bytes, int]] = {}
        self.names = Names(project)
        for name, value in GIT.items():
            patch.setenv(name, value)
        patch.chdir(project)

    def run(self, steps: list[Step]) -> str:
        """Every step in turn; what each gave, as one transcript."""
        said = []
        for number, step in enumerate(steps, 1):
            text = self.names.hide(VERBS[step.verb](self, step))
            shown = "".join(f"    {line}".rstrip() + "\n" for line in text.splitlines())
            said.append(f"[{number}] {step.line}\n{shown}")
        return "\n".join(said)

    def _command(self, step: Step) -> str:
        name, *args = step.words
        assert name == "embspec", f"only embspec is a command here: {step.line}"
        said = embspec(*args)
        assert "Traceback" not in said.both, said.both
        return said.both + f"exit {said.exit}\n"

    def _write(self, step: Step) -> str:
        path = Path(step.words[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a" if step.verb == "append" else "w", encoding="utf-8") as file:
            file.write("\n".join(step.body).rstrip("\n") + "\n")
        return ""

    def _replace(self, step: Step) -> str:
        path = Path(step.words[0])
        text = path.read_text(encoding="utf-8")
        for old, new in zip(step.body[::2], step.body[1::2], strict=True):
            assert old.startswith("- ") and new[:2] in ("+ ", "+"), f"expected `- old` and `+ new`: {old}, {new}"
            assert text.count(old[2:]) == 1, f"{path} has {text.count(old[2:])} times: {old[2:]}"
            text = text.replace(old[2:], new[2:])
        path.write_text(text, encoding="utf-8")
        return ""

    def _rm(self, step: Step) -> str:
        for path in map(Path, step.words):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return ""

    def _move(self, step: Step) -> str:
        before, after = step.words
        shutil.move(before, after)
        return ""

    def _copy(self, step: Step) -> str:
        before, after = step.words
        shutil.copytree(before, after) if Path(before).is_dir() else shutil.copyfile(before, after)
        return ""

    def _git(self, step: Step) -> str:
        done = subprocess.run(["git", *step.words], capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else f"git: exit {done.returncode}\n"

    def _cd(self, step: Step) -> str:
        self.patch.chdir(self.project / step.words[0])
        return ""

    def _env(self, step: Step) -> str:
        name, value = step.words[0].split("=")
        # A store is named from the project, and lies beside it: a project does not hold its own store.
        self.patch.setenv(name, str(self.project.parent / value) if name == "EMBSPEC_STORE" else value)
        return ""

    def _remember(self, step: Step) -> str:
        path, name = Path(step.words[0]), step.words[-1]
        self.kept[name] = (path.read_bytes(), path.stat().st_mtime_ns)
        return ""

    def _same(self, step: Step) -> str:
        path, (data, mtime) = Path(step.words[0]), self.kept[step.words[0]]
        assert path.read_bytes() == data, f"{step.line}: other bytes"
        assert path.stat().st_mtime_ns == mtime, f"{step.line}: written again"
        return ""

    def _equal(self, step: Step) -> str:
        path, name = step.words
        assert Path(path).read_bytes() == self.kept[name][0], f"{step.line}: other bytes"
        return ""

    def _show(self, step: Step) -> str:
        text = Path(step.words[0]).read_text(encoding="utf-8")
        return self.names.without_machine(text) if step.words[0].endswith(".lock") else text

    def _tree(self, step: Step) -> str:
        top = Path(step.words[0])
        if not top.exists():
            return "nothing is there\n"
        return "".join(f"{p.relative_to(top).as_posix()}\n" for p in sorted(top.rglob("*")) if p.is_file())


VERBS: Mapping[str, Callable[[Scenario, Step], str]] = {
    "$": Scenario._command, "write": Scenario._write, "append": Scenario._write, "replace": Scenario._replace,
    "rm": Scenario._rm, "move": Scenario._move, "copy": Scenario._copy, "git": Scenario._git, "cd": Scenario._cd,
    "env": Scenario._env, "remember": Scenario._remember, "same": Scenario._same, "equal": Scenario._equal,
    "show": Scenario._show, "tree": Scenario._tree,
}


class Names:
    """Digests, keys and places by short names, the same one each time it is met: what a person compares."""

    _PLACES = (
        ("digest", re.compile(r"sha256:(?:[0-9a-f]{64}|[0-9a-f]{12}…)")),
        ("key", re.compile(r"\b[0-9a-f]{32}\b")),
        ("env", re.compile(r"\benv-[0-9a-f]{8}\b")),
    )

    def __init__(self, project: Path) -> None:
        self._project = project
        self._met: dict[str, str] = {}

    def hide(self, text: str) -> str:
        """The text as it is the same on every machine."""
        text = text.replace(str(self._project.parent), "<top>")
        for kind, pattern in self._PLACES:
            text = pattern.sub(lambda found, kind=kind: self._name(kind, found[0]), text)  # type: ignore[misc]
        return re.sub(r"about \d+\.\d s", "about <n> s", text)

    def _name(self, kind: str, found: str) -> str:
        found = found[:19]  # a reason shows no more of a digest
        if found not in self._met:
            self._met[found] = f"<{kind} {sum(name.startswith(f'<{kind} ') for name in self._met.values()) + 1}>"
        return self._met[found]

    def without_machine(self, lock: str) -> str:
        """A lock without what its environment blocks say: they differ from machine to machine."""
        blocks = lock.split("\n\n")
        kept = [block for block in blocks if not block.startswith("env-")]
        return "\n\n".join(kept).rstrip("\n") + "\n"


def lay(folder: Path, shared: Path, project: Path) -> None:
    """The starting tree of a scenario: the shared project, and over it what the scenario has of its own."""
    shutil.copytree(shared, project)
    if (folder / "start").is_dir():
        shutil.copytree(folder / "start", project, dirs_exist_ok=True)
    subprocess.run(["git", "init", "-q", "-b", "main", str(project)], check=True, env={**os.environ, **GIT})
