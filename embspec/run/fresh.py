"""A reproduction in the packages that the lock records: a virtual environment that is gone afterwards."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from embspec.errors import EmbspecError, Problem, Where, fail
from embspec.lock.text import Lock
from embspec.plan.plan import PACKAGES
from embspec.run.build import Event
from embspec.run.reproduce import First, Rebuilt, Reproduced
from embspec.store.world import DiskWorld

# What embspec itself imports to read a spec and say something; what stages import is recorded with them.
DOOR = ("click", "numpy", "pydantic", "rich", "ruamel.yaml", "xxhash")

_OURS = "embspec"
_PYTHON = "python"
_LAST = 5  # lines of what pip said that are passed on


class Order(NamedTuple):
    """What is reproduced, and by which embspec: that of the lock, unless a wheel or folder is given."""

    revision: str = ""
    stage: str = ""
    wheel: str = ""
    outside: bool = False


class Recorded(NamedTuple):
    """What the lock says of the environment: versions by package, those of them with all that they need, and Python."""

    versions: Mapping[str, str]
    whole: bool
    python: str


def reproduce(order: Order, lock: Lock, world: DiskWorld, tell: Callable[[Event], None]) -> Reproduced:
    """Make the environment, have the same asked there, and pass on what it says."""
    if order.wheel and not os.path.exists(order.wheel):
        raise fail("usage.wheel", f"there is no `{order.wheel}`", fix="name a wheel, or the folder of embspec's source")
    found = recorded(order, lock, world)
    version = found.versions.get(_OURS, "")
    with world.objects.scratch() as folder:
        tell(Event("", "note", f"making an environment of {len(found.versions)} packages"))
        python = environment(os.path.join(folder, "env"), found.python)
        listed = os.path.join(folder, "recorded.txt")
        with open(listed, "w", encoding="utf-8") as file:
            file.writelines(f"{n}=={v}\n" for n, v in sorted(found.versions.items()) if n != _OURS)
        _pip(python, *(["--no-deps"] if found.whole else []), "-r", listed)
        _pip(python, "-c", listed, *DOOR)
        _pip(python, "--no-deps", os.path.abspath(order.wheel) if order.wheel else f"{_OURS}=={version}")
        return _asked(python, order, world)


def recorded(order: Order, lock: Lock, world: DiskWorld) -> Recorded:
    """The packages of every stage, which have to go together."""
    names = [n for n, b in lock.blocks.items() if b.env and order.stage in ("", n)]
    if not names:
        raise fail("nowhere.environment", "the lock records no environment"
                   + (f" of a stage `{order.stage}`" if order.stage else ""), fix="run `embspec build`")
    where: dict[str, dict[str, str]] = {}  # package -> version -> the first stage that has it
    pythons = dict[str, str]()
    whole = True
    for name in names:
        env = lock.envs.get(lock.blocks[name].env, {})
        text = world.objects.text(env.get(PACKAGES, ""))
        whole = whole and text is not None
        listed = text.splitlines() if text is not None else []
        pairs = [line.split("==") for line in listed] or [[n, env[n]] for n in _lines(env)]
        for package, version in [*pairs, *([[_OURS, env[_OURS]]] if _OURS in env and not order.wheel else [])]:
            where.setdefault(package, {}).setdefault(version, name)
        pythons.setdefault(env.get(_PYTHON, ""), name)
    problems = [
        Problem("nowhere.environment", f"no environment has them all: {package} "
                + " and ".join(f"{version} ({stage})" for version, stage in versions.items()))
        for package, versions in [*where.items(), *([(_PYTHON, pythons)] if len(pythons) > 1 else [])]
        if len(versions) > 1
    ]
    if problems:
        fix = "reproduce its stages one by one, with --stage STAGE"
        raise EmbspecError(*problems[:-1], problems[-1]._replace(fix=fix))
    return Recorded({package: next(iter(versions)) for package, versions in where.items()}, whole, next(iter(pythons)))


def _lines(env: Mapping[str, str]) -> list[str]:
    """The packages that an env block itself names, where the list of all is not at hand."""
    return [name for name in env if name not in (_OURS, _PYTHON, "platform", "device", "math", PACKAGES)]


def environment(folder: str, version: str) -> str:
    """A virtual environment of that version of Python, as far as it is here; its interpreter."""
    minor = ".".join(version.split(".")[:2])
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    base = sys.executable if minor in ("", here) else shutil.which(f"{_PYTHON}{minor}")
    if base is None:
        raise fail("nowhere.environment", f"the lock was built with Python {version}, and there is no {_PYTHON}{minor} "
                   "here", fix=f"install Python {minor}")
    _run([base, "-m", "venv", folder], "the virtual environment cannot be made")
    return os.path.join(folder, "bin", _PYTHON)


def _pip(python: str, *what: str) -> None:
    command = [python, "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what]
    _run(command, "the recorded packages cannot be installed")


def _run(command: Sequence[str], wrong: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                          check=False)
    if done.returncode:
        last = "\n  ".join((done.stderr or done.stdout).strip().splitlines()[-_LAST:])
        raise fail("nowhere.environment", f"{wrong}; pip said\n  {last}",
                   fix="say where they are, as with PIP_INDEX_URL or PIP_FIND_LINKS")


def _asked(python: str, order: Order, world: DiskWorld) -> Reproduced:
    """The same command in there; apart from the folder it is called in, whose files might be called as a module is."""
    command = [python, "-I", "-m", _OURS, "reproduce", *([order.revision] if order.revision else []), "--json",
               "--spec", world.at.spec, *(["--stage", order.stage] if order.stage else []),
               *(["--allow-outside"] if order.outside else [])]
    environ = {name: text for name, text in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                          env={**environ, "EMBSPEC_STORE": world.objects.store}, check=False)
    try:
        said: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = "\n  ".join((done.stderr or done.stdout).strip().splitlines()[-_LAST:])
        raise fail("nowhere.environment", f"embspec does not run in the recorded packages; it said\n  {last}",
                   fix="name another embspec with --embspec WHEEL") from None
    if "errors" in said:
        raise EmbspecError(*map(_problem, said["errors"]))
    return _found(said)


def _problem(said: Mapping[str, Any]) -> Problem:
    where = Where(said["file"], said["line"] or 0, said["column"] or 0) if said.get("file") else None
    return Problem(said["code"], said["text"], where, said.get("fix") or "")


def _found(said: Mapping[str, Any]) -> Reproduced:
    """What another version said; what it does not say yet is left out."""
    stages = []
    for row in said["stages"]:
        first = row["first"] and First(row["first"]["artefact"], row["first"].get("text", "other bytes"),
                                       *(row["first"].get(name) for name in First._fields[2:]))
        stages.append(Rebuilt(row["name"], row["equal"], row.get("taken") or "", row.get("class"), first))
    return Reproduced(said["exit"], said["class"], stages, said.get("text", f"exit {said['exit']}"))
