"""When checkpoints are made and on how much of the pool, and what they measure."""
from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from embspec.stages.split.rows import Documents
from embspec.stages.split.write import write_pool
from embspec.stages.train.checkpoints import LEAST, MOST, PASSES, QUARTER, Bench, Pool, Work, read, times
from embspec.stages.train.model import load
from tests.support.lessons import needs, world
from tests.support.tiny import tiny_static, tiny_transformer


@given(
    st.integers(1, 500), st.floats(0.2, 4.0), st.integers(0, 10**6), st.integers(1, 5000),
    st.lists(st.integers(1, 300), min_size=1, max_size=60), st.integers(0, 60),
)
def test_checkpoints_cost_at_most_a_quarter(
    total: int, epochs: float, training: int, questions: int, pool: list[int], answers: int
) -> None:
    """All checkpoints and the look at the base cost a quarter of training; the answers are ranked whatever it costs."""
    found = times(total, epochs, None, Work(training, questions, pool, min(answers, len(pool))))
    assert found.steps[-1] == total and found.steps == tuple(sorted(set(found.steps))) and found.steps[0] >= 1
    assert len(found.steps) <= max(1, round(MOST * epochs))
    assert min(answers, len(pool)) <= found.documents <= len(pool)
    cost = (len(found.steps) + 1) * (questions + sum(pool[: found.documents]))
    if found.documents > min(answers, len(pool)):
        assert cost <= QUARTER * PASSES * training


def test_a_large_training_is_measured_often_and_on_everything() -> None:
    """Where tokens are plenty there are four checkpoints an epoch over the whole pool, evenly spread."""
    work = Work(10**9, 1000, [100] * 3000, 50)
    assert times(80, 2.0, None, work) == ((10, 20, 30, 40, 50, 60, 70, 80), 3000)
    assert times(3, 1.0, None, work) == ((1, 2, 3), 3000)


def test_fewer_checkpoints_before_a_poor_pool() -> None:
    """An epoch gives up checkpoints before it ranks less than a thousand documents."""
    work = Work(3 * 10**5, 0, [100] * 3000, 50)
    found = times(80, 1.0, None, work)
    assert len(found.steps) == 1 and found.documents == 1125 >= LEAST


def test_a_number_that_was_asked_for_is_kept() -> None:
    """With a number in the spec only the pool is cut, and never below its answers."""
    work = Work(10**4, 100, [100] * 3000, 50)
    assert times(80, 1.0, 10, work) == (tuple(range(8, 81, 8)), 50)
    assert len(times(80, 2.0, 3, Work(10**9, 100, [100] * 3000, 50)).steps) == 6


def pool(metric: str = "mrr", **more: object) -> Pool:
    """One question with one answer among three documents."""
    made = Pool(metric, ["pump valve"], ["pump valve", "pump valve motor", "rain snow"], ["same", "right", "far"], 1,
                [{"right": 1.0}], [frozenset({"same"})])
    return made._replace(**more)


def test_a_checkpoint_scores_the_ranking(tmp_path: Path) -> None:
    """What only repeats the question is skipped; documents behind the ranked head of the pool are not there."""
    model = load(tiny_static(tmp_path / "base"))
    assert Bench(model, pool(), {}).measure() == 1.0
    assert Bench(model, pool(echoes=[frozenset()]), {}).measure() == 0.5
    assert Bench(model, pool("recall@1", echoes=[frozenset()]), {}).measure() == 0.0
    short = Bench(model, pool("recall@1", echoes=[frozenset()], ids=["far", "right", "same"],
                              documents=["rain snow", "pump valve motor", "pump valve"]), {})
    short.size = 2
    assert short.measure() == 1.0


def test_prompts_are_part_of_a_checkpoint(tmp_path: Path) -> None:
    """Questions and documents are read with the prompts of the folder."""
    model = load(tiny_static(tmp_path / "base"))
    asked = pool("recall@1", questions=["motor"], documents=["rain", "motor"], ids=["rain", "motor"],
                 judged=[{"motor": 1.0}], echoes=[frozenset()])
    assert Bench(model, asked, {"query": None}).measure() == 1.0
    assert Bench(model, asked, {"query": "rain rain rain "}).measure() == 0.0
    assert Bench(model, asked, {"document": "rain rain rain "}).measure() == 1.0


def test_a_checkpoint_leaves_nothing_behind(tmp_path: Path) -> None:
    """Measuring runs without dropout, draws no random number and repeats exactly."""
    import torch

    model = load(tiny_transformer(tmp_path / "base", dropout=0.5))
    bench = Bench(model, pool(), {})
    model.train()
    state = torch.get_rng_state()
    assert bench.measure() == bench.measure()
    assert torch.equal(state, torch.get_rng_state())


def test_read_joins_title_and_text_and_finds_echoes(tmp_path: Path) -> None:
    """A pool row is read as title and text; a document that is the question itself is skipped unless it is right."""
    rows = world(rows=1)
    asked = [{"id": "v", "query": " which  pump", "positives": [{"id": "a", "grade": 2}]}]
    some = [{"id": "a", "positive": True, "title": "", "text": "which pump"},
            {"id": "b", "positive": False, "title": "", "text": "which pump "},
            {"id": "c", "positive": False, "title": "Pumps", "text": "which one"}]
    files = needs(tmp_path, tmp_path, rows._replace(validation=asked, pool=some))
    found = read(files["split/validation.jsonl"], files["split/pool.jsonl"], "ndcg@10")
    assert list(found.documents) == ["which pump", "which pump", "Pumps which one"]
    assert (found.answers, found.judged, found.echoes) == (1, [{"a": 2.0}], [frozenset({"b"})])


def test_headings_over_a_chunk_are_read_at_checkpoints_too(tmp_path: Path) -> None:
    """The pool of the split hands them on, so that a checkpoint ranks what the index will hold."""
    row = {"id": "a#9-14", "title": "Pumps", "text": "water", "document": "a", "metadata": {}, "context": "Oil > Gas"}
    (tmp_path / "snapshot").write_text(json.dumps(row) + "\n")
    (tmp_path / "validation").write_text(json.dumps({"query": "q", "positives": [{"id": "a#9-14", "grade": 1}]}) + "\n")
    write_pool(tmp_path / "pool", {"a#9-14"}, Documents(["a#9-14"], {}, {}, {}), tmp_path / "snapshot", 1)
    assert read(tmp_path / "validation", tmp_path / "pool", "ndcg@10").documents == ["Pumps Oil > Gas water"]
