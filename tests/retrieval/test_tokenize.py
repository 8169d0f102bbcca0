"""Tokenizers, against what they promise and against slow ones that go character by character."""
from __future__ import annotations

import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.retrieval import tokenize
from embspec.retrieval.languages import stop_words
from embspec.retrieval.tokenize import CJK, TOKENIZERS, WORDS, tokenizer
from tests.support import tokens as slow

PLAIN = {"tokenizer": WORDS, "language": "english", "stem": False}
STEMMED = {"tokenizer": WORDS, "language": "english", "stem": True}
SLOW: Mapping[str, Callable[[str], list[str]]] = {
    "simple": slow.simple, "identifiers": slow.identifiers, "char_bigrams": slow.char_bigrams,
}
CASES = [
    (PLAIN, "The pump's HX-7 valve is not in A b c", ["pump", "hx", "valve"]),
    (PLAIN, "Größe ÄNDERN 42 x_y", ["größe", "ändern", "42", "x_y"]),
    (STEMMED, "The pumps are running; a pump's cycles", ["pump", "run", "pump", "cycl"]),
    ({**STEMMED, "language": "german"}, "die Häuser und das Haus der Zeitungen", ["haus", "haus", "zeitung"]),
    ({**STEMMED, "language": "french"}, "les chevaux qu'elles continuaient", ["cheval", "continu"]),
    ({**STEMMED, "language": "russian"}, "о важных вопросах и вопросе", ["важн", "вопрос", "вопрос"]),
    ({**STEMMED, "language": "none"}, "the pumps are running", ["the", "pumps", "are", "running"]),
    ({**PLAIN, "language": "german"}, "die Häuser und das Haus", ["häuser", "haus"]),
    ("simple", "The pump's HX-7 valve", ["the", "pump", "s", "hx", "7", "valve"]),
    ("identifiers", "plain words Only", ["plain", "words", "only"]),
    ("identifiers", "getHTTPResponse2", ["gethttpresponse2", "get", "http", "response", "2"]),
    ("identifiers", "XMLHttpRequest", ["xmlhttprequest", "xml", "http", "request"]),
    ("identifiers", "ERR_CONN_404", ["err_conn_404", "err", "conn", "404"]),
    ("identifiers", "E-1042", ["e-1042", "e", "1042"]),
    ("identifiers", "E1042", ["e1042", "e", "1042"]),
    ("identifiers", "0x80070005", ["0x80070005", "0", "x", "80070005"]),
    ("identifiers", "(ORA-00942)", ["ora-00942", "ora", "00942"]),
    ("identifiers", "PX-200b.", ["px-200b", "px", "200b", "200", "b"]),
    ("identifiers", "AB-1234-X", ["ab-1234-x", "ab", "1234", "x"]),
    ("identifiers", "6ES7 214-1AG40-0XB0", [
        "6es7", "6", "es", "7", "214-1ag40-0xb0", "214", "1ag40", "1", "ag", "40", "0xb0", "0", "xb", "0",
    ]),
    ("identifiers", "v2.1.3-rc1", ["v2.1.3-rc1", "v2", "v", "2", "1", "3", "rc1", "rc", "1"]),
    ("identifiers", "std::vector", ["std::vector", "std", "vector"]),
    ("identifiers", "com.example.MyApp", ["com.example.myapp", "com", "example", "myapp", "my", "app"]),
    ("identifiers", "obj->size()", ["obj->size", "obj", "size"]),
    ("identifiers", "pkg/my_mod.py", ["pkg/my_mod.py", "pkg", "my_mod", "my", "mod", "py"]),
    ("identifiers", r"C:\Temp\a.log", [r"c:\temp\a.log", "c", "temp", "a", "log"]),
    ("identifiers", r"App\Http\Kernel", [r"app\http\kernel", "app", "http", "kernel"]),
    ("identifiers", "https://a.example/b?c=d", ["https", "a.example/b", "a", "example", "b", "c", "d"]),
    ("identifiers", "__init__", ["__init__", "init"]),
    ("identifiers", "caféBar ABCs iOS", ["cafébar", "café", "bar", "abcs", "ab", "cs", "ios", "i", "os"]),
    (PLAIN, "Cafe\u0301 Ma\u0308rz", ["caf\u00e9", "m\u00e4rz"]),
    ({**STEMMED, "language": "german"}, "Ha\u0308user", ["haus"]),
    (PLAIN, "की किताब, हिंदी में", ["की", "किताब", "हिंदी", "में"]),
    ("simple", "İstanbul x\u0304y 1\ufe0f\u20e3", ["i\u0307stanbul", "x\u0304y", "1"]),
    ("simple", "\u0301a \u0301", ["a"]),
    ("simple", "שָׁלוֹם עולם", [unicodedata.normalize("NFC", "שָׁלוֹם"), "עולם"]),
    ("identifiers", "cafe\u0301Bar", ["caf\u00e9bar", "caf\u00e9", "bar"]),
    ("identifiers", "किताब-42", ["किताब-42", "किताब", "42"]),
    ("char_bigrams", "हिंदी か\u3099く語", ["हिंदी", "がく", "く語"]),
    ("char_bigrams", "東京都", ["東京", "京都"]),
    ("char_bigrams", "私は Python3が好き", ["私は", "python3", "が好", "好き"]),
    ("char_bigrams", "水 ﾊﾝｶｸ ＡＢＣ", ["水", "ハン", "ンカ", "カク", "abc"]),
    ("char_bigrams", "ﾊﾞｯﾃﾘｰ㈱", ["バッ", "ッテ", "テリ", "リー", "株"]),
    ("char_bigrams", "型番：ＰＸ－２００", ["型番", "px", "200"]),
    ("char_bigrams", "北京大学，上海", ["北京", "京大", "大学", "上海"]),
    ("char_bigrams", "한국어 and English words", ["한국", "국어", "and", "english", "words"]),
    ("char_bigrams", "ﾡￂ 각", ["가", "각"]),
]
# What tells the tokenizers apart: cases, digits of two scripts, joints, scripts, marks, what normalising changes.
LETTERS = (
    "abzAXY019_ --..::>/\\@#+,;()'\t\n\u00a0\u3000éßÄΣσİǅ²Ⅷ٣"
    "日本語のカナーﾊﾞ々〇한글ㅏᄀ中कीं\u0301\u0308\u3099\ufe0f\u20e3ﬁ①㈱Ａ０"
)
# Without code points that this Python's Unicode does not know: they have no name to be told by.
TEXTS = st.one_of(st.text(LETTERS, max_size=40), st.text(st.characters(exclude_categories=["Cn", "Cs"]), max_size=30))

