"""The cross-encoder's last word, and negatives out of a file: what is asked, what is refused, what is written."""
from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import xxhash
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as some

from embspec.stages.negatives import make as work
from embspec.stages.negatives.guard import Rules
from embspec.stages.reranker import Pair, Reranker
from tests.support.desk import Bank, Desk
from tests.support.mining import Mined, World, ask, mine, miner, params
from tests.support.tiny import WORDS, tiny_cross_encoder, tiny_static

KINDS = ("dense", "bm25", "hybrid", "random", "file")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A static model; the tests of this file only read it."""
    return tiny_static(tmp_path_factory.mktemp("static"))


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-encoder."""
    return tiny_cross_encoder(tmp_path_factory.mktemp("judge"), 3)


class Said:
    """A cross-encoder that answers by rule, and remembers what it was asked and how often at once."""

    def __init__(self, rule: Callable[[str, str], float]) -> None:
        self.rule = rule
        self.waves: list[list[Pair]] = []
        self.scored = 0

    def __call__(self, folder: Path, digest: str, desk: object) -> Said:
        """In the place of the class."""
        return self

    def scores(self, pairs: list[Pair]) -> list[float]:
        """By the rule."""
        self.waves.append(list(pairs))
        return [self.rule(*pair) for pair in pairs]

    def asked(self) -> set[Pair]:
        """All pairs."""
        return {pair for wave in self.waves for pair in wave}


def world(seed: int, queries: int = 5) -> World:
    """Documents of few words, some of them copies; a question with an answer or two."""
    chance, words = random.Random(seed), WORDS.split()[20:44]
    texts = [" ".join(chance.choices(words, k=chance.randint(1, 4))) for _ in range(24)]
    documents = {f"d{n}": chance.choice(texts) for n in range(30)}
    rows = [ask(f"q{n}", " ".join(chance.choices(words, k=3)), *chance.sample(sorted(documents), chance.randint(1, 2)))
            for n in range(queries)]
    return World(documents, rows)


def files(of: World, seed: int) -> list[dict[str, Any]]:
    """What a file says of every other question."""
    chance = random.Random(seed)
    return [{"file": "hard.jsonl", "query": row["query"], "negatives": chance.sample(sorted(of.documents), 9)}
            for row in of.train[::2]]


def scored(found: Mined, of: World) -> set[Pair]:
    """The pairs that the ledger has scores of."""
    texts = {row["id"]: row["query"] for row in of.train}
    return {(texts[id], str(of.documents[one["id"]])) for id, row in found.ledger.items()
            for one in [*row["answers"], *row["candidates"]] if "cross_encoder" in one}


def hashed(query: str, passage: str) -> float:
    """A score by chance."""
    return xxhash.xxh3_64_intdigest(f"{query}\0{passage}".encode()) % 1000 / 1000


@settings(max_examples=12, deadline=None)
@drawn(seed=some.integers(0, 999), sampling=some.sampled_from(("top", "random")),
       shortage=some.sampled_from(("keep", "drop", "fill_random")))
def test_waves_are_one_by_one(base: Path, seed: int, sampling: str, shortage: str) -> None:
    """Asked for many at once the guard decides as if it asked one candidate at a time, and asks for no pair more."""
    of = world(seed)
    kinds = [miner(kind, 2, high=12, sampling=sampling) for kind in KINDS]
    wish = params(kinds, negatives__on_shortage=shortage, negatives__guard__exclude=["positives"])
    with pytest.MonkeyPatch.context() as patch:
        said = Said(hashed)
        patch.setattr(work, "Reranker", said)
        found = mine(of, base, wish, judge=base, given=files(of, seed))
        alone = Said(hashed)
        patch.setattr(work, "Reranker", alone)
        patch.setattr("embspec.stages.negatives.second.Doubt", OneByOne)
        slow = mine(of, base, wish, judge=base, given=files(of, seed))
    assert found.files == slow.files
    assert said.asked() == alone.asked() == scored(found, of)
    for row in found.ledger.values():
        weakest = min(one["cross_encoder"] for one in row["answers"])
        for one in row["candidates"]:
            assert ("cross_encoder" in one) == (one["guard"] in (None, "cross_encoder"))
            assert one["guard"] is not None or one["cross_encoder"] < weakest
            assert one["guard"] != "cross_encoder" or one["cross_encoder"] >= weakest


