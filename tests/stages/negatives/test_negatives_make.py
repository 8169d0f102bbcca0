"""Negatives of a small world: who becomes one, who does not, and why."""
from __future__ import annotations

from pathlib import Path

import pytest

from embspec.errors import EmbspecError
from embspec.retrieval import knn
from embspec.stages.negatives import make as work
from embspec.stages.negatives.miners import draw
from tests.support.desk import Bank
from tests.support.mining import BASE, Text, World, ask, mine, miner, params, slow_dense, slow_scores, slow_words
from tests.support.tiny import tiny_static, tiny_transformer

DOCUMENTS = {
    "crane": "the crane on the dock is open in the morning",
    "fish": "the fish must not be warm and the ice must be cold",
    "gate": Text("close the gate at night and lock the door", "gate"),
    "lamp": "the lamp of the boat is red on the left and green on the right",
    "leave": "a driver takes leave one week after the sick note",
    "money": "the bank paid the invoice and the tax of the order",
    "pump": "the pump has a leak when the oil is cold",
    "rain": "rain and storm stop the crane and the crew",
    "rope": "the rope of the ship is long and the chain is short",
    "server": "restart the server and update the password of the user",
    "tank": "clean the tank and the filter of the pump each month",
    "valve": "stop the motor and press the button to reset the valve",
}
TRAIN = (
    ask("q1", "how do I reset the valve", "valve"),
    ask("q2", "when is the crane open", "crane"),
    ask("q3", "where is the leak of the pump", "pump", weight=2.0, group="g"),
)
TEST = (ask("t1", "what stops the crane", "rain"),)
WORLD = World(DOCUMENTS, TRAIN, TEST)
USUAL = [miner("dense", 3), miner("bm25", 2, high=50)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A static model; the tests of this file only read it."""
    return tiny_static(tmp_path_factory.mktemp("static"))


def test_a_row_says_what_training_reads(base: Path) -> None:
    """One row per query in the order of ids: texts as the model reads them, and what the split said of the row."""
    found = mine(WORLD, base, params(USUAL))
    assert [row["id"] for row in found.examples] == ["q1", "q2", "q3"]
    last = found.examples[2]
    assert list(last) == ["id", "query", "positives", "negatives", "weight", "group", "trust", "cluster"]
    assert last["positives"] == [{"id": "pump", "text": DOCUMENTS["pump"]}]
    assert (last["weight"], last["group"], last["trust"], last["cluster"]) == (2.0, "g", "gold", "pump")
    texts = {one["id"]: one["text"] for row in found.examples for one in row["negatives"]}
    assert {id: text for id, text in texts.items() if id != "gate"} == {
        id: DOCUMENTS[id] for id in texts if id != "gate"
    }
    assert "weight" not in found.examples[0] and "group" not in found.examples[0]


def test_a_title_is_read_with_its_text(base: Path) -> None:
    """A negative's text is the passage that the model is given, title first."""
    world = World(DOCUMENTS, (ask("q", "lock the door of the gate", "server"),))
    found = mine(world, base, params([miner("dense", 3)]))
    texts = {one["id"]: one["text"] for one in found.examples[0]["negatives"]}
    assert texts["gate"] == "gate close the gate at night and lock the door"


def test_ranks_are_those_of_the_whole_corpus(base: Path) -> None:
    """Rank 0 is the best of all documents, answers included; the ledger keeps rank and score of each miner."""
    found = mine(WORLD, base, params([miner("dense", 12), miner("bm25", 12)]))
    slow = slow_scores(WORLD, base, [row["query"] for row in TRAIN])
    for row in TRAIN:
        entries = found.ledger[row["id"]]["candidates"]
        ranked = slow_dense(slow[row["query"]])
        words = slow_words(WORLD, row["query"])
        assert [(e["rank"], e["id"]) for e in entries if e["miner"] == "dense"] == list(enumerate(ranked))
        for e in entries:
            assert e["miner"] == "dense" or words[e["rank"]] == e["id"]
            assert e["score"] == pytest.approx(slow[row["query"]][e["id"]], abs=6e-5)
        answer = row["positives"][0]["id"]
        assert found.ledger[row["id"]]["positive"] == pytest.approx(slow[row["query"]][answer], abs=6e-5)


def test_a_window_begins_and_ends_where_it_says(base: Path) -> None:
    """range_min is the first rank that may be taken, range_max the first that may not, whatever the guard takes out."""
    slow = slow_scores(WORLD, base, ["when is the crane open"])
    ranked = slow_dense(slow["when is the crane open"])
    found = mine(WORLD, base, params([miner("dense", 20, low=2, high=7), miner("hybrid", 1)]))
    seen = [e for e in found.ledger["q2"]["candidates"] if e["miner"] == "dense"]
    assert [(e["rank"], e["id"]) for e in seen] == list(enumerate(ranked))[2:7]
    assert found.kept("q2")[:-1] == [id for id in ranked[2:7] if id not in ("crane", "rain")]


def test_a_later_miner_skips_what_an_earlier_took(base: Path) -> None:
    """No document is a negative twice, and the second miner takes its next best instead."""
    dense, words = miner("dense", 4), miner("bm25", 3)
    both = mine(WORLD, base, params([dense, words]))
    for row in TRAIN:
        kept = both.kept(row["id"])
        taken = [e["id"] for e in both.ledger[row["id"]]["candidates"] if e["guard"] is None and e["miner"] == "dense"]
        answers = {p["id"] for p in row["positives"]} | {"rain"}
        rest = [id for id in slow_words(WORLD, row["query"]) if id not in taken and id not in answers]
        assert len(kept) == len(set(kept))
        assert kept == taken + rest[:3]


@pytest.mark.parametrize("sampling", ["top", "random"])
def test_one_text_is_one_negative(base: Path, sampling: str) -> None:
    """Copies of one text fill no two places, whether one miner meets them or two."""
    copies = {f"fish{n}": DOCUMENTS["fish"] for n in range(5)}
    asked = ask("q", "the fish and the ice of the ship, the boat and the pump", "valve")
    world = World({**DOCUMENTS, **copies}, (asked,))
    found = mine(world, base, params([miner("dense", 3, sampling=sampling, high=12), miner("bm25", 2)]))
    kept = found.kept("q")
    assert len(kept) == 5 and len({id.rstrip("01234") for id in kept}) == 5
    assert set(kept) == {e["id"] for e in found.ledger["q"]["candidates"] if e["guard"] is None}


def test_hybrid_ranks_by_both(base: Path) -> None:
    """A hybrid's ranking is the reciprocal ranks of both sides, added; equal sums go by id."""
    found = mine(WORLD, base, params([miner("hybrid", 12)]))
    for row in TRAIN:
        dense = slow_dense(slow_scores(WORLD, base, [row["query"]])[row["query"]])
        sides = (dense, slow_words(WORLD, row["query"]))
        total = {id: sum(1 / (60 + side.index(id) + 1) for side in sides if id in side) for id in dense}
        fused = sorted(total, key=lambda id: (-round(total[id], 9), id))
        assert [e["id"] for e in found.ledger[row["id"]]["candidates"]] == fused


def test_the_rank_of_a_drawn_document_is_unknown(base: Path) -> None:
    """A random miner looks at no ranking, so the ledger says none; the score is the base's all the same."""
    found = mine(WORLD, base, params([miner("random", 3)]))
    slow = slow_scores(WORLD, base, [row["query"] for row in TRAIN])
    for row in TRAIN:
        assert len(found.kept(row["id"])) == 3
        for e in found.ledger[row["id"]]["candidates"]:
            assert e["rank"] is None
            assert e["score"] == pytest.approx(slow[row["query"]][e["id"]], abs=6e-5)


def test_no_miners_no_negatives(base: Path) -> None:
    """A spec without miners gets rows of query and positives, and nothing is put through a model."""
    found = mine(WORLD, base, params([]))
    assert [row["negatives"] for row in found.examples] == [[], [], []]
    assert found.made.counts == {"encoded": 0, "rows": 3}
    assert found.desk.bank.finds == 0
    assert found.made.stat == {"rows": 3, "negatives": 0, "refused": 0, "easy": 0.0}


def test_no_training_query_is_no_failure(base: Path) -> None:
    """With nothing to train on both artefacts are there and say so."""
    found = mine(World(DOCUMENTS, (), TEST), base, params(USUAL))
    assert found.files["examples.jsonl"] == b""
    assert (found.summary["rows"], found.summary["negatives"]) == (0, 0)


@pytest.mark.parametrize("policy", ["keep", "drop", "fill_random"])
def test_a_row_with_too_few(base: Path, policy: str) -> None:
    """keep leaves the row short, drop takes it out, fill_random draws the rest through the same guard."""
    asked = params([miner("dense", 3, low=0, high=2)], negatives__on_shortage=policy)
    found = mine(WORLD, base, asked)
    assert found.summary["short"] == (0 if policy == "fill_random" else 3)
    if policy == "drop":
        assert found.examples == [] and found.summary["dropped"] == 3
        assert set(found.ledger) == {"q1", "q2", "q3"}
        return
    for row in TRAIN:
        kept = found.kept(row["id"])
        entries = found.ledger[row["id"]]["candidates"]
        drawn = [e["id"] for e in entries if e["miner"] == "fill_random" and e["guard"] is None]
        assert len(kept) - len(drawn) < 3
        assert len(kept) == (3 if policy == "fill_random" else len(kept))
        assert bool(drawn) == (policy == "fill_random")
        assert not {"rain", row["positives"][0]["id"]} & set(kept)


def test_drop_takes_out_only_what_is_short(base: Path) -> None:
    """A row that has all its negatives stays."""
    asked = params([miner("bm25", 2, high=3)], negatives__on_shortage="drop")
    world = World(DOCUMENTS, (*TRAIN, ask("q4", "boat", "gate"), ask("q5", "pump filter oil month", "gate")))
    assert "q4" not in [row["id"] for row in mine(world, base, asked).examples]
    assert "q5" in [row["id"] for row in mine(world, base, asked).examples]


def test_fill_random_has_no_more_than_there_is(base: Path) -> None:
    """Where the corpus itself is too small the row stays short: nothing excluded fills it up."""
    world = World({id: DOCUMENTS[id] for id in ("valve", "rain", "pump", "crane")}, TRAIN, TEST)
    found = mine(world, base, params([miner("dense", 9)], negatives__on_shortage="fill_random"))
    assert {row["id"]: sorted(found.kept(row["id"])) for row in TRAIN} == {
        "q1": ["crane", "pump"], "q2": ["pump", "valve"], "q3": ["crane", "valve"],
    }  # fmt: skip


def test_seeds_draw_apart(base: Path) -> None:
    """The same seed draws the same negatives, another seed others; what is best by rank has no seed."""
    drawn = params([miner("random", 3), miner("dense", 2, sampling="random")])
    one, again, other = (mine(WORLD, base, drawn, seed=seed).files["examples.jsonl"] for seed in (7, 7, 8))
    assert one == again != other
    top = params(USUAL)
    assert mine(WORLD, base, top, seed=7).files == mine(WORLD, base, top, seed=8).files


def test_a_draw_hangs_on_its_own_query_alone(base: Path) -> None:
    """Another query beside it changes nothing in a query's negatives."""
    drawn = params([miner("random", 3), miner("dense", 2, sampling="random")])
    whole, part = mine(WORLD, base, drawn), mine(World(DOCUMENTS, TRAIN[1:], TEST), base, drawn)
    assert [row for row in whole.examples if row["id"] != "q1"] == part.examples


def test_each_query_draws_its_own(base: Path) -> None:
    """Two queries do not get the same documents in the same order."""
    found = mine(WORLD, base, params([miner("random", 12)]))
    drawn = [[e["id"] for e in found.ledger[row["id"]]["candidates"]] for row in TRAIN]
    assert len({tuple(ids) for ids in drawn}) == 3 and len({frozenset(ids) for ids in drawn}) == 1


@pytest.mark.parametrize("total", [0, 5, 40, 41, 5000])
def test_a_draw_repeats_nothing(total: int) -> None:
    """As many different documents as are looked for, or all there are, the same for the same salt."""
    ordered = range(7, 7 + total)
    found = draw(ordered, 10, "salt")
    assert len(found) == len(set(found)) == min(10, total)
    assert set(found) <= set(ordered)
    assert found == draw(ordered, 10, "salt")
    assert total < 5 or found != draw(ordered, 10, "pepper")


def test_blocks_change_nothing(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many queries are ranked at a time cannot be seen in the bytes."""
    asked = params([*USUAL, miner("hybrid", 1), miner("random", 1)])
    whole = mine(WORLD, base, asked).files
    monkeypatch.setattr(work, "BLOCK", 1)
    monkeypatch.setattr(knn, "DOCUMENTS", 5)
    assert mine(WORLD, base, asked).files == whole


def test_drawn_from_a_window_only(base: Path) -> None:
    """Sampling at random draws among the ranks of the window that pass the guard, and in rank order says so."""
    slow = slow_dense(slow_scores(WORLD, base, ["when is the crane open"])["when is the crane open"])
    seen: set[str] = set()
    for seed in range(40):
        found = mine(WORLD, base, params([miner("dense", 2, low=1, high=8, sampling="random")]), seed=seed)
        kept = found.kept("q2")
        assert len(kept) == 2
        assert [slow.index(id) for id in kept] == sorted(slow.index(id) for id in kept)
        seen.update(kept)
    assert seen == set(slow[1:8]) - {"crane", "rain"}


def test_too_easy_is_said(base: Path) -> None:
    """Where the base ranks the answer over all that was looked at, summary and progress say that little is left."""
    world = World(DOCUMENTS, tuple(ask(id, str(Text(text).text if isinstance(text, str) else text.text), id)
                                   for id, text in DOCUMENTS.items() if id != "gate"))
    found = mine(world, base, params([miner("dense", 2)]))
    assert found.summary["easy"] == 1.0 and found.summary["too_easy"] is True
    assert found.made.stat["easy"] == 1.0
    assert any("too easy" in told.text for told in found.desk.told)


def test_margins_do_not_make_a_row_easy(base: Path) -> None:
    """A rival over the answer that the margin took out counts: else every row with a margin would be easy."""
    world = World(DOCUMENTS, (ask("q", DOCUMENTS["rope"] + " gate", "server"),))
    found = mine(world, base, params([miner("dense", 2)], negatives__guard__relative_margin=0.05))
    assert "relative_margin" in found.reasons("q").values()
    assert found.summary["easy"] == 0.0 and found.summary["too_easy"] is False


def test_counts_are_of_work_done(base: Path) -> None:
    """Every text is encoded once; a warm bank leaves nothing to encode, and the bytes are the same."""
    bank = Bank()
    cold, warm = (mine(WORLD, base, params(USUAL), bank=bank) for _ in range(2))
    assert cold.made.counts == {"encoded": len(DOCUMENTS) + len(TRAIN), "rows": 3}
    assert warm.made.counts == {"encoded": 0, "rows": 3}
    assert warm.files == cold.files
    assert list(cold.made.stat) == ["rows", "negatives", "refused", "easy"]


@pytest.mark.parametrize("kind", ["static", "transformer"])
def test_the_bank_changes_no_byte(tmp_path: Path, kind: str) -> None:
    """Empty, warm, warmed by another model and warmed under other parameters: the same bytes."""
    make = tiny_static if kind == "static" else tiny_transformer
    one, other = make(tmp_path / "one", seed=1), make(tmp_path / "other", seed=2)
    asked = params([*USUAL, miner("hybrid", 1), miner("random", 1)], negatives__guard__relative_margin=0.05)
    fresh = mine(WORLD, one, asked, digest="one").files
    bank = Bank()
    strange = mine(WORLD, other, asked, bank=bank, digest="other").files
    mine(World(dict(list(DOCUMENTS.items())[:7]), (), ()), one, asked, bank=bank, digest="one")
    mine(WORLD, one, params([miner("dense", 1)]), bank=bank, digest="one")
    again = mine(WORLD, one, asked, bank=bank, digest="one")
    assert again.files == fresh != strange
    assert again.made.counts["encoded"] == 0


def test_a_detail_of_the_ledger_moves_no_example(base: Path) -> None:
    """A guard that refuses nothing more leaves the examples as they are: training would start anew for nothing."""
    wide = mine(WORLD, base, params([miner("dense", 2, high=5)]))
    wider = mine(WORLD, base, params([miner("dense", 2, high=5, sampling="top"), miner("bm25", 1, low=40, high=50)]))
    assert wide.files["examples.jsonl"] == wider.files["examples.jsonl"]


@pytest.mark.parametrize(("field", "value"), [
    ("negatives.miners.1.model", "thenlper/gte-base"),
    ("negatives.miners.1.kind", "sparse"),
])
def test_what_is_not_built_is_refused(base: Path, field: str, value: object) -> None:
    """What this version cannot do is an error that names the field, never a silent default."""
    with pytest.raises(EmbspecError) as raised:
        mine(WORLD, base, {**params([miner("dense", 2)]), field: value})
    assert raised.value.problems[0].code == "spec.not-built"
    assert raised.value.problems[0].field == field


def test_the_digest_names_the_base(base: Path) -> None:
    """Vectors are kept under the digest that the desk gives for the base."""
    bank = Bank()
    mine(WORLD, base, params(USUAL), bank=bank)
    vectors = [dict(space) for space in bank.spaces if "encode" in dict(space)]
    assert vectors and all(any(BASE in value for value in space.values()) for space in vectors)
