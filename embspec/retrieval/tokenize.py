"""From text to the tokens that BM25 counts."""
from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

Tokenizer = Callable[[str], list[str]]

# Lucene's English stop words.
STOP_WORDS = frozenset((
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not", "of",
    "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was", "will", "with",
))
# Han, kana, Hangul, Bopomofo: scripts whose words BM25 cannot find between blanks. A range of code points each.
CJK = (
    "\u1100-\u11ff\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303b\u3041-\u3096\u3099-\u309f\u30a1-\u30fa"
    "\u30fc-\u30ff\u3105-\u312f\u3131-\u318e\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97c"
    "\uac00-\ud7a3\ud7b0-\ud7fb\uf900-\ufad9\uff66-\uff9f\U00020000-\U0003ffff"
)
_WORDS = re.compile(r"\b\w\w+\b")
_SIMPLE = re.compile(r"\w+")
_BIGRAMS = re.compile(f"([{CJK}]+)|[^\\W{CJK}]+")
# A code is words joined by single marks without blanks: E-1042, err_conn_404, v2.1.3, pkg/mod.py, ns::name.
_CODES = re.compile(r"\w+(?:(?:::|->|[-._/:@#+])\w+)*")
_PARTS = re.compile(r"[^\W\d_]+|\d+")  # px_200b is px, 200 and b


def _words(text: str) -> list[str]:
    return [word for word in _WORDS.findall(text.lower()) if word not in STOP_WORDS]


def _simple(text: str) -> list[str]:
    return _SIMPLE.findall(text.lower())


def _identifiers(text: str) -> list[str]:
    """The whole of a code, its words, and their parts; what is the same as the level above is not said twice."""
    tokens: list[str] = []
    for code in _CODES.findall(text):
        tokens.append(code.lower())
        if code.isalpha() and not _mixed(code):
            continue  # an ordinary word, which most are
        words = _SIMPLE.findall(code)
        for word in words:
            if len(words) > 1:
                tokens.append(word.lower())
            parts = [hump.lower() for part in _PARTS.findall(word) for hump in _humps(part)]
            if len(parts) > 1:
                tokens.extend(parts)
            elif parts and parts[0] != word.lower():
                tokens.append(parts[0])
    return tokens


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


def _char_bigrams(text: str) -> list[str]:
    """Overlapping pairs of a CJK run, a lone character as it is; other words as `simple` has them."""
    tokens: list[str] = []
    for match in _BIGRAMS.finditer(unicodedata.normalize("NFKC", text).lower()):
        run = match.group(1)
        if run is None:
            tokens.append(match.group())
        elif len(run) == 1:
            tokens.append(run)
        else:
            tokens.extend(run[at : at + 2] for at in range(len(run) - 1))
    return tokens


TOKENIZERS: dict[str, Tokenizer] = {
    "words": _words,  # lower case, two letters or more, no English stop words, no stemming
    "simple": _simple,  # lower case, every run of letters, digits and underscores
    "identifiers": _identifiers,  # codes and names of programs: the whole and the parts
    "char_bigrams": _char_bigrams,  # Chinese, Japanese, Korean
}
