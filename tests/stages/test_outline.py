"""The one reader of Markdown's lines: what is a heading, what is code, and that no line is slow."""
from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from embspec.stages.corpus.borders import layout
from embspec.stages.outline import FENCE, HEADING, LINE, TABLE, blocks, headings, title
from embspec.stages.pairs.sections import behind_front, ends, plain

LONG = 300_000
"""Letters of a hostile line: by steps of their square a test would take hours."""


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("# One\n\n## Two\n", "One"),
        ("text\n\n### Three ###\n", "Three"),
        ("#hashtag\n\n   ## C# and F#\n", "C# and F#"),
        ("#\n\n## ##\n# # #\n# Next\n", "Next"),
        ("#  two  blanks \t\r\n", "two  blanks"),
        ("```\n# a comment in code\n```\n\n# Real\n", "Real"),
        ("````\n```\n# no\n````\n~~~ sh\n# no\n~~~\nText\n====\n", "Text"),
        ("Under a line\n---\n", "Under a line"),
        ("Paragraph\n\n---\n\n# After the rule\n", "After the rule"),
        ("two lines over\na rule\n---\n# After the rule\n", "After the rule"),
        ("<!-- a mark -->\nTitle\n===\n", "Title"),
        ("- item\n---\n# After the list\n", "After the list"),
        ("===\n---\n# Two rules\n", "Two rules"),
        ("***\n---\n# Two others\n", "Two others"),
        ("_ _ _\n===\n# And two more\n", "And two more"),
        ("**Bold**\n---\n# After\n", "**Bold**"),
        ("a | b\n--|--\n# c | d\n\n# After the table\n", "After the table"),
        ("    # indented code\n", ""),
        ("no heading\n", ""),
        ("", ""),
        # Three ticks with a fourth behind them are words within a line, and hide nothing.
        ("```code``` says so\n# Seen\n", "Seen"),
        ("~~~ `a`\n# no\n", ""),
        # A fence may stand in a list: its end is no beginning.
        ("- ```sh\n  # no\n  ```\n\n# Behind the list\n", "Behind the list"),
        ("10. do\n\n    ```\n# no\n    ```\n# Behind\n", "Behind"),
    ],
)
def test_title(text: str, first: str) -> None:
    """The first heading with words in it, in either of Markdown's two spellings, outside of code and tables."""
    assert title(text) == first


def test_headings_are_those_of_markdown() -> None:
    """Three marks within a line are no fence that hides what follows; a mark that is part of a word stays."""
    text = "# One\n```code``` here\n## C#\n```sh\n# no\n````\n## F# and C# ##\n## ##\nTwo\n---\n~~~ `a`\n# no\n"
    found = [(plain(one.words), one.level, one.number) for one in headings(text)]
    assert found == [("One", 1, 1), ("C#", 2, 3), ("F# and C#", 2, 7), ("Two", 2, 9)]


def test_front_matter_is_passed_over_and_counted() -> None:
    """What a file opens with is no heading, and the lines behind it keep their numbers."""
    text = "---\n# title: x\n---\n# One\nbelow\n"
    (only,) = headings(text, behind_front(text))
    assert (only.words, only.number, text[only.start : only.end]) == ("One", 4, "# One\n")


def test_a_section_ends_at_the_next_that_is_as_high() -> None:
    """As found by looking for it from each heading anew."""
    text = "".join(f"{'#' * level} h\n" for level in (2, 3, 4, 3, 1, 6, 2, 6, 2, 1))
    found = list(headings(text))
    slow = [next((b.start for b in found[n + 1 :] if b.level <= a.level), len(text)) for n, a in enumerate(found)]
    assert ends(found, len(text)) == slow and len(set(slow)) > 5


@pytest.mark.parametrize(
    "line",
    [
        "# a" + " " * LONG + "b", "#" + " \t" * LONG + "b # c", "# a" + " #" * LONG + "b", "# " + "#" * LONG + "b",
        "`" * LONG + "x`", "```" + "x`" * LONG, "```" + " " * LONG + "x", "=" * LONG + "x", "-" + " " * LONG,
        "a\n=" + " " * LONG + "x", "a\n-" + "\t \r" * LONG + "x", " " * LONG + "x", "1" * LONG + ". x", "- " * LONG,
        ">" * LONG, "a |\n" + "-" * LONG + "x|", "|" * LONG + "\n" + "|-" * LONG, "~" * LONG + "\n" + "~" * LONG + "x",
    ],
    ids=range(18),
)
def test_no_line_is_slow(line: str) -> None:
    """A line of many blanks, marks or ticks is gone over a fixed number of times, whoever reads it."""
    text = f"{line}\n\n# Behind\n"
    assert [*blocks(text)]
    layout(text[: 2 * LONG])


LINES = st.lists(st.sampled_from((
    "# a", "## b #", "#", "text", "===", "---", "```", "```sh", "````", "~~~", "`` ` ``", "- item", "  1. ```", "> q",
    "| a | b |", "|---|---|", "   ```", "    code", "\t", "", " \r", "é",
)), max_size=14)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(LINES, st.booleans())
@example(["```"], True)
def test_every_line_is_in_one_block(lines: list[str], ended: bool) -> None:
    """Blocks stand one behind the other, nothing but blank lines is between them, and each counts its lines."""
    text = "\n".join(lines) + "\n" * ended
    at, found = 0, list(blocks(text))
    for block in found:
        assert not text[at : block.start].strip() and block.start < block.end
        assert block.number == 1 + text.count("\n", 0, block.start)
        assert block.kind in (HEADING, FENCE, TABLE, LINE) and bool(block.level) == (block.kind == HEADING)
        at = block.end
    assert not text[at:].strip()
    assert [h.start for h in layout(text).headings] == [block.start for block in found if block.kind == HEADING]
