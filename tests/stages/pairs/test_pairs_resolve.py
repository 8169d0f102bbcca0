"""Positives by id, place and words: found in documents and in chunks, whoever asks, and said where they are not."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from embspec.stages.pairs.documents import Chunk, Page, pages
from embspec.stages.pairs.make import make
from embspec.stages.pairs.quotes import Finder, Place, Ruler, collapsed, spellings
from embspec.stages.pairs.resolve import MOST, Hit, Places, overlapping
from tests.support.trees import MemoryTree, brief, problems, run

PARAMS: dict[str, Any] = {"name": "gold", "pairs.path": "*.jsonl", "pairs.from": None, "pairs.format": "auto",
                          "pairs.qrels": None}
Rows = list[dict[str, Any]]


def document(name: str, text: str, **more: Any) -> dict[str, Any]:
    """A row of the snapshot."""
    return {"id": name, "title": "", "text": text, "document": None, "metadata": {}, **more}


def chunks(name: str, text: str, cuts: list[tuple[int, int]], context: str = "") -> Rows:
    """The rows of a document that was cut, each with what stands before it as its context."""
    return [document(f"{name}#{start}-{end}", context + text[start:end], document=name, start=start, end=end)
            for start, end in cuts]


def needs(folder: Path, rows: Rows, asked: Rows) -> dict[str, Any]:
    """A file of pairs and a snapshot, its rows in the order of ids."""
    folder.mkdir(parents=True, exist_ok=True)
    snapshot = folder / "documents.jsonl"
    snapshot.write_text("".join(json.dumps(row) + "\n" for row in sorted(rows, key=lambda r: str(r["id"]))), "utf-8")
    data = "".join(json.dumps(row) + "\n" for row in asked)
    return {"live": MemoryTree({"x.jsonl": data}), "snapshot/documents.jsonl": snapshot}


def positives(folder: Path, rows: Rows, *asked: dict[str, Any]) -> list[list[str]]:
    """The ids that each question gets, in the order of the questions."""
    named = [{"query": f"question {n}", "id": f"{n:03d}", **one} for n, one in enumerate(asked)]
    _, out = run(make, folder, PARAMS, needs(folder, rows, named))
    lines = (out / "pairs.jsonl").read_text("utf-8").split("\n")[:-1]
    return [[one["id"] for one in json.loads(line)["positives"]] for line in lines]


def faults(folder: Path, rows: Rows, *asked: dict[str, Any]) -> list[tuple[str, str]]:
    """Code and place of each problem."""
    return brief(problems(make, folder, PARAMS, needs(folder, rows, [{"query": f"q {n}", **one}
                                                                      for n, one in enumerate(asked)])))


WORDS = "zero one two three four five six seven eight nine ten eleven twelve."


def test_a_chunk_is_named_by_half_of_it(tmp_path: Path) -> None:
    """A span belongs to each chunk that holds half of the shorter of the two: one, both, or all that it covers."""
    rows = chunks("a.md", WORDS, [(0, 20), (20, 40), (40, 68)])
    ids = [str(row["id"]) for row in rows]
    found = positives(tmp_path, rows, {"span": "a.md#15-22"}, {"span": "a.md#18-22"}, {"span": "a.md#0-68"},
                      {"span": "a.md#35-60"}, {"positive": "a.md"}, {"positive": "a.md#0-30"}, {"positive": ids[1]})
    assert found == [ids[:1], ids[:2], ids, ids[2:], ids, ids[:2], ids[1:2]]


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.integers(0, 6), st.data())
def test_every_span_has_a_chunk(sizes: list[int], overlap: int, data: st.DataObject) -> None:
    """Wherever the chunks of a document are cut, with or without overlap, each of its spans is in one at least."""
    ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
    starts = [max(0, end - size - overlap) for end, size in zip(ends, sizes, strict=True)]
    page = Page("a", "", "x" * ends[-1], [Chunk(str(n), start, end, "", "a", None)
                                          for n, (start, end) in enumerate(zip(starts, ends, strict=True))])
    start = data.draw(st.integers(0, ends[-1] - 1))
    assert list(overlapping(page, start, data.draw(st.integers(start + 1, ends[-1]))))


def test_words_over_the_border_of_chunks(tmp_path: Path) -> None:
    """A quote that was cut in two is found, though no chunk has all of it; context before a chunk is no text of it."""
    rows = chunks("a.md", WORDS, [(0, 24), (14, 40), (40, 68)], context="Guide > Numbers\n")
    ids = [str(row["id"]) for row in rows]
    found = positives(tmp_path, rows, {"quote": "four five six\n seven"}, {"quote": "eight nine"},
                      {"quote": "seven eight nine ten eleven", "positive": "a.md"})
    assert found == [ids[1:2], ids[2:], ids[2:]]


def test_the_text_of_chunks_is_the_document(tmp_path: Path) -> None:
    """Chunks that overlap give the text once, in order, whatever the order of their ids."""
    rows = [*chunks("a.md", WORDS, [(0, 9), (5, 30), (30, 68)]), document("b", "other")]
    found = list(pages(needs(tmp_path, rows, [])["snapshot/documents.jsonl"]))
    assert [(page.id, page.text, len(page.chunks)) for page in found] == [("a.md", WORDS, 3), ("b", "other", 1)]


def test_chunks_between_those_of_another_document(tmp_path: Path) -> None:
    """A document may be called as another one and a mark: each is put together once, and words over a border found."""
    names = ("a", "a#2", "a#2#1", "b")
    rows = [row for name in names for row in chunks(name, WORDS, [(0, 9), (9, 30), (30, 68)])]
    given = needs(tmp_path, [*rows, document("a#1", "other"), document("a#9", "more")], [])
    found = {page.id: (page.text, len(page.chunks)) for page in pages(given["snapshot/documents.jsonl"])}
    assert found == {**dict.fromkeys(names, (WORDS, 3)), "a#1": ("other", 1), "a#9": ("more", 1)}
    assert len(list(pages(given["snapshot/documents.jsonl"]))) == 6


def test_words_that_stand_twice(tmp_path: Path) -> None:
    """A quote is in each document that has it; one that is a whole text is that text; too many say nothing."""
    rows = [document(f"d{n:02d}", f"boilerplate words here {n}") for n in range(11)]
    rows += [document("x", "the answer is no"), document("y", "the answer is no"), document("z", "so the answer is no")]
    rows += [document("v", "rare words one"), document("w", "rare words one two")]
    found = positives(tmp_path, rows, {"quote": "rare words"}, {"quote": "the  answer is no"})
    assert found == [["v", "w"], ["x", "y"]]
    assert faults(tmp_path / "2", rows, {"quote": "boilerplate words"}) == [("input.ambiguous", "x.jsonl:1")]
    assert positives(tmp_path / "3", rows, {"quote": "boilerplate words", "positive": "d03"}) == [["d03"]]
    assert faults(tmp_path / "4", rows, {"quote": "no"}) == [("input.quote", "x.jsonl:1")]


def test_a_quote_is_the_same_places_however_documents_are_cut(tmp_path: Path) -> None:
    """A chunk that happens to be the very words does not hide the other places; a document that is them does."""
    text, other = "zero one two three. And then four five six.", "First of all zero one two three. Then more."
    asked = [{"query": "q", "quote": "zero one two three."}, {"query": "r", "quote": text}]
    found = []
    for number, cuts in enumerate(([(0, 19), (19, 43)], [(0, 43)], [(0, 30), (30, 43)])):
        rows = [*chunks("a.md", text, cuts), *chunks("b.md", other, [(0, 43)]), document("c", f"{text} {text}")]
        _, out = run(make, tmp_path / str(number), PARAMS, needs(tmp_path / str(number), rows, asked))
        read = map(json.loads, (out / "pairs.jsonl").read_text().splitlines())
        found.append({row["query"]: {(one["id"].partition("#")[0], *place) for one in row["positives"]
                                     for place in one.get("places", [[one["start"], one["end"]]])} for row in read})
    assert found == [{"q": {("a.md", 0, 19), ("b.md", 13, 32), ("c", 0, 19), ("c", 44, 63)},
                      "r": {("a.md", 0, 43)}}] * 3


def test_places_past_the_limit_are_not_kept() -> None:
    """Words that stand everywhere cost no memory, and a place that is met twice is one."""
    kept = Places()
    for number in range(100):
        for _ in range(2):
            kept.add(Hit(f"d{number}", (f"d{number}",), 0, 4))
    assert kept.many and len(kept.all) == len(kept.pages) == MOST + 1


def test_a_quote_that_is_nowhere_names_what_is_near(tmp_path: Path) -> None:
    """The document with most of the words is named, with their share; nothing is where nothing is near."""
    rows = [document("a", "vacation is thirty days a year"), document("b", "nothing of it")]
    given = needs(tmp_path, rows, [{"query": "q", "quote": "Vacation is forty days a year"},
                                   {"query": "r", "quote": "entirely other"}])
    found = problems(make, tmp_path, PARAMS, given)
    assert brief(found) == [("input.quote", "x.jsonl:1"), ("input.quote", "x.jsonl:2")]
    assert "nearest is 'a', which has 83% of its words" in found[0].fix and "nearest" not in found[1].fix


def test_a_positive_that_the_role_may_not_see(tmp_path: Path) -> None:
    """A document says under `access` who may see it, and all may where it says nothing; else the data are at fault."""
    rows = [document("open", "for all"), document("hr", "for some", metadata={"access": ["hr", "board"]}),
            document("one", "for one", metadata={"access": "hr"})]
    assert positives(tmp_path, rows, {"positive": ["open", "hr", "one"], "role": "hr"}, {"positive": ["hr"]},
                     {"positive": "hr", "role": "train"}) == [["hr", "one", "open"], ["hr"], ["hr"]]
    bad = faults(tmp_path / "2", rows, {"positive": "open", "role": "guest"}, {"positive": "hr", "role": "guest"},
                 {"positive": "one", "role": "board"}, {"positives": [{"id": "hr", "grade": 0}, "open"], "role": "x"})
    assert bad == [("input.not-visible", "x.jsonl:2"), ("input.not-visible", "x.jsonl:3")]


def test_two_places_in_one_chunk_are_no_contradiction(tmp_path: Path) -> None:
    """The better of two places is what the chunk is worth; two grades for one place contradict each other."""
    rows = [document("a", WORDS)]
    asked = {"query": "q", "positives": [{"span": "a#0-4", "grade": 1}, {"quote": "five six", "grade": 3}]}
    _, out = run(make, tmp_path, PARAMS, needs(tmp_path, rows, [asked]))
    assert json.loads((out / "pairs.jsonl").read_text())["positives"] == [
        {"id": "a", "grade": 3, "start": 24, "end": 32, "places": [[0, 4], [24, 32]]}]
    twice = {"positives": [{"span": "a#0-4", "grade": 1}, {"span": "a#0-4", "grade": 2}]}
    assert faults(tmp_path / "2", rows, twice) == [("input.conflict", "x.jsonl:1")]


def test_a_chunk_is_the_place_it_says(tmp_path: Path) -> None:
    """By its id, or by being the very words without the blanks around them; a document of such a name is no place."""
    rows = [*chunks("a.md", " zero one \nnext", [(0, 11), (11, 15)]), document("b#0-4", "text of it")]
    asked = [{"query": "q", "positive": "a.md#0-11"}, {"query": "r", "quote": "zero one"},
             {"query": "s", "positive": "b#0-4"}]
    _, out = run(make, tmp_path, PARAMS, needs(tmp_path, rows, asked))
    found = {row["query"]: row["positives"] for row in map(json.loads, (out / "pairs.jsonl").read_text().splitlines())}
    assert found == {"q": [{"id": "a.md#0-11", "grade": 1, "start": 0, "end": 11}],
                     "r": [{"id": "a.md#0-11", "grade": 1, "start": 1, "end": 9}],
                     "s": [{"id": "b#0-4", "grade": 1}]}


TEXT = st.text(alphabet="ab \n日é\u0301", max_size=40)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.lists(st.text(alphabet="ab 日", min_size=1, max_size=24), max_size=5), st.lists(TEXT, max_size=6))
@example(["a" * 16, "a" * 17, "abab"], ["a" * 40, "ababab"])
def test_finder_finds_what_a_slow_search_finds(quotes: list[str], texts: list[str]) -> None:
    """All places of all quotes of four characters and more, as a search quote by quote and text by text has them."""
    joined = [collapsed(text) for text in texts]
    slow = {Place(n, t, at, at + len(words))
            for n, quote in enumerate(quotes) for words in spellings(quote) if len(words) >= 4
            for t, text in enumerate(joined) for at in range(len(text)) if text.startswith(words, at)}
    assert set(Finder(quotes).places(joined)) == slow


@settings(max_examples=80, derandomize=True, deadline=None)
@given(TEXT)
def test_ruler_leads_back(text: str) -> None:
    """Each character of a collapsed text that is no blank is that character of the text."""
    ruler = Ruler(text)
    assert all(text[ruler.of(at)] == sign for at, sign in enumerate(collapsed(text)) if sign != " ")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.yml", "- {question: Why so?, answer: zero one}\n- question: And then?\n", [("input.field", "a.yml:2")]),
        ("a.yml", "- question: [a]\n  answer: x\n", [("input.empty", "pairs.gold.path")]),
        ("a.yml", "- question: Why?\n  answer: {a: b}\n", [("input.type", "a.yml:1")]),
        ("a.yml", "a: [1\nb: 2\n", [("input.yaml", "a.yml:2:2")]),
        ("a.yml", "x: &a\n  - question: Why?\n    answer: zero one\n    more: *a\n", []),
        ("a.md", "# Title\n\n## Why?\n\n## Else\n", [("input.empty-text", "a.md:3")]),
        ("a.md", "# No question\n", [("input.empty", "pairs.gold.path")]),
        ("a.json", '{"queries": {}, "corpus": []}', [("input.format", "a.json")]),
        ("a.json", '{"query": "a"}\n{"query": "b"}\n', [("input.json", "a.json:2:1")]),
        ("a.json", '{"queries": {"1": "q", "2": "r"},\n "corpus": {},\n "relevant_docs": {"1": [], "3": ["a"]}}',
         [("input.no-positive", "a.json:1"), ("input.no-positive", "a.json:1"), ("input.unknown-query", "a.json")]),
        ("a.jsonl", '{"query": "q", "pos": []}', [("input.no-positive", "a.jsonl:1")]),
        ("a.jsonl", '{"query": "q", "pos": ["zero one"]}\n{"query": "r"}', [("input.field", "a.jsonl:2")]),
        ("a.jsonl", '{"query": "q", "positive_passages": ["zero"]}', [("input.type", "a.jsonl:1")]),
        ("a.jsonl", '{"query": "q", "positive_passages": [{"title": "t"}]}', [("input.field", "a.jsonl:1")]),
        ("a.csv", "frage,antwort\nq,zero one\n", [("input.field", "a.csv:1"), ("input.field", "a.csv:1")]),
        ("a.csv", "question;answer\nq;zero one\n", [("input.delimiter", "a.csv:1")]),
    ],
)
def test_what_is_wrong_with_a_file_of_another_format(
    name: str, text: str, expected: list[tuple[str, str]], tmp_path: Path
) -> None:
    """Each fault of the other formats has its code and its line."""
    given = {**needs(tmp_path, [document("a", WORDS)], []), "live": MemoryTree({name: text})}
    params = {**PARAMS, "pairs.path": "*"}
    if expected:
        assert brief(problems(make, tmp_path, params, given)) == expected
    else:
        run(make, tmp_path, params, given)
