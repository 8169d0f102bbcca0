"""The demo reproduced under everything that bits could hang on and must not: one run for each, with its exit code.

    python benchmarks/reproduce.py [SPEC]

The spec's folder is copied into a repository of its own, built there once, and reproduced from clones of it.
"""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from clock import machine, save, table

ROOT = Path(__file__).parents[1]
GIT = {f"GIT_{who}_{what}": text for who in ("AUTHOR", "COMMITTER")
       for what, text in (("NAME", "bench"), ("EMAIL", "bench@example.org"))}


class Condition(NamedTuple):
    """What is other than usual in one run."""

    name: str
    env: Mapping[str, str] = {}
    before: Sequence[str] = ()
    clone: bool = False  # a clone in another folder, with an empty store


def conditions(folder: Path) -> list[Condition]:
    """Each alone, and at last all of them together."""
    shell = ("sh", "-c", 'umask 077; exec "$@"', "sh")
    core = ("taskset", "-c", "0")
    places = {name: str(folder / name.lower()) for name in ("TMPDIR", "HOME")}
    words = {"LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "1234"}
    return [
        Condition("a fresh process"),
        Condition("a fresh clone in another folder, with an empty store", clone=True),
        *(Condition(f"{name}={'another folder' if name in places else text}", {name: text})
          for name, text in {**places, **words}.items()),
        Condition("umask 077", before=shell),
        Condition("taskset to one core", before=core),
        Condition("all of them together", {**places, **words}, (*core, *shell), clone=True),
    ]


def run(args: Sequence[str], project: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """A process in the project, with the store beside it."""
    kept = {name: text for name, text in os.environ.items() if name != "CI"}
    return subprocess.run(args, cwd=project, capture_output=True, text=True, check=False, env={
        **kept, **GIT, "GIT_CONFIG_GLOBAL": os.devnull, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT),
        "EMBSPEC_STORE": str(project.parent / "store"), **env})


def good(args: Sequence[str], project: Path) -> None:
    """A step that has to go well."""
    done = run(args, project, {})
    if done.returncode:
        raise SystemExit(f"{' '.join(args)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def laid(spec: Path, folder: Path) -> Path:
    """The spec's folder as git has it, in a repository of its own; built and committed."""
    project = folder / "built" / "project"
    target = project / spec.parent.relative_to(ROOT)
    shutil.copytree(spec.parent, target)
    for other in target.glob("*.yaml"):
        if other.stem != spec.stem and f"extends: {other.name}" not in spec.read_text(encoding="utf-8"):
            other.unlink()
            other.with_suffix(".lock").unlink(missing_ok=True)
    (project / ".gitignore").write_text(".embspec/\nout/\n", encoding="utf-8")
    good(["git", "init", "-q"], project)
    good([sys.executable, "-m", "embspec", "build", "-q", str(spec.relative_to(ROOT))], project)
    good(["git", "add", "-A"], project)
    good(["git", "commit", "-qm", "built"], project)
    return project


def reproduced(condition: Condition, built: Path, folder: Path, spec: str) -> dict[str, Any]:
    """One run: its exit code, the class, and how many stages came out equal."""
    project = built
    if condition.clone:
        project = folder / "elsewhere" / condition.name.split(" ")[0] / "project"
        project.parent.mkdir(parents=True)
        good(["git", "clone", "-q", str(built), str(project)], built)
    for name in ("TMPDIR", "HOME"):
        if name in condition.env:
            Path(condition.env[name]).mkdir(exist_ok=True)
    start = time.perf_counter()
    args = [*condition.before, sys.executable, "-m", "embspec", "reproduce", "HEAD", "--json", spec]
    done = run(args, project, condition.env)
    seconds = time.perf_counter() - start
    try:
        said = json.loads(done.stdout)
    except ValueError:
        raise SystemExit(done.stdout + done.stderr) from None
    rows = said.get("stages", [])
    return {"condition": condition.name, "exit": done.returncode, "class": said.get("class"),
            "equal": sum(row["equal"] is True for row in rows), "stages": len(rows), "seconds": round(seconds, 1),
            "why": [error["text"] for error in said.get("errors", [])]
            + [f"{row['name']}: {row['first']['text']}" for row in rows if row.get("first")]}


def main(spec: Path) -> int:
    """The table; 1 where any run was not byte for byte."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project = laid(spec, folder)
        shown = spec.relative_to(ROOT)
        same = (project / shown).with_suffix(".lock").read_bytes() == spec.with_suffix(".lock").read_bytes()
        rows = [reproduced(each, project, folder, str(shown)) for each in conditions(folder)]
    save("reproduce" + ("" if spec.stem == "handbook" else f"-{spec.stem}"),
         {"spec": str(shown), "lock": "as it is shipped" if same else "built for this run", "machine": machine(),
          "runs": rows})
    print(table(["condition", "exit", "class", "equal", "seconds"], [
        [r["condition"], str(r["exit"]), str(r["class"]), f"{r['equal']}/{r['stages']}", str(r["seconds"])]
        for r in rows]))
    for row in rows:
        for text in row["why"]:
            print(f"  {row['condition']}: {text}")
    return int(any(row["exit"] for row in rows))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "specs/handbook.yaml").resolve()))
