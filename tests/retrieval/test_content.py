"""Real contents that plain words cannot tell apart: programs, part numbers, Japanese."""
from __future__ import annotations

import pytest

from embspec.retrieval.bags import Bags
from embspec.retrieval.bm25 import BM25
from embspec.retrieval.languages import found
from embspec.retrieval.tokenize import SPELLS, tokenizer
from tests.support.contents import CONTENTS, Content


def right(content: Content, said: dict[str, object]) -> dict[str, bool]:
    """Whether the right document is the first, for each question."""
    tokenize = tokenizer(said)
    bm25 = BM25(list(content.documents), Bags.of(map(str.split, content.documents.values()), tokenize.spell))
    first = {query: bm25.search(tokenize(query), 1) for query in content.asked}
    return {query: bool(hits) and hits[0][0] == content.asked[query] for query, hits in first.items()}


@pytest.mark.parametrize("name", sorted(CONTENTS))
def test_the_suited_tokenizer_ranks_the_right_document_first(name: str) -> None:
    """Every question is answered by the tokenizer that was made for such texts."""
    content = CONTENTS[name]
    wrong = [query for query, good in right(content, {"tokenizer": content.suited}).items() if not good]
    assert wrong == []


@pytest.mark.parametrize("name", sorted(CONTENTS))
@pytest.mark.parametrize("stem", [False, True])
def test_words_fail(name: str, stem: bool) -> None:
    """The same questions by words, with or without stems, in the language that is found: none is answered."""
    content = CONTENTS[name]
    plain = Bags.of(map(str.split, content.documents.values()), SPELLS["simple"])
    good = right(content, {"tokenizer": "words", "language": found(plain.counts()), "stem": stem})
    assert [query for query in good if good[query]] == []


@pytest.mark.parametrize("name", ["japanese", "chinese", "korean"])
def test_scripts_without_blanks_are_in_no_language(name: str) -> None:
    """Nothing is a stop word of them, and nothing is cut off as an ending."""
    plain = Bags.of(map(str.split, CONTENTS[name].documents.values()), SPELLS["simple"])
    assert found(plain.counts()) == "none"
