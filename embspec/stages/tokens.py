"""How many tokens a model reads of a document: by its own tokenizer, with nothing cut off, and without torch."""
from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from embspec.retrieval.pieces import rules
from embspec.stages.engines import STATIC, engine, optional, parts, read

PIECE = 1 << 17  # characters that go through the tokenizer at once, so that memory does not grow with a text
# A tokenizer of BERT's kind does what its config says, whatever stands in its `tokenizer.json`.
BERT = {
    "do_lower_case": "lowercase", "strip_accents": "strip_accents", "tokenize_chinese_chars": "handle_chinese_chars",
}
# What a tokenizer does before it looks at words, with no view over a blank between two letters; and to runs of blanks.
LOCAL = frozenset(("BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "Precompiled", "StripAccents"))
RUNS = ({"Regex": " {2,}"}, {"String": "  "})
SPLIT = frozenset(("BertPreTokenizer", "Whitespace", "WhitespaceSplit"))  # no word goes over white space
_LETTER = "[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0391-\u03c9\u0400-\u0481\u05d0-\u05ea\u0620-\u064a]"
AROUND = re.compile(r"(?<=\S)[ \n](?=\S)")
BETWEEN = re.compile(f"(?<={_LETTER}) (?={_LETTER})")
BEFORE = re.compile(f"(?<={_LETTER})(?= {_LETTER})")
_WORDY = re.compile(f"{_LETTER}|.*{_LETTER}$", re.DOTALL)  # a token that may stand right beside a blank between letters


class Tokens:
    """The tokenizer of a portable folder, with the prompt and the marks that stand around every document."""

    def __init__(self, folder: Path) -> None:
        first = parts(folder)[0]
        settings = read(folder / "config_sentence_transformers.json")
        self.prompt = str((settings.get("prompts") or {}).get("document") or "")
        self.longest = engine(folder).max_seq_length
        self._marks = first.kind != STATIC  # a table has no rows for them
        self._words = _whole(first.folder) if first.kind == STATIC else _transformer(first.folder)

    def count(self, passage: str) -> int:
        """The tokens that the model reads of a document with this text."""
        return self.counts([passage])[0]

    def counts(self, passages: Sequence[str]) -> list[int]:
        """The same of many."""
        whole = [self.prompt + passage for passage in passages]
        long = {at for at, text in enumerate(whole) if len(text) > PIECE and self._edge}
        short = iter(self._sizes([text for at, text in enumerate(whole) if at not in long], self._marks))
        return [self._in_parts(text) if at in long else next(short) for at, text in enumerate(whole)]

    @cached_property
    def _edge(self) -> re.Pattern[str] | None:
        return edge(self._words.to_str())

    def _sizes(self, texts: Sequence[str], marks: bool) -> list[int]:
        return [len(found.ids) for found in self._words.encode_batch_fast(texts, add_special_tokens=marks)]

    def _in_parts(self, text: str) -> int:
        """The tokens of a long text, part by part: as a whole it would take a hundred times its size."""
        assert self._edge
        marks = self._words.num_special_tokens_to_add(False) if self._marks else 0
        return int(marks) + sum(self._sizes([part], False)[0] for part in apart(text, self._edge))

    def starts(self, text: str) -> array[int]:
        """The character at which each token of a text begins, in order."""
        found, last = array("Q"), 0
        for begin, piece in _pieces(text):
            for start, _ in self._words.encode(piece, add_special_tokens=False).offsets:
                last = max(last, begin + start)  # what a normalizer moves may be out of order
                found.append(last)
        return found


def edge(tokenizer: str) -> re.Pattern[str] | None:
    """By the JSON of a tokenizer, the blanks at which a text may be cut with no token the less or more.

    None where that cannot be told: such a text is taken whole.
    """
    said = json.loads(tokenizer)
    added = [row["content"] for row in said["added_tokens"]]
    if any(map(_blank, added)):
        return None  # it may stand on both sides of a cut
    wordy = any(map(_WORDY.match, added))  # what stands beside such a token, a blank too, is a text of its own
    if rules(tokenizer):
        return None if wordy else BETWEEN
    first, *rest = _steps(said["pre_tokenizer"], "pretokenizers") or [{}]
    before = [step for step in _steps(said["normalizer"], "normalizers") if step["type"] not in LOCAL]
    if not all(step["type"] == "Strip" or step.get("pattern") in RUNS for step in before) or not all(map(_alike, rest)):
        return None
    if first.get("type") in SPLIT:
        return AROUND
    if wordy:
        return None
    if first.get("type") == "Metaspace" and _alike(first) and first.get("split", True) and not rest:
        return BETWEEN
    # Its pattern takes a blank to the word behind it.
    return BEFORE if first.get("type") == "ByteLevel" and first.get("use_regex", True) and not before else None


def apart(text: str, edge: re.Pattern[str]) -> Iterator[str]:
    """A text in parts of about `PIECE` letters, cut where a blank says; without such a blank they are longer."""
    begin = 0
    while found := edge.search(text, begin + PIECE):
        yield text[begin : found.start()]
        begin = found.end()
    yield text[begin:]


def _steps(said: Any, inner: str) -> list[Any]:
    """The steps of a part of a tokenizer, whether it is one or several."""
    return [] if said is None else list(said[inner]) if said["type"] == "Sequence" else [said]


def _blank(token: str) -> bool:
    """Whether a token may hold the one blank that a text is cut at."""
    return "\n" in token or token == " " or (" " in token and not token.isspace())


def _alike(step: Any) -> bool:
    """Whether a step does the same with a word wherever in a text it stands."""
    return step["type"] in SPLIT | {"ByteLevel", "Digits", "Punctuation"} or (
        step["type"] == "Metaspace" and step.get("prepend_scheme") == "always")


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """A text in parts, cut at white space where there is any."""
    begin = 0
    while begin < len(text):
        end = begin + PIECE
        if end < len(text):
            end = max(text.rfind(" ", begin, end), text.rfind("\n", begin, end)) + 1 or end
        yield begin, text[begin:end]
        begin = end


def _transformer(folder: Path) -> Any:
    from tokenizers.normalizers import BertNormalizer, Lowercase, Sequence

    words, config = _whole(folder), optional(folder / "tokenizer_config.json")
    if isinstance(words.normalizer, BertNormalizer):
        for key, name in BERT.items():
            if key in config:
                setattr(words.normalizer, name, config[key])
    if optional(folder / "sentence_bert_config.json").get("do_lower_case"):
        words.normalizer = Lowercase() if words.normalizer is None else Sequence([Lowercase(), words.normalizer])
    return words


def _whole(folder: Path) -> Any:
    """The tokenizer as its file says, without a length: one that cuts would find every text short enough."""
    from tokenizers import Tokenizer

    words = Tokenizer.from_file(str(folder / "tokenizer.json"))
    words.no_truncation()
    words.no_padding()
    return words
