"""Chunks: no letter lost, no limit exceeded, offsets exact; for generated Markdown and for real files."""
from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.stages.corpus import chunks, markdown
from embspec.stages.corpus.borders import layout
from embspec.stages.corpus.chunks import Chunk, Rule, Tokenizer, TooNarrow, by_sentences, by_structure, shortened
from embspec.stages.reading import Problems, nfc
from embspec.stages.snapshot import Document, passage
from embspec.stages.tokens import Tokens
from tests.support.tiny import tiny_static, tiny_transformer

PARTS = (
    "# Pumps\n", "## Valves and lamps ##\n\n", "Engines\n=======\n", "---\n", "### \n", "#no heading\n",
    "The pump is old. Is it safe? Ask e.g. Dr. Stone or the crew! ", "oil\n", "\n", "\n\n", "\r\n", "    ", "\t",
    "- one item\n", "  12. nested item\n", "> a quote\n", "```sh\npump --on\n\nvalve off\n```\n",
    "~~~\n```\ninner\n```\n~~~\n", "````\n```\nx\n```\n````\n", "   ```\n   turned in\n   ```\n",
    "```\nnever closed\n",
    "| a | b |\n|---|---|\n| 1 | 2 |\n| oil | gas |\n", "a | b\n--|--\nlamp | door\n",
    "日本語の文です。次の文！「はい。」そして", "漢字",
    "👩‍👩‍👧‍👦", "🇩🇪🇫🇷", "👍🏽", "e\u0301",
    "water " * 30, "x" * 500, "unbroken/" * 20, " " * 90, "\n" * 40, "`", "|", "ﷺ",
)
TEXTS = st.lists(st.sampled_from(PARTS), min_size=1, max_size=25).map(lambda some: nfc("".join(some)))
TITLES = st.sampled_from(("", "Pumps", "the long title of a page about water and oil " * 4, "y" * 400))


class Letters:
    """To this one each character is a token, and those of white space begin nowhere, as with some real ones."""

    def count(self, passage: str) -> int:
        return 1 + len(passage)

    def starts(self, text: str) -> Sequence[int]:
        return [at for at, letter in enumerate(text) if not letter.isspace()]


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Tokenizer]:
    """One that takes any word for one token, one with pieces of words and marks of its own, one that counts letters."""
    folders = [tmp_path_factory.mktemp(name) for name in ("words", "pieces")]
    return [Tokens(tiny_static(folders[0])), Tokens(tiny_transformer(folders[1])), Letters()]


def read(title: str, context: str, text: str) -> str:
    """What a model reads of a chunk."""
    return passage(Document("", title, text, context))


def cut(text: str, rule: Rule, tokens: Tokenizer, title: str = "") -> list[Chunk]:
    """The chunks of a text, held against all that must be true of any."""
    found = by_structure(text, title, rule, tokens, read)
    before = at = 0
    for start, end, context in found:
        assert before <= start <= at < end
        assert rule.overlap or start == at
        assert len(tokens.starts(text[start:at])) <= rule.overlap
        assert tokens.count(read(title, context, text[start:end])) <= rule.tokens
        assert end - at <= 3 * rule.tokens * chunks.LETTERS
        assert rule.headings or not context
        before, at = at, end
    assert at == len(text)
    return found


@settings(deadline=None, max_examples=150)
@given(TEXTS, TITLES, st.sampled_from((16, 24, 50, 128)), st.sampled_from((0, 0, 5, 15)), st.booleans(), st.data())
def test_whatever_the_text(
    tokenizers: Sequence[Tokenizer], text: str, title: str, size: int, overlap: int, headings: bool, data: st.DataObject
) -> None:
    """Chunks follow each other without a gap, share no more than the overlap, are never over, and the same twice."""
    tokens, rule = data.draw(st.sampled_from(tokenizers)), Rule(size, overlap, headings)
    title = shortened(title, rule, tokens)
    assert cut(text, rule, tokens, title) == cut(text, rule, tokens, title)


@settings(deadline=None, max_examples=100)
@given(TEXTS, st.integers(1, 6))
def test_sentences_lose_nothing(text: str, n: int) -> None:
    """Chunks of sentences are the text, and none but that of a text without any is white space alone."""
    found = by_sentences(text, n)
    assert "".join(text[start:end] for start, end, _ in found) == text
    assert all(text[start:end].strip() for start, end, _ in found) or not text.strip()


