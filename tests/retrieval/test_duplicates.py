"""Near-duplicates against brute force."""
from __future__ import annotations

import random
import re
import unicodedata
from fractions import Fraction
from itertools import combinations
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.retrieval import duplicates
from embspec.retrieval.duplicates import BANDS, near_duplicates, near_groups

Pairs = list[tuple[int, int, float]]


def slow(texts: list[str], threshold: float) -> Pairs:
    """Every pair compared, with sets of strings."""

    def shingles(text: str) -> tuple[str, frozenset[str]]:
        plain = unicodedata.normalize("NFKC", text).casefold()
        words = re.findall(r"\w+", plain)
        letters = "".join(words)
        cjk = sum("\u3040" <= letter <= "\u30ff" or "\u4e00" <= letter <= "\u9fff" for letter in letters)
        units, width, short = (list(letters), 5, 16) if letters and 2 * cjk >= len(letters) else (words, 3, 8)
        if not words:
            return "nothing", frozenset()
        if len(units) < short:
            return "short", frozenset([" ".join(plain.split())])
        return f"long {width}", frozenset(" ".join(units[at : at + width]) for at in range(len(units) - width + 1))

    found = []
    made = [shingles(text) for text in texts]
    for (i, (kind, one)), (j, (other_kind, other)) in combinations(enumerate(made), 2):
        if kind == other_kind and one | other:
            likeness = len(one & other) / len(one | other)
            if likeness >= (1.0 if kind == "short" else threshold):
                found.append((i, j, likeness))
    return found


def made_up(rng: random.Random, n: int, words: list[str], low: int = 10, high: int = 60) -> list[str]:
    """Texts of which many are altered copies of another, at every degree of likeness."""
    texts: list[str] = []
    for _ in range(n):
        if texts and rng.random() < 0.6:
            copy = rng.choice(texts).split()
            for _ in range(rng.randrange(0, 6)):
                copy[rng.randrange(len(copy))] = rng.choice(words)
            texts.append(" ".join(copy))
        else:
            texts.append(" ".join(rng.choices(words, k=rng.randrange(low, high))))
    return texts


WORDS = [f"word{at}" for at in range(400)]


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.65, 0.8, 0.85, 0.9, 0.95, 1.0])
def test_equals_brute_force(threshold: float) -> None:
    """No pair is missed, none is invented, the similarity is the exact one."""
    texts = made_up(random.Random(7), 300, WORDS)
    found = near_duplicates(texts, threshold)
    assert found == slow(texts, threshold)
    assert len(found) > 20


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.8, 0.9]))
def test_equals_brute_force_on_short_texts_and_case(seed: int, threshold: float) -> None:
    """The same around the length where texts become short, with case, blanks and punctuation that do not count."""
    texts = made_up(random.Random(seed), 40, ["a", "b", "The", "the", "THE,", "the\n\t", "ﬁne"], 1, 14)
    assert near_duplicates(texts, threshold) == slow(texts, threshold)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_order_of_texts_is_no_input(seed: int) -> None:
    """The same texts in another order give the same pairs of texts."""
    rng = random.Random(seed)
    texts = made_up(rng, 60, WORDS)
    shuffled = texts[:]
    rng.shuffle(shuffled)

    def named(given: list[str]) -> list[tuple[str, str, float]]:
        pairs = near_duplicates(given, 0.8)
        return sorted((min(given[i], given[j]), max(given[i], given[j]), likeness) for i, j, likeness in pairs)

    assert named(texts) == named(shuffled)


def test_japanese_is_compared_by_characters() -> None:
    """Text without blanks has no words; five characters in a row are its shingles."""
    letters = [chr(code) for code in range(0x4E00, 0x4E00 + 300)]
    rng = random.Random(3)
    texts = ["".join(text.split()) for text in made_up(rng, 120, letters, 20, 90)]
    assert near_duplicates(texts, 0.8) == slow(texts, 0.8)
    kana = "きょうはとてもいいてんきですねさんぽにいきましょう"
    assert near_duplicates([kana, kana + "。", kana.replace("いい", "わるい")], 0.9) == [(0, 1, 1.0)]


def test_short_texts_must_be_equal() -> None:
    """Under 8 words one changed word is another text; blanks, case and width are not."""
    texts = ["Reset the pump", "reset  THE pump\n", "Reset the pumps", "Ｒeset the pump", "Reset the pump!"]
    assert [(i, j) for i, j, _ in near_duplicates(texts, 0.5)] == [(0, 1), (0, 3), (1, 3)]


