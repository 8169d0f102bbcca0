"""What a build with nothing to do imports, opens and hashes: counts, never clocks."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import pytest

from embspec.store import world
from embspec.store.objects import file_digest
from tests.support.command import embspec

ROOT = Path(__file__).parents[2]
DOCUMENTS = 24
OLD = 1_700_000_000_123_456_789  # no file is so young that its time stamp says nothing
SPEC = """embspec: 1
name: mini
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

# Exactly these: one more is paid for by every build that has nothing to do.
OURS = [
    "embspec", "embspec.__main__", "embspec.errors",
    "embspec.lock", "embspec.lock.text",
    "embspec.plan", "embspec.plan.canonical", "embspec.plan.keys", "embspec.plan.nodes", "embspec.plan.pins",
    "embspec.plan.plan",
    "embspec.plan.protocol", "embspec.plan.then", "embspec.plan.values", "embspec.plan.words",
    "embspec.stages", "embspec.stages.conditions", "embspec.stages.live", "embspec.stages.street",
    "embspec.store", "embspec.store.files", "embspec.store.live", "embspec.store.memo", "embspec.store.objects",
    "embspec.store.opened", "embspec.store.places", "embspec.store.records", "embspec.store.timings",
    "embspec.store.world",
]

# The six that the design names, and those of the standard library that cost as much as the walk over 1,000 files.
NEVER = [
    "click", "numpy", "pydantic", "ruamel", "torch", "transformers",
    "asyncio", "dataclasses", "importlib.metadata", "inspect", "logging", "pathlib", "random", "shutil", "tempfile",
]


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project, built, all of its files old."""
    docs = tmp_path / "project/specs/docs"
    docs.mkdir(parents=True)
    rows = []
    for i in range(DOCUMENTS):
        words = " ".join(f"word{i * 7 + j:03}" for j in range(20))
        (docs / f"d{i:02}.md").write_text(f"# Page {i}\n\n{words}\n", encoding="utf-8")
        rows.append(json.dumps({"query": f"word{i * 7 + 3:03} word{i * 7 + 4:03}", "positive": f"docs/d{i:02}.md"}))
    (docs.parent / "gold.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (docs.parent / "mini.yaml").write_text(SPEC, encoding="utf-8")
    for path in [*docs.iterdir(), docs.parent / "gold.jsonl"]:
        os.utime(path, ns=(OLD, OLD))
    monkeypatch.chdir(docs.parents[1])
    assert embspec("build").exit == 0
    assert "up to date" in embspec("build").err
    return docs


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The live files that were read to be hashed."""
    seen: list[str] = []

    def counted(path: str) -> tuple[str, int]:
        seen.append(os.path.basename(path))
        return file_digest(path)

    monkeypatch.setattr(world, "file_digest", counted)
    return seen


def modules(args: Sequence[str]) -> set[str]:
    """What a fresh interpreter has imported when a command is done; without `site`, which imports for itself."""
    code = f"""import sys
sys.argv = {["embspec", *args]!r}
from embspec.__main__ import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("\\n" + " ".join(sys.modules))"""
    path = os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")])
    done = subprocess.run([sys.executable, "-S", "-c", code], env={**os.environ, "PYTHONPATH": path},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("args", [["build"], ["build", "--locked", "specs/mini.yaml"], ["build", "--json"]])
def test_the_no_op_imports_exactly_these(built: Path, args: list[str]) -> None:
    """Nothing is imported to find out that there is nothing to do, but the plan and what it asks."""
    found = modules(args)
    assert sorted(m for m in found if m.split(".")[0] == "embspec") == OURS
    assert sorted(found & set(NEVER)) == []


def test_version_imports_nothing(tmp_path: Path) -> None:
    """`embspec --version` knows its version and no more."""
    assert {m for m in modules(["--version"]) if m.startswith("embspec")} == {"embspec", "embspec.__main__"}


def test_a_plan_over_one_changed_document_reads_no_spec(built: Path) -> None:
    """The remembered spec serves every command: neither a YAML reader nor pydantic nor numpy is imported."""
    (built / "d03.md").write_text("# Other\n\nwords\n", encoding="utf-8")
    assert sorted(modules(["plan"]) & {"pydantic", "ruamel", "numpy", "torch"}) == []


def test_the_no_op_hashes_nothing(built: Path, hashed: list[str]) -> None:
    """Size, time and inode say that a file is what it was."""
    assert "up to date" in embspec("build").err
    assert hashed == []


def test_one_touched_file_is_hashed_once(built: Path, hashed: list[str]) -> None:
    """Of a file with another time stamp the bytes decide, once; the rest stays unread."""
    os.utime(built / "d03.md", ns=(OLD, OLD + 1))
    assert "up to date" in embspec("build").err
    assert hashed == ["d03.md"]
    hashed.clear()
    assert "up to date" in embspec("build").err
    assert hashed == []


def test_one_changed_document_is_one_hash(built: Path, hashed: list[str]) -> None:
    """`plan` says what follows from one document after reading that one."""
    (built / "d03.md").write_text("# Other\n\nwords\n", encoding="utf-8")
    os.utime(built / "d03.md", ns=(OLD, OLD + 2))
    said = embspec("plan")
    assert "+ corpus" in said.out
    assert hashed == ["d03.md"]


def test_in_ci_every_byte_is_read_once(built: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A restored cache may carry any time stamp, so CI trusts none, and two stages that read a file share one look."""
    monkeypatch.setenv("CI", "true")
    assert "up to date" in embspec("build").err
    assert len(hashed) == DOCUMENTS + 1 == len(set(hashed))


def test_the_no_op_writes_nothing(built: Path) -> None:
    """Neither lock, nor state, nor store, nor out/ is touched."""
    top, store = built.parents[1], Path(os.environ["EMBSPEC_STORE"])

    def stamps() -> dict[str, int]:
        return {str(p): p.stat().st_mtime_ns for base in (top, store) for p in [base, *base.rglob("*")]}

    before = stamps()
    assert "up to date" in embspec("build").err
    assert stamps() == before


def test_deleted_state_costs_one_reading(built: Path, hashed: list[str]) -> None:
    """The caches under .embspec may go at any time: then each input is read once, and no stage runs."""
    for path in (built.parents[1] / ".embspec").glob("*.cache"):
        path.unlink()
    assert {stage["state"] for stage in embspec("build", "--json").json["stages"]} == {"clean"}
    assert len(hashed) == DOCUMENTS + 1
