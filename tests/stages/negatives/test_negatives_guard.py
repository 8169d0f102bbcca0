"""What the guard lets through: every relative of an answer, every margin, over drawn worlds."""
from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.stages.negatives.guard import Rules, Shield
from tests.support.mining import Text, World, ask, mine, miner, params, slow_dense, slow_scores
from tests.support.tiny import tiny_static

LONG = "the crane on the dock is open in the morning and the gate of the dock is open at night when the crew is there"
OTHERS = {f"o{n}": f"{word} {word} paid the bill" for n, word in enumerate(("cat", "dog", "fish", "bird", "horse"))}
ALL = [miner("dense", 20)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A static model; the tests of this file only read it."""
    return tiny_static(tmp_path_factory.mktemp("static"))


def test_answers_of_another_row_with_the_same_question(base: Path) -> None:
    """A question asked twice, spelled another way, has the answers of both rows; neither becomes a negative."""
    world = World({"a": "red boat", "b": "blue boat", **OTHERS},
                  (ask("q1", "Which  BOAT", "a"), ask("q2", "which boat", "b")))
    found = mine(world, base, params(ALL))
    assert found.reasons("q1")["b"] == found.reasons("q2")["a"] == "positive"
    assert not {"a", "b"} & {*found.kept("q1"), *found.kept("q2")}


def test_what_a_test_row_knows_is_no_negative(base: Path) -> None:
    """A question that test asks too (a split by roles may have it) has test's answers as well."""
    world = World({"a": "red boat", "b": "blue boat", **OTHERS},
                  (ask("q1", "which boat", "a"),), (ask("t", "Which boat", "b"),))
    assert mine(world, base, params(ALL)).reasons("q1")["b"] == "positive"
    loose = params(ALL, negatives__guard__exclude=["positives"])
    assert mine(world, base, loose).reasons("q1")["b"] == "positive"


def test_what_a_row_in_no_part_knows_is_no_negative(base: Path) -> None:
    """A row that the split left out, because its source may not go where its group went, is right all the same."""
    world = World({"a": "red boat", "b": "blue boat", **OTHERS}, (ask("q1", "which boat", "a"),),
                  left=(ask("l", "Which boat", "b"), ask("m", "what else", "a")))
    assert mine(world, base, params(ALL)).reasons("q1")["b"] == "positive"


def test_questions_that_are_alike_have_the_same_answers(base: Path) -> None:
    """A mark more makes no other question, as it makes none in training."""
    world = World({"a": "red boat", "b": "blue boat", **OTHERS},
                  (ask("q1", "on which of the boats is the red lamp of the crew?", "a"),
                   ask("q2", "on which of the boats is the red lamp of the crew", "b")))
    found = mine(world, base, params(ALL))
    assert found.reasons("q1")["b"] == found.reasons("q2")["a"] == "positive"


def test_a_copy_of_an_answer(base: Path) -> None:
    """What the model could not tell from the answer is no negative, nor is one that only repeats the question."""
    documents = {"a": "red boat", "copy": "red boat", "echo": "Which\nboat", **OTHERS}
    world = World(documents, (ask("q", "which boat", "a"),))
    reasons = mine(world, base, params(ALL)).reasons("q")
    assert (reasons["a"], reasons["copy"], reasons["echo"]) == ("positive", "duplicate", "duplicate")


@pytest.mark.parametrize(("question", "text"), [
    ("which boat", "\n" * 90 + "Which" + " \t" * 90 + "boat" + "\u3000" * 90),
    ("\uac01\uac02", "\u1100\u1161\u11a8\u1100\u1161\u11a9"),  # three letters there are one here
    ("\ufdfa is what", "\ufdfa   is what"),  # one letter there is four words here
])
def test_a_question_again_however_it_is_spelled(base: Path, question: str, text: str) -> None:
    """Blanks and Unicode's other forms make a document no longer than the question that it repeats."""
    world = World({"a": "red boat", "echo": text, "more": text + " is red", **OTHERS}, (ask("q", question, "a"),))
    reasons = mine(world, base, params(ALL)).reasons("q")
    assert reasons["echo"] == "duplicate" and reasons["more"] != "duplicate"


def test_a_title_tells_copies_apart_only_for_the_model(base: Path) -> None:
    """Equal texts under two titles are near-duplicates, as the split has them, and no exact ones."""
    world = World({"a": Text(LONG, "one"), "b": Text(LONG, "two"), **OTHERS}, (ask("q", "which crane", "a"),))
    assert mine(world, base, params(ALL)).reasons("q")["b"] == "near_duplicate"


def test_a_near_duplicate_by_the_split_s_threshold(base: Path) -> None:
    """Alike enough is decided by the split's own threshold."""
    world = World({"a": LONG, "near": LONG + " ship", **OTHERS}, (ask("q", "which crane", "a"),))
    assert mine(world, base, params(ALL)).reasons("q")["near"] == "near_duplicate"
    strict = params(ALL, split__near_duplicate_threshold=0.99)
    assert mine(world, base, strict).reasons("q")["near"] is None


def test_a_chunk_of_the_same_document(base: Path) -> None:
    """Chunks beside the answer, and the parent itself, may answer too."""
    world = World({"a1": Text("red boat", document="a"), "a2": Text("big horse", document="a"), "a": "small horse",
                   "b1": Text("old horse", document="b"), **OTHERS}, (ask("q", "which boat", "a1"),))
    reasons = mine(world, base, params(ALL)).reasons("q")
    assert (reasons["a1"], reasons["a2"], reasons["a"], reasons["b1"]) == ("positive", "sibling", "sibling", None)


def test_test_documents_with_all_that_is_like_them(base: Path) -> None:
    """Answers of test, their copies, near-duplicates and other chunks are never trained on, and are counted."""
    documents = {"a": "red boat", "t1": Text(LONG, document="t"), "t2": Text("old ship", document="t"),
                 "copy": LONG, "near": LONG + " ship", **OTHERS}
    world = World(documents, (ask("q", "which boat", "a"),), (ask("t", "when is it open", "t1"),))
    found = mine(world, base, params(ALL))
    refused = {id for id, why in found.reasons("q").items() if why == "test_document"}
    assert refused == {"t1", "t2", "copy", "near"}
    assert found.summary["refused"] == {"positive": 1, "test_document": 4}
    assert found.made.stat["refused"] == 5
    held = mine(world._replace(test=(), validation=world.test), base, params(ALL))
    assert held.ledger == found.ledger  # what checkpoints are chosen by is held out as well


@pytest.mark.parametrize(("left", "free"), [
    ("siblings", "sibling"), ("near_duplicates", "near"), ("test_documents", "tested"), ("positives", "copy"),
])
def test_an_exclusion_that_is_not_asked_for(base: Path, left: str, free: str) -> None:
    """Each word of `exclude` is obeyed by itself; a row's own answers are never its negatives."""
    documents = {"a": Text(LONG, document="p"), "sibling": Text("big horse", document="p"), "copy": LONG,
                 "near": LONG + " ship", "tested": "old ship", **OTHERS}
    world = World(documents, (ask("q", "which crane", "a"),), (ask("t", "which ship", "tested"),))
    every = ["positives", "siblings", "near_duplicates", "test_documents"]
    rest = [word for word in every if word != left]
    reasons = mine(world, base, params(ALL, negatives__guard__exclude=rest)).reasons("q")
    assert reasons["a"] == "positive"
    # A copy is alike as well: without `positives` the next word still holds it.
    assert reasons[free] == ("near_duplicate" if free == "copy" else None)
    nothing = mine(world, base, params(ALL, negatives__guard__exclude=[])).reasons("q")
    assert {id for id, why in nothing.items() if why} == {"a"}


def test_the_margin_is_to_the_weakest_answer(base: Path) -> None:
    """With several answers the one that the base likes least sets the bound, over all rows of the question."""
    documents = {"a": "red boat", "b": "cold oil in the tank", "c": "blue boat", **OTHERS}
    world = World(documents, (ask("q1", "red boat", "a"), ask("q2", "Red boat", "b")))
    found = mine(world, base, params(ALL, negatives__guard__relative_margin=0.0))
    slow = slow_scores(world, base, ["red boat"])["red boat"]
    assert slow["a"] > slow["c"] > slow["b"]
    for query in ("q1", "q2"):
        assert found.ledger[query]["positive"] == pytest.approx(slow["b"], abs=6e-5)
        assert found.reasons(query)["c"] == "relative_margin"


def test_the_score_of_words_is_the_base_s(base: Path) -> None:
    """What BM25 found is held against the margin by the base's score of it, the only one that has a scale."""
    documents = {"a": "cold oil in the tank", "c": "boat blue", **OTHERS}
    world = World(documents, (ask("q", "blue boat", "a"),))
    found = mine(world, base, params([miner("bm25", 5)], negatives__guard__max_score=0.5))
    assert found.reasons("q") == {"c": "max_score"}
    assert found.ledger["q"]["candidates"][0]["score"] == pytest.approx(1.0)


def test_doubt_is_counted(base: Path) -> None:
    """The estimate of false negatives is the share of those kept that margins twice as wide would refuse."""
    documents = {"a": "red boat", "c": "blue boat", "d": "red ship", **OTHERS}
    world = World(documents, (ask("q", "boat red", "a"),))
    slow = slow_scores(world, base, ["boat red"])["boat red"]
    first, second, third = sorted((slow[id] for id in documents if id != "a"), reverse=True)[:3]
    margin = (1.0 - first + 1.0 - second) / 3  # the two best lie outside of it, and only the third outside of twice
    assert margin < 1.0 - first and 1.0 - second < 2 * margin < 1.0 - third
    found = mine(world, base, params([miner("dense", 4)], negatives__guard__absolute_margin=margin))
    assert len(found.kept("q")) == 4
    assert found.summary["false_negatives"] == 0.5


@given(
    st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 1) | st.none(), st.floats(0, 1) | st.none(),
    st.floats(-1, 1) | st.none(),
)
def test_rules_are_their_formulas(
    score: float, weakest: float, relative: float | None, absolute: float | None, highest: float | None
) -> None:
    """A score passes exactly when no formula of the spec refuses it, also where the answer scores below zero."""
    why = Rules(relative, absolute, highest).refuses(score, weakest)
    broken = {
        "relative_margin": relative is not None and score > weakest - abs(weakest) * relative,
        "absolute_margin": absolute is not None and score > weakest - absolute,
        "max_score": highest is not None and score > highest,
    }
    assert why == next((name for name, bad in broken.items() if bad), None)


