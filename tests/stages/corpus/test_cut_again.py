"""Documents that are cut otherwise: gold by place, the frozen test, and figures by document go on."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from embspec.api import Order, Project
from embspec.plan.values import Wish
from tests.support.mini import SPEC, project
from tests.support.tiny import WORDS, tiny_static_files

CUT = "  chunking: {strategy: structure, tokens: 128, overlap: 0}\n"
BASE = "model:\n  base: {static: {weights: w.safetensors, tokenizer: t.json}}\n"
KNOWN = WORDS.split()
PAGES = 24


def text(number: int) -> str:
    """A page that is many chunks, each with words of its own."""
    blocks = [" ".join(KNOWN[(number * 7 + block * 3 + k * k) % len(KNOWN)] for k in range(40)) for block in range(12)]
    return f"# Page {number}\n\n" + "\n\n".join(f"{block}." for block in blocks) + "\n"


def laid(folder: Path, spec: str) -> Path:
    """The small project with long pages, and gold of every kind: by quote, by span, by chunk, by document."""
    path = project(folder, spec)
    rows = []
    for number in range(PAGES):
        page = text(number)
        (path.parent / "docs" / f"p{number:02}.md").write_text(page, encoding="utf-8")
        blocks = page.split("\n\n")
        start = page.index(blocks[5])
        name = f"docs/p{number:02}.md"
        answer: dict[str, Any] = [
            {"positive": name, "quote": blocks[3]}, {"span": {"document": name, "start": start, "end": start + 90}},
            {"span": f"{name}#{start}-{start + 700}"}, {"positive": name},
            {"positives": [{"quote": blocks[2], "id": name}, {"quote": blocks[4], "id": name, "grade": 2}]},
        ][number % 5]
        rows.append({"query": f"{blocks[3][:40]} {number}", **answer})
    (path.parent / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def artefact(made: Project, stage: str, name: str) -> str:
    """The text of an artefact of the lock."""
    block = made.lock.lock.blocks[stage]
    found = made.world.objects.text((block.out or block.pin)[name].rpartition(" ")[0])
    assert found is not None
    return found


def rows(made: Project, stage: str, name: str) -> list[dict[str, Any]]:
    """Its lines."""
    return [json.loads(line) for line in artefact(made, stage, name).split("\n")[:-1]]


def test_gold_by_place_survives_another_limit(tmp_path: Path) -> None:
    """From 128 tokens to 256 every judgement is of the same characters, and the frozen test is the same list."""
    spec = laid(tmp_path, SPEC.replace("  metadata: [kind]\n", f"  metadata: [kind]\n{CUT}") + BASE)
    tiny_static_files(spec.parent / "w.safetensors", spec.parent / "t.json", dim=8)
    found = []
    for _ in range(2):
        made = Project(str(spec), store=str(tmp_path / "store"), environ={})
        made.build(Order(Wish(to="split")))
        snapshot = {row["id"]: row for row in rows(made, "snapshot", "documents.jsonl")}
        for one in (one for row in rows(made, "pairs.gold", "pairs.jsonl") for one in row["positives"]):
            chunk = snapshot[one["id"]]
            shared = [min(chunk["end"], end) - max(chunk["start"], start)
                      for start, end in one.get("places", [(one["start"], one["end"])])]
            assert all(part > 0 for part in shared)
        found.append((made.lock.lock.blocks["split"].pin["test"], len(snapshot),
                      [row["id"] for row in rows(made, "split", "test.jsonl")]))
        spec.write_text(spec.read_text(encoding="utf-8").replace("tokens: 128", "tokens: 256"), encoding="utf-8")
    (pin, chunks, tests), (then, fewer, again) = found
    assert fewer < chunks and (pin, tests) == (then, again) and len(tests) >= 3


def test_figures_by_document_go_on_and_those_by_text_do_not(tmp_path: Path) -> None:
    """A diff compares the suite by document, over the same queries, and says why it leaves out the one by text."""
    cut = "  chunking: {strategy: sentences, n: 1}\n"
    spec = laid(tmp_path, SPEC.replace("  metadata: [kind]\n", f"  metadata: [kind]\n{cut}")
                .replace("gates:\n", "gates:\n  - recall@5 of bm25 on documents >= 0.1\n"))
    made = Project(str(spec), store=str(tmp_path / "store"), environ={})
    made.build()
    gate = made.lock.lock.blocks["gates"].stat["recall@5 on documents of bm25 >= 0.1"]
    assert gate.startswith("pass ")
    before = spec.with_suffix(".lock").read_text(encoding="utf-8")
    (spec.parent / "old.lock").write_text(before, encoding="utf-8")
    spec.write_text(spec.read_text(encoding="utf-8").replace("n: 1}", "n: 3}"), encoding="utf-8")
    made = Project(str(spec), store=str(tmp_path / "store"), environ={})
    made.build()
    after = [row for row in rows(made, "evaluate", "scores") if row["suite"] == "documents"]
    assert {row["query"] for row in after} == {row["id"] for row in rows(made, "split", "test.jsonl")}
    diff = made.diff(str(spec.parent / "old.lock"), str(spec.with_suffix(".lock")))
    assert {change.suite for change in diff.metrics} == {"documents"}
    assert {(change.n, change.unpaired) for change in diff.metrics} == {(len(after), 0)}
    assert any(said.startswith("domain: the documents are cut otherwise") for said in diff.unknown)
    assert "bm25 on documents" in made.lock.figures
