"""The forms of mined examples, against the trainer that knows them."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from embspec.stages.forms import FORMS
from tests.support.tiny import tiny_static

CORPUS = ["red boat", "blue boat", "old boat", "red gate", "old ship", "oil"]


def test_rows_are_those_of_mine_hard_negatives(tmp_path: Path) -> None:
    """Fed with what it mined, each form has its columns and its rows, to the last text."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import mine_hard_negatives

    model = SentenceTransformer(str(tiny_static(tmp_path)), device="cpu")
    pairs = Dataset.from_dict({"query": ["boat", "gate", "ship"], "positive": ["red boat", "red gate", "old ship"]})

    def mined(form: str) -> list[dict[str, Any]]:
        found = mine_hard_negatives(pairs, model, corpus=CORPUS, num_negatives=2, range_max=5, output_format=form,
                                    verbose=False)
        return [dict(row) for row in found]

    listed = mined("labeled-list")
    examples = [{"query": row["query"], "positives": [{"text": row["positive"][0]}],
                 "negatives": [{"text": text} for text in row["positive"][1:]]} for row in listed]
    assert {len(example["negatives"]) for example in examples} == {2}

    def ours(form: str) -> list[dict[str, Any]]:
        return [row for example in examples for row in FORMS[form](example, 2)]

    assert ours("triplet") == mined("triplet")
    assert ours("n-tuple") == mined("n-tuple")
    assert ours("pairs") == list(pairs)
    assert [(row["query"], row["documents"], row["labels"]) for row in ours("scored")] == [
        (row["query"], row["positive"], row["labels"]) for row in listed]
