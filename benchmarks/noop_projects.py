"""The same work twice: a project of embspec's, and a DVC pipeline of as many stages over the same files."""
from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

DVC = "3.67.1"
HERE = Path(__file__).parent
SPEC = """embspec: 1
name: bench
corpus:
  path: docs/**/*.md
pairs:
  - {name: gold, path: gold.jsonl, trust: gold, roles: [test, validation]}
split:
  test: 0.5
  validation: 0.3
  min_queries: {test: 5, validation: 5}
gates:
  - recall@10 of bm25 >= 0.2
"""
# Name, what it depends on, its command: embspec's eight stages as copies of bytes.
DVC_STAGES = (
    ("corpus", ("docs",), "cat docs/*/*.md > corpus.txt"),
    ("snapshot", ("corpus.txt",), "cp corpus.txt snapshot.txt"),
    ("pairs", ("gold.jsonl", "snapshot.txt"), "cp gold.jsonl pairs.txt"),
    ("split", ("pairs.txt", "snapshot.txt"), "cp pairs.txt split.txt"),
    ("lexical", ("split.txt", "snapshot.txt"), "head -c 99 split.txt > lexical.txt"),
    ("evaluate", ("split.txt", "snapshot.txt", "lexical.txt"), "cat split.txt lexical.txt > evaluate.txt"),
    ("gates", ("evaluate.txt",), "head -c 99 evaluate.txt > gates.txt"),
    ("report", ("split.txt", "evaluate.txt", "gates.txt"), "cat evaluate.txt gates.txt > report.txt"),
)


class Bench(NamedTuple):
    """Where everything of one benchmark lies."""

    folder: Path
    env: Mapping[str, str]

    @property
    def embspec(self) -> str:
        """The installed command."""
        return str(self.folder / "venv/bin/embspec")

    @property
    def dvc(self) -> str:
        """DVC's command, in an environment that is kept between benchmarks."""
        return str(HERE / ".venv/bin/dvc")

    @property
    def ours(self) -> str:
        """embspec's project."""
        return str(self.folder / "ours")

    @property
    def theirs(self) -> str:
        """DVC's project."""
        return str(self.folder / "theirs")


def bench(folder: Path) -> Bench:
    """A benchmark below a folder: no home, no store and no settings but its own."""
    (folder / "home").mkdir()
    return Bench(folder, {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(folder / "home"),
        "EMBSPEC_STORE": str(folder / "store"),
        "DVC_NO_ANALYTICS": "1",
        "DVC_STUDIO_OFFLINE": "1",
        "DVC_SITE_CACHE_DIR": str(folder / "site"),
    })


def prepare(at: Bench, count: int) -> dict[str, float]:
    """Both projects, built; the seconds that each first build took."""
    documents(Path(at.ours, "specs"), count)
    shutil.copytree(Path(at.ours, "specs"), at.theirs)
    Path(at.ours, "specs/bench.yaml").write_text(SPEC, encoding="utf-8")
    _dvc_environment(at)
    install(at)
    for folder in (at.ours, at.theirs):
        _run(["git", "init", "--quiet"], folder, at.env)
    _run([at.dvc, "init", "--quiet"], at.theirs, at.env)
    for name, needs, command in DVC_STAGES:
        deps = [word for need in needs for word in ("--deps", need)]
        made = ["--outs", command.split()[-1]]
        _run([at.dvc, "stage", "add", "--quiet", "--name", name, *deps, *made, command], at.theirs, at.env)
    return {
        "embspec": _run([at.embspec, "build"], at.ours, at.env),
        "dvc": _run([at.dvc, "repro"], at.theirs, at.env),
    }


def documents(folder: Path, count: int) -> None:
    """Markdown files of about 1.5 kB in twenty folders, and a question for every 33rd."""
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghijklmnoprstuvwy", k=rng.randint(3, 9))) for _ in range(4000)]
    folder.mkdir(parents=True)
    with open(folder / "gold.jsonl", "w", encoding="utf-8") as gold:
        for i in range(count):
            name = f"docs/{i % 20:02}/{i:05}.md"
            text = rng.choices(words, k=220)
            parts = [" ".join(text[at:at + 55]) for at in range(0, 220, 55)]
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(f"# {text[0]} {text[1]}\n\n" + "\n\n".join(parts) + "\n", encoding="utf-8")
            if i % 33 == 0:
                gold.write(json.dumps({"query": " ".join(rng.sample(text, 4)), "positive": name}) + "\n")


def install(at: Bench) -> None:
    """embspec as users have it: installed, not editable, in an environment that borrows this one's packages."""
    venv, source = at.folder / "venv", at.folder / "source"
    source.mkdir()
    shutil.copytree(HERE.parent / "embspec", source / "embspec", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(HERE.parent / name, source)
    _run([sys.executable, "-m", "venv", "--without-pip", str(venv)], at.ours, os.environ)
    packages = next(venv.glob("lib/python*/site-packages"))
    (packages / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    _pip(["--python", str(venv / "bin/python"), "install", "--no-deps", "--no-build-isolation", str(source)])


def _dvc_environment(at: Bench) -> None:
    venv = Path(at.dvc).parent.parent
    if not Path(at.dvc).exists():
        _run([sys.executable, "-m", "venv", "--without-pip", str(venv)], str(HERE), os.environ)
        _pip(["--python", str(venv / "bin/python"), "install", "-r", str(HERE.parent / "requirements/bench.txt")])


def _pip(args: Sequence[str]) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *args]
    _run(command, str(HERE), os.environ)


def _run(args: Sequence[str], folder: str, env: Mapping[str, str]) -> float:
    """A step of the preparation, and the seconds it took."""
    start = time.perf_counter()
    done = subprocess.run(args, cwd=folder, env=env, capture_output=True, text=True)
    if done.returncode:
        said = f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
        raise SystemExit(f"{' '.join(args)} ended with {done.returncode}:\n{said}")
    return round(time.perf_counter() - start, 2)