def test_a_margin_is_below_an_answer_that_scores_below_zero() -> None:
    """A share of a negative score is still a distance: the bound lies under it, not over it."""
    rules = Rules(relative=0.1)
    assert rules.refuses(-0.5, -0.5) == rules.refuses(-0.54, -0.5) == "relative_margin"
    assert rules.refuses(-0.56, -0.5) is None


def test_copies_without_a_word(base: Path) -> None:
    """Texts without a letter are like no other, and copies all the same."""
    documents = {"a": "☀", "a2": "☀", "t": "☂", "t2": "☂", **OTHERS}
    world = World(documents, (ask("q", "sun", "a"),), (ask("t", "rain", "t"),))
    reasons = mine(world, base, params(ALL)).reasons("q")
    assert (reasons["a2"], reasons["t2"]) == ("duplicate", "test_document")


@given(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)))
def test_the_first_reason_is_said(right: set[int], copies: set[int], near: set[int], tests: set[int]) -> None:
    """What a document is goes in a fixed order, the strongest reason first, and only strangers pass."""
    shield = Shield(frozenset(right), frozenset(copies), frozenset(near), frozenset({"owner 9"}))
    for at in range(10):
        why = shield.refuses(at, f"owner {at}", tests)
        order = [("positive", at in right), ("duplicate", at in copies), ("near_duplicate", at in near),
                 ("sibling", at == 9), ("test_document", at in tests)]
        assert why == next((name for name, true in order if true), None)