MIXED = st.lists(st.sampled_from((
    "a", "the", "The", "not", "IS", "İ", "ΑΣ", "ΑΣ.Β", "Running", "runs,", "Häuser", "häuser", "des", "chevaux",
    "вопросах", "日本", "x_y",
))).map(" ".join)


def said(given: str | dict[str, Any]) -> dict[str, Any]:
    """A tokenizer by its name alone, or with its language."""
    return {"tokenizer": given} if isinstance(given, str) else given


@pytest.mark.parametrize(("which", "text", "tokens"), CASES, ids=[f"{which}: {text}" for which, text, _ in CASES])
def test_tokens(which: str | dict[str, Any], text: str, tokens: list[str]) -> None:
    """Each tokenizer's promise, on texts that tell it from the others."""
    assert tokenizer(said(which))(text) == tokens


@pytest.mark.parametrize("name", sorted(SLOW))
@settings(max_examples=250, deadline=None)
@given(text=TEXTS)
def test_equal_to_the_slow_one(name: str, text: str) -> None:
    """Any text falls into the tokens, in the order, that going through it character by character gives."""
    assert tokenizer(said(name))(text) == SLOW[name](text)


@pytest.mark.parametrize("which", [PLAIN, STEMMED, "simple", "identifiers", "char_bigrams"], ids=str)
@settings(max_examples=100, deadline=None)
@given(text=st.one_of(TEXTS, MIXED))
def test_composed_or_not_is_the_same(which: str | dict[str, Any], text: str) -> None:
    """A text, its letters composed, and its letters taken apart (as macOS writes names) have the same tokens."""
    read = tokenizer(said(which))
    assert read(text) == read(unicodedata.normalize("NFC", text)) == read(unicodedata.normalize("NFD", text))


