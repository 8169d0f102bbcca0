"""The tokenizers of BM25 once more: character by character, slowly, and by another way than the package's patterns."""
from __future__ import annotations

import unicodedata
from collections.abc import Sequence

JOINTS = ("::", "->", ":\\", "-", ".", "_", "/", "\\", ":", "@", "#", "+")
# What Unicode calls the letters of scripts without blanks.
SCRIPTS = ("CJK ", "HIRAGANA ", "KATAKANA", "HANGUL ", "HANGZHOU ", "BOPOMOFO ", "VERTICAL KANA ",
           "VERTICAL IDEOGRAPHIC ", "IDEOGRAPHIC ITERATION", "IDEOGRAPHIC CLOSING", "IDEOGRAPHIC NUMBER",
           "COMBINING KATAKANA-HIRAGANA ")


def in_word(letter: str) -> bool:
    """A letter, a digit or an underscore."""
    return letter.isalnum() or letter == "_"


def is_mark(letter: str) -> bool:
    """What is written on, under or around the letter before it; not what chooses how that is drawn."""
    drawn = unicodedata.name(letter, "").startswith("VARIATION SELECTOR")
    return unicodedata.category(letter) in ("Mn", "Mc") and not drawn


def simple(text: str) -> list[str]:
    """Every run of letters, digits and underscores, each with its marks."""
    tokens, run = [], ""
    for letter in unicodedata.normalize("NFC", text).lower() + " ":
        if in_word(letter) or (run and is_mark(letter)):
            run += letter
        elif run:
            tokens.append(run)
            run = ""
    return tokens


def words(text: str, stop: Sequence[str]) -> list[str]:
    """Runs of two letters or more that are no stop words."""
    return [run for run in simple(text) if len(run) > 1 and run not in stop]


def identifiers(text: str) -> list[str]:
    """Each code whole, then each of its words and that word's parts, unless the level above says the same."""
    text = unicodedata.normalize("NFC", text)
    tokens: list[str] = []
    at = 0
    while at < len(text):
        if not in_word(text[at]):
            at += 1
            continue
        end = _end(text, at)
        code, at = text[at:end], end
        tokens.append(code.lower())
        inner = _split(code)
        for word in inner:
            if len(inner) > 1:
                tokens.append(word.lower())
            parts = [part.lower() for part in _parts(word)]
            if parts and parts != [word.lower()]:
                tokens += parts
    return tokens


def _end(text: str, at: int) -> int:
    """Where the code that begins here ends: a joint is in it where a word goes on behind it."""
    while at < len(text):
        if in_word(text[at]) or is_mark(text[at]):
            at += 1
            continue
        steps = [len(joint) for joint in JOINTS
                 if text.startswith(joint, at) and in_word(text[at + len(joint) : at + len(joint) + 1] or " ")]
        if not steps:
            break
        at += max(steps)
    return at


def _split(code: str) -> list[str]:
    found = [""]
    for letter in code:
        if in_word(letter) or is_mark(letter):
            found[-1] += letter
        else:
            found.append("")
    return [word for word in found if word]


def _parts(word: str) -> list[str]:
    """Cut between letters and digits, at underscores, and where a hump begins."""
    found: list[str] = []
    run = ""
    for letter in [*word, "_"]:
        if is_mark(letter):
            run += letter if run else ""  # on an underscore it is in no part
            continue
        if run and (letter == "_" or letter.isdecimal() != run[0].isdecimal()):
            found += [run] if run[0].isdecimal() else _humps(run)
            run = ""
        run += letter if letter != "_" else ""
    return found


def _humps(word: str) -> list[str]:
    """A hump begins at a capital that follows none, and at the last of several where a small letter comes behind."""
    if word.isupper():
        return [word]
    found = [word[0]]
    for before, letter, after in zip(word, word[1:], [*word[2:], " "], strict=False):
        if letter.isupper() and (not before.isupper() or after.islower()):
            found.append("")
        found[-1] += letter
    return found


def without_blanks(letter: str) -> bool:
    """Whether a character is of a script that sets no blanks between words, by its name; archaic kana are none."""
    if 0x1AFF0 <= ord(letter) < 0x1B170:
        return False
    name = unicodedata.name(letter, "")
    voiced = name.startswith("COMBINING ")  # the mark that makes ハ a バ
    return name.startswith(SCRIPTS) and (letter.isalnum() or voiced)


def char_bigrams(text: str) -> list[str]:
    """Each pair of neighbours in a run of such characters; a run of one as it is; other runs whole."""
    tokens, run = [], ""
    for letter in [*unicodedata.normalize("NFKC", text).lower(), " "]:
        wide = without_blanks(letter)
        inside = in_word(letter) or wide or (is_mark(letter) and run != "" and not without_blanks(run[0]))
        if run and (not inside or wide != without_blanks(run[0])):
            pairs = [run[at : at + 2] for at in range(len(run) - 1)]
            tokens += pairs if without_blanks(run[0]) and pairs else [run]
            run = ""
        if inside:
            run += letter
    return tokens