@pytest.mark.parametrize("overlap", [0, 32])
def test_real_files(tmp_path: Path, overlap: int) -> None:
    """Of 185 real files no chunk is over, and nothing is lost."""
    data = os.environ.get("EMBSPEC_BENCH_DATA")
    if not data:
        pytest.skip("EMBSPEC_BENCH_DATA is not set: there are no real files at hand")
    tokens, count = Tokens(tiny_static(tmp_path)), 0
    files = sorted((Path(data) / "azdocs_mini" / "raw").rglob("*.md"))
    for path in files:
        page = markdown.split(path.read_text("utf-8-sig").replace("\r\n", "\n"), path.name, Problems())
        assert page is not None
        text = nfc(page.text)
        count += len(cut(text, Rule(128, overlap, bool(overlap)), tokens))
        assert "".join(ends(text, by_sentences(text, 5))) == text
    assert len(files) == 185 and count > 2000


def ends(text: str, found: Sequence[Chunk]) -> list[str]:
    """The chunks as texts."""
    return [text[start:end] for start, end, _ in found]


def test_headings_first(tokenizers: Sequence[Tokenizer]) -> None:
    """A chunk ends before a heading rather than at the limit, and a heading stays with what it heads."""
    text = "# One\n\n" + "water " * 12 + "\n\n# Two\n\n" + "oil " * 12
    found = ends(text, cut(text, Rule(20), tokenizers[0]))
    assert [part.split("\n")[0] for part in found] == ["# One", "# Two"]


def test_fences_and_tables_are_whole_where_they_fit(tokenizers: Sequence[Tokenizer]) -> None:
    """One that fits begins a chunk of its own if it must; one that does not is cut between its lines."""
    fence = "```\n" + "pump valve motor\n" * 4 + "```\n"
    table = "| a | b |\n|---|---|\n" + "| oil | gas |\n" * 3
    text = "water " * 10 + "\n\n" + fence + "\nlamp " * 3 + "\n\n" + table
    tokens = tokenizers[0]
    room = tokens.count(fence)
    assert all(any(whole in part for part in ends(text, cut(text, Rule(40, 5), tokens))) for whole in (fence, table))
    for part in ends(fence, cut(fence, Rule(room - 1), tokens)):
        assert part.startswith(("```", "pump")) and part.endswith("\n")


@pytest.mark.parametrize("overlap", [0, 5, 15])
def test_a_fence_of_just_the_limit_is_whole(overlap: int) -> None:
    """The line's end behind it may be a token, and is not read: what counts is what the model reads."""

    class Signs(Letters):
        """To this one each character is a token, those of white space too."""

        def starts(self, text: str) -> Sequence[int]:
            return range(len(text))

    fence = "```\noil gas water\n```\n"
    text = ("lamp. " * 9 + "\n\n" + fence + "\n") * 3
    size = Signs().count(read("", "", fence))
    assert sum(part.count(fence) for part in ends(text, cut(text, Rule(size, overlap), Signs()))) == 3
    assert not any(fence in part for part in ends(text, cut(text, Rule(size - 1, overlap), Signs())))


def test_a_fence_is_closed_by_its_own_mark(tokenizers: Sequence[Tokenizer]) -> None:
    """Shorter marks and marks of the other kind inside are text, and so is a heading."""
    inner = "````md\n```\n# no heading\n```\n~~~\n````\n"
    text = "water " * 12 + "\n\n" + inner + "\n" + "oil " * 12
    assert any(inner in part for part in ends(text, cut(text, Rule(20), tokenizers[0])))
    assert not [one for one in cut(text, Rule(20, 0, True), tokenizers[0]) if one.context]


def test_paragraphs_then_sentences_then_words(tokenizers: Sequence[Tokenizer]) -> None:
    """The strongest border that fills a chunk well enough is taken, and a word is broken only where it has to be."""
    tokens = tokenizers[0]
    text = "one two three four. Five six seven eight. Nine ten oil gas. Water air fire stone."
    assert [part.strip() for part in ends(text, cut(text, Rule(11), tokens))] == [
        "one two three four. Five six seven eight.", "Nine ten oil gas. Water air fire stone."]
    found = ends("water " * 30, cut("water " * 30, Rule(11), tokens))
    assert {part.count("water ") for part in found} == {11, 8}
    paragraphs = "one two three four.\n\nfive six seven eight.\n\nnine ten oil gas."
    assert [part.count("\n\n") for part in ends(paragraphs, cut(paragraphs, Rule(12), tokens))] == [2, 0]


def test_a_word_that_is_one_token_is_bounded_by_letters(tokenizers: Sequence[Tokenizer]) -> None:
    """5,000 letters are one token to this tokenizer, and are not one chunk."""
    found = cut("x" * 5000, Rule(16), tokenizers[0])
    assert max(end - start for start, end, _ in found) <= 16 * chunks.LETTERS


