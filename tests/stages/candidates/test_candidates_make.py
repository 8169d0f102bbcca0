"""Negatives that somebody else found: what is read of their files, and what is wrong with them."""
from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from embspec.errors import EmbspecError
from embspec.plan.nodes import expand
from embspec.plan.protocol import Made
from embspec.stages.candidates.make import make
from embspec.stages.live import given_files
from embspec.stages.street import STREET
from embspec.store.live import Found, LiveTree, find
from tests.support.benches import lines, question, read
from tests.support.desk import Desk

IDS = ("a", "b", "c", "d", "docs/é.md")
GOLD = [question("q1", "Which boat?", "a"), question("q2", "which  oil", "c")]
FAQ = [question("q1", "How many horses?", "d")]


def build(folder: Path, texts: Mapping[str, str | Sequence[Mapping[str, Any]]], **miners: str) -> tuple[Made, Any]:
    """Run the stage on these files; `_1="hard.jsonl"` is the path of the first miner."""
    for name, rows in texts.items():
        path = folder / "specs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows))
    manifest = folder / "manifest"
    manifest.write_text("".join(f"{id}\t00\n" for id in IDS), encoding="utf-8")
    params = {f"negatives.miners.{place[1:]}.path": path for place, path in miners.items()}
    out = folder / "out"
    out.mkdir(exist_ok=True)
    needs = {
        "live": LiveTree(find(str(folder / "specs"), given_files(params))), "snapshot/manifest": manifest,
        "pairs.gold/pairs.jsonl": lines(folder / "gold.jsonl", GOLD),
        "pairs.faq/pairs.jsonl": lines(folder / "faq.jsonl", FAQ),
    }
    made = make(params, needs, out, Desk(folder / "scratch"))
    return made, read(out / "given.jsonl")


def refused(folder: Path, texts: Mapping[str, str | Sequence[Mapping[str, Any]]], **miners: str) -> list[str]:
    """The code and place of each problem."""
    with pytest.raises(EmbspecError) as caught:
        build(folder, texts, **miners)
    return [f"{p.code} {p.where or p.field}" for p in caught.value.problems]


def test_a_file_that_lies_elsewhere(tmp_path: Path) -> None:
    """It is known by its address, and is no file of the project that ends like it."""
    address, here = "https://data.example/hard.jsonl", "data.example/hard.jsonl"
    rows = json.dumps({"query": "which oil", "negatives": ["b"]}) + "\n"
    (tmp_path / "fetched").write_text(rows, encoding="utf-8")
    digest = hashlib.sha256(rows.encode()).hexdigest()
    params = {"negatives.miners.1.path": address, "negatives.miners.2.path": here}
    pinned = {**params, f"pin.{address}": f"sha256:{digest} 9"}
    assert sorted(given_files(pinned)) == [here, f"{address}#sha256:{digest} 9"]
    (tmp_path / "specs" / "data.example").mkdir(parents=True)
    (tmp_path / "specs" / here).write_text(rows.replace('"b"', '"d"'), encoding="utf-8")
    found = [*find(str(tmp_path / "specs"), [here]),
             Found(address, str(tmp_path / "fetched"), len(rows), 0, 0, 0, len(address), digest)]
    (tmp_path / "manifest").write_text("b\t00\nd\t00\n", encoding="utf-8")
    (tmp_path / "out").mkdir()
    make(params, {"live": LiveTree(found), "snapshot/manifest": tmp_path / "manifest",
                  "pairs.gold/pairs.jsonl": lines(tmp_path / "gold.jsonl", GOLD)}, tmp_path / "out",
         Desk(tmp_path / "scratch"))
    assert {row["file"]: row["negatives"] for row in read(tmp_path / "out/given.jsonl")} == {
        address: ["b"], here: ["d"]}


