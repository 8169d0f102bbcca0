"""The survey of a snapshot: what no model reads, and what stands there twice."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from embspec.stages import snapshot
from embspec.stages.survey import duplicates
from embspec.stages.survey.make import make
from embspec.stages.tokens import Tokens
from tests.support.benches import Bench, params
from tests.support.desk import Bank, Desk
from tests.support.tiny import MAX_LENGTH, tiny_static, tiny_transformer

ALL = ("corpus.dedup.exact", "corpus.dedup.near", "corpus.max_truncated_fraction")
LONG = "the pump and the valve of the motor "
TEXTS = {f"d{n:02}": ("title of it", LONG * n + f"gate {n}") for n in range(12)}


def surveyed(folder: Path, texts: Any, base: bool = True, bank: Bank | None = None, **changed: Any) -> tuple[Any, Desk]:
    """Both artefacts, and the desk they were made at."""
    bench = Bench(folder, texts)
    if base:
        bench.needs["base/base"] = tiny_transformer(folder / "base")
    desk = Desk(folder / "scratch", {"base/base": "sha256:b"}, bank=bank)
    asked = {name: value for name, value in params(**changed).items() if name in ALL}
    (folder / "out").mkdir(exist_ok=True)
    made = make(asked, bench.needs, folder / "out", desk)
    found = {name: json.loads((folder / "out" / f"{name}.json").read_text()) for name in ("lengths", "duplicates")}
    return {**found, "stat": made.stat}, desk


def test_texts_that_are_cut_short_are_counted_as_the_model_reads_them(tmp_path: Path) -> None:
    """Each with its title and the model's own marks, by a second count; the longest are named, and it is said aloud."""
    found, desk = surveyed(tmp_path, TEXTS)
    words = AutoTokenizer.from_pretrained(str(tmp_path / "base"))
    slow = {id: len(words(f"{title} {text}", truncation=False)["input_ids"]) for id, (title, text) in TEXTS.items()}
    over = sorted((id for id in slow if slow[id] > MAX_LENGTH), key=lambda id: -slow[id])
    assert 0 < len(over) < len(slow)
    assert found["lengths"]["truncated"] == len(over) == found["stat"]["truncated"]
    assert found["lengths"]["fraction"] == round(len(over) / len(slow), 6)
    assert found["lengths"]["limit"] == MAX_LENGTH and found["lengths"]["longest"] == max(slow.values())
    assert found["lengths"]["examples"] == [{"id": id, "tokens": slow[id]} for id in over][:10]
    (told,) = [event.text for event in desk.told if "never found" in event.text]
    assert f"{len(over)} of 12 documents" in told and f"d11 ({slow['d11']})" in told


def test_a_text_of_just_the_length_is_read_whole(tmp_path: Path) -> None:
    """The limit counts the marks around a text, and one more word is over it."""
    texts = {"fits": "pump " * (MAX_LENGTH - 2), "over": "pump " * (MAX_LENGTH - 1)}
    found, _ = surveyed(tmp_path, texts)
    assert found["lengths"]["examples"] == [{"id": "over", "tokens": MAX_LENGTH + 1}]


def test_a_share_that_the_spec_lets_pass_is_not_spoken_of(tmp_path: Path) -> None:
    """The figures are the same."""
    found, desk = surveyed(tmp_path, TEXTS, corpus__max_truncated_fraction=0.9)
    assert found["lengths"]["truncated"] > 0 and not [e for e in desk.told if "never found" in e.text]


def test_what_was_counted_is_not_counted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warm bank gives the same bytes, and of two changed texts only these are tokenized."""
    bank = Bank()
    first, _ = surveyed(tmp_path / "1", TEXTS, bank=bank)
    counted: list[str] = []
    plain = Tokens.counts
    monkeypatch.setattr(Tokens, "counts", lambda self, some: counted.extend(some) or plain(self, some))
    again, _ = surveyed(tmp_path / "2", TEXTS, bank=bank)
    assert again == first and counted == []
    surveyed(tmp_path / "3", {**TEXTS, "d03": "other", "d04": "and another"}, bank=bank)
    assert sorted(counted) == ["and another", "other"]


def test_large_texts_are_counted_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in memory is bounded by letters, not by a number of documents; the figures are the same."""
    first, _ = surveyed(tmp_path / "1", TEXTS)
    held: list[int] = []
    plain = Tokens.counts
    monkeypatch.setattr(Tokens, "counts", lambda self, some: held.append(sum(map(len, some))) or plain(self, some))
    surveyed(tmp_path / "2", TEXTS)
    assert max(held) > 1000
    held.clear()
    monkeypatch.setattr(snapshot, "LARGE", 500)
    again, _ = surveyed(tmp_path / "3", TEXTS)
    assert again == first and max(held) <= 500


