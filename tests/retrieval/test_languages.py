"""Stop words, and the language of a corpus."""
from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.retrieval import languages
from embspec.retrieval.languages import LANGUAGES, found, stop_words
from embspec.spec.sections_eval import Bm25
from tests.support.contents import NOT_ONE, TEXTS

SHORT = {  # English without much of what Lucene leaves out, and with much that Portuguese or German has too
    "questions": (
        "How do I reset my password? How do I change my email address? Do you ship abroad? How do I return an item? "
        "Do you offer gift cards? How do I contact support? What documents do I need to sign up? Where do I find my "
        "invoice? Can I change my delivery date? Do you have a store near me? How do I cancel my subscription? Why do "
        "I see two charges on my card? How long do refunds take? When do you open? Do I have to pay customs duties?"
    ),
    "commands": (
        "Do not touch me. Tell me more. Give me a list. Show me my orders. Do it again. Call me later. Remind me to do "
        "the dishes. Do as I say. No, do not."
    ),
    "titles": "Resetting your password. About your order. What we do. Where you find us. Why did my payment fail",
}


def counts(text: str) -> Counter[str]:
    """Words of two letters or more."""
    return Counter(re.findall(r"\w\w+", text.lower()))


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_is_found(language: str) -> None:
    """Three sentences are enough, also for neighbours that share half of their stop words."""
    assert set(TEXTS) == set(LANGUAGES)
    assert found(counts(TEXTS[language])) == language


@pytest.mark.parametrize("what", sorted(NOT_ONE))
def test_what_is_in_none(what: str) -> None:
    """Scripts without blanks, other languages, tables of numbers and nothing at all: no stop words, no stems."""
    assert found(counts(NOT_ONE[what])) == languages.NONE


@pytest.mark.parametrize("what", sorted(SHORT))
def test_short_english_is_english(what: str) -> None:
    """Questions, commands and titles say little that Lucene leaves out: English is heard by its other small words."""
    assert found(counts(SHORT[what])) == "english"


def test_what_english_is_heard_by_is_kept() -> None:
    """None of these words is left out of a search, each stands there once, as `words` would read it."""
    heard = languages.HEARD.split()
    assert len(heard) == len(set(heard)) and stop_words("english").isdisjoint(heard)
    assert [word for word in heard if not re.fullmatch(r"[a-z]{2,}", word)] == []
    assert all("english" in languages._spoken()[word] for word in heard)


def test_most_of_the_words_decide() -> None:
    """A quotation moves nothing; of two languages the one with more of the words wins."""
    both = counts(TEXTS["german"]) + counts(TEXTS["english"]) + counts(TEXTS["english"])
    assert found(both) == "english"
    assert found(both + counts(TEXTS["german"]) + counts(TEXTS["german"])) == "german"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(sorted(TEXTS)), max_size=5), st.randoms(use_true_random=False))
def test_no_order_shows(parts: list[str], random: object) -> None:
    """The same words in another order, and each twice, are in the same language."""
    one = counts(" ".join(TEXTS[name] for name in parts))
    items = list(one.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    assert found(dict(items)) == found(one) == found({word: 2 * n for word, n in items})


def test_the_least_share() -> None:
    """Eight words in a hundred are enough, seven are not; a word of two languages counts half for each."""
    assert found({"the": 8, "pump": 92}) == "english"
    assert found({"the": 7, "pump": 93}) == found({"will": 15, "pump": 85}) == languages.NONE
    assert found({"will": 16, "pump": 84}) == "english"


def test_the_stop_words_of_english_are_lucenes() -> None:
    """Scores published for BM25 with English stop words hold for these 33."""
    assert len(stop_words("english")) == 33
    assert {"a", "the", "such", "with"} < stop_words("english")
    assert stop_words(languages.NONE) == frozenset()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_list_holds_single_words_once(language: str) -> None:
    """Lower case, no blanks, none twice, and each such as `words` would read it."""
    words = languages.STOP_WORDS[language].split()
    assert len(words) == len(set(words)) >= 33
    assert [word for word in words if re.fullmatch(r"\w+", word) is None or word != word.lower()] == []
    assert all(unicodedata.is_normalized("NFC", word) for word in words)
    assert language == "english" or min(map(len, words)) > 1


def test_shares_are_whole_numbers() -> None:
    """A word of so many languages is divided among them without a rest."""
    assert all(languages._PARTS % len(spoken) == 0 for spoken in languages._spoken().values())


def test_the_spec_knows_the_same_languages() -> None:
    """`eval.bm25.language` may be any of them, and each has a stemmer."""
    from Stemmer import algorithms

    assert get_args(Bm25.model_fields["language"].annotation) == ("auto", languages.NONE, *LANGUAGES)
    assert set(LANGUAGES) <= set(algorithms())
