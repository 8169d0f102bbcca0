"""The short version of benchmarks/crash.py: builders that are killed while they share a store."""
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
KILLS, BUILDERS = 6, 3


def test_killed_builders_leave_nothing_wrong(tmp_path: Path) -> None:
    """Two in one work tree and one in a clone, 6 SIGKILLs: lock and out/ of an undisturbed build, no byte corrupt."""
    into = tmp_path / "crash.json"
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/crash.py"), "--spec", "tiny", "--kills", str(KILLS), "--builders",
         str(BUILDERS), "--seed", "5", "--into", str(into)],
        capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(into.read_text())["tiny"]
    assert found["kills"] == KILLS == sum(sum(each) for each in found["hit"].values())
    wrong = ("corrupt", "broken", "other_locks", "other_files", "unswept", "processes", "damaged")
    assert {name: found[name] for name in wrong} == dict.fromkeys(wrong, 0)
    assert found["objects"] > 30 and found["records"] >= 15
    assert found["locks"] == 2 * found["rounds"] and found["files"] > 20


def test_the_page_shows_the_last_figures() -> None:
    """docs/reliability.md has the table that the benchmark prints of its results, and nothing in it is wrong."""
    done = subprocess.run([sys.executable, str(ROOT / "benchmarks/crash.py"), "--show"], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    assert f"<!-- crash -->\n{done.stdout}<!-- /crash -->" in page