def test_without_a_limit_nothing_is_cut_short(tmp_path: Path) -> None:
    """A table of words reads all of a text; without a model nobody does, which a gate must not take for a pass."""
    bench = Bench(tmp_path / "a", TEXTS)
    bench.needs["base/base"] = tiny_static(tmp_path / "base")
    bench.make("survey", params())
    assert bench.json("survey/lengths.json")["model"] and bench.json("survey/lengths.json")["truncated"] == 0
    found, _ = surveyed(tmp_path / "b", TEXTS, base=False)
    assert found["lengths"]["model"] is False and found["lengths"]["limit"] is None


WORDS = " ".join(f"word{n}" for n in range(60))
TWICE = {"a": WORDS, "b": WORDS, "c": ("Titled", WORDS), "d": WORDS + " more", "e": "short", "f": "Short!", "g": "one"}


def test_duplicates_are_groups(tmp_path: Path) -> None:
    """Equal in title and letters; near, whatever the title and through one another; nothing is taken out."""
    found, _ = surveyed(tmp_path, TWICE, base=False)
    assert found["duplicates"]["exact"] == {"documents": 2, "groups": [["a", "b"]]}
    assert found["duplicates"]["near"] == {"threshold": 0.9, "documents": 4, "groups": [["a", "b", "c", "d"]]}
    assert found["stat"] == {"texts": 7, "exact": 2, "near": 4}


def test_each_kind_is_looked_for_where_it_is_asked_for(tmp_path: Path) -> None:
    """`null` and `false` switch it off."""
    found, _ = surveyed(tmp_path, TWICE, base=False, corpus__dedup__near=None)
    assert found["duplicates"]["near"] is None and found["duplicates"]["exact"]
    found, _ = surveyed(tmp_path, TWICE, base=False, corpus__dedup__exact=False, corpus__dedup__near=1.0)
    assert found["duplicates"]["exact"] is None and found["duplicates"]["near"]["groups"] == [["a", "b", "c"]]


def test_texts_are_read_where_they_lie(tmp_path: Path) -> None:
    """By place and by stretch, as a list of them would be."""
    bench = Bench(tmp_path, TWICE)
    plain = [text if isinstance(text, str) else text[1] for _, text in sorted(TWICE.items())]
    with bench.needs["snapshot/documents.jsonl"].open("rb") as file:
        texts = duplicates.texts(file)
        assert list(texts) == plain and texts[2:5] == plain[2:5] and texts[-1] == plain[-1] and len(texts) == 7


@pytest.mark.parametrize(("gate", "verdict"), [("<= 0.5", "pass"), ("<= 0.02", "fail"), ("<= 0", "fail")])
def test_a_gate_holds_the_share(tmp_path: Path, gate: str, verdict: str) -> None:
    """`truncated_fraction` is judged as it was measured, with the number of documents; no ranking is asked."""
    bench = Bench(tmp_path, TEXTS)
    bench.needs["base/base"] = tiny_transformer(tmp_path / "base")
    bench.make("survey", params())
    bench.put("evaluate/scores", [])
    bench.put("evaluate/runs", [])
    bench.make("gates", params(**{f"gates__truncated_fraction {gate}": "on"}))
    (found,) = bench.json("gates/verdict.json")["gates"]
    measured = bench.json("survey/lengths.json")
    assert (found["verdict"], found["value"], found["n"]) == (verdict, measured["fraction"], 12)
    assert f"{measured['truncated']} documents are over the 64 tokens" in found["note"]


def test_a_gate_without_a_model_is_no_pass(tmp_path: Path) -> None:
    """Nothing was counted."""
    bench = Bench(tmp_path, TEXTS)
    bench.make("survey", params())
    bench.put("evaluate/scores", [])
    bench.put("evaluate/runs", [])
    bench.make("gates", params(**{"gates__truncated_fraction <= 0.5": "on"}))
    assert bench.json("gates/verdict.json")["gates"][0]["verdict"] == "error"


def test_the_report_says_both(tmp_path: Path) -> None:
    """Over the share that may be, it stands where care is asked for; duplicates stand with the data."""
    for most, over in ((0.02, True), (0.9, False)):
        bench = Bench(tmp_path / str(over), {**TEXTS, "twin": TEXTS["d05"]})
        bench.needs["base/base"] = tiny_transformer(bench.folder / "base")
        asked = params(corpus__max_truncated_fraction=most)
        bench.make("survey", asked)
        bench.make("report", asked)
        page = bench.needs["report/report.md"].read_text()
        head, _, data = page.partition("## Data")
        assert ("over the 64 tokens that the model reads" in head) == over != ("over the 64 tokens" in data)
        assert "2 documents in 1 group of equal texts, such as `d05`, `twin`" in data
        assert bench.json("report/report.json")["duplicates"]["exact"]["first"] == [["d05", "twin"]]