WORDS = ("red", "blue", "boat", "ship", "crane", "gate", "pump", "oil", "bank", "tax")
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Documents that repeat one another, some of one parent, and questions that share answers and spellings."""
    count = draw(st.integers(2, 12))
    ids = [f"d{n}" for n in range(count)]
    documents = {id: Text(draw(TEXTS), "", draw(st.sampled_from([None, None, "p1", "p2"]))) for id in ids}
    answers = st.lists(st.sampled_from(ids), min_size=1, max_size=2, unique=True)
    spelled = st.tuples(TEXTS, st.sampled_from([str, str.upper]))
    rows = [
        ask(f"{part}{n}", draw(spelled.map(lambda pair: pair[1](pair[0]))), *draw(answers))
        for part in ("q", "t") for n in range(draw(st.integers(1, 4)))
    ]
    return World(documents, [r for r in rows if r["id"][0] == "q"], [r for r in rows if r["id"][0] == "t"])


@given(worlds(), st.integers(0, 3), st.integers(1, 9), st.sampled_from(["top", "random"]), st.integers(0, 2**32))
@settings(max_examples=60)
def test_no_answer_is_ever_a_negative(
    base: Path, world: World, low: int, width: int, sampling: str, mix: int
) -> None:
    """Over drawn worlds: no answer, copy, sibling or test document is kept, windows hold, order of lines is nothing."""
    asked = params([miner("dense", 2, low, low + width, sampling), miner("bm25", 1, low, low + width),
                    miner("random", 1)],
                   negatives__guard__relative_margin=0.02, negatives__on_shortage="fill_random")
    found = mine(world, base, asked)
    assert mine(world, base, asked, shuffle=mix).files == found.files
    texts = {id: text.text for id, text in world.documents.items() if isinstance(text, Text)}
    owner = {id: text.document or id for id, text in world.documents.items() if isinstance(text, Text)}
    slow = slow_scores(world, base, [row["query"] for row in world.train])
    tested = {p["id"] for row in world.test for p in row["positives"]}
    for row in world.train:
        same = [r for r in (*world.train, *world.test) if r["query"].lower() == row["query"].lower()]
        right = {p["id"] for r in same for p in r["positives"]}
        trained = {p["id"] for r in same if r in world.train for p in r["positives"]}
        scores = slow[row["query"]]
        weakest = min(round(scores[id], 6) for id in trained)
        ranked = slow_dense(scores)
        kept = found.kept(row["id"])
        assert len(kept) == len(set(kept))
        assert not {texts[id] for id in kept} & {texts[id] for id in right | tested}
        assert not {owner[id] for id in kept} & {owner[id] for id in right | tested}
        assert all(texts[id].lower() != row["query"].lower() for id in kept)
        assert all(scores[id] <= weakest - abs(weakest) * 0.02 + 2e-6 for id in kept)
        for e in found.ledger[row["id"]]["candidates"]:
            assert e["miner"] != "dense" or (low <= e["rank"] < low + width and ranked[e["rank"]] == e["id"])