def test_texts_without_words_are_like_nothing() -> None:
    """Empty texts and rulers say nothing and tie nothing together."""
    assert near_duplicates(["", "", " \n", "-----", "-----"], 0.5) == []
    assert near_duplicates([], 0.9) == near_duplicates(["only one text here"], 0.9) == []


def test_copies_are_one_group_and_do_not_fill_memory() -> None:
    """Twenty thousand copies are one group; the compact form never makes their two hundred million pairs."""
    page = "this page was left blank on purpose so that chapters start on the right"
    other = "this page was left blank on purpose so that chapters start on the left"
    texts = [page] * 20_000 + [other] * 3 + [f"text {at} of its own kind" for at in range(10)]
    groups = near_groups(texts, 0.8)
    assert sorted(map(len, groups.copies)) == [1] * 10 + [3, 20_000]
    assert [(one, another) for one, another, _ in groups.links] == [(0, 20_000)]


def test_compact_and_full_form_say_the_same() -> None:
    """Groups and links, written out, are the pairs."""
    texts = made_up(random.Random(5), 100, WORDS[:60]) * 2
    groups = near_groups(texts, 0.8)
    joined = {copies[0]: copies for copies in groups.copies}
    pairs = [tuple(sorted(pair)) for copies in groups.copies for pair in combinations(copies, 2)]
    for first, second, _ in groups.links:
        pairs += [tuple(sorted((one, other))) for one in joined[first] for other in joined[second]]
    assert sorted(pairs) == [(i, j) for i, j, _ in near_duplicates(texts, 0.8)]


def test_templates_are_decided_exactly() -> None:
    """Texts of one template, all much alike and yet under the threshold: many are proposed, none is taken."""
    rng = random.Random(1)
    template = rng.choices(WORDS, k=80)
    texts = []
    for _ in range(120):
        at = rng.randrange(70)
        texts.append(" ".join([*template[:at], *(f"x{rng.random()}" for _ in range(9)), *template[at + 9 :]]))
    assert near_duplicates(texts, 0.6) == slow(texts, 0.6)
    assert near_duplicates(texts, 0.9) == []


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.1, float("nan")])
def test_a_threshold_is_over_0_and_at_most_1(threshold: float) -> None:
    """At 0 every text is like every other."""
    with pytest.raises(ValueError, match="threshold"):
        near_duplicates(["a"], threshold)


@pytest.mark.parametrize("threshold", [0.2, 0.3, 0.49, 0.5, 0.7, 0.79, 0.8, 0.85, 0.89, 0.9, 0.99])
def test_a_pair_at_the_threshold_is_missed_once_in_fifty_million(threshold: float) -> None:
    """What the table of bands promises, at every threshold that it serves."""
    rows, bands = next((rows, bands) for least, rows, bands in BANDS if threshold >= least)
    assert (1 - threshold**rows) ** bands < 2e-8


@pytest.mark.parametrize("letters", [1, 3, 17, 64])
def test_texts_are_read_some_at_a_time_and_nothing_hangs_on_it(letters: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a block ends, and also a word that is longer than one: the same groups."""
    drawn = random.Random(3)
    words = ["a", "b", "été", "e\u0301", "c" * 40, "数値", "_x", "9"]
    texts = [" ".join(drawn.choices(words, k=14)) for _ in range(60)]
    texts += [f"{text} k" for text in texts[:20]] + ["", "...", "数値" * 20, "数値" * 20 + "表"]
    before = near_groups(texts, 0.5)
    assert before.links and near_duplicates(texts, 0.5) == slow(texts, 0.5)
    monkeypatch.setattr(duplicates, "_LETTERS", letters)
    duplicates._powers.cache_clear()
    try:
        assert near_groups(texts, 0.5) == before
    finally:
        duplicates._powers.cache_clear()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.sampled_from("aB_9é ß.\u0301数値あ-\n\udc80"), max_size=60), max_size=8))
def test_words_are_those_of_the_regular_expression(texts: list[str]) -> None:
    """Letters of any script, accents, halves of pairs: against sets of strings."""
    texts = [f"{text} one two three four five six seven eight" for text in texts] + texts
    assert near_duplicates(texts, 0.9) == slow(texts, 0.9)


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8, 0.85, 0.9, 0.95, 1.0])
def test_a_pair_at_the_threshold_is_looked_at(threshold: float) -> None:
    """But for one in a thousand million, by the exact sum."""
    rows, bands = next((rows, bands) for least, rows, bands in BANDS if threshold >= least)
    least, width, share = duplicates._least(rows * bands, threshold), rows * bands, Fraction(threshold)
    terms = [comb(width, k) * share**k * (1 - share) ** (width - k) for k in range(least + 1)]
    assert sum(terms[:-1]) < Fraction(1, 10**9) <= sum(terms)
