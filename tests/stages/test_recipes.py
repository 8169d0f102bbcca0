"""The recipe of a shared algorithm is one number, and a stage names those whose code it runs."""
from __future__ import annotations

import ast
from pathlib import Path

import pytest

from embspec.stages import counted, encoder, reranker
from embspec.stages.street import SHARED, STREET

PACKAGE = Path(__file__).parents[2] / "embspec"
# What a shared module brings along.
THROUGH = {"stages.encoder": {"encode"}, "stages.ranking": {"encode", "knn", "quantize"}, "stages.snapshot": {"bm25"},
           "stages.counted": {"bm25"}}
NAMED_OTHERWISE = {"tokenize": "bm25"}


def used(folder: Path) -> set[str]:
    """The shared algorithms that a stage's files import; a name out of `snapshot` brings BM25 where it ranks."""
    found: set[str] = set()
    for path in sorted(folder.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not node.module:
                continue
            module, names = node.module.removeprefix("embspec."), {alias.name for alias in node.names}
            if module == "retrieval":
                found |= names
            elif module.startswith("retrieval."):
                found.add(module.split(".")[1])
            elif module == "stages.snapshot":
                found |= {"bm25"} if {"lexical", "Lexical"} & names else set()
            elif module == "stages.reranker":
                found |= {"encode", "rerank"} if "Reranker" in names else set()
            elif module in THROUGH:
                found |= THROUGH[module]
            elif module.startswith("measure."):
                found |= {"metrics"} if module == "measure.metrics" else set()
    return {NAMED_OTHERWISE.get(name, name) for name in found}


def test_the_bank_and_the_keys_have_one_recipe() -> None:
    """Rows that were kept under another recipe are never taken for today's."""
    assert SHARED["encode"] == encoder.RECIPE
    assert SHARED["rerank"] == reranker.RECIPE
    assert SHARED["bm25"] == counted.RECIPE


@pytest.mark.parametrize("stage", [s for s in STREET if s.make], ids=lambda s: s.name)
def test_a_stage_names_the_recipes_it_runs(stage: object) -> None:
    """What it imports of the shared algorithms is in its `uses`, so that a raised recipe reaches it."""
    folder = PACKAGE / Path(*stage.make.split(":")[0].split(".")[1:-1])  # type: ignore[attr-defined]
    assert used(folder) & set(SHARED) <= set(stage.uses), stage.name  # type: ignore[attr-defined]
