"""BM25 against a slow reference and real data."""
from __future__ import annotations

import json
import math
import os
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.measure.metrics import gains, score
from embspec.retrieval.bags import Bags
from embspec.retrieval.bm25 import BM25
from embspec.retrieval.languages import found
from embspec.retrieval.tokenize import SPELLS, stems, tokenizer
from tests.support import tokens as slow_tokens

WORDS = st.lists(st.sampled_from("abcdefg"), max_size=12)
PIECES = ("E-1042", "e", "1042.", "getHTTP", "get", "ERR_404", "err", "日本語の本", "日本", "ﾊﾞｽ", "バス", "px200")
CORPORA = st.dictionaries(st.text(max_size=4), WORDS, max_size=12)


def slow(corpus: dict[str, list[str]], query: Sequence[str], k: int, k1: float, b: float) -> list[tuple[str, float]]:
    """The formula as it stands in the docstring, document by document."""
    average = sum(map(len, corpus.values())) / len(corpus) if corpus else 0.0
    found = []
    for name, words in corpus.items():
        total = 0.0
        for term in query:
            df = sum(term in other for other in corpus.values())
            tf = words.count(term)
            if tf:
                idf = math.log(1 + (len(corpus) - df + 0.5) / (df + 0.5))
                total += idf * tf / (tf + k1 * (1 - b + b * len(words) / average))
        if total > 0:
            found.append((name, round(total, 9)))
    return sorted(found, key=lambda hit: (-hit[1], hit[0]))[:k]


@settings(max_examples=200)
@given(CORPORA, WORDS, st.integers(0, 15), st.sampled_from([0.0, 0.9, 1.2]), st.sampled_from([0.0, 0.75, 1.0]))
def test_equals_the_formula(corpus: dict[str, list[str]], query: list[str], k: int, k1: float, b: float) -> None:
    """Documents, order and scores are those of the slow reference; repeated words of the query count each time."""
    hits = BM25(list(corpus), list(corpus.values()), k1, b).search(query, k)
    wanted = slow(corpus, query, len(corpus), k1, b)
    scores = dict(wanted)
    assert [value for _, value in hits] == pytest.approx([value for _, value in wanted[:k]], abs=3e-9)
    assert all(value == pytest.approx(scores[name], abs=3e-9) for name, value in hits)
    assert hits == sorted(hits, key=lambda hit: (-hit[1], hit[0]))


@settings(max_examples=50)
@given(CORPORA, WORDS, st.integers(0, 999))
def test_order_of_documents_and_words_is_no_input(corpus: dict[str, list[str]], query: list[str], seed: int) -> None:
    """Shuffled documents, shuffled words in them and a shuffled query give equal results, to the bit."""
    shuffle = random.Random(seed).shuffle
    ids, words = list(corpus), {name: list(tokens) for name, tokens in corpus.items()}
    before = BM25(ids, [words[name] for name in ids]).search(query, 10)
    for part in (ids, query, *words.values()):
        shuffle(part)
    assert BM25(ids, [words[name] for name in ids]).search(query, 10) == before


def test_ties_are_broken_by_id_also_at_the_cut() -> None:
    """Of equal scores the smaller id comes first, and the cut falls between ids, not wherever a sort left them."""
    ids = ["d", "b", "c", "a", "e"]
    index = BM25(ids, [["x"]] * 4 + [["x", "x"]], b=0.0)
    assert [name for name, _ in index.search(["x"], 3)] == ["e", "a", "b"]


def test_what_holds_nothing_finds_nothing() -> None:
    """Empty corpus, empty documents, empty or unknown query: no hits, no warning."""
    assert BM25([], []).search(["x"], 5) == []
    assert BM25(["a", "b"], [[], []]).search(["x"], 5) == []
    index = BM25(["a", "b"], [["x"], []])
    assert index.search([], 5) == index.search(["y"], 5) == index.search(["x"], 0) == []
    assert [name for name, _ in index.search(["x", "y"], 5)] == ["a"]


def test_ids_must_be_one_per_document() -> None:
    """Twice the same id, or another number of token lists, is an error and no wrong ranking."""
    with pytest.raises(ValueError, match="twice"):
        BM25(["a", "a"], [["x"], ["y"]])
    with pytest.raises(ValueError, match="2 token lists for 1"):
        BM25(["a"], [["x"], ["y"]])


@pytest.mark.parametrize("name", ["identifiers", "char_bigrams", "simple"])
@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.lists(st.sampled_from(PIECES), max_size=10).map(" ".join), max_size=8),
    query=st.lists(st.sampled_from(PIECES), max_size=5).map(" ".join), k=st.integers(1, 9),
)
def test_scores_by_each_tokenizer(name: str, texts: list[str], query: str, k: int) -> None:
    """Texts counted by chunks are scored as the formula scores what a slow tokenizer makes of them."""
    read, reference = tokenizer({"tokenizer": name}), getattr(slow_tokens, name)
    ids = [f"d{n}" for n in range(len(texts))]
    hits = BM25(ids, Bags.of(map(str.split, texts), read.spell)).search(read(query), k)
    corpus = dict(zip(ids, map(reference, texts), strict=True))
    wanted = slow(corpus, reference(query), len(corpus), 1.2, 0.75)
    scores = dict(wanted)
    assert [value for _, value in hits] == pytest.approx([value for _, value in wanted[:k]], abs=3e-9)
    assert all(value == pytest.approx(scores[name], abs=3e-9) for name, value in hits)


@pytest.mark.parametrize(("stem", "published"), [(False, 66.2), (True, 67.9)])
def test_scifact_has_its_published_score(stem: bool, published: float) -> None:
    """SciFact's test queries by `words`, title and text, k1 1.2, b 0.75: nDCG@10 66.2 by whole words, 67.9 by stems."""
    data = os.environ.get("EMBSPEC_BENCH_DATA")
    if not data:
        pytest.skip("EMBSPEC_BENCH_DATA is not set: SciFact is not at hand")
    folder = Path(data) / "scifact"
    with open(folder / "corpus.jsonl", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    runs = Bags.of((f"{row['title']} {row['text']}".split() for row in rows), SPELLS["simple"])
    language = found(runs.counts())
    assert language == "english"
    tokens = tokenizer({"tokenizer": "words", "language": language, "stem": stem})
    index = BM25([row["id"] for row in rows], runs.regrouped(stems(language, stem)), 1.2, 0.75)
    with open(folder / "queries.jsonl", encoding="utf-8") as lines:
        texts = {row["id"]: row["text"] for row in map(json.loads, lines)}
    judged: dict[str, dict[str, float]] = {}
    for line in (folder / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        judged.setdefault(query, {})[document] = float(grade)
    values = []
    for query, grades in judged.items():
        ids = [name for name, _ in index.search(tokens(texts[query]), 10)]
        values.append(score("ndcg@10", *gains(ids, grades)))
    assert len(values) == 300
    assert 100 * sum(values) / len(values) == pytest.approx(published, abs=0.1)