class OneByOne:
    """The slow way: each score is fetched when the guard wants it."""

    reranker: Said

    def __init__(self, case: Any, library: Any, rules: Any) -> None:
        self.case, self._library, self._rules = case, library, rules
        self.missing: dict[int, None] = {}
        self.scores: dict[int, float] = {}
        answers = list(case.answers)
        self._second = {at: self._score(at) for at in answers}

    def _score(self, at: int) -> float:
        (score,) = work.Reranker(Path(), "", None).scores(  # type: ignore[arg-type]
            [(self.case.question.query, self._library.passage(at))])
        return score

    def last(self, at: int) -> tuple[float | None, str | None]:
        """Asked on the spot."""
        score = self._score(at)
        return score, self._rules.overrules(score, min(self._second.values()))

    def tried(self) -> Any:
        """Final at once."""
        return self.case.account(self.last, self._second)


@pytest.mark.parametrize(("relative", "score", "refused"), [
    (None, 0.8, True), (None, 0.799999, False), (0.05, 0.76, True), (0.05, 0.759999, False), (0.05, 0.81, True)])
def test_what_is_hardly_under_the_positive_is_refused(
    base: Path, monkeypatch: pytest.MonkeyPatch, relative: float | None, score: float, refused: bool
) -> None:
    """By the relative margin, which has no unit; without it, what is not under the weakest positive at all."""
    of = World({"a": "red boat", "a2": "long boat", "b": "blue horse"}, (ask("q", "which boat", "a", "a2"),))
    monkeypatch.setattr(work, "Reranker", Said(lambda _, text: {"red boat": 0.9, "long boat": 0.8}.get(text, score)))
    found = mine(of, base, params([miner("random", 1)], negatives__guard__relative_margin=relative), judge=base)
    guards = found.reasons("q")
    assert guards["b"] in ("cross_encoder", None) and (guards["b"] == "cross_encoder") == refused


def test_a_score_under_zero_has_its_margin_below() -> None:
    """Models without an activation score below zero; the margin makes the guard stricter there too."""
    assert Rules(0.1).overrules(-2.1, -2.0) == "cross_encoder" and Rules(0.1).overrules(-2.3, -2.0) is None


