"""Why a document is a negative or is none, and the examples in other forms."""
from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from embspec.decide.mined import Mined
from embspec.decide.negative import BOUNDS, KINDS
from embspec.errors import EmbspecError
from embspec.stages.forms import FORMS
from embspec.stages.negatives.guard import Rules
from tests.support.mined import kept
from tests.support.mining import Text, World, ask, mine, miner, params, slow_dense, slow_scores
from tests.support.tiny import tiny_static

LONG = "the crane on the dock is open in the morning and the gate of the dock is open at night when the crew is there"
DOCUMENTS = {
    "a": "red boat", "b": "red boat of the crew", "copy": "red boat", "near": LONG + " ship", "near to": LONG,
    "part 1": Text("big horse", document="whole"), "part 2": Text("small horse", document="whole"), "held": "old ship",
    "oil": "the oil pump", "oil 2": "the oil pump", "tank": "clean the tank", "far": "the bank paid the tax",
    "twin": "blue boat",
}
WORLD = World(
    DOCUMENTS,
    (ask("q", "which red boat", "a", "b"), ask("r", "when is it open", "near to"), ask("s", "which horse", "part 1"),
     ask("u", "Which  RED boat", "a")),
    (ask("t", "which ship", "held"),),
    (ask("v", "is the ship old", "held"),),
)
MARGIN = 0.1


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A static model; the tests of this file only read it."""
    return tiny_static(tmp_path_factory.mktemp("static"))


@pytest.fixture
def asked(base: Path, tmp_path: Path) -> Callable[..., Mined]:
    """A build of the world with these miners and what else the spec says."""
    def build(*miners: dict[str, Any], newer: str = "", **changed: Any) -> Mined:
        spec = params(list(miners) or [miner("dense", 20)], **changed)
        left_out = [ask("w", "who paid the tax", "far")]
        return kept(tmp_path / "store", WORLD, spec, mine(WORLD, base, spec), left_out=left_out, newer=newer)

    return build


@pytest.mark.parametrize(("query", "document", "guard"), [
    ("q", "a", "positive"), ("q", "copy", "duplicate"), ("r", "near", "near_duplicate"), ("s", "part 2", "sibling"),
    ("q", "held", "test_document"),
])
def test_what_a_document_is(asked: Callable[..., Mined], query: str, document: str, guard: str) -> None:
    """The guard that refused is said in its place: those before it passed, those behind it were not asked."""
    [found] = asked(negatives__guard__relative_margin=MARGIN).explain(query, document)
    assert (found.verdict, found.by, found.document) == ("refused", guard, document)
    names = [one.guard for one in found.guards]
    assert names == [*KINDS, *BOUNDS, "cross_encoder"]
    at = names.index(guard)
    assert [one.decision for one in found.guards] == [
        *["passed"] * at, "refused", *["not asked"] * (5 - at), "not set", "not set", "not set"]
    assert found.guards[at].text == KINDS[guard][1]


def test_every_decision_is_the_guard_s_own(asked: Callable[..., Mined], base: Path) -> None:
    """For all queries and documents the figures that are shown lead to the decision that was made."""
    said = {"relative_margin": 0.1, "absolute_margin": 0.05, "max_score": -0.1}
    of = asked(**{f"negatives__guard__{name}": value for name, value in said.items()})
    rules = Rules(said["relative_margin"], said["absolute_margin"], said["max_score"])
    seen = set()
    for row in WORLD.train:
        ranked = slow_dense(slow_scores(WORLD, base, [row["query"]])[row["query"]])
        for document in DOCUMENTS:
            [found] = of.explain(row["id"], document)
            seen.add(found.by)
            assert found.weakest is not None and found.score is not None
            assert found.weakest == min(answer["score"] for answer in found.positives)
            assert found.found[0] == {"miner": "dense", "rank": ranked.index(document)}
            if found.by not in KINDS and found.by != "copy":
                assert found.by == rules.refuses(found.score, found.weakest)
            for guard in found.guards:
                if guard.guard in BOUNDS and guard.text:
                    score, sign, bound = re.findall(r"^(\S+) (>|<=) (\S+)", guard.text)[0]
                    assert (sign == ">") == (guard.decision == "refused")
                    assert float(score) == pytest.approx(found.score) and (float(score) > float(bound)) == (sign == ">")
    assert {None, "positive", "relative_margin", "max_score"} <= seen


def test_the_figures_of_a_margin(asked: Callable[..., Mined]) -> None:
    """The bound is said with what it comes from, by the margins of the lock."""
    [found] = asked(negatives__guard__relative_margin=0.5, negatives__guard__absolute_margin=0.1).explain("q", "twin")
    text = {one.guard: one.text for one in found.guards}["relative_margin"]
    weakest, score = found.weakest, found.score
    assert weakest is not None and score is not None and score > weakest / 2
    assert text == f"{score:g} > {weakest / 2:.6f} = {weakest:g} - 50 %".replace(
        f"{weakest / 2:.6f}", f"{weakest / 2:.6f}".rstrip("0"))
    [far] = asked(negatives__guard__absolute_margin=0.1).explain("q", "far")
    text = {one.guard: one.text for one in far.guards}["absolute_margin"]
    assert far.verdict == "negative" and far.by is None
    assert text.startswith(f"{far.score:g} <= ") and text.endswith(f" = {weakest:g} - 0.1")


def test_a_text_that_is_a_negative_already(asked: Callable[..., Mined]) -> None:
    """A copy of a negative is refused, and the one that was taken is named."""
    [found] = asked().explain("q", "oil 2")
    [taken] = asked().explain("q", "oil")
    refused, other = (found, taken) if found.by else (taken, found)
    assert (refused.by, other.verdict) == ("copy", "negative")
    assert {one.guard: one.text for one in refused.guards}["copy"] == \
        f"its text is a negative already, as {other.document}"


def test_where_nobody_looked(asked: Callable[..., Mined]) -> None:
    """Enough before it, outside of every window, not drawn by chance: told apart miner by miner."""
    [found] = asked(miner("dense", 1), miner("bm25", 2, high=3)).explain("q", "far")
    assert (found.verdict, found.score, found.guards) == ("not looked at", None, ())
    enough, window = found.because
    assert re.fullmatch(r"dense: it is not among ranks 0 to \d; that was enough \(1 of 1\), and \d+ more were not "
                        r"looked at", enough)
    assert re.fullmatch(r"bm25: it is not among ranks 0 to 2, which is the whole window \(\d of 2 found\)", window)
    of = asked(miner("dense", 1, sampling="random"), miner("bm25", 1, low=40, high=50))
    drawn = {id: of.explain("q", id)[0] for id in ("far", "tank", "oil", "twin")}
    others = [one for one in drawn.values() if one.verdict == "not drawn"]
    assert len(others) >= 2
    assert list(others[0].because) == ["dense: it passed the guard and is not among the 1 that chance drew",
                                       "bm25: its window is empty for this query"]


def test_a_spec_without_miners(base: Path, tmp_path: Path) -> None:
    """No document is looked at, and that is why."""
    spec = params([])
    [found] = kept(tmp_path, WORLD, spec, mine(WORLD, base, spec)).explain("q", "far")
    assert (found.verdict, list(found.because)) == ("not looked at", ["the spec has no miners"])


def test_a_row_that_was_dropped(asked: Callable[..., Mined]) -> None:
    """What passed the guard of a row that is short is no negative, because the row is no example."""
    [found] = asked(miner("dense", 30), negatives__on_shortage="drop").explain("q", "far")
    assert found.verdict == "dropped"
    assert re.fullmatch(r"the row was dropped: it has \d+ negatives of 30, and `negatives.on_shortage` is drop",
                        found.because[0])


def test_a_query_by_its_text(asked: Callable[..., Mined]) -> None:
    """Every row that asks this, however it is spelled; an id is one row, with the answers of both."""
    of = asked()
    assert [one.query for one in of.explain("WHICH red  boat", "far")] == ["q", "u"]
    [one] = of.explain("u", "far")
    assert one.text == "Which  RED boat" and [answer["id"] for answer in one.positives] == ["a", "b"]


@pytest.mark.parametrize(("query", "why"), [
    ("t", "it belongs to test"), ("which ship", "it belongs to test"), ("v", "it belongs to validation"),
    ("Who paid the tax", "the split left the query out"),
])
def test_a_query_that_trains_nothing(asked: Callable[..., Mined], query: str, why: str) -> None:
    """Held out or left out by the split: said as such, not as unknown."""
    [found] = asked().explain(query, "far")
    assert found.verdict == "not looked at" and why in found.because[0] and found.guards == ()


def test_a_question_that_is_newer_than_the_negatives(base: Path, tmp_path: Path) -> None:
    """A split made again has rows that no ledger knows; each round that knows one still tells of it."""
    spec = params([miner("dense", 3)])
    before = mine(WORLD._replace(train=WORLD.train[:-1]), base, spec)
    of = kept(tmp_path, WORLD, spec, before, mine(WORLD, base, spec))
    first, second = of.explain("u", "far")
    assert (first.round, first.verdict, first.guards) == (1, "not looked at", ())
    assert "before this question came into the training part" in first.because[0]
    assert "`embspec build`" in first.because[0]
    assert second.round == 2 and second.because != first.because
    assert [(one.query, one.because == first.because) for one in of.explain("which red boat", "far", 1)] == [
        ("q", False), ("u", True)]


def test_what_nobody_knows(asked: Callable[..., Mined]) -> None:
    """An unknown query or document is an error with the nearest there are; a newer document is said to be one."""
    of = asked(newer="fresh")
    for query, document, text, fix in (
        ("which red bat", "far", "no query has the id or the text", '"which red boat"'),
        ("q", "farr", "the snapshot has no document 'farr'", '"far"'),
        ("q", "fresh", "newer than the snapshot", "--retrain"),
    ):
        with pytest.raises(EmbspecError) as raised:
            of.explain(query, document)
        [problem] = raised.value.problems
        assert problem.code == ("usage.no-query" if document == "far" else "usage.no-document")
        assert text in problem.text and fix in problem.fix


def test_rounds(base: Path, tmp_path: Path) -> None:
    """Each round that the lock has is told, or the one that is asked for; a round that is none is an error."""
    spec = params([miner("dense", 3)])
    first, second = mine(WORLD, base, spec), mine(WORLD, base, params([miner("dense", 1)]))
    of = kept(tmp_path, WORLD, spec, first, second)
    assert [one.round for one in of.explain("q", "far")] == [1, 2]
    assert [one.round for one in of.explain("q", "far", 2)] == [2]
    lines: list[str] = []
    assert of.export("triplet", lines.append).round == 2
    assert len(lines) == sum(len(row["positives"]) * len(row["negatives"]) for row in second.examples)
    with pytest.raises(EmbspecError, match="no round 3"):
        of.explain("q", "far", 3)


def test_a_build_or_bytes_that_are_not_there(asked: Callable[..., Mined]) -> None:
    """A lock without mining, and artefacts that the store lacks, are said with what to do."""
    of = asked()
    with pytest.raises(EmbspecError) as raised:
        Mined({"split": of.blocks["split"]}, of.store).explain("q", "far")
    assert raised.value.problems[0].code == "nowhere.negatives"
    for path in Path(of.store.store).rglob("*"):
        if path.is_file():
            path.unlink()
    with pytest.raises(EmbspecError) as raised:
        of.explain("q", "far")
    assert [(problem.code, problem.text.split(" ")[0]) for problem in raised.value.problems] == [
        ("nowhere.artefact", role) for role in
        ("split/train.jsonl", "snapshot/documents.jsonl", "negatives/ledger.jsonl")]
    assert "--refresh negatives" in raised.value.problems[0].fix


def test_a_ledger_of_an_older_build(base: Path, tmp_path: Path) -> None:
    """What the first version wrote is explained as far as it goes."""
    spec = params([miner("dense", 1)])
    run = mine(WORLD, base, spec)
    lines = [json.loads(text) for text in run.files["ledger.jsonl"].splitlines()]
    older = [{name: value for name, value in row.items() if name not in ("answers", "looks", "dropped")}
             for row in lines]
    files = {**run.files, "ledger.jsonl": b"".join(json.dumps(row).encode() + b"\n" for row in older)}
    of = kept(tmp_path, WORLD, spec, run._replace(files=files))
    assert of.explain("q", "far")[0].verdict == "not looked at"
    assert of.explain("q", "a")[0].by == "positive"
    assert of.explain("q", "a")[0].positives == [{"id": "a", "score": None}, {"id": "b", "score": None}]


def export(of: Mined, form: str, negatives: int | None = None) -> tuple[list[dict[str, Any]], int]:
    """The rows, and how many queries were left out."""
    lines: list[str] = []
    done = of.export(form, lines.append, negatives)
    assert done.lines == len(lines)
    return [json.loads(text) for text in lines], done.left_out


BOATS = World(
    {"a": "red boat", "b": "blue boat", "c": "old boat", "d": "red gate", "e": "oil"},
    (ask("1", "boat", "a"), ask("2", "gate", "d"), ask("3", "the boat", "a", "b"), ask("4", "boat one", "c")),
)


def test_forms(base: Path, tmp_path: Path) -> None:
    """Every form has its columns, a line for each positive, and what is too short is counted."""
    spec = params([miner("bm25", 2)])
    run = mine(BOATS, base, spec)
    of, examples = kept(tmp_path / "store", BOATS, spec, run), run.examples
    counts = [len(row["negatives"]) for row in examples]
    assert counts == [2, 0, 1, 2]
    pairs, left_out = export(of, "pairs")
    assert left_out == 0 and len(pairs) == sum(len(row["positives"]) for row in examples)
    assert pairs[0] == {"query": "boat", "positive": "red boat"}
    triplets, left_out = export(of, "triplet")
    assert left_out == counts.count(0) and {tuple(row) for row in triplets} == {("query", "positive", "negative")}
    assert len(triplets) == sum(len(row["positives"]) * len(row["negatives"]) for row in examples)
    tuples, left_out = export(of, "n-tuple")
    assert [list(row) for row in tuples] == [["query", "positive", "negative_1", "negative_2"]] * 2
    assert left_out == 2
    assert {tuple(row) for row in export(of, "n-tuple", 1)[0]} == {("query", "positive", "negative_1")}
    scored, left_out = export(of, "scored")
    assert left_out == 0 and len(scored) == len(examples)
    assert scored[2]["labels"] == [1, 1, 0] and scored[2]["documents"] == ["red boat", "blue boat", "old boat"]
    to = tmp_path / "new" / "mined.jsonl"
    assert of.export_to(str(to), "triplet").lines == len(triplets)
    assert [json.loads(text) for text in to.read_text().splitlines()] == triplets
    with pytest.raises(KeyError):
        of.export_to(str(to), "no such form")
    assert [path.name for path in to.parent.iterdir()] == ["mined.jsonl"]


def test_scores_of_a_cross_encoder() -> None:
    """They are exported where all documents of a query have one; else the labels are."""
    example = {"query": "q", "positives": [{"id": "a", "text": "A", "score": 2.5}],
               "negatives": [{"id": "b", "text": "B", "score": -1.0}]}
    assert list(FORMS["scored"](example, 0)) == [{"query": "q", "documents": ["A", "B"], "scores": [2.5, -1.0]}]
    del example["negatives"][0]["score"]  # type: ignore[index]
    assert list(FORMS["scored"](example, 0)) == [{"query": "q", "documents": ["A", "B"], "labels": [1, 0]}]
