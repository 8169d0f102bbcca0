"""Formats: each real shape gives the pairs of its golden file, told by `format` or found by `auto`."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from embspec.stages.pairs.make import make
from tests.support.trees import MemoryTree, run

GOLDEN = Path(__file__).parents[2] / "golden" / "pairs"
TICKETS = {"id": "ticket.id", "query": "ticket.subject", "positive": "resolution.article"}
CALLS = {"session": "call", "query": "turns.0.said", "quote": "turns.1.said"}

# Folder, the formats that read it, and what else the spec says.
CASES: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
    ("embspec", ("auto", "embspec"), {}),
    ("csv", ("auto", "csv"), {}),
    ("beir", ("auto", "beir"), {"pairs.path": "beir", "pairs.qrels": "test"}),
    ("bge", ("auto", "bge"), {}),
    ("cohere", ("auto", "cohere"), {}),
    ("tevatron", ("auto", "tevatron"), {}),
    ("llamaindex", ("auto", "llamaindex"), {}),
    ("faq_csv", ("auto", "faq"), {}),
    ("faq_yaml", ("auto", "faq"), {}),
    ("faq_markdown", ("auto", "faq"), {}),
    ("tickets", ("auto", "embspec"), {f"pairs.fields.{key}": name for key, name in TICKETS.items()}),
    ("transcripts", ("auto", "embspec"), {f"pairs.fields.{key}": name for key, name in CALLS.items()}),
    ("headings", ("auto",), {"pairs.path": None, "pairs.from": "headings"}),
]


def pairs(folder: Path, name: str, form: str, more: dict[str, Any]) -> bytes:
    """What a source gives."""
    files = {path.relative_to(GOLDEN / name).as_posix(): path.read_bytes()
             for path in (GOLDEN / name).rglob("*") if path.is_file() and path.name != "expected.jsonl"}
    # The FAQ in Markdown is a document of the corpus itself, and known by its path there.
    tree = MemoryTree({file if name == "faq_markdown" else f"{name}/{file}": data for file, data in files.items()})
    params = {"name": "gold", "pairs.path": "**/*", "pairs.from": None, "pairs.format": form, "pairs.qrels": None,
              "split.time_column": "ticket.opened" if name == "tickets" else None, **more}
    _, out = run(make, folder, params, {"live": tree, "snapshot/documents.jsonl": GOLDEN / "documents.jsonl"})
    return (out / "pairs.jsonl").read_bytes()


@pytest.mark.parametrize(("name", "forms", "more"), CASES, ids=[case[0] for case in CASES])
def test_golden(
    name: str, forms: tuple[str, ...], more: dict[str, Any], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The same bytes whether the format is named or found; `pytest tests/stages/pairs --pin` writes them anew."""
    expected = GOLDEN / name / "expected.jsonl"
    for form in forms:
        found = pairs(tmp_path / form, name, form, more)
        if request.config.getoption("--pin"):
            expected.write_bytes(found)
        assert found == expected.read_bytes()
