"""Where a past model can be brought back from, by its lock alone."""
from __future__ import annotations

from collections.abc import Sequence

import pytest

from embspec.cli.log import lines
from embspec.decide.history import (
    GIT,
    LOST,
    STORE,
    UNKNOWN,
    Entry,
    Figure,
    Past,
    Patience,
    headline,
    models,
    past,
    typed,
)
from embspec.git import Revision
from embspec.lock.text import Lock
from embspec.plan.values import Block, digest_of
from tests.support.locks import DECLARED, digest, lock


class Shelf:
    """What is at hand: digests, and the pins of files by commit; `tired` gives up at the first question."""

    def __init__(self, digests: Sequence[str] = (), files: Sequence[tuple[str, str]] = (), tired: bool = False) -> None:
        self.digests, self.pins, self.tired = {digest_of(text) for text in digests}, files, tired
        self.asked: list[tuple[tuple[str, ...], bool]] = []

    def has(self, digest: str) -> bool:
        """Whether it was put there."""
        return digest in self.digests

    def files(self, globs: Sequence[str], pin: str, commit: str, kept: bool) -> bool:
        """Whether they are, at this commit."""
        self.asked.append((tuple(globs), kept))
        if self.tired:
            raise Patience
        return (commit, pin) in self.pins


def entry(name: str, of: Lock | None) -> Entry:
    """A commit with this lock."""
    return Entry(Revision(name, "2026-07-01", name), of, "" if of else "there is no lock")


def found(of: Lock, shelf: Shelf, *others: Entry) -> Past:
    """What is said of one lock."""
    only = entry("now", of)
    return past([only], [only, *others], DECLARED, shelf)[0]


NOW = lock()
PINS = {name: block.pin["tree"] for name, block in NOW.blocks.items() if "tree" in block.pin}
MODEL = NOW.blocks["train"].out["model"]
BOTH = [("now", PINS["corpus"]), ("now", PINS["pairs.gold"])]


def test_what_the_store_has_is_not_looked_for() -> None:
    """The model alone is enough, and no file is asked for."""
    shelf = Shelf([MODEL])
    said = found(NOW, shelf)
    assert (said.source, said.lost, shelf.asked) == (STORE, (), [])
    assert (said.commit, said.metric, said.system, said.value) == ("now", "recall@5", "tuned", 0.5)


def test_what_can_be_built_again() -> None:
    """From files as they were, or from what was made of them; files that a stage keeps are asked for as kept."""
    shelf = Shelf(files=BOTH)
    assert found(NOW, shelf).source == GIT
    assert shelf.asked == [(("docs/*.md", "more/*.md"), False), (("gold.jsonl",), True)]
    assert found(NOW, Shelf([digest("documents")], BOTH[1:])).source == GIT
    assert found(NOW, Shelf([digest("documents"), digest("pairs")])).source == GIT


def test_what_is_lost_is_named() -> None:
    """All of it, each once."""
    said = found(NOW, Shelf())
    assert said.source == LOST
    assert [text.split(" (")[0] for text in said.lost] == ["snapshot/manifest", "pairs.gold: the 1 file that it read"]
    assert "sha256:222222222222…" in said.lost[1]


def test_documents_that_moved_since_the_snapshot() -> None:
    """The files of this commit do not make it; those of another whose lock made it do, at that commit."""
    moved = lock(live="other documents")
    assert found(moved, Shelf(files=BOTH)).source == LOST
    older = entry("then", lock(pins={"corpus": "sha256:" + "9" * 64 + " 2 files"}))
    there = ("then", "sha256:" + "9" * 64 + " 2 files")
    assert found(moved, Shelf(files=[*BOTH, there]), older).source == GIT
    assert found(moved, Shelf(files=BOTH), older).source == LOST


def test_another_recipe_cannot_be_run() -> None:
    """What a stage made by an older recipe only the older embspec makes again; the store may still have it."""
    block = NOW.blocks["train"]
    for then in (block._replace(recipe="1"), block._replace(uses={"knn": "2"})):
        older = lock(train=then)
        said = found(older, Shelf(files=BOTH))
        assert said.source == LOST and said.lost[0].startswith("train: it was built by ")
        assert found(older, Shelf([MODEL])).source == STORE


def test_a_lock_of_another_embspec_or_with_a_stage_gone() -> None:
    """A stage that is not there, or that nobody declares, is what is lost."""
    gone = Lock({name: block for name, block in NOW.blocks.items() if name != "pairs.gold"}, {})
    assert found(gone, Shelf(files=BOTH)).lost == ("pairs.gold/pairs.jsonl: the lock has no such stage",)


