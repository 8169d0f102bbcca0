"""The tokenizer of BM25: taken from the spec, or chosen on validation."""

from __future__ import annotations

from pathlib import Path

import pytest

from embspec.retrieval.tokenize import TOKENIZERS
from embspec.stages.snapshot import lexical
from tests.support.benches import Bench, params, question, slow_ranking, slow_scores

AUTO = params(eval__bm25__tokenizer="auto")


@pytest.fixture
def codes(tmp_path: Path) -> Bench:
    """Documents that only a reader of codes can tell apart."""
    bench = Bench(
        tmp_path,
        {
            "a": "reset valve PX-200B before start",
            "b": "reset valve PY-300C before start",
            "c": "reset valve before start of shift again",
        },
    )
    bench.split("validation", [question("q1", "which valve is 200", "a"), question("q2", "which valve is 300", "b")])
    return bench


def test_a_named_tokenizer_needs_nothing(tmp_path: Path) -> None:
    """A tokenizer that the spec names is written as it is, and no artefact is opened."""
    bench = Bench(tmp_path, {"a": "text"})
    bench.needs.clear()
    made = bench.make("lexical", params(eval__bm25__tokenizer="char_bigrams"))
    assert bench.json("lexical/tokenizer.json") == {"tokenizer": "char_bigrams"}
    assert bench.json("lexical/tried.json") == {"metric": None, "queries": 0, "tried": {}}
    assert made.stat == {"tokenizer": "char_bigrams"}


def test_auto_takes_the_best_on_validation(codes: Bench) -> None:
    """Where only one tokenizer finds the codes, it is chosen, and every candidate's score is kept."""
    made = codes.make("lexical", AUTO)
    found = codes.json("lexical/tried.json")
    assert codes.json("lexical/tokenizer.json") == {"tokenizer": "identifiers"}
    assert list(found["tried"]) == list(TOKENIZERS)
    assert found["tried"]["identifiers"] == 1.0 > found["tried"]["words"]
    assert made.stat["tokenizer"] == "identifiers"
    assert made.stat["ndcg@10 identifiers"] == 1.0


def test_equal_candidates_leave_the_plainest(tmp_path: Path) -> None:
    """Among equals the first of the table is taken, so that nothing particular is chosen by luck."""
    bench = Bench(tmp_path, {"a": "kelp dries slowly", "b": "boats leave early"})
    bench.split("validation", [question("q1", "kelp", "a")])
    bench.make("lexical", AUTO)
    assert set(bench.json("lexical/tried.json")["tried"].values()) == {1.0}
    assert bench.json("lexical/tokenizer.json")["tokenizer"] == "words"


def test_without_validation_the_plainest_is_taken(tmp_path: Path) -> None:
    """An empty validation part is no reason to fail: the choice says that it stands on no question."""
    bench = Bench(tmp_path, {"a": "kelp"})
    bench.split("validation", [])
    bench.make("lexical", AUTO)
    assert bench.json("lexical/tokenizer.json")["tokenizer"] == "words"
    assert bench.json("lexical/tried.json")["queries"] == 0


def test_the_score_is_that_of_a_slow_reference(tmp_path: Path) -> None:
    """The score of `words` is the mean of nDCG@10 over rankings made by the formula."""
    texts = {f"d{n}": " ".join(f"word{n * k % 7}" for k in range(1, 6)) for n in range(12)}
    asked = [question(f"q{n}", f"word{n} word{n + 1}", (f"d{n}", 2), (f"d{n + 3}", 1)) for n in range(6)]
    bench = Bench(tmp_path, texts)
    bench.split("validation", asked)
    bench.make("lexical", AUTO)
    slow = [
        slow_scores(slow_ranking(texts, row["query"], 10), {p["id"]: p["grade"] for p in row["positives"]}, 10)[
            "ndcg@10"
        ]
        for row in asked
    ]
    assert bench.json("lexical/tried.json")["tried"]["words"] == pytest.approx(sum(slow) / len(slow), abs=1e-9)


def test_an_echo_of_the_question_is_not_ranked(tmp_path: Path) -> None:
    """A document that only repeats the question is left out in any spacing, unless it is the right answer."""
    bench = Bench(tmp_path, {"echo": "how does\n kelp dry", "right": "kelp must dry for a week"})
    words = lexical(bench.needs["snapshot/documents.jsonl"], "words", params(), ["how does kelp dry"])
    assert words.rank("how does kelp dry", ["right"], 10) == ["right"]
    assert words.rank("how does kelp dry", ["right"], 1) == ["right"]
    assert words.rank("how does kelp dry", ["echo"], 10) == ["echo", "right"]