def test_a_text_without_any_token_is_cut_too() -> None:
    """Signs that a tokenizer drops, as many do with what cannot be seen, have no beginnings that overlap could take."""

    class Blind(Letters):
        """To this one nothing is a token."""

        def count(self, passage: str) -> int:
            return 1

        def starts(self, text: str) -> Sequence[int]:
            return []

    assert len(cut("\u200b" * 3000, Rule(16, 5), Blind())) > 3


def test_blanks_without_end_are_no_table() -> None:
    """What looks for the line below a table's head goes over it once: by steps of its square this would take hours."""
    for line in ("{}x |\n", "|---{}x |\n", "|{}---{}|{}--x\n"):
        assert not layout("a | b\n" + line.replace("{}", " " * 300_000)).wholes
    assert layout("a | b\n" + " " * 300_000 + "| :--- | ---: |\n").wholes


def test_signs_of_several_characters_stay_whole(tokenizers: Sequence[Tokenizer]) -> None:
    """A family, a flag's neighbour, an accent: no cut inside, where the limit leaves room for the sign."""
    for sign in ("👩‍👩‍👧‍👦", "👍🏽", "q\u0323\u0307"):
        for start, end, _ in cut(text := sign * 60, Rule(24), tokenizers[1]):
            assert text[start:end] == sign * ((end - start) // len(sign))


def test_overlap_begins_at_a_sentence(tokenizers: Sequence[Tokenizer]) -> None:
    """What is shared with the chunk before begins at a natural border, and is no more than asked for."""
    text = "One two three four. " * 12
    found = cut(text, Rule(20, 6), tokenizers[0])
    assert all(text[start:].startswith("One") for start, _, _ in found)
    assert [found[n].end - found[n + 1].start for n in range(len(found) - 1)] == [20] * (len(found) - 1)


def test_context_is_the_path_of_headings_above(tokenizers: Sequence[Tokenizer]) -> None:
    """Outermost first, without the heading that the chunk begins with and the one that the title repeats."""
    body = "\n\n".join(["water oil gas lamp door. " * 6] * 2)
    text = f"# Page\n\n{body}\n\n## Part\n\n{body}\n\n### Deep\n\n{body}\n\n## Last\n\n{body}"
    found = cut(text, Rule(44, 0, True), tokenizers[0], "Page")
    seen = {text[start:].split("\n")[0][:8]: context for start, _, context in found}
    assert seen["# Page"] == seen["## Part"] == seen["## Last"] == ""
    assert seen["### Deep"] == "Part"
    below = [one.context for one in found if text[one.start :].startswith("water")]
    assert below == ["", "Part", "Part > Deep", "Last"]
    assert {one.context for one in cut(text, Rule(44, 0, True), tokenizers[0], "Other")} >= {"Page > Part > Deep"}


def test_a_long_title_and_a_long_path_leave_half(tokenizers: Sequence[Tokenizer]) -> None:
    """The title is shortened and the outer headings are left out, so that the text has half of every chunk."""
    tokens, rule = tokenizers[1], Rule(20, 0, True)
    title = shortened("water oil gas " * 20, rule, tokens)
    assert title and tokens.count(title) <= 2 + 9
    path = "# " + "water " * 6 + "\n\n## " + "lamp " * 6 + "\n\n" + "oil gas door " * 12
    assert {one.context for one in cut(path, rule, tokens)} == {"", " ".join(["lamp"] * 6)}
    assert shortened("Pumps", rule, tokens) == "Pumps"


def test_one_letter_over_the_limit_is_said(tokenizers: Sequence[Tokenizer]) -> None:
    """What cannot be cut any more and is over is an error with its place, never a chunk over the limit."""

    class Wordy:
        """To this one every letter is ten tokens."""

        def count(self, passage: str) -> int:
            return 10 * len(passage)

        def starts(self, text: str) -> list[int]:
            return [at for at in range(len(text)) for _ in range(10)]

    assert len(by_structure("oil", "", Rule(12), Wordy(), read)) == 3
    with pytest.raises(TooNarrow) as caught:
        by_structure("oil", "", Rule(9), Wordy(), read)
    assert (caught.value.at, caught.value.tokens) == (0, 10)


def test_sentences_are_counted() -> None:
    """Abbreviations, numbers and small letters end none; items, fences and tables are one each; headings are none."""
    text = ("# Head\n\nSee e.g. Dr. Stone, p. 5. He is in. Is he? yes.\n\n- one. two.\n- three\n\n"
            "```\na. B. C.\n```\n\n日本。です。")
    assert ends(text, by_sentences(text, 1)) == [
        "# Head\n\nSee e.g. Dr. Stone, p. 5. ", "He is in. ", "Is he? yes.\n\n", "- one. two.\n", "- three\n\n",
        "```\na. B. C.\n```\n\n", "日本。", "です。"]
    assert ends(text, by_sentences(text, 5))[0].endswith("- three\n\n")