def test_giving_up() -> None:
    """Where finding out takes too long the answer is that it is not known."""
    assert found(NOW, Shelf(tired=True)).source == UNKNOWN
    assert found(NOW, Shelf([MODEL], tired=True)).source == STORE


def test_without_a_model_or_without_a_lock() -> None:
    """There is nothing to bring back."""
    bare = Lock({"evaluate": NOW.blocks["evaluate"]}, {})
    assert (found(bare, Shelf()).model, found(bare, Shelf()).source) == (None, "")
    said = past([entry("now", None)], [], DECLARED, Shelf())[0]
    assert (said.problem, said.source, said.value) == ("there is no lock", "", None)


def test_each_model_once() -> None:
    """The newest commit of each but the present one, newest first."""
    pool = [entry("d", lock(rate="1")), entry("c", lock(rate="2")), entry("b", None), entry("a", lock(rate="2")),
            entry("0", lock(rate="3"))]
    assert [e.revision.commit for e in models(pool, lock(rate="1"))] == ["c", "0"]
    assert [e.revision.commit for e in models(pool, Lock())] == ["d", "c", "0"]


STAT = {"base": "recall@5 0.2 mrr@10 0.1 n=9", "bm25": "recall@5 0.6 mrr@10 0.4 n=9",
        "tuned": "recall@5 0.7 mrr@10 0.3 n=9", "tuned+bm25": "recall@5 0.8 mrr@10 0.9 n=9"}


def _measured(stat: dict[str, str], ships: str = "", *gates: str) -> Lock:
    blocks = {"evaluate": Block(params={"eval.metrics": "recall@5 mrr@10"}, stat=stat)}
    blocks |= {"choose": Block(stat={"ships": ships})} if ships else {}
    blocks |= {"gates": Block(params={"seed": "42", "risk": "standard", **dict.fromkeys(gates, "on")})} if gates else {}
    return Lock(blocks, {})


@pytest.mark.parametrize(("of", "expected"), [
    (_measured(STAT, "dim 16 float32 fusion rrf 60"), Figure("recall@5", "tuned+bm25", 0.8)),
    (_measured(STAT, "dim 16 float32 fusion none"), Figure("recall@5", "tuned", 0.7)),
    (_measured({**STAT, "shipped": "recall@5 0.5 n=9"}, "dim 16 int8 fusion none"), Figure("recall@5", "shipped", 0.5)),
    (_measured(STAT, "dim 16 float32 fusion none", "mrr@10 >= 0.1"), Figure("mrr@10", "tuned", 0.3)),
    (_measured(STAT, "dim 16 float32 fusion none", "ndcg@3 >= 0.1"), Figure("recall@5", "tuned", 0.7)),
    (_measured({"base": STAT["base"], "bm25": STAT["bm25"]}), Figure("recall@5", "bm25", 0.6)),
    (_measured(STAT, "", "mrr@10 of base >= 0.1"), Figure("mrr@10", "base", 0.1)),
    (_measured({"bm25": "n=0"}), None),
    (Lock(), None),
])
def test_the_figure_a_lock_is_known_by(of: Lock, expected: Figure | None) -> None:
    """What ships, by the metric of the first gate; without a model what that gate judges, else the best."""
    assert headline(of) == expected


def test_parameters_as_a_stage_reads_them() -> None:
    """Lists come back as lists, blanks in a path included; the item's own name is cut out, pins stand beside."""
    block = Block(params={"corpus.path": '"\\"my docs/*.md\\" b/*.md"'}, pin={"revision": '"a b"'})
    assert typed(block, "") == {"corpus.path": ["my docs/*.md", "b/*.md"], "pin.revision": "a b"}
    assert typed(Block(params={"pairs.gold.qrels": "null"}), "gold") == {"pairs.qrels": None}


def test_the_lock_in_which_the_cutting_changed_is_marked() -> None:
    """By the next older lock that can be read; one that has no documents, and the first of all, are not."""
    pool = [entry("e", lock(tokens="64")), entry("d", lock(tokens="64")), entry("c", None), entry("b", lock()),
            entry("a", Lock({}, {}))]
    said = past(pool[:4], pool, DECLARED, Shelf([MODEL]))
    assert [one.recut for one in said] == [False, True, False, False]
    assert any("cut otherwise" in line and "but for those by document" in line for line in lines(said[1]))
    assert not any("cut otherwise" in line for line in lines(said[0]))
