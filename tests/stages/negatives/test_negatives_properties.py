"""What holds of mining whatever the corpus and the mix of miners: a slow reference, and the same bytes again."""
from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.stages.negatives.guard import MARGINS, Rules
from embspec.stages.searching import THREADS
from tests.support.mining import Mined, Row, Text, World, ask, mine, miner, params, slow_dense, slow_scores, slow_words
from tests.support.tiny import tiny_static

WORDS = ("red", "blue", "boat", "ship", "crane", "gate", "pump", "oil", "bank", "tax")
LONG = "the crane on the dock is open in the morning and the gate of the dock is open at night when the crew is there"
ENOUGH = 8  # words from which on texts are compared by their shingles


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A static model; the tests of this file only read it."""
    return tiny_static(tmp_path_factory.mktemp("static"), dim=16)


TEXTS = (LONG, LONG + " ship", LONG.replace("morning", "evening"), LONG.upper())
KINDS = ("dense", "bm25", "hybrid", "random")
# Worlds are built from a number: hypothesis likes what is small, and a small world has nothing to choose from.
NUMBERS = st.integers(0, 2**32)


def world_of(number: int) -> World:
    """Copies, near-copies, chunks of one parent; questions with several answers that share answers and spellings."""
    chance = Random(number)
    ids = [f"d{n}" for n in range(chance.randint(3, 16))]
    documents: dict[str, str | Text] = {}
    texts: list[str] = []
    for id in ids:
        fresh = " ".join(chance.choices(WORDS, k=chance.randint(1, 4)))
        texts.append(chance.choice((fresh, fresh, chance.choice(TEXTS), chance.choice(texts or [fresh]))))
        parent = chance.choice((None, None, None, "p1", "p2"))
        documents[id] = Text(texts[-1], chance.choice(("", "", "", "note")), parent)

    def rows(part: str, most: int, least: int = 0) -> list[Row]:
        made = []
        for n in range(chance.randint(least, most)):
            query = chance.choice((" ".join(chance.choices(WORDS, k=2)), chance.choice(texts[:2]), "boat crane"))
            right = chance.sample(ids, min(len(ids), chance.choice((1, 1, 2, 3))))
            made.append(ask(f"{part}{n}", chance.choice((query, query.upper())), *right))
        return made

    return World(documents, rows("q", 3, 1), rows("t", 1), rows("v", 1))


def mix_of(number: int, samplings: Sequence[str] = ("top", "random")) -> list[Row]:
    """One to three miners of any kind, window and sampling."""
    chance = Random(number)
    lows = [chance.choice((0, 0, 1, 3)) for _ in range(chance.randint(1, 3))]
    return [
        miner(chance.choice(KINDS), chance.randint(1, 3), low, low + chance.randint(1, 12), chance.choice(samplings))
        for low in lows
    ]


GUARDS = st.fixed_dictionaries({
    "relative_margin": st.none() | st.sampled_from([0.0, 0.05, 0.3]),
    "absolute_margin": st.none() | st.sampled_from([0.0, 0.1]),
    "max_score": st.none() | st.sampled_from([0.2, 0.8]),
}) | st.just({"relative_margin": None, "absolute_margin": None, "max_score": None})
POLICIES = st.sampled_from(["keep", "drop", "fill_random"])


def asked_with(mix: Sequence[Row], guards: Mapping[str, Any], policy: str) -> Row:
    """The parameters of the stage."""
    return params(mix, **{f"negatives__guard__{name}": value for name, value in guards.items()},
                  negatives__on_shortage=policy)


class Slow(NamedTuple):
    """A world seen with plain loops."""

    world: World
    scores: Mapping[str, Mapping[str, float]]

    @classmethod
    def of(cls, world: World, base: Path) -> Slow:
        """With every score by numpy alone."""
        return cls(world, slow_scores(world, base, [row["query"] for row in world.train]))

    def text(self, id: str) -> Text:
        """A document."""
        found = self.world.documents[id]
        return Text(found) if isinstance(found, str) else found

    def passage(self, id: str) -> str:
        """What the model reads."""
        return f"{self.text(id).title} {self.text(id).text}".strip()

    def owner(self, id: str) -> str:
        """The whole that a document is a part of."""
        return self.text(id).document or id

    def near(self, one: str, other: str) -> bool:
        """Equal but for case, or at least 0.9 of the shingles of three words in common."""
        first, second = (self.text(id).text.lower().split() for id in (one, other))
        if first == second:
            return True
        if min(len(first), len(second)) < ENOUGH:
            return False
        some, others = ({tuple(words[at : at + 3]) for at in range(len(words) - 2)} for words in (first, second))
        return len(some & others) >= 0.9 * len(some | others)

    def answers(self, row: Row, rows: Sequence[Row]) -> set[str]:
        """What any of these rows knows to be right for the same question."""
        return {p["id"] for other in rows if other["query"].lower() == row["query"].lower() for p in other["positives"]}

    def reason(self, row: Row, id: str) -> str | None:
        """What the guard has to say of what a document is."""
        world = self.world
        right = self.answers(row, (*world.train, *world.test, *world.validation))
        held = {p["id"] for other in (*world.test, *world.validation) for p in other["positives"]}
        if id in right:
            return "positive"
        if any(self.passage(id) == self.passage(one) for one in right) or \
                self.text(id).text.lower() == row["query"].lower():
            return "duplicate"
        if any(self.near(id, one) for one in right):
            return "near_duplicate"
        if self.owner(id) in {self.owner(one) for one in right}:
            return "sibling"
        kin = any(self.owner(id) == self.owner(one) or self.passage(id) == self.passage(one) or self.near(id, one)
                  for one in held)
        return "test_document" if kin else None

    def weakest(self, row: Row) -> float:
        """The lowest score of an answer that training knows."""
        return min(round(self.scores[row["query"]][id], 6) for id in self.answers(row, self.world.train))

    def ranked(self, row: Row, kind: str) -> list[str]:
        """The whole corpus as a kind of miner ranks it."""
        dense, words = slow_dense(self.scores[row["query"]]), slow_words(self.world, row["query"])
        if kind != "hybrid":
            return dense if kind == "dense" else words
        total = {id: sum(1 / (61 + side.index(id)) for side in (dense, words) if id in side) for id in dense}
        return sorted(total, key=lambda id: (-round(total[id], 9), id))


def each(found: Mined, world: World) -> Iterator[tuple[Row, Row, list[str]]]:
    """A training row, its line of the ledger, its negatives there."""
    for row in world.train:
        line = found.ledger[row["id"]]
        yield row, line, [one["id"] for one in line["candidates"] if one["guard"] is None]


@given(NUMBERS.map(world_of), NUMBERS.map(mix_of), GUARDS, POLICIES)
@settings(max_examples=40)
def test_the_ledger_is_what_plain_loops_say(
    base: Path, world: World, mix: list[Row], guards: dict[str, Any], policy: str
) -> None:
    """No answer, copy, near-copy, sibling or held-out document is a negative; ranks, scores and reasons are true."""
    found, slow = mine(world, base, asked_with(mix, guards, policy)), Slow.of(world, base)
    rules = Rules(guards["relative_margin"], guards["absolute_margin"], guards["max_score"])
    kinds = {look["miner"]: look["miner"].split(" ")[0] for line in found.ledger.values() for look in line["looks"]}
    for row, line, kept in each(found, world):
        assert line["positive"] == pytest.approx(slow.weakest(row), abs=2e-6)
        assert not [id for id in kept if slow.reason(row, id)]
        assert len({slow.passage(id) for id in kept}) == len(kept)
        for one in line["candidates"]:
            assert one["score"] == pytest.approx(slow.scores[row["query"]][one["id"]], abs=2e-6)
            by_score = rules.refuses(one["score"], line["positive"])  # to the digit: the ledger has what was compared
            expected = slow.reason(row, one["id"]) or by_score
            if one["guard"] == "copy":
                assert expected is None and slow.passage(one["id"]) in {slow.passage(id) for id in kept}
            else:
                assert one["guard"] == expected
            if one["rank"] is not None:
                assert slow.ranked(row, kinds[one["miner"]])[one["rank"]] == one["id"]


@given(NUMBERS.map(world_of), NUMBERS.map(lambda n: mix_of(n, ("top",))), GUARDS)
@settings(max_examples=30)
def test_windows_are_those_of_brute_force(base: Path, world: World, mix: list[Row], guards: dict[str, Any]) -> None:
    """Each miner takes the first of its true window that pass and whose text is not taken, and looks no further."""
    found, slow = mine(world, base, asked_with(mix, guards, "keep")), Slow.of(world, base)
    rules = Rules(guards["relative_margin"], guards["absolute_margin"], guards["max_score"])
    for row, line, kept in each(found, world):
        known = {one["id"]: one["score"] for one in (*line["candidates"], *line["answers"])}
        expected: list[str] = []
        for entry, look in zip(mix, line["looks"], strict=True):
            taken = 0
            if entry["kind"] == "random":  # what was drawn is the product's own affair; what is made of it is not
                drawn = [one["id"] for one in line["candidates"] if one["miner"] == look["miner"]]
                window = [*drawn, *[""] * (look["looked"] + look["left"] - len(drawn))]
            else:
                ranked = slow.ranked(row, entry["kind"])
                window = ranked[entry["window.range_min"] : entry["window.range_max"]]
            assert look["looked"] + look["left"] == len(window)
            for at, id in enumerate(window):
                if taken == entry["num_negatives"]:
                    assert entry["kind"] == "random" or look["looked"] == at
                    break
                if not id or slow.reason(row, id) or slow.passage(id) in {slow.passage(one) for one in expected}:
                    continue
                if rules.refuses(known[id], line["positive"]) is None:
                    expected.append(id)
                    taken += 1
            assert look["found"] == taken
        assert kept == expected == found.kept(row["id"])


@given(NUMBERS.map(world_of), NUMBERS.map(mix_of), GUARDS, st.integers(0, 2**32), st.integers(0, 3))
@settings(max_examples=25)
def test_the_same_seed_gives_the_same_bytes(
    base: Path, world: World, mix: list[Row], guards: dict[str, Any], order: int, seed: int
) -> None:
    """In any order of documents and rows and with any number of threads; another seed moves only what is drawn."""
    asked = asked_with(mix, guards, "keep")
    found = mine(world, base, asked, seed=seed)
    assert mine(world, base, {**asked, THREADS: 2}, seed=seed, shuffle=order).files == found.files
    other = mine(world, base, asked, seed=seed + 1)
    chance = [entry["kind"] == "random" or entry["sampling_strategy"] == "random" for entry in mix]
    if not any(chance):
        assert other.files == found.files
    first = chance.index(True) if any(chance) else len(mix)
    for row, line, _ in each(found, world):
        names = {look["miner"] for look in line["looks"][:first]}  # a draw moves what comes behind it, never before
        mine_of, others = ([one for one in some["candidates"] if one["miner"] in names]
                           for some in (line, other.ledger[row["id"]]))
        assert mine_of == others and line["answers"] == other.ledger[row["id"]]["answers"]


@given(NUMBERS.map(world_of), NUMBERS.map(mix_of), GUARDS, POLICIES)
@settings(max_examples=30)
def test_ledger_and_examples_agree(
    base: Path, world: World, mix: list[Row], guards: dict[str, Any], policy: str
) -> None:
    """What the ledger keeps is in the examples and nothing else; quotas hold, and the summary counts just that."""
    found = mine(world, base, asked_with(mix, guards, policy))
    examples = {row["id"]: row for row in found.examples}
    wanted = sum(entry["num_negatives"] for entry in mix)
    bare, counted = [], {}
    for row, line, kept in each(found, world):
        assert line["dropped"] == (row["id"] not in examples) == (policy == "drop" and len(kept) < wanted)
        if not line["dropped"]:
            assert [one["id"] for one in examples[row["id"]]["negatives"]] == kept
        for look in line["looks"]:
            by = [one for one in line["candidates"] if one["miner"] == look["miner"]]
            assert look["found"] == sum(one["guard"] is None for one in by) <= look["wanted"]
            assert all(one["guard"] != "copy" or kept for one in by)
            counts = counted.setdefault(look["miner"], {"wanted": 0, "found": 0})
            counted[look["miner"]] = {name: counts[name] + look[name] for name in counts}
        assert len(kept) <= wanted
        bare += [] if kept else [row["id"]]
    summary = found.summary
    assert summary["miners"] == counted
    assert summary["without"] == {"queries": len(bare), "first": bare[:10]}
    assert summary["rows"] == len(examples) == len(world.train) - summary["dropped"]
    trained = [line for row, line, _ in each(found, world) if not line["dropped"]]
    scores = summary["scores"]
    if trained:
        assert (scores["low"], scores["high"]) == (-1.0, 1.0) and len(scores["positives"]) == 20
        assert sum(scores["negatives"]) == summary["negatives"]
        for name, values in (("negatives", [one["score"] for line in trained for one in line["candidates"]
                                            if one["guard"] is None]),
                             ("positives", [one["score"] for line in trained for one in line["answers"]])):
            # In tenths as text has them: no float decides.
            assert scores[name][13] == sum(0.3 <= value < 0.4 for value in values)
            assert scores[name][19] == sum(value >= 0.9 for value in values)
    else:
        assert scores is None


@given(NUMBERS.map(world_of), NUMBERS.map(lambda n: mix_of(n, ("top",))), GUARDS)
@settings(max_examples=25)
def test_a_shortage_is_met_as_the_spec_says(base: Path, world: World, mix: list[Row], guards: dict[str, Any]) -> None:
    """keep leaves a row short, drop takes just those rows out, fill_random adds to what keep has all that may be."""
    policies = ("keep", "drop", "fill_random")
    keep, drop, fill = (mine(world, base, asked_with(mix, guards, policy)) for policy in policies)
    slow, wanted = Slow.of(world, base), sum(entry["num_negatives"] for entry in mix)
    rules = Rules(guards["relative_margin"], guards["absolute_margin"], guards["max_score"])
    assert drop.examples == [row for row in keep.examples if len(row["negatives"]) == wanted]
    for row, line, kept in each(fill, world):
        before = keep.kept(row["id"])
        assert kept[: len(before)] == before
        assert {one["miner"] for one in line["candidates"] if one["id"] in kept[len(before):]} <= {"fill_random"} or \
            len(kept) == len(before)
        scores = {id: round(score, 6) for id, score in slow.scores[row["query"]].items()}
        told = {one["id"]: one["score"] for one in (*line["candidates"], *line["answers"])}
        able = {slow.passage(id) for id in world.documents if slow.reason(row, id) is None
                and rules.refuses(told.get(id, scores[id]), line["positive"]) is None}
        assert len(kept) == min(wanted, len(able))  # the corpus is so small that the draw has all of it


SCRIPT = """
import hashlib, sys
from pathlib import Path
from tests.stages.negatives.test_negatives_properties import fixed
print(fixed(Path(sys.argv[1]), int(sys.argv[2])))
assert "torch" not in sys.modules, "a static model is mined without torch"
"""


def fixed(base: Path, threads: int = 1) -> str:
    """A digest of what one mixed run writes."""
    documents = {f"d{n}": f"{WORDS[n % 10]} {WORDS[n * 7 % 10]} {WORDS[n * 3 % 9]}" for n in range(60)}
    rows = tuple(ask(f"q{n}", f"{WORDS[n]} {WORDS[-n - 1]}", f"d{n}", f"d{n + 20}") for n in range(8))
    mix = [miner("dense", 3, 1, 30, "random"), miner("bm25", 2), miner("hybrid", 1), miner("random", 2)]
    asked = params(mix, negatives__guard__relative_margin=0.05, negatives__on_shortage="fill_random")
    found = mine(World(documents, rows, (ask("t", "red gate", "d9"),)), base, {**asked, THREADS: threads})
    return hashlib.sha256(b"".join(found.files.values())).hexdigest()


def test_another_process_writes_the_same(base: Path) -> None:
    """Neither the order of sets, nor threads, nor what ran before in a process is in the bytes."""
    environ = {**os.environ, "PYTHONHASHSEED": "4", "PYTHONPATH": os.pathsep.join(sys.path)}
    said = subprocess.run([sys.executable, "-c", SCRIPT, str(base), "2"], env=environ, text=True, check=True,
                          cwd=Path(__file__).parents[3], stdout=subprocess.PIPE)
    assert said.stdout.strip() == fixed(base)


def test_margins_are_no_kinds() -> None:
    """The summary's `easy` counts what a margin took out, and the reference above knows every other word."""
    assert {"relative_margin", "absolute_margin", "max_score"} <= MARGINS
    assert not MARGINS & {"positive", "duplicate", "near_duplicate", "sibling", "test_document", "copy"}
