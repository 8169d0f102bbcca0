"""The pairs of the lock, from the command line."""
from __future__ import annotations

import json
from pathlib import Path

from embspec.errors import USAGE
from tests.support.command import embspec
from tests.support.harbour import SPEC


def test_pairs_go_to_stdout_or_into_a_file(built: Path) -> None:
    """One line a question; a file is told with its lines; only what is known is exported."""
    said = embspec("pairs", "export", SPEC)
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert (said.exit, said.err) == (0, "") and rows and all(row["positives"] for row in rows)
    told = embspec("pairs", "export", "--format", "bge", "--source", "gold", "-o", "there/x.jsonl", "--json").json
    assert (told["lines"], told["file"], told["format"]) == (len(rows), "there/x.jsonl", "bge")
    assert [json.loads(line)["query"] for line in Path("there/x.jsonl").read_text("utf-8").splitlines()] == [
        row["query"] for row in rows]
    assert embspec("pairs", "export", "-o", "y.csv", "--format", "csv").err.startswith("y.csv: ")
    for words in ([], ["import"], ["export", "--source", "none"], ["export", "--json"]):
        assert embspec("pairs", *words).exit == USAGE
