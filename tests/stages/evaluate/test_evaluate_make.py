"""What is ranked and how it is scored."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from embspec.errors import EmbspecError
from embspec.plan.protocol import Made
from tests.support.benches import Bench, params, question, slow_ranking, slow_scores


def evaluated(bench: Bench, **changed: Any) -> Made:
    """Both stages: the tokenizer, then the evaluation."""
    asked = params(**changed)
    bench.make("lexical", asked)
    return bench.make("evaluate", asked)


@pytest.mark.parametrize("seed", range(5))
def test_rankings_and_scores_equal_a_slow_reference(tmp_path: Path, seed: int) -> None:
    """On random graded data every ranking and every metric is that of the formulas, ties by id included."""
    random_ = random.Random(seed)
    vocabulary = [f"word{n}" for n in range(25)]
    texts = {f"d{n:02}": " ".join(random_.choices(vocabulary, k=random_.randint(1, 9))) for n in range(40)}
    asked = [
        question(
            f"q{n}",
            " ".join(random_.choices([*vocabulary, "unseen"], k=3)),
            *[(id, random_.randint(1, 3)) for id in random_.sample(sorted(texts), random_.randint(1, 4))],
        )
        for n in range(15)
    ]
    bench = Bench(tmp_path, texts)
    bench.split("test", asked)
    metrics = [f"{word}@{k}" for word in ("recall", "precision", "mrr", "ndcg", "hit_rate") for k in (1, 3, 10)]
    evaluated(bench, eval__metrics=metrics, corpus__dedup__exact=False)
    for row, run, scored in zip(asked, bench.rows("evaluate/runs"), bench.rows("evaluate/scores"), strict=True):
        assert run["query"] == scored["query"] == row["id"]
        assert run["ids"] == slow_ranking(texts, row["query"], 100)
        grades = {p["id"]: p["grade"] for p in row["positives"]}
        slow = {name: value for k in (1, 3, 10) for name, value in slow_scores(run["ids"], grades, k).items()}
        assert scored["scores"] == pytest.approx(slow, abs=1e-12)


def test_rows_name_all_that_a_later_stage_needs(tmp_path: Path) -> None:
    """A run has its ranking with grades, a score has every metric; both say suite, system, question and cluster."""
    bench = Bench(tmp_path, {"a": "kelp dries", "b": "kelp grows"})
    bench.split("test", [question("q1", "dries", ("a", 2), ("b", 1))])
    made = evaluated(bench)
    names = {
        "suite": "domain",
        "system": "bm25",
        "dim": None,
        "precision": None,
        "query": "q1",
        "cluster": "a",
        "slices": [],
    }
    assert bench.rows("evaluate/runs") == [{**names, "ids": ["a"], "gains": [2], "ideal": [2, 1]}]
    (scored,) = bench.rows("evaluate/scores")
    assert scored == {**names, "scores": {"recall@5": 0.5, "mrr@10": 1.0, "ndcg@10": pytest.approx(0.826235, abs=1e-6)}}
    assert made.stat == {"bm25": "recall@5 0.5 mrr@10 1.0 ndcg@10 0.8262 n=1"}
    assert made.counts == {"rows": 1}


def test_duplicates_of_a_positive_are_one_relevance_class(tmp_path: Path) -> None:
    """Another copy of the right text is right too, once; the spec can switch that off."""
    bench = Bench(tmp_path, {"a": "kelp dries slowly", "b": "kelp dries slowly", "c": "slowly kelp dries out there"})
    bench.split("test", [question("q1", "kelp dries", "b")])
    evaluated(bench)
    (run,) = bench.rows("evaluate/runs")
    assert (run["ids"], run["gains"], run["ideal"]) == (["a", "b", "c"], [1, 0, 0], [1])
    evaluated(bench, corpus__dedup__exact=False)
    (run,) = bench.rows("evaluate/runs")
    assert (run["gains"], run["ideal"]) == ([0, 1, 0], [1])


def test_two_judged_copies_count_once_with_the_higher_grade(tmp_path: Path) -> None:
    """Both copies of a text as positives are one thing to find, at the higher grade."""
    bench = Bench(tmp_path, {"a": "kelp dries", "b": "kelp dries", "c": "kelp grows"})
    bench.split("test", [question("q1", "kelp", ("a", 1), ("b", 3), ("c", 1))])
    evaluated(bench)
    (run,) = bench.rows("evaluate/runs")
    assert (run["gains"], run["ideal"]) == ([3, 0, 1], [3, 1])


def test_titles_tell_copies_apart(tmp_path: Path) -> None:
    """The same text under another title is another document, as the manifest says."""
    bench = Bench(tmp_path, {"a": ("Summer", "kelp dries"), "b": ("Winter", "kelp dries")})
    bench.split("test", [question("q1", "kelp", "b")])
    evaluated(bench)
    (run,) = bench.rows("evaluate/runs")
    assert (run["gains"], run["ideal"]) == ([0, 1], [1])


def test_a_document_equal_to_the_question_is_skipped(tmp_path: Path) -> None:
    """A copy of the question is no answer; it leaves the ranking, and what is behind it moves up."""
    bench = Bench(tmp_path, {"echo": "kelp dries", "right": "kelp dries on racks", "far": "racks"})
    bench.split("test", [question("q1", " kelp  dries ", "right")])
    evaluated(bench)
    (run,) = bench.rows("evaluate/runs")
    assert run["ids"] == ["right"]


def test_a_right_answer_is_never_skipped(tmp_path: Path) -> None:
    """Where the positive is word for word the question it can be found, else the query could not be scored fairly."""
    bench = Bench(tmp_path, {"faq": "kelp dries", "other": "kelp dries on racks"})
    bench.split("test", [question("q1", "kelp dries", "faq")])
    evaluated(bench)
    assert bench.rows("evaluate/scores")[0]["scores"]["mrr@10"] == 1.0


def test_the_id_of_a_question_is_not_that_of_a_document(tmp_path: Path) -> None:
    """Questions and documents are numbered apart: a shared id means nothing."""
    bench = Bench(tmp_path, {"1": "kelp dries on racks", "2": "kelp"})
    bench.split("test", [question("1", "kelp dries", "1")])
    evaluated(bench)
    assert bench.rows("evaluate/runs")[0]["ids"] == ["1", "2"]


@pytest.mark.parametrize(("metrics", "depth"), [(["recall@5"], 100), (["recall@5", "recall@130"], 130)])
def test_runs_are_kept_deep(tmp_path: Path, metrics: list[str], depth: int) -> None:
    """A run holds 100 ranks, or as many as the deepest metric needs, so that other metrics come from it."""
    bench = Bench(tmp_path, {f"d{n:03}": "kelp dries" for n in range(150)})
    bench.split("test", [question("q1", "kelp", "d149")])
    evaluated(bench, eval__metrics=metrics, corpus__dedup__exact=False)
    assert len(bench.rows("evaluate/runs")[0]["ids"]) == depth


def test_marks_of_the_split_are_slices(tmp_path: Path) -> None:
    """Leaking, disjoint and grown questions are marked; without a look at leaks nothing is called disjoint."""
    bench = Bench(tmp_path, {"a": "kelp"})
    bench.split(
        "test",
        [
            question("q1", "kelp", "a", leaking=True, grown=False),
            question("q2", "kelp", "a", leaking=False, grown=True),
            question("q3", "kelp", "a", grown=False),
        ],
    )
    evaluated(bench)
    assert [row["slices"] for row in bench.rows("evaluate/scores")] == [["leaking"], ["grown", "disjoint"], []]


def test_suites_are_told_apart(tmp_path: Path) -> None:
    """Each suite has rows and figures of its own; those of domain need no word more."""
    bench = Bench(tmp_path, {"a": "kelp", "b": "boat"})
    bench.split("test", [question("q1", "kelp", "a")])
    bench.split("validation", [question("q2", "boat", "a")])
    made = evaluated(bench, eval__metrics=["mrr@10"], **{"eval.suites.early.split": "validation"})
    assert [(row["suite"], row["query"]) for row in bench.rows("evaluate/runs")] == [("domain", "q1"), ("early", "q2")]
    assert made.stat == {"bm25": "mrr@10 1.0 n=1", "bm25 on early": "mrr@10 0.0 n=1"}


def test_no_questions_are_counted_not_averaged(tmp_path: Path) -> None:
    """An empty test part gives no figure, and says so with a count of 0."""
    bench = Bench(tmp_path, {"a": "kelp"})
    bench.split("test", [])
    assert evaluated(bench).stat == {"bm25": "n=0"}
    assert bench.needs["evaluate/runs"].read_bytes() == b""


@pytest.mark.parametrize(("system", "code"), [("tuned", "spec.conflict"), ("tuned+rerank", "spec.not-built")])
def test_nothing_is_measured_under_another_name(tmp_path: Path, system: str, code: str) -> None:
    """A system that cannot be run is an error that names the field; it never gets the figures of another."""
    bench = Bench(tmp_path, {"a": "kelp"})
    bench.split("test", [question("q1", "kelp", "a")])
    with pytest.raises(EmbspecError) as caught:
        evaluated(bench, eval__systems=[system])
    (problem,) = caught.value.problems
    assert (problem.code, problem.field) == (code, "eval.systems") and system in problem.text


def test_questions_without_known_words_score_nothing(tmp_path: Path) -> None:
    """A question of stop words alone ranks nothing and scores 0 in every metric."""
    bench = Bench(tmp_path, {"a": "kelp"})
    bench.split("test", [question("q1", "what is it", "a")])
    evaluated(bench, eval__metrics=["recall@5", "precision@5", "mrr", "ndcg@10", "hit_rate@1"])
    assert set(bench.rows("evaluate/scores")[0]["scores"].values()) == {0.0}


def test_texts_may_hold_any_line_separator(tmp_path: Path) -> None:
    """Only a line feed ends a row: Unicode's own separators in ids and questions split nothing."""
    odd = "a\u2028b\x85c"
    bench = Bench(tmp_path, {odd: "kelp\u2028dries", "z": "kelp\u2028dries"})
    bench.split("test", [question("q\u2029", "kelp\u2028?", odd)])
    evaluated(bench)
    (run,) = bench.rows("evaluate/runs")
    assert (run["ids"], run["gains"]) == ([odd, "z"], [1, 0])
