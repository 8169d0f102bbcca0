"""From text to the tokens that BM25 counts.

Every tokenizer reads a text chunk by chunk, a chunk being what stands between blanks: no token reaches over a blank.
So what a chunk stands for is found once, and texts are counted by their chunks (`retrieval/bags.py`). Composed and
decomposed letters (é as one code point or as two, as file names of macOS have it) are the same to all of them.
"""
from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import cache
from itertools import chain, pairwise
from typing import Any, NamedTuple

from embspec.retrieval.languages import NONE, stop_words

Tokens = tuple[str, ...]
Spell = Callable[[str], Tokens]

WORDS = "words"  # the one tokenizer that knows languages
# Han, kana, Hangul, Bopomofo: scripts whose words BM25 cannot find between blanks. A range of code points each.
CJK = (
    "\u1100-\u11ff\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303b\u3041-\u3096\u3099-\u309f\u30a1-\u30fa"
    "\u30fc-\u30ff\u3105-\u312f\u3131-\u318e\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97c"
    "\uac00-\ud7a3\ud7b0-\ud7fb\uf900-\ufad9\uff66-\uff9f\U00020000-\U0003ffff"
)
# What joins the words of a code without blanks: E-1042, err_conn_404, v2.1.3, pkg/mod.py, ns::name, C:\Temp.
_JOINT = r"(?:::|->|:\\|[-._/\\:@#+])"


class _Patterns(NamedTuple):
    runs: re.Pattern[str]
    codes: re.Pattern[str]
    parts: re.Pattern[str]  # px_200b is px, 200 and b


_ASCII = _Patterns(re.compile(r"\w+"), re.compile(rf"\w+(?:{_JOINT}\w+)*"), re.compile(r"[^\W\d_]+|\d+"))

_LONG = 40  # letters of a chunk that is not kept: whole sentences, where a script has no blanks
_KEPT = 1 << 16  # chunks that are kept


class Tokenizer:
    """From a text to its tokens; for one thread, as the stemmer is."""

    def __init__(self, spell: Spell) -> None:
        self.spell: Spell = _Spelled(spell).__getitem__

    def __call__(self, text: str) -> list[str]:
        """The tokens in the order of the text."""
        return list(chain.from_iterable(map(self.spell, text.split())))


class _Spelled(dict[str, Tokens]):
    """What each chunk stands for, found when it is first asked for."""

    def __init__(self, spell: Spell) -> None:
        super().__init__()
        self._spell = spell

    def __missing__(self, chunk: str) -> Tokens:
        tokens = self._spell(chunk)
        if len(chunk) <= _LONG:
            if len(self) >= _KEPT:
                self.clear()
            self[chunk] = tokens
        return tokens