def test_questions_by_words_and_by_id(tmp_path: Path) -> None:
    """One question in any spelling is one; an id that two sources share means both; order and first mention stay."""
    made, rows = build(tmp_path, {"hard.jsonl": [
        {"query": "WHICH boat?", "negatives": ["b", "d"]},
        {"query": "which boat?", "negative": "c"},
        {"query": "Which boat?", "negative": ["d", "a"]},
        {"id": "q1", "negatives": ["docs/e\u0301.md"]},
        {"id": "strange", "query": "which oil", "negatives": ["a"]},
    ]}, _1="hard.jsonl")
    assert rows == [
        {"file": "hard.jsonl", "query": "how many horses?", "negatives": ["docs/é.md"]},
        {"file": "hard.jsonl", "query": "which boat?", "negatives": ["b", "d", "c", "a", "docs/é.md"]},
        {"file": "hard.jsonl", "query": "which oil", "negatives": ["a"]},
    ]
    assert made.stat == {"queries": 3, "negatives": 7, "unknown": 0}


def test_questions_that_nobody_asks_are_counted(tmp_path: Path) -> None:
    """A file may know more than this project: that is no error, and its lines go nowhere."""
    made, rows = build(tmp_path, {"hard.jsonl": [
        {"query": "which boat?", "negatives": ["b"]}, {"query": "another", "negatives": ["b", "c"]},
        {"id": "q9", "negatives": ["b"]}]}, _1="hard.jsonl")
    assert [row["query"] for row in rows] == ["which boat?"] and made.stat["unknown"] == 2


def test_an_id_and_a_text(tmp_path: Path) -> None:
    """The text chooses among the questions of an id, and one that the id does not ask is a conflict, known or not."""
    _, rows = build(tmp_path, {"hard.jsonl": [
        {"id": "q1", "query": "WHICH boat?", "negatives": ["b"]}, {"id": "q2", "query": " ", "negatives": ["d"]},
    ]}, _1="hard.jsonl")
    assert [(row["query"], row["negatives"]) for row in rows] == [("which boat?", ["b"]), ("which oil", ["d"])]
    with pytest.raises(EmbspecError) as caught:
        build(tmp_path, {"hard.jsonl": [
            {"id": "q1", "query": "which oil", "negatives": ["b"]}, {"id": "q2", "query": "Unheard", "negative": "b"},
        ]}, _1="hard.jsonl")
    first, second = caught.value.problems
    assert [f"{one.code} {one.where}" for one in (first, second)] == [
        "input.conflict hard.jsonl:1", "input.conflict hard.jsonl:2"]
    assert first.text == "id q1 asks 'how many horses?' or 'which boat?', not 'which oil'"
    assert second.text == "id q2 asks 'which oil', not 'Unheard'"


def test_a_file_that_matches_nothing(tmp_path: Path) -> None:
    """A file that would give no negative is refused by the field of its miner; one known question is enough."""
    texts: dict[str, str | Sequence[Mapping[str, Any]]] = {
        "blank.jsonl": "\n", "none.jsonl": [{"query": "which oil", "negatives": []}],
        "far.jsonl": [{"query": f"Far {n}", "negatives": ["a", "b"]} for n in range(6)] + [{"id": 9, "negative": "a"}],
        "near.jsonl": [{"query": "Far", "negatives": ["a"]}, {"id": "q2", "negatives": ["a"]}],
    }
    with pytest.raises(EmbspecError) as caught:
        build(tmp_path, texts, _1="near.jsonl", _2="blank.jsonl", _3="far.jsonl", _4="none.jsonl", _5="./far.jsonl")
    assert [f"{p.code} {p.field}" for p in caught.value.problems] == [
        "input.empty negatives.miners.2.path", "input.dangling negatives.miners.5.path",
        "input.dangling negatives.miners.3.path", "input.empty negatives.miners.4.path"]
    assert caught.value.problems[2].text == (
        "of the 7 lines in far.jsonl none has a question that a source of pairs asks: 'Far 0' (far.jsonl:1), "
        "'Far 1' (far.jsonl:2), 'Far 2' (far.jsonl:3), 'Far 3' (far.jsonl:4), 'Far 4' (far.jsonl:5) and 2 more")
    assert all(p.fix for p in caught.value.problems)
    assert refused(tmp_path, {"far.jsonl": "{"}, _1="far.jsonl") == ["input.json far.jsonl:1:2"]


