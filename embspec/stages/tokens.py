"""How many tokens a model reads of a document: by its own tokenizer, with nothing cut off, and without torch."""
from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from embspec.stages.engines import STATIC, engine, optional, parts, read

PIECE = 1 << 17  # characters that go through the tokenizer at once, so that memory does not grow with a text
# A tokenizer of BERT's kind does what its config says, whatever stands in its `tokenizer.json`.
BERT = {
    "do_lower_case": "lowercase", "strip_accents": "strip_accents", "tokenize_chinese_chars": "handle_chinese_chars",
}


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
        return [len(found.ids) for found in self._words.encode_batch_fast(whole, add_special_tokens=self._marks)]

    def starts(self, text: str) -> array[int]:
        """The character at which each token of a text begins, in order."""
        found, last = array("Q"), 0
        for begin, piece in _pieces(text):
            for start, _ in self._words.encode(piece, add_special_tokens=False).offsets:
                last = max(last, begin + start)  # what a normalizer moves may be out of order
                found.append(last)
        return found


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