def tokenizer(said: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer that `tokenizer.json`, or an index, says."""
    name, word = layers(said)
    below = SPELLS[name]
    if word is None:
        return Tokenizer(below)

    def spell(chunk: str) -> Tokens:
        found = below(chunk)
        return word(found[0]) if len(found) == 1 else tuple(chain.from_iterable(map(word, found)))

    return Tokenizer(spell)


def layers(said: Mapping[str, Any]) -> tuple[str, Spell | None]:
    """The tokenizer without a language below the one that is said, and what is made of each of its tokens.

    Before languages there was English without stems.
    """
    name = said["tokenizer"]
    if name != WORDS:
        return name, None
    return "simple", Tokenizer(stems(said.get("language", "english"), said.get("stem", False))).spell


def runs(chunk: str) -> Tokens:
    """Lower case, every run of letters, digits and underscores, each with its marks, composed where they can be."""
    if not chunk.isascii():
        return tuple(_marked().runs.findall(unicodedata.normalize("NFC", chunk).lower()))
    if chunk.isalnum():
        return (chunk.lower(),)  # one run, as most chunks are
    return tuple(_ASCII.runs.findall(chunk.lower()))


@cache
def _marks() -> str:
    """The combining marks as ranges of code points: `\\w` has none of them, and words of many scripts are full of them.

    From this Python's Unicode, as `\\w` is. Not those that choose how a character is drawn, as in emoji.
    """
    marks = [n for n in range(0x300, 0x20000) if unicodedata.category(chr(n)) in ("Mn", "Mc") and n >> 4 != 0xFE0]
    first = [n for n, before in zip(marks, [0, *marks], strict=False) if n != before + 1]
    last = [n for n, after in zip(marks, [*marks[1:], 0], strict=True) if n + 1 != after]
    return "".join(f"{chr(a)}-{chr(b)}" for a, b in zip(first, last, strict=True))


@cache
def _marked() -> _Patterns:
    """The patterns where marks may stand: behind a letter or a digit, whose word goes on."""
    marks, letter = _marks(), r"[^\W\d_]"
    word = rf"\w[\w{marks}]*"
    return _Patterns(
        re.compile(word), re.compile(f"{word}(?:{_JOINT}{word})*"),
        re.compile(rf"{letter}(?:{letter}|[{marks}])*|\d[\d{marks}]*"),
    )


@cache
def _bigrams() -> re.Pattern[str]:
    """A run of characters whose words have no blanks between, or another word."""
    return re.compile(f"([{CJK}]+)|[^\\W{CJK}](?:[^\\W{CJK}]|(?![{CJK}])[{_marks()}])*")


def stems(language: str, stem: bool) -> Spell:
    """What `words` makes of a run: two letters or more, no stop word, its stem."""
    stop = stop_words(language)
    reduce = _stemmer(language) if stem and language != NONE else None

    def spell(run: str) -> Tokens:
        if len(run) < 2 or run in stop:
            return ()
        return (reduce(run),) if reduce else (run,)

    return spell


def _stemmer(language: str) -> Callable[[str], str]:
    """Imported here, because most who tokenize do not stem."""
    from Stemmer import Stemmer

    found: Callable[[str], str] = Stemmer(language, 0).stemWord  # without a cache of its own: chunks are kept above
    return found


def _identifiers(chunk: str) -> Tokens:
    """The whole of a code, its words, and their parts; what is the same as the level above is not said twice."""
    patterns = _ASCII
    if not chunk.isascii():
        chunk, patterns = unicodedata.normalize("NFC", chunk), _marked()
    if chunk.isalpha() and not _mixed(chunk):
        return (chunk.lower(),)
    tokens: list[str] = []
    for code in patterns.codes.findall(chunk):
        tokens.append(code.lower())
        if code.isalpha() and not _mixed(code):
            continue  # an ordinary word, which most are
        words = patterns.runs.findall(code)
        for word in words:
            if len(words) > 1:
                tokens.append(word.lower())
            parts = [hump.lower() for part in patterns.parts.findall(word) for hump in _humps(part)]
            if len(parts) > 1:
                tokens.extend(parts)
            elif parts and parts[0] != word.lower():
                tokens.append(parts[0])
    return tuple(tokens)


def _mixed(word: str) -> bool:
    """Whether a capital stands anywhere but first, in a word that is not all capitals."""
    return not (word.islower() or word.isupper() or word[1:].islower())


def _humps(word: str) -> list[str]:
    """getValue as get, Value; HTTPServer as HTTP, Server."""
    if not _mixed(word):
        return [word]
    starts = [0]
    for at in range(1, len(word)):
        rises = word[at].isupper() and not word[at - 1].isupper()
        last_capital = word[at].isupper() and word[at + 1 : at + 2].islower()
        if rises or last_capital:
            starts.append(at)
    return [word[start:end] for start, end in zip(starts, [*starts[1:], len(word)], strict=True)]


def _char_bigrams(chunk: str) -> Tokens:
    """Overlapping pairs of a CJK run, a lone character as it is; other words as `simple` has them."""
    if chunk.isascii():
        return runs(chunk)
    tokens: list[str] = []
    for match in _bigrams().finditer(unicodedata.normalize("NFKC", chunk).lower()):
        run = match.group(1)
        if run is None or len(run) == 1:
            tokens.append(match.group())
        else:
            tokens.extend(map("".join, pairwise(run)))
    return tuple(tokens)


SPELLS: Mapping[str, Spell] = {
    "simple": runs,  # lower case, every run of letters, digits and underscores
    "identifiers": _identifiers,  # codes and names of programs: the whole and the parts
    "char_bigrams": _char_bigrams,  # Chinese, Japanese, Korean
}
TOKENIZERS = (WORDS, *SPELLS)  # from the plainest to the most particular