def test_waves_are_few_and_hold_many(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All queries are asked about together: first as many as could be taken, then what refusals left missing."""
    of = world(1, queries=9)
    said = Said(hashed)
    monkeypatch.setattr(work, "Reranker", said)
    mine(of, base, params([miner("dense", 3)]), judge=base)
    first, *rest = (len(wave) for wave in said.waves)
    assert first == 9 * 3 + sum(len(row["positives"]) for row in of.train)
    assert rest and all(later <= earlier for earlier, later in pairwise((first, *rest)))


def test_the_cheap_rules_come_first(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a margin, a limit or kinship refuses is never scored by the cross-encoder."""
    of = world(2)
    said = Said(lambda query, passage: 0.0 if passage not in right else 1.0)
    right = {str(of.documents[one["id"]]) for row in of.train for one in row["positives"]}
    monkeypatch.setattr(work, "Reranker", said)
    found = mine(of, base, params([miner("dense", 30)], negatives__guard__max_score=0.2), judge=base)
    guards = {one["guard"] for row in found.ledger.values() for one in row["candidates"]}
    assert {"max_score", "positive"} <= guards
    passed = {(row["query"], str(of.documents[one["id"]])) for row in of.train
              for one in found.ledger[row["id"]]["candidates"] if one["guard"] in (None, "cross_encoder")}
    answers = {(row["query"], str(of.documents[one["id"]])) for row in of.train for one in row["positives"]}
    assert said.asked() == passed | answers


def test_examples_carry_scores_where_there_is_a_cross_encoder(base: Path, judge: Path, tmp_path: Path) -> None:
    """Every positive and every kept negative has its score, without miners too; without a cross-encoder none has."""
    of, wish = world(3), params([miner("dense", 3), miner("random", 2)])
    found = mine(of, base, wish, judge=judge)
    reranker = Reranker(judge, "tree", Desk(tmp_path))
    documents = [(row["query"], one) for row in found.examples for one in [*row["positives"], *row["negatives"]]]
    assert [one["score"] for _, one in documents] == reranker.scores([(query, one["text"]) for query, one in documents])
    assert found.made.counts["scored"] > 0 and any(row["negatives"] for row in found.examples)
    bare = mine(of, base, params([]), judge=judge)
    assert all("score" in one for row in bare.examples for one in row["positives"])
    without = mine(of, base, wish)
    assert b'"score"' not in without.files["examples.jsonl"]
    assert b"cross_encoder" not in without.files["ledger.jsonl"] and "scored" not in without.made.counts


def test_a_warm_desk_scores_nothing_and_gives_the_same_bytes(base: Path, judge: Path) -> None:
    """Nothing is scored twice, and what was scored for other windows serves too."""
    of, bank = world(4), Bank()
    wide = params([miner("dense", 4), miner("bm25", 2)])
    empty = mine(of, base, wide, judge=judge)
    mine(of, base, params([miner("dense", 2)]), judge=judge, bank=bank)
    again = mine(of, base, wide, judge=judge, bank=bank)
    assert again.files == empty.files and 0 < again.made.counts["scored"] < empty.made.counts["scored"]
    last = mine(of, base, wide, judge=judge, bank=bank, shuffle=1)
    assert last.files == empty.files and last.made.counts["scored"] == 0


def test_a_file_is_a_miner_like_the_others(base: Path) -> None:
    """Its order is the rank, the guard goes over it, and questions that it does not name get none of it."""
    of = World({"a": "red boat", "b": "blue boat", "c": "cold oil", "d": "old horse", "t": "green pump"},
               (ask("q1", "which boat", "a"), ask("q2", "which oil", "c")), (ask("t1", "pump", "t"),))
    said = [{"file": "hard.jsonl", "query": "which boat", "negatives": ["t", "a", "d", "b", "c"]},
            {"file": "hard.jsonl", "query": "another", "negatives": ["a"]}]
    found = mine(of, base, params([miner("file", 2)]), given=said)
    assert [(one["id"], one["miner"], one["rank"], one["guard"]) for one in found.ledger["q1"]["candidates"]] == [
        ("t", "file", 0, "test_document"), ("a", "file", 1, "positive"), ("d", "file", 2, None), ("b", "file", 3, None)]
    assert (found.kept("q1"), found.kept("q2")) == (["d", "b"], [])
    lost = mine(of, base, params([miner("file", 2)], negatives__on_shortage="drop"), given=said)
    assert [row["id"] for row in lost.examples] == ["q1"]
    full = mine(of, base, params([miner("file", 2)], negatives__on_shortage="fill_random"), given=said)
    assert len(full.kept("q2")) == 2 and set(full.kept("q2")) <= {"a", "b", "d"}


def test_each_miner_reads_its_own_file(base: Path) -> None:
    """Two files are told apart by their paths."""
    of = World({"a": "red boat", "b": "blue boat", "c": "cold oil", "d": "old horse"}, (ask("q", "which boat", "a"),))
    said = [{"file": path, "query": "which boat", "negatives": [id]} for path, id in (("hard.jsonl", "b"), ("x", "d"))]
    kinds = [miner("file", 1), miner("bm25", 1, high=1), {**miner("file", 1), "path": "x"}]
    found = mine(of, base, params(kinds), given=said)
    kept = [(one["miner"], one["id"]) for one in found.ledger["q"]["candidates"] if one["guard"] is None]
    assert kept == [("file 1", "b"), ("file 3", "d")]


@settings(max_examples=12, deadline=None)
@drawn(seed=some.integers(0, 999), shortage=some.sampled_from(("keep", "drop", "fill_random")),
       counts=some.lists(some.integers(1, 3), min_size=5, max_size=5))
def test_quotas_hold_with_all_kinds_together(base: Path, seed: int, shortage: str, counts: list[int]) -> None:
    """No miner gives more than its share, no row has more than all together, and a shortage ends as the spec says."""
    of = world(seed)
    kinds = [miner(kind, count, high=8) for kind, count in zip(KINDS, counts, strict=True)]
    found = mine(of, base, params(kinds, negatives__on_shortage=shortage), given=files(of, seed))
    wanted = dict(zip(KINDS, counts, strict=True))
    rows = {row["id"]: row for row in found.examples}
    for id, page in found.ledger.items():
        kept = [one for one in page["candidates"] if one["guard"] is None]
        for kind in KINDS:
            assert sum(one["miner"] == kind for one in kept) <= wanted[kind]
        assert len(kept) == len({one["id"] for one in kept}) <= sum(counts)
        assert (id in rows) == (shortage != "drop" or len(kept) == sum(counts))
        if shortage != "fill_random":
            assert {one["miner"] for one in kept} <= set(KINDS)
        if id in rows:
            assert [one["id"] for one in rows[id]["negatives"]] == [one["id"] for one in kept]
