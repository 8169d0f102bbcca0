"""The tokenizer of BM25: taken from the spec, or chosen on validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from embspec.measure.metrics import gains, score
from embspec.retrieval.tokenize import TOKENIZERS
from embspec.stages.lexical import make as module
from embspec.stages.snapshot import lexical
from tests.support.benches import Bench, params, question, slow_ranking, slow_scores
from tests.support.contents import CONTENTS, TEXTS
from tests.support.desk import Desk

AUTO = params(eval__bm25__tokenizer="auto", eval__bm25__language="auto", eval__bm25__stem=True)
ENGLISH = {"tokenizer": "words", "language": "english", "stem": True}


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
    assert list(found["tried"]) == ["words", "simple", "identifiers"]
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
    bench.make("lexical", {**AUTO, "eval.bm25.stem": False, "corpus.dedup.exact": False})
    slow = [
        slow_scores(slow_ranking(texts, row["query"], 10), {p["id"]: p["grade"] for p in row["positives"]}, 10)[
            "ndcg@10"
        ]
        for row in asked
    ]
    assert bench.json("lexical/tried.json")["tried"]["words"] == pytest.approx(sum(slow) / len(slow), abs=1e-9)


@pytest.mark.parametrize(("exact", "worth"), [(True, 1.0), (False, 0.63093)])
def test_a_copy_of_the_answer_is_the_answer(tmp_path: Path, exact: bool, worth: float) -> None:
    """Exact duplicates are one answer, unless the spec takes them apart: then the copy with the lower id is wrong."""
    bench = Bench(tmp_path, {"a": "kelp dries slowly", "b": "kelp dries slowly", "c": "boats leave early"})
    bench.split("validation", [question("q1", "kelp", "b")])
    bench.make("lexical", {**AUTO, "corpus.dedup.exact": exact})
    assert bench.json("lexical/tried.json")["tried"]["words"] == pytest.approx(worth, abs=1e-5)


def test_an_echo_of_the_question_is_not_ranked(tmp_path: Path) -> None:
    """A document that only repeats the question is left out in any spacing, unless it is the right answer."""
    bench = Bench(tmp_path, {"echo": "how does\n kelp dry", "right": "kelp must dry for a week"})
    words = lexical(bench.needs["snapshot/documents.jsonl"], {"tokenizer": "words"}, params(), ["how does kelp dry"],
                    Desk(tmp_path / "desk"))
    assert words.rank("how does kelp dry", ["right"], 10) == ["right"]
    assert words.rank("how does kelp dry", ["right"], 1) == ["right"]
    assert words.rank("how does kelp dry", ["echo"], 10) == ["echo", "right"]


@pytest.mark.parametrize(("asked", "text", "chosen"), [
    ({}, TEXTS["english"], ENGLISH),
    ({}, TEXTS["german"], {**ENGLISH, "language": "german"}),
    ({"eval.bm25.stem": False}, TEXTS["french"], {"tokenizer": "words", "language": "french", "stem": False}),
    ({"eval.bm25.language": "dutch"}, TEXTS["english"], {**ENGLISH, "language": "dutch"}),
    ({}, "日本語の本", {"tokenizer": "words", "language": "none", "stem": False}),
    ({"eval.bm25.language": "none"}, TEXTS["english"], {"tokenizer": "words", "language": "none", "stem": False}),
    ({"eval.bm25.tokenizer": "simple"}, TEXTS["english"], {"tokenizer": "simple"}),
])
def test_words_say_their_language(tmp_path: Path, asked: dict[str, Any], text: str, chosen: dict[str, Any]) -> None:
    """It is found in the documents, without a question, unless the spec says one; what changes no token is not said."""
    bench = Bench(tmp_path, {"a": text, "b": "PX-200B"})
    made = bench.make("lexical", {**AUTO, "eval.bm25.tokenizer": "words", **asked})
    assert bench.json("lexical/tokenizer.json") == made.stat == chosen
    assert bench.json("lexical/tried.json") == {"metric": None, "queries": 0, "tried": {}}


@pytest.mark.parametrize("name", sorted(CONTENTS))
def test_auto_takes_what_suits_the_content(tmp_path: Path, name: str) -> None:
    """Programs and part numbers get `identifiers`, scripts without blanks pairs of characters."""
    content = CONTENTS[name]
    bench = Bench(tmp_path, dict(content.documents))
    bench.split("validation", [question(f"q{n}", *each) for n, each in enumerate(sorted(content.asked.items()))])
    bench.make("lexical", AUTO)
    tried = bench.json("lexical/tried.json")["tried"]
    assert bench.json("lexical/tokenizer.json") == {"tokenizer": content.suited}
    assert tried[content.suited] == 1.0 > tried["words"]
    assert ("char_bigrams" in tried) == (content.suited == "char_bigrams")


def test_each_score_is_that_of_the_index_that_will_serve(tmp_path: Path) -> None:
    """What is tried on the tokens that the questions ask for is worth what the whole index is worth, to the bit."""
    texts = {f"{name} {id}": text for name in CONTENTS for id, text in CONTENTS[name].documents.items()}
    texts |= {f"text {name}": text for name, text in TEXTS.items()} | {"echo": "conn  404"}
    asked = [question(f"{name} {n}", query, f"{name} {id}")
             for name in CONTENTS for n, (query, id) in enumerate(CONTENTS[name].asked.items())]
    bench = Bench(tmp_path, texts)
    bench.split("validation", asked)
    bench.make("lexical", {**AUTO, "eval.bm25.language": "english"})
    tried = bench.json("lexical/tried.json")["tried"]
    assert tuple(tried) == TOKENIZERS
    for name, value in tried.items():
        said = ENGLISH if name == "words" else {"tokenizer": name}
        words = lexical(bench.needs["snapshot/documents.jsonl"], said, AUTO, [row["query"] for row in asked],
                        Desk(tmp_path / "desk"))
        each = []
        for row in asked:
            judged = {p["id"]: p["grade"] for p in row["positives"]}
            each.append(score("ndcg@10", *gains(words.rank(row["query"], judged, 10), judged)))
        assert value == round(sum(each) / len(each), 9)


def test_the_documents_are_read_once(codes: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """One reading serves all candidates; pairs of characters, where there are any, take another."""
    real, seen = module.passages, []
    monkeypatch.setattr(module, "passages", lambda *given: seen.append(1) or real(*given))
    codes.make("lexical", AUTO)
    assert len(seen) == 1


def test_without_questions_the_language_is_found_all_the_same(tmp_path: Path) -> None:
    """An empty validation part leaves the plainest tokenizer, in the language of the documents."""
    bench = Bench(tmp_path, {"a": TEXTS["spanish"]})
    bench.split("validation", [])
    bench.make("lexical", AUTO)
    assert bench.json("lexical/tokenizer.json") == {**ENGLISH, "language": "spanish"}
    assert bench.json("lexical/tried.json")["tried"] == {"words": 0.0, "simple": 0.0, "identifiers": 0.0}
