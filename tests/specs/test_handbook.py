"""The shipped handbook is what its figures need: large, written by hand, and hard for plain words."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from embspec.plan.words import gates as gates_of
from embspec.retrieval.bm25 import BM25
from embspec.retrieval.tokenize import tokenizer
from tests.specs.conftest import Handbook

SPECS = Path(__file__).parents[2] / "specs"
WORD = re.compile(r"\w+(?:[-'’.,]\w+)*")

# Names that mean nothing outside the company, each with its meaning there.
TERMS = {
    "Quarto": "drying mill",
    "Pewter": "hatchery",
    "Saffron": "warehouse",
    "Nettle": "head office",
    "Nougat": "alginate powder",
    "Pumice": "feed meal",
    "Organza": "packaging film",
    "Partridge": "sign-off",
    "Tabard": "on-call duty",
    "Castanet": "shift handover",
    "Curlew": "contractor",
    "Pebble": "access badge",
    "Sardine": "top priority",
    "Canticle": "written procedure",
    "Rookery": "shift rota",
    "Tern": "leave request",
    "Bramble": "parental leave",
    "Cobalt": "sickness absence",
    "Marzipan": "yearly review",
    "Ferrule": "mandatory training",
    "Lantern": "payroll cut-off",
    "Flint": "payslip",
    "Gusset": "overtime",
    "Pomelo": "expenses claim",
    "Velvet": "pay grade",
    "Hobnail": "night allowance",
    "Harrow": "remote access",
    "Bellows": "helpdesk ticket",
    "Quill": "single login",
    "Trundle": "laptop",
    "Bishop": "skipper",
    "Heron": "harvest boat",
}


class Asked(NamedTuple):
    """A question and the document that answers it."""

    text: str
    document: str


@pytest.fixture(scope="module")
def documents() -> dict[str, str]:
    """Every document by its id."""
    return {
        path.relative_to(SPECS).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted((SPECS / "handbook").rglob("*.md"))
    }


def asked(name: str) -> list[Asked]:
    """The questions of a jsonl file."""
    rows = map(json.loads, (SPECS / "handbook" / name).read_text(encoding="utf-8").splitlines())
    return [Asked(row["query"], row["positive"]) for row in rows]


def faq() -> list[Asked]:
    """The questions of the FAQ."""
    with open(SPECS / "handbook" / "faq.csv", encoding="utf-8", newline="") as file:
        return [Asked(row["question"], row["document"]) for row in csv.DictReader(file)]


def words(text: str) -> list[str]:
    """Words as a reader counts them."""
    return [word.lower() for word in WORD.findall(text)]


def test_it_is_a_handbook(documents: dict[str, str]) -> None:
    """At least 400 documents of 40 to 150 words, in several departments, and no other Markdown beside them."""
    assert len(documents) >= 400
    assert {id: len(words(text)) for id, text in documents.items() if not 40 <= len(words(text)) <= 150} == {}
    departments = Counter(id.split("/")[1] for id in documents)
    assert len(departments) >= 5 and min(departments.values()) >= 10
    assert {path.relative_to(SPECS).as_posix() for path in SPECS.rglob("*.md")} == set(documents)


def test_every_document_is_its_own(documents: dict[str, str]) -> None:
    """No two documents share half of their 3-shingles: they were written, not stamped out."""

    def shingles(text: str) -> Iterator[tuple[str, ...]]:
        own = words(text)
        return zip(own, own[1:], own[2:], strict=False)

    sets = {id: set(shingles(text)) for id, text in documents.items()}
    holders: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for id, own in sets.items():
        for shingle in own:
            holders[shingle].append(id)
    common = Counter((one, other) for ids in holders.values() for one in ids for other in ids if one < other)
    assert [pair for pair, n in common.items() if 2 * n >= min(len(sets[pair[0]]), len(sets[pair[1]]))] == []


def test_there_are_questions_enough(documents: dict[str, str]) -> None:
    """At least 260 gold questions on 150 documents, 1,200 training questions on others, and an FAQ."""
    gold, train, common = asked("gold.jsonl"), asked("train.jsonl"), faq()
    assert len(gold) >= 260 and len({q.document for q in gold}) >= 150
    assert len(train) >= 1200
    assert len(common) >= 20
    assert {q.document for q in gold} & {q.document for q in [*train, *common]} == set()


def test_every_question_is_asked_once_about_a_document(documents: dict[str, str]) -> None:
    """Every positive exists, and no question is there twice in any spelling."""
    every = [*asked("gold.jsonl"), *asked("train.jsonl"), *faq()]
    assert {q.document for q in every} - documents.keys() == set()
    assert [text for text, n in Counter(" ".join(words(q.text)) for q in every).items() if n > 1] == []


@pytest.mark.parametrize("stem", [False, True])
def test_plain_words_do_not_solve_it(documents: dict[str, str], stem: bool) -> None:
    """BM25 by plain words or by their stems ranks the right document first for at most 60 % of the gold questions."""
    tokenize = tokenizer({"tokenizer": "words", "language": "english", "stem": stem})
    bm25 = BM25(list(documents), map(tokenize, documents.values()))
    gold = asked("gold.jsonl")
    first = [bm25.search(tokenize(q.text), 1) for q in gold]
    right = sum(bool(hits) and hits[0][0] == q.document for hits, q in zip(first, gold, strict=True))
    assert 0.1 <= right / len(gold) <= 0.6


@pytest.mark.parametrize("term", TERMS)
def test_its_own_words_recur(documents: dict[str, str], term: str) -> None:
    """What is learnt about a name from some documents helps on others: each stands in at least eight."""
    spelt = re.compile(rf"\b{term}(?:s|es|'s|’s)?\b")
    assert sum(bool(spelt.search(text)) for text in documents.values()) >= 8


def test_questions_speak_a_persons_words(documents: dict[str, str]) -> None:
    """Gold questions say `warehouse`, not the name that only the company knows: few of them hold such a name."""
    spelt = re.compile(rf"\b(?:{'|'.join(TERMS)})\b")
    gold = asked("gold.jsonl")
    assert sum(bool(spelt.search(q.text)) for q in gold) <= len(gold) / 4


def test_it_is_large_enough_to_judge_by(handbook: Handbook) -> None:
    """The split leaves what an interval, a training and a choice need."""
    stat = {name: int(text) for name, text in handbook.outcome.lock.blocks["split"].stat.items()}
    assert stat["test.queries"] >= 150 and stat["test.documents"] >= 100
    assert stat["train.queries"] >= 1200 and stat["validation.queries"] >= 50
    assert stat["test.leaking"] == 0


def test_the_tuned_model_is_better_by_more_than_luck(handbook: Handbook) -> None:
    """What ships, and the tuned model alone, gain over the base with their lower limit; BM25 alone is below."""
    gates = {row["gate"]: row for row in gates_of(handbook.outcome.plan, handbook.outcome.lock.blocks)}
    assert handbook.project.lock.verdict == "green"
    for gate in ("recall@10 >= base + 0.03 @95", "recall@10 of tuned >= base + 0.03 @95"):
        assert gates[gate]["verdict"] == "pass" and gates[gate]["n"] >= 150 and gates[gate]["low"] >= 0.03
    metrics = handbook.project.lock.metrics
    assert metrics["recall@10 bm25"] < metrics["recall@10 tuned"] < metrics["recall@10 tuned+bm25"]


def test_all_of_it_is_published(handbook: Handbook) -> None:
    """Model, card, ONNX, index and report lie under out/, and the folders are what the lock names."""
    out = handbook.folder / "out" / "handbook"
    for path in ("model/modules.json", "model/README.md", "model/onnx/model.onnx", "model/onnx/model_quantized.onnx",
                 "index/manifest.json", "index/retrieval.json", "report/report.md", "report/report.json"):
        assert (out / path).is_file(), path
    assert handbook.project.verify(str(out / "model")).kind == "model"
    assert handbook.project.verify(str(out / "index")).kind == "index"


def test_a_question_finds_its_document(handbook: Handbook, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search of the demo: the tuned model has the answer first, the base has not."""
    found = handbook.project.search("how long is a torch watched after welding", 3)
    assert found["tuned"][0]["id"] == "handbook/safety/vellum-welding.md" != found["base"][0]["id"]
