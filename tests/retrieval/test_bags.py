"""Documents as bags of tokens."""
from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.retrieval import bags as module
from embspec.retrieval.bags import Bags, heaps
from embspec.retrieval.bm25 import BM25
from embspec.retrieval.tokenize import tokenizer

CHUNKS = ("E-1042,", "e", "err_404", "getHTTP", "get", "http", "pumps", "pump.", "the", "...", "日本語", "日本", "1042")
QUERIES = st.lists(st.sampled_from(CHUNKS), max_size=4)
DOCUMENTS = st.lists(st.lists(st.sampled_from(CHUNKS), max_size=8), max_size=8)
SAID = [
    {"tokenizer": "words", "language": "english", "stem": True}, {"tokenizer": "simple"}, {"tokenizer": "identifiers"},
    {"tokenizer": "char_bigrams"},
]


def counted(bags: Bags) -> tuple[list[Counter[str]], list[int]]:
    """What the bags say of each document: its tokens, and how many they are."""
    names = {number: token for token, number in bags.numbers.items()}
    found = [Counter[str]() for _ in range(bags.size)]
    for token, document, times in zip(*map(list, bags.postings()), strict=True):
        assert names[int(token)] not in found[document] and times > 0
        found[document][names[int(token)]] = int(times)
    return found, bags.lengths.tolist()


@pytest.mark.parametrize("heap", [1, 3, 1 << 19])
@settings(max_examples=40, deadline=None)
@given(documents=DOCUMENTS, which=st.sampled_from(range(len(SAID))))
def test_bags_hold_what_each_text_falls_into(documents: list[list[str]], which: int, heap: int) -> None:
    """Counted by chunks or text by text, however many are counted at a time: the same tokens, as often."""
    tokenize = tokenizer(SAID[which])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "HEAP", heap)
        bags = Bags.of(documents, tokenize.spell)
    each = [tokenize(" ".join(chunks)) for chunks in documents]
    assert counted(bags) == ([Counter(tokens) for tokens in each], list(map(len, each)))
    assert bags.counts() == Counter(token for tokens in each for token in tokens)


@settings(max_examples=60, deadline=None)
@given(documents=DOCUMENTS, query=QUERIES, which=st.sampled_from(range(len(SAID))))
def test_what_is_asked_for_is_enough(documents: list[list[str]], query: list[str], which: int) -> None:
    """An index of a query's tokens alone gives it the same documents and the same scores, to the bit."""
    tokenize = tokenizer(SAID[which])
    asked, ids = tokenize(" ".join(query)), [f"d{n}" for n in range(len(documents))]
    some = Bags(tokenize.spell, asked)
    for heap in heaps(documents):
        some.add(heap)
    assert set(some.numbers) <= set(asked)
    whole = BM25(ids, [tokenize(" ".join(chunks)) for chunks in documents])
    assert BM25(ids, some).search(asked, 5) == whole.search(asked, 5)


@settings(max_examples=40, deadline=None)
@given(documents=DOCUMENTS)
def test_regrouped_is_counted_anew(documents: list[list[str]]) -> None:
    """Tokens that stand for others, for several or for none give what those would have been counted as."""
    stands = {"e": ("x", "x", "y"), "the": (), "pumps": ("y",)}
    bags = Bags.of(documents).regrouped(lambda token: stands.get(token, (token,)))
    each = [[new for old in chunks for new in stands.get(old, (old,))] for chunks in documents]
    assert counted(bags) == ([Counter(tokens) for tokens in each], list(map(len, each)))
