"""Two versions of embspec that differ in a recipe, over one project: a release makes no lock stale."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from embspec.lock.text import read
from tests.support.harbour import LOCK, SPEC, edit
from tests.support.scenario import GIT

HERE = Path(__file__).parents[2]
THEN, NOW = "2", "3"  # the recipe that the stage has, and that of the newer version
LEXICAL = f'name="lexical",\n        recipe={THEN},'


class Version:
    """One installed embspec, run as a program in the project."""

    def __init__(self, folder: Path, project: Path) -> None:
        self.folder, self.project = folder, project

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        """A command; the store lies beside the project."""
        kept = {name: text for name, text in os.environ.items() if name != "CI"}
        env = {**kept, **GIT, "EMBSPEC_STORE": str(self.project.parent / "store"), "PYTHONPATH": str(self.folder)}
        return subprocess.run([sys.executable, "-m", "embspec", *args], cwd=self.project, env=env, text=True,
                              capture_output=True, check=False)

    def build(self) -> dict[str, list[str]]:
        """The stages that ran, with the fields that were the reason."""
        done = self.run("build", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        stages: list[dict[str, Any]] = json.loads(done.stdout)["stages"]
        return {s["name"]: [why["field"] for why in s["why"]] for s in stages if s["state"] == "run"}


@pytest.fixture
def versions(tmp_path: Path, built: Path) -> tuple[Version, Version]:
    """The one that built the project, and a newer one whose tokenizer stage has another recipe."""
    shutil.copytree(HERE / "embspec", tmp_path / "newer/embspec", ignore=shutil.ignore_patterns("__pycache__"))
    init = tmp_path / "newer/embspec/__init__.py"
    lines = init.read_text().splitlines()
    init.write_text("\n".join('__version__ = "9.9.9"' if "__version__ =" in line else line for line in lines) + "\n")
    edit(tmp_path / "newer/embspec/stages/street.py", LEXICAL, LEXICAL.replace(f"={THEN}", f"={NOW}"))
    older, newer = Version(HERE, built), Version(tmp_path / "newer", built)
    assert older.run("--version").stdout != newer.run("--version").stdout == "embspec 9.9.9\n"
    return older, newer


def recipe(project: Path, stage: str) -> str:
    """The recipe that the lock records."""
    return read((project / LOCK).read_text(), "").blocks[stage].recipe


def test_a_release_makes_no_lock_stale(versions: tuple[Version, Version]) -> None:
    """All is up to date, which recipe it was is said, `--locked` is 0, and the lock is not written."""
    _, newer = versions
    before = (newer.project / LOCK).stat().st_mtime_ns
    assert newer.build() == {}
    assert newer.run("build", "--locked").returncode == newer.run("lock", "--check").returncode == 0
    assert f"    built by recipe {THEN}, now {NOW}\n" in newer.run("plan").stdout
    assert (newer.project / LOCK).stat().st_mtime_ns == before
    env = read((newer.project / LOCK).read_text(), "").envs
    assert all(block["embspec"] != "9.9.9" for block in env.values())


def test_the_new_recipe_applies_where_the_stage_has_to_run(versions: tuple[Version, Version]) -> None:
    """Another stage that runs does not bring it; its own field does, with the recipe among the reasons."""
    _, newer = versions
    edit(newer.project / SPEC, "recall@10 of bm25 >= 0.5", "recall@10 of bm25 >= 0.6")
    assert set(newer.build()) == {"gates", "report"} and recipe(newer.project, "lexical") == THEN
    with open(newer.project / SPEC, "a") as file:
        file.write("eval: {bm25: {k1: 1.3}}\n")
    ran = newer.build()
    assert ran["lexical"] == ["eval.bm25.k1", "recipe"] and recipe(newer.project, "lexical") == NOW


def test_recipes_are_upgraded_on_request(versions: tuple[Version, Version]) -> None:
    """The stages that an older recipe built run by today's, their pins stay, and nothing else moves."""
    older, newer = versions
    assert f"recipes: built by recipe {THEN}, now {NOW} → today's  (lexical)" in newer.run("lock", "--upgrade").stdout
    refused = older.run("lock", "--upgrade", "recipes")
    assert refused.returncode == 2 and "the lock keeps nothing that is called `recipes`" in refused.stderr
    said = newer.run("lock", "--upgrade", "recipes")
    assert said.returncode == 0 and "+ lexical          run" in said.stdout
    assert f"    recipe: {THEN} → {NOW}\n" in said.stdout
    assert newer.build() == {"lexical": ["recipe"]}
    assert recipe(newer.project, "lexical") == NOW and newer.run("build", "--locked").returncode == 0


def test_the_older_version_meets_the_newer_lock(versions: tuple[Version, Version]) -> None:
    """It honours the recipe that it does not have, says so, and leaves the lock alone."""
    older, newer = versions
    newer.run("lock", "--upgrade", "recipes")
    newer.build()
    before = (newer.project / LOCK).read_bytes()
    assert older.build() == {} and older.run("build", "--locked").returncode == 0
    assert f"    built by recipe {NOW}, now {THEN}\n" in older.run("plan").stdout
    assert (newer.project / LOCK).read_bytes() == before
