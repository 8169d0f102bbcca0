"""The words of a snapshot, block by block: a block of texts that was counted before is looked up."""
from __future__ import annotations

import math
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence

import xxhash

from embspec.plan.protocol import Desk
from embspec.retrieval.bags import Heap, heaps, packed, spelled, unpacked
from embspec.retrieval.tokenize import SPELLS, Tokenizer

RECIPE = 2  # raised, together with that of `bm25`, when the same texts would be counted otherwise
# A block ends behind a text whose own digest says so, one of so many texts, and behind long ones more often, once in so
# many letters: a text that is changed, added or taken out changes its own block, and the next one at most. Where by
# chance no text says so the size has to, and those behind it may be moved too.
_USUAL, _LETTERS = 128, 1 << 18
_MANY, _LARGE = 1024, 1 << 22  # texts, letters
# What is a letter, a blank, a mark, and the small letter of which: `re`, `str` and `unicodedata` of this Python.
_CHARACTERS = {"python": ".".join(map(str, sys.version_info[:3])), "unicode": unicodedata.unidata_version}


class Counted:
    """Counts texts by tokenizers that know no language, and keeps what it counted in the desk's rows."""

    def __init__(self, desk: Desk, tokenizers: Sequence[str]) -> None:
        self._spells = {name: Tokenizer(SPELLS[name]).spell for name in tokenizers}
        self._rows = {name: desk.rows({"counted": str(RECIPE), "tokenizer": name, **_CHARACTERS}, anywhere=True)
                      for name in tokenizers}

    def heaps(self, texts: Iterable[str]) -> Iterator[Mapping[str, Heap]]:
        """Block after block: by each tokenizer the documents with their tokens."""
        for block, name in _blocks(texts):
            rows = {tokenizer: each.find([name])[0] for tokenizer, each in self._rows.items()}
            found = {tokenizer: unpacked(row) for tokenizer, row in rows.items() if row is not None}
            if missing := [tokenizer for tokenizer in rows if tokenizer not in found]:
                found |= self._fresh(block, name, missing)
            yield found

    def _fresh(self, block: Sequence[str], name: bytes, tokenizers: Sequence[str]) -> dict[str, Heap]:
        """Counted now, and kept."""
        (plain,) = heaps((text.split() for text in block), math.inf)
        found = {tokenizer: spelled(plain, self._spells[tokenizer]) for tokenizer in tokenizers}
        for tokenizer, heap in found.items():
            self._rows[tokenizer].add([name], [packed(heap)])
        return found


def _blocks(texts: Iterable[str]) -> Iterator[tuple[list[str], bytes]]:
    """Texts some at a time, in order, with a name for what they say."""
    block: list[str] = []
    names: list[bytes] = []
    letters = 0
    for text in texts:
        block.append(text)
        names.append(xxhash.xxh3_128_digest(text.encode("utf-8", "surrogatepass")))
        letters += len(text)
        ends = int.from_bytes(names[-1], "little") % _LETTERS < max(len(text), _LETTERS // _USUAL)
        if ends or len(block) == _MANY or letters >= _LARGE:
            yield block, xxhash.xxh3_128_digest(b"".join(names))
            block, names, letters = [], [], 0
    if block:
        yield block, xxhash.xxh3_128_digest(b"".join(names))
