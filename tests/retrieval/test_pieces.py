"""Token numbers word by word: always those of the whole text."""
from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from embspec.retrieval import pieces as module
from embspec.retrieval.pieces import MARK, Pieces, rules

MERGES = ("a b", "ab c", f"{MARK} a", f"{MARK} ab", f"{MARK} {MARK}", f"{MARK}{MARK} {MARK}{MARK}", "c c", "b a",
          f"{MARK}{MARK} a", "ba ba")
LETTERS = "abc .,\n<s>\u00fc\u5b57" + MARK
TEXTS = st.lists(st.sampled_from([*LETTERS, "<s>", "  ", " ab", "abc", "   a"]), max_size=14).map("".join)


def said(merges: Sequence[str] = MERGES, **changed: Any) -> dict[str, Any]:
    """A tokenizer of blanks turned into marks, as its JSON says it."""
    letters = [*"abc.,<>s", MARK]
    made = [merge.replace(" ", "") for merge in merges]
    vocabulary = dict.fromkeys(["<unk>", "<s>", *(f"<0x{byte:02X}>" for byte in range(256)), *letters, *made])
    added = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": 0, "content": "<unk>", **added}, {"id": 1, "content": "<s>", **added}],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": MARK}, {"type": "Replace", "pattern": {"String": " "}, "content": MARK}]},
        "pre_tokenizer": None, "post_processor": None, "decoder": None,
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
                  "vocab": {token: number for number, token in enumerate(vocabulary)}, "merges": list(merges)},
        **changed,
    }


def without(piece: str, **changed: Any) -> dict[str, Any]:
    """The same model, whose vocabulary lacks a piece."""
    model = said()["model"]
    return {**model, "vocab": {token: at for token, at in model["vocab"].items() if token != piece}, **changed}


def token(content: str, **changed: Any) -> dict[str, Any]:
    """An added token behind all of the vocabulary."""
    return {**said()["added_tokens"][0], "id": len(said()["model"]["vocab"]), "content": content, **changed}


def encode(tokenizer: Tokenizer, asked: list[str] | None = None) -> Callable[[Sequence[str]], list[list[int]]]:
    """Whole texts by the library; what it was asked for is kept."""
    def run(texts: Sequence[str]) -> list[list[int]]:
        if asked is not None:
            asked.extend(texts)
        return [found.ids for found in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]
    return run


def by_words(tokenizer: Tokenizer, asked: list[str] | None = None) -> Pieces:
    """The same tokenizer, word by word."""
    found = rules(tokenizer.to_str())
    assert found
    tokenizer.no_truncation()
    return Pieces(encode(tokenizer, asked), found)


@given(texts=st.lists(TEXTS, max_size=6), cut=st.sampled_from([None, 1, 5]))
def test_words_have_the_tokens_of_the_text(texts: list[str], cut: int | None) -> None:
    """Whatever blanks, marks, special tokens and letters of no vocabulary a text has, and however it is cut."""
    tokenizer = Tokenizer.from_str(json.dumps(said()))
    if cut:
        tokenizer.enable_truncation(cut)
    whole = encode(tokenizer)(texts)
    again = by_words(tokenizer)
    assert [ids.tolist() for ids in again(texts)] == whole
    assert [ids.tolist() for ids in again(texts[::-1])] == whole[::-1]


def test_a_word_is_encoded_once() -> None:
    """However many texts it stands in; and again only when there are too many to remember."""
    asked: list[str] = []
    found = by_words(Tokenizer.from_str(json.dumps(said())), asked)
    first = found(["ab c ab", "c ab"])
    assert asked == ["ab c"]
    assert [ids.tolist() for ids in found(["ab c ab", "c ab", "c abc"])] == [*(ids.tolist() for ids in first),
                                                                           found(["c abc"])[0].tolist()]
    assert asked == ["ab c", "abc"]


