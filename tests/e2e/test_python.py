"""What Python users hold does what the commands do."""
from __future__ import annotations

from pathlib import Path

import pytest

from embspec import Project
from embspec.errors import EmbspecError
from tests.support.command import embspec
from tests.support.harbour import LOCK, SPEC, STAGES, edit


def test_plan_build_metrics(harbour: Path) -> None:
    """The three lines of the manual, from nothing to figures."""
    project = Project(str(SPEC))
    assert [step.node.name for step in project.plan().work] == STAGES
    outcome = project.build()
    assert list(outcome.done) == STAGES and not outcome.plan.work
    assert project.lock.metrics["recall@10 bm25"] == 1.0
    assert project.lock.verdict == "green"
    assert embspec("lock", "--check").exit == 0


def test_a_red_verdict_is_an_outcome_and_an_invalid_input_an_error(built: Path) -> None:
    """What was measured is returned, what was wrong is raised with every problem."""
    edit(SPEC, "recall@10 of bm25 >= 0.5", "mrr@10 of bm25 >= 0.99")
    assert Project().build().plan.verdict == "red"
    edit(SPEC, "gold.jsonl", "silver.jsonl")
    with pytest.raises(EmbspecError) as caught:
        Project().build()
    assert [problem.code for problem in caught.value.problems] == ["input.missing"]
    assert str(caught.value.problems[0].where) == "specs/harbour.yaml:6:18"


def test_sets_ask_and_are_never_built(built: Path) -> None:
    """`sets` is --set: what would run, with nothing remembered of the question, and no lock of what no spec says."""
    lock = LOCK.read_bytes()
    asked = Project(sets=["eval.bm25.k1=0.9"])
    assert [step.node.name for step in asked.plan().work] == ["lexical", "evaluate", "gates", "report"]
    with pytest.raises(EmbspecError) as caught:
        asked.build()
    assert caught.value.problems[0].code == "usage.what-if"
    assert Project().plan().idle and LOCK.read_bytes() == lock
