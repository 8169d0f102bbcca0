"""Ranking metrics against slow references and pytrec_eval."""
from __future__ import annotations

import math
import random

import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.measure.metrics import METRICS, full_name, gains, score, split_name

IDS = [f"d{at:02d}" for at in range(30)]
JUDGED = st.dictionaries(st.sampled_from(IDS), st.integers(0, 4).map(float), min_size=1, max_size=12).filter(
    lambda judged: any(judged.values())
)
RANKINGS = st.permutations(IDS).flatmap(lambda ids: st.integers(0, 30).map(lambda k: ids[:k]))
# Ours and pytrec_eval's name of the same thing; it has no MRR@k.
SAME = {
    "recall@5": "recall_5",
    "recall@100": "recall_100",
    "precision@5": "P_5",
    "precision@20": "P_20",
    "ndcg@5": "ndcg_cut_5",
    "ndcg@10": "ndcg_cut_10",
    "mrr": "recip_rank",
    "hit_rate@1": "success_1",
    "hit_rate@10": "success_10",
}


@settings(max_examples=200)
@given(RANKINGS, JUDGED)
def test_equals_pytrec_eval(ranking: list[str], judged: dict[str, float]) -> None:
    """Graded data with gaps: fed 2^grade - 1 and distinct scores made from ranks, it gives our numbers."""
    grades = {"q": {name: 2 ** int(grade) - 1 for name, grade in judged.items()}}
    run = {"q": {name: float(len(ranking) - rank) for rank, name in enumerate(ranking)} or {"none": 1.0}}
    theirs = pytrec_eval.RelevanceEvaluator(grades, set(SAME.values())).evaluate(run)["q"]
    found = gains(ranking, judged)
    assert {name: score(name, *found) for name in SAME} == pytest.approx(
        {name: theirs[other] for name, other in SAME.items()}, abs=1e-11
    )


def test_equals_pytrec_eval_over_many_queries() -> None:
    """The mean over two hundred random queries agrees to the last digits."""
    rng = random.Random(11)
    names = [f"x{at}" for at in range(400)]
    judged = {f"q{at}": {name: rng.choice([0, 1, 1, 2, 3]) for name in rng.sample(names, 15)} for at in range(200)}
    for grades in judged.values():
        grades[rng.choice(names)] = 1
    runs = {query: rng.sample(names, 100) for query in judged}
    theirs = pytrec_eval.RelevanceEvaluator(
        {query: {name: 2**grade - 1 for name, grade in grades.items()} for query, grades in judged.items()},
        set(SAME.values()),
    ).evaluate({query: {name: 1000.0 - at for at, name in enumerate(ids)} for query, ids in runs.items()})
    for name, other in SAME.items():
        ours = [score(name, *gains(runs[query], judged[query])) for query in judged]
        assert math.fsum(ours) == pytest.approx(math.fsum(theirs[query][other] for query in judged), abs=1e-9)


@settings(max_examples=100)
@given(RANKINGS, JUDGED, st.integers(1, 40))
def test_equals_the_definitions(ranking: list[str], judged: dict[str, float], k: int) -> None:
    """Each metric as a person would count it, MRR@k too."""
    relevant = {name for name, grade in judged.items() if grade}
    top = ranking[:k]
    hits = [rank for rank, name in enumerate(top, 1) if name in relevant]
    best = sorted((judged[name] for name in relevant), reverse=True)[:k]
    ideal = sum((2**grade - 1) / math.log2(rank + 1) for rank, grade in enumerate(best, 1))
    won = sum((2 ** judged[top[rank - 1]] - 1) / math.log2(rank + 1) for rank in hits)
    wanted = {
        f"recall@{k}": len(hits) / len(relevant),
        f"precision@{k}": len(hits) / k,
        f"hit_rate@{k}": float(bool(hits)),
        f"mrr@{k}": 1 / hits[0] if hits else 0.0,
        f"ndcg@{k}": won / ideal,
    }
    found = gains(ranking, judged)
    assert {name: score(name, *found) for name in wanted} == pytest.approx(wanted, abs=1e-11)
    assert all(0 <= score(name, *found) <= 1 for name in wanted)


def test_duplicates_of_a_positive_are_one_class() -> None:
    """The first copy gets the class's best grade, a later one keeps its rank and gains nothing; none is missing."""
    judged = {"a": 1.0, "a2": 2.0, "b": 1.0, "c": 0.0}
    same = {"a": "a", "a2": "a", "a3": "a"}
    found, ideal = gains(["a3", "a", "c", "b", "x"], judged, same)
    assert (found, ideal) == ([2.0, 0.0, 0.0, 1.0, 0.0], [2.0, 1.0])
    assert score("recall@2", found, ideal) == 0.5
    assert score("precision@2", found, ideal) == 0.5
    assert score("recall@4", found, ideal) == 1.0
    assert gains(["a3", "a", "c", "b", "x"], judged) == ([0.0, 1.0, 0.0, 1.0, 0.0], [2.0, 1.0, 1.0])


@settings(max_examples=100)
@given(RANKINGS, JUDGED, st.integers(1, 40))
def test_a_copy_in_the_corpus_never_helps_or_hurts_the_best_ranking(
    ranking: list[str], judged: dict[str, float], k: int
) -> None:
    """With classes, whichever copy is retrieved in a positive's place, the scores are the same."""
    same = {name: name for name in judged} | {f"{name}'": name for name in judged}
    swapped = [f"{name}'" if name in judged else name for name in ranking]
    assert gains(swapped, judged, same) == gains(ranking, judged)


def test_a_query_without_a_relevant_document_is_an_error() -> None:
    """It has no score; dropping it in silence would change the mean."""
    with pytest.raises(ValueError, match="without a relevant document"):
        score("recall@10", [0.0], [])


def test_names() -> None:
    """One spelling per metric, and the table's entries all work."""
    assert split_name("hit@3") == ("hit_rate", 3)
    assert split_name("mrr") == ("mrr", None)
    assert full_name("hit@3") == "hit_rate@3"
    assert full_name("ndcg@10") == "ndcg@10"
    assert {name: score(f"{name}@1", [1.0], [1.0]) for name in METRICS} == dict.fromkeys(METRICS, 1.0)