def test_one_file_in_two_spellings(tmp_path: Path) -> None:
    """It is read and counted once, and each miner finds it under its own spelling."""
    rows = [{"id": "q2", "negatives": ["a", "a"]}, {"query": "another", "negatives": ["b"]}]
    made, found = build(tmp_path, {"hard.jsonl": rows}, _1="hard.jsonl", _2="./hard.jsonl")
    assert [(row["file"], row["negatives"]) for row in found] == [("./hard.jsonl", ["a"]), ("hard.jsonl", ["a"])]
    assert made.stat == {"queries": 2, "negatives": 2, "unknown": 1} and made.counts["rows"] == 2


def test_what_dangles_is_counted_and_the_first_are_shown(tmp_path: Path) -> None:
    """However many there are; and it is said how the snapshot moves."""
    hard = [{"id": "q2", "negatives": [f"x{n}{at}" for at in (2, 1, 1)] + ["a"]} for n in range(4)]
    with pytest.raises(EmbspecError) as caught:
        build(tmp_path, {"hard.jsonl": hard}, _1="hard.jsonl")
    [problem] = caught.value.problems
    assert problem.text == (
        "of 12 negatives the snapshot of the corpus lacks 8: 'x01' (hard.jsonl:1), 'x02' (hard.jsonl:1), "
        "'x11' (hard.jsonl:2), 'x12' (hard.jsonl:2), 'x21' (hard.jsonl:3) and 3 more")
    assert "`embspec build --retrain`" in problem.fix


def test_each_miner_has_its_own_file(tmp_path: Path) -> None:
    """Files of one name in two folders are two, one that two miners name is read once; letters are no pattern."""
    texts = {"hard.jsonl": [{"id": "q2", "negatives": ["a"]}], "more/hard.jsonl": [{"id": "q2", "negatives": ["b"]}],
             "h[1].jsonl": [{"id": "q2", "negatives": ["d"]}]}
    _, rows = build(tmp_path, texts, _1="hard.jsonl", _2="more/hard.jsonl", _4="hard.jsonl", _10="h[1].jsonl")
    assert [(row["file"], row["negatives"]) for row in rows] == [
        ("h[1].jsonl", ["d"]), ("hard.jsonl", ["a"]), ("more/hard.jsonl", ["b"])]


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    """Broken rows with file and line, dangling ids all together, a file that is not there by its field."""
    text = "\n".join([
        '{"query": "which oil", "negatives": ["a"]', '{"negatives": ["a"]}', '{"query": 3, "negatives": ["a"]}',
        '{"query": "which oil"}', '{"query": "which oil", "negatives": ["a"], "negative": "b"}',
        '{"query": "which oil", "negatives": [null]}', '{"query": "which oil", "negatives": ["x", "a", "y"]}',
        '{"query": "nobody asks this", "negatives": ["z"]}', "[]", ""])
    assert refused(tmp_path, {"hard.jsonl": text}, _1="hard.jsonl", _2="none.jsonl") == [
        "input.json hard.jsonl:1:42", "input.field hard.jsonl:2", "input.type hard.jsonl:3", "input.field hard.jsonl:4",
        "input.conflict hard.jsonl:5", "input.id hard.jsonl:6", "input.json hard.jsonl:9",
        "input.missing negatives.miners.2.path", "input.dangling hard.jsonl:7"]
    with pytest.raises(EmbspecError) as caught:
        build(tmp_path, {"hard.jsonl": '{"id": "q2", "negatives": ["x", "a", "y"]}'}, _1="hard.jsonl")
    assert "3 negatives the snapshot of the corpus lacks 2: 'x' (hard.jsonl:1), 'y' (hard.jsonl:1)" in str(caught.value)


def test_the_stage_is_there_where_a_miner_has_a_file() -> None:
    """It reads nothing but the paths, so that a quota makes no file read again."""
    values = {"pairs.gold.trust": "gold", "model.method": "full", "negatives.miners.1.kind": "file",
              "negatives.miners.1.path": "hard.jsonl", "negatives.miners.1.num_negatives": 4}
    stages = [stage for stage in STREET if stage.name == "candidates"]
    (node,) = expand(stages, values)
    assert node.typed == {"negatives.miners.1.path": "hard.jsonl"}
    needs = node.stage.needs(node.params, ["candidates", "pairs.gold"])
    assert needs == ("snapshot/manifest", "pairs.gold/pairs.jsonl")
    assert expand(stages, {name: value for name, value in values.items() if "path" not in name}) == []