@settings(deadline=None)
@given(text=st.text(st.characters(max_codepoint=127), max_size=60))
def test_ascii_is_as_it_was(text: str) -> None:
    """Marks change nothing where there are none: runs of ASCII are what the plain pattern finds."""
    assert tokenizer(said("simple"))(text) == re.findall(r"\w+", text.lower())


@settings(max_examples=150, deadline=None)
@given(text=st.one_of(TEXTS, MIXED))
def test_words_are_runs_without_stop_words(text: str) -> None:
    """Without stems, `words` in English is lower case, two letters or more, and none of the 33; so it always was."""
    found = slow.words(text, sorted(stop_words("english")))
    assert tokenizer(PLAIN)(text) == tokenizer({"tokenizer": WORDS})(text) == found


@settings(max_examples=60, deadline=None)
@given(text=MIXED)
@pytest.mark.parametrize("language", ["english", "german", "french", "russian"])
def test_stems_are_those_of_each_word(language: str, text: str) -> None:
    """A stem hangs on its word alone: what stands around it, and what was asked before, change nothing."""
    from Stemmer import Stemmer

    stem = Stemmer(language).stemWord
    found = [stem(word) for word in slow.words(text, sorted(stop_words(language)))]
    assert tokenizer({"tokenizer": WORDS, "language": language, "stem": True})(text) == found


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many chunks a corpus has, few are kept, none that is long; forgetting changes no token."""
    monkeypatch.setattr(tokenize, "_KEPT", 3)
    read = tokenizer({"tokenizer": "identifiers"})
    kept = read.spell.__self__  # type: ignore[attr-defined]
    texts = [f"E-{n} " + "x" * 50 for n in range(10)] * 2
    assert [read(text) for text in texts] == [slow.identifiers(text) for text in texts]
    assert len(kept) <= 3 and max(map(len, kept)) <= tokenize._LONG


def test_scripts_without_blanks_are_those_of_their_names() -> None:
    """The ranges of code points hold what Unicode names so, of all that stays itself when a text is normalised."""
    planes = (*range(0xD800), *range(0xE000, 0x20000), *range(0x20000, 0x323B0, 7))
    named = [chr(n) for n in planes if unicodedata.name(chr(n), "")]
    own = [letter for letter in named if unicodedata.is_normalized("NFKC", letter)]
    scripts = re.compile(f"[{CJK}]")
    assert [letter for letter in own if bool(scripts.match(letter)) != slow.without_blanks(letter)] == []


def test_the_stemmer_is_imported_when_a_word_is_stemmed() -> None:
    """Who reads no stems pays for none: neither the module nor a tokenizer without stems imports it."""
    code = ("import sys; from embspec.retrieval.tokenize import tokenizer; "
            "tokenizer({'tokenizer': 'words'})('running'); tokenizer({'tokenizer': 'simple'})('running'); "
            "assert 'Stemmer' not in sys.modules; "
            "tokenizer({'tokenizer': 'words', 'language': 'english', 'stem': True}); assert 'Stemmer' in sys.modules")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_order_of_candidates() -> None:
    """From the plainest to the most particular: the first of equals is what is taken."""
    assert TOKENIZERS == ("words", "simple", "identifiers", "char_bigrams")
