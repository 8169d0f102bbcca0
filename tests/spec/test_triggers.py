"""Conditions of `retrain_when`."""
from __future__ import annotations

import pytest

from embspec.spec.triggers import canonical

GOOD = [
    ("corpus_changed > 0.20", "corpus_changed > 0.2"),
    ("corpus_changed>.2", "corpus_changed > 0.2"),
    ("age_days  >  180", "age_days > 180"),
    ("fresh_queries < 1e2", "fresh_queries < 100"),
    ("base_revision_changed", "base_revision_changed"),
    ("recall@10 on fresh < locked - 0.030 @ 95", "recall@10 on fresh < locked - 0.03 @95"),
    ("hit@5 < locked", "hit_rate@5 < locked"),
    ("mrr on fresh < locked - 0", "mrr on fresh < locked"),
]


@pytest.mark.parametrize(("text", "line"), GOOD)
def test_a_condition_has_one_spelling(text: str, line: str) -> None:
    """Blanks and the spelling of numbers mean nothing, and the canonical line is its own."""
    assert canonical(text) == (line, "", "")
    assert canonical(line) == (line, "", "")


@pytest.mark.parametrize(
    "text",
    ["corpus_changed", "corpus_changed < 0.2", "corpus_changed > 20", "corpus_chnged > 0.2", "age_days > soon",
     "base_revision_changed > 1", "recall < locked", "recall@10 < base", "recall@10 < locked @5", "", "fresh"],
)  # fmt: skip
def test_what_is_no_condition_is_explained(text: str) -> None:
    """With what to write instead."""
    line, problem, fix = canonical(text)
    assert not line
    assert problem
    assert fix