def test_too_many_words_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then they are encoded again, to the same."""
    monkeypatch.setattr(module, "KEPT", 2)
    asked: list[str] = []
    found = by_words(Tokenizer.from_str(json.dumps(said())), asked)
    texts = ["a b c", "ab ba cc"]
    before = [[ids.tolist() for ids in found([text])] for text in texts]
    assert [[ids.tolist() for ids in found([text])] for text in texts] == before
    assert asked == ["a b c", "ab ba cc"] * 2


@pytest.mark.parametrize("changed", [
    {"normalizer": None},
    {"normalizer": {"type": "Lowercase"}},
    {"pre_tokenizer": {"type": "Whitespace"}},
    {"truncation": {"direction": "Left", "max_length": 4, "strategy": "LongestFirst", "stride": 0}},
    {"model": {**said()["model"], "ignore_merges": True}},
    {"model": {**said()["model"], "dropout": 0.1}},
    {"model": {**said()["model"], "end_of_word_suffix": "@"}},
    {"model": said((*MERGES, f"c {MARK}"))["model"]},
    {"model": {"type": "WordLevel", "vocab": {MARK: 0}, "unk_token": MARK}},
    {"model": {**said()["model"], "unk_token": None, "byte_fallback": False}},
    {"model": without("<0xC3>", unk_token=None)},
    {"added_tokens": [*said()["added_tokens"], token("b c")]},
    {"added_tokens": [*said()["added_tokens"], token(f"b{MARK}c")]},
    {"added_tokens": [*said()["added_tokens"], token(f"{MARK}b{MARK}c", normalized=True)]},
    {"added_tokens": [*said()["added_tokens"], token(MARK, normalized=True, lstrip=True)]},
])
def test_where_words_hang_together_texts_are_whole(changed: dict[str, Any]) -> None:
    """A tokenizer that could see over the edge of a word, or is not known not to, is asked for whole texts."""
    assert rules(json.dumps(said())) is not None
    assert rules(json.dumps(said(**changed))) is None


@pytest.mark.parametrize("changed", [
    {"model": {**said()["model"], "byte_fallback": False}},
    {"model": {**said()["model"], "unk_token": None}},
    {"added_tokens": [*said()["added_tokens"], token("b.")]},
    {"added_tokens": [*said()["added_tokens"], token("b.", normalized=True, lstrip=True)]},
])
@given(texts=st.lists(TEXTS, max_size=4))
def test_words_stand_alone_whatever_becomes_of_a_letter(changed: dict[str, Any], texts: list[str]) -> None:
    """As long as something does: bytes or one token for all that is unknown, and added tokens within a word."""
    tokenizer = Tokenizer.from_str(json.dumps(said(**changed)))
    assert [ids.tolist() for ids in by_words(tokenizer)(texts)] == encode(tokenizer)(texts)


def test_a_text_with_a_long_word_is_taken_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of its words is remembered: where a script has no blanks, that would be the text itself, with its tokens."""
    monkeypatch.setattr(module, "LONGEST", 5)
    asked: list[str] = []
    tokenizer = Tokenizer.from_str(json.dumps(said()))
    found = by_words(tokenizer, asked)
    texts = ["ab ababab c", "ab babab", "ababab"]
    for _ in range(2):
        assert [ids.tolist() for ids in found(texts)] == encode(tokenizer)(texts)
    assert asked == ["ab babab", "ab ababab c", "ababab", "ab ababab c", "ababab"]


def test_a_tokenizer_without_rules_is_asked_for_whole_texts() -> None:
    """Its tokens are handed on."""
    tokenizer, asked = Tokenizer.from_str(json.dumps(said((*MERGES, f"c {MARK}")))), list[str]()
    texts = ["c c ab", "", "c  <s> c"]
    assert [ids.tolist() for ids in Pieces(encode(tokenizer, asked), None)(texts)] == encode(tokenizer)(texts)
    assert asked == texts
