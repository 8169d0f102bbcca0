"""Token numbers of texts: each word once, where a tokenizer cannot see over the edge of a word."""
from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int32]
Encode = Callable[[list[str]], Iterable[Sequence[int]]]

MARK = "\u2581"  # what stands for a blank
KEPT = 1 << 15  # words remembered, about 200 bytes each, until the next texts are asked for
LONGEST = 40  # characters of a word that is remembered: where a script has no blanks, a word is a whole text
JOINED = 64  # words encoded as one text
_PREPENDED = {"type": "Prepend", "prepend": MARK}
_REPLACED = {"type": "Replace", "pattern": {"String": " "}, "content": MARK}
_EDGE = re.compile("(?<=[^ ]) ")  # the first blank after a word begins the next one; further ones belong to it


class Rules(NamedTuple):
    """What has to be known of a tokenizer that works word by word."""

    apart: tuple[str, ...]  # a text with one of these is no row of words
    first: NDArray[np.bool_]  # of each token, whether a word begins with it
    most: int | None  # tokens, where longer texts are cut


def rules(tokenizer: str) -> Rules | None:
    """By the JSON of a tokenizer, how words can be taken alone; None where a text has to be taken whole.

    A byte-pair encoding of blanks turned into marks joins two words only by a token that has a mark behind a letter.
    Without one, the tokens of a text are those of its words in a row: a table of words saves most of the work.
    A dropped letter would make neighbours of two marks; an added token with a blank or a mark may stand on two words.
    """
    said = json.loads(tokenizer)
    model, normalizer, cut = said["model"], said["normalizer"] or {}, said["truncation"]
    added = [row["content"] for row in said["added_tokens"]]
    plain = (
        model.get("type") == "BPE"
        and not any(model.get(name) for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"))
        and not model.get("ignore_merges")
        and _keeps_all(model)
        and normalizer.get("normalizers") == [_PREPENDED, _REPLACED]
        and said["pre_tokenizer"] is None
        and (cut is None or cut["direction"] == "Right")
        and not any(" " in token or MARK in token for token in added)
    )
    if not plain or MARK not in model["vocab"] or any(MARK in token.lstrip(MARK) for token in model["vocab"]):
        return None
    first = np.zeros(max(model["vocab"].values()) + 1, np.bool_)
    first[[number for token, number in model["vocab"].items() if token.startswith(MARK)]] = True
    return Rules((*added, MARK), first, cut and cut["max_length"])


def _keeps_all(model: Mapping[str, Any]) -> bool:
    """Whether a letter of no vocabulary becomes a token, rather than nothing."""
    bytes_known = model.get("byte_fallback") and all(f"<0x{byte:02X}>" in model["vocab"] for byte in range(256))
    return bool(model.get("unk_token") is not None or bytes_known)


class Pieces:
    """The token numbers of texts; `encode` gives those of whole texts, in a batch, and with rules uncut."""

    def __init__(self, encode: Encode, rules: Rules | None) -> None:
        self._encode, self._rules = encode, rules
        self._known: dict[str, bytes] = {}

    def __call__(self, texts: Sequence[str]) -> list[Numbers]:
        """For each text what the tokenizer says of it."""
        if self._rules is None:
            return self._whole(texts)
        rows = [self._words(text) for text in texts]
        self._learn([row for row in rows if row is not None])
        whole = iter(self._whole([text for text, row in zip(texts, rows, strict=True) if row is None]))
        known, most = self._known, self._rules.most
        return [(next(whole) if row is None else np.frombuffer(b"".join(map(known.__getitem__, row)), np.int32))[:most]
                for row in rows]

    def _whole(self, texts: Sequence[str]) -> list[Numbers]:
        return [np.asarray(ids, np.int32) for ids in self._encode(list(texts))] if texts else []

    def _words(self, text: str) -> list[str] | None:
        """The words of a text, each of which gets one mark before it; None where it is no row of short ones."""
        assert self._rules
        if not text or text[-1] == " " or any(one in text for one in self._rules.apart):
            return None
        words = _EDGE.split(text) if "  " in text or text[0] == " " else text.split(" ")
        return None if max(map(len, words)) > LONGEST else words

    def _learn(self, rows: Iterable[Sequence[str]]) -> None:
        """Encode the words that are new, many in one text: tokenizers take long to begin one."""
        if len(self._known) > KEPT:
            self._known = {}
        new = [word for word in dict.fromkeys(chain.from_iterable(rows)) if word not in self._known]
        alone = [word for word in new if word[0] == " "]  # more than one mark, which may be more than one token
        self._known.update((word, ids.tobytes()) for word, ids in zip(alone, self._whole(alone), strict=True))
        new = [word for word in new if word[0] != " "]
        joined = self._whole([" ".join(new[start : start + JOINED]) for start in range(0, len(new), JOINED)])
        if not joined:
            return
        assert self._rules
        ids = np.concatenate(joined)
        data, starts = ids.tobytes(), (np.flatnonzero(self._rules.first[ids]) * ids.itemsize).tolist()
        ends = [*starts[1:], len(data)]
        self._known.update((word, data[start:end]) for word, start, end in zip(new, starts, ends, strict=True))
