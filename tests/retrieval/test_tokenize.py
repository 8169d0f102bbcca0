"""Tokenizers."""
from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.retrieval.tokenize import STOP_WORDS, TOKENIZERS

CASES = [
    ("words", "The pump's HX-7 valve is not in A b c", ["pump", "hx", "valve"]),
    ("words", "Größe ÄNDERN 42 x_y", ["größe", "ändern", "42", "x_y"]),
    ("simple", "The pump's HX-7 valve", ["the", "pump", "s", "hx", "7", "valve"]),
    ("identifiers", "plain words Only", ["plain", "words", "only"]),
    ("identifiers", "getHTTPResponse2", ["gethttpresponse2", "get", "http", "response", "2"]),
    ("identifiers", "ERR_CONN_404", ["err_conn_404", "err", "conn", "404"]),
    ("identifiers", "E-1042", ["e-1042", "e", "1042"]),
    ("identifiers", "PX-200b.", ["px-200b", "px", "200b", "200", "b"]),
    ("identifiers", "std::vector", ["std::vector", "std", "vector"]),
    ("identifiers", "obj->size()", ["obj->size", "obj", "size"]),
    ("identifiers", "pkg/my_mod.py", ["pkg/my_mod.py", "pkg", "my_mod", "my", "mod", "py"]),
    ("identifiers", "__init__", ["__init__", "init"]),
    ("identifiers", "caféBar ABCs iOS", ["cafébar", "café", "bar", "abcs", "ab", "cs", "ios", "i", "os"]),
    ("char_bigrams", "東京都", ["東京", "京都"]),
    ("char_bigrams", "私は Python3が好き", ["私は", "python3", "が好", "好き"]),
    ("char_bigrams", "水 ﾊﾝｶｸ ＡＢＣ", ["水", "ハン", "ンカ", "カク", "abc"]),
    ("char_bigrams", "한국어 and English words", ["한국", "국어", "and", "english", "words"]),
]


@pytest.mark.parametrize(("name", "text", "tokens"), CASES, ids=[f"{name}: {text}" for name, text, _ in CASES])
def test_tokens(name: str, text: str, tokens: list[str]) -> None:
    """Each tokenizer's promise, on texts that tell it from the others."""
    assert TOKENIZERS[name](text) == tokens


def test_the_stop_words_are_lucenes() -> None:
    """Scores published for BM25 with English stop words hold for these 33."""
    assert len(STOP_WORDS) == 33
    assert TOKENIZERS["words"](" ".join(STOP_WORDS)) == []


@settings(max_examples=100)
@given(st.text(max_size=60), st.sampled_from(sorted(TOKENIZERS)))
def test_tokens_are_lower_case_and_never_empty(text: str, name: str) -> None:
    """Any text gives tokens without blanks; a query in capitals gives those of small letters."""
    tokens = TOKENIZERS[name](text)
    assert all(token and not any(letter.isspace() for letter in token) for token in tokens)
    if text.isascii():
        assert [token.lower() for token in tokens] == tokens


def test_words_are_what_the_pattern_says() -> None:
    """`simple` and `words` agree but for stop words and single characters."""
    text = "A man, a plan, a canal: Panama 7 is 42!"
    kept = [word for word in TOKENIZERS["simple"](text) if len(word) > 1 and word not in STOP_WORDS]
    assert TOKENIZERS["words"](text) == kept
