"""Given spec, pins and inputs, a build is a pure function: nothing of the machine's day shows in the lock."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from embspec.api import Project
from tests.support.mini import project

WAYS: dict[str, dict[str, str]] = {
    "hash seed": {"PYTHONHASHSEED": "7"},
    "clock": {"TZ": "Pacific/Kiritimati"},
    "language": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "threads": {"OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3"},
    "umask": {"UMASK": "077"},
}


@pytest.mark.parametrize("way", list(WAYS))
def test_another_process_writes_the_same_lock(tmp_path: Path, way: str) -> None:
    """Another folder and store, another hash seed, time zone, language, umask: byte for byte."""
    here = project(tmp_path / "one")
    Project(str(here), store=str(tmp_path / "store-one")).build()
    there = project(tmp_path / "two" / "deeper é")
    code = "import os, sys; os.umask(int(os.environ.get('UMASK', '022'), 8)); from embspec.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "build", "--spec", str(there)],
        check=False,
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "EMBSPEC_STORE": str(tmp_path / "store-two"), **WAYS[way]},
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert there.with_suffix(".lock").read_bytes() == here.with_suffix(".lock").read_bytes()
    outs = [
        {p.name: p.read_bytes() for p in (root / "out" / "mini" / "report").iterdir()}
        for root in (here.parents[1], there.parents[1])
    ]
    assert outs[0] == outs[1] and set(outs[0]) >= {"report.md", "report.json"}


def test_the_order_of_files_and_rows_does_not_show(tmp_path: Path) -> None:
    """Rows of a source in another order are read as the same pairs: the reader runs, nothing after it."""
    spec = project(tmp_path / "mini")
    Project(str(spec)).build()
    path = spec.parent / "gold.jsonl"
    path.write_text("".join(reversed(path.read_text().splitlines(True))))
    assert list(Project(str(spec)).build().done) == ["pairs.gold"]


def test_a_moved_project_is_up_to_date(tmp_path: Path) -> None:
    """Nothing in lock or state names the folder."""
    spec = project(tmp_path / "mini")
    Project(str(spec)).build()
    os.rename(tmp_path / "mini", tmp_path / "moved")
    assert not Project(str(tmp_path / "moved" / "specs" / "mini.yaml")).build().done
    for path in (tmp_path / "moved").rglob("*.lock"):
        assert str(tmp_path) not in path.read_text()
