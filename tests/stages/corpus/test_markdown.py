"""Markdown: front matter."""
from __future__ import annotations

from typing import Any

import pytest

from embspec.stages.corpus.documents import plain
from embspec.stages.corpus.markdown import split
from embspec.stages.reading import Problems
from tests.support.trees import brief


@pytest.mark.parametrize(
    ("text", "front", "rest"),
    [
        ("text\n", {}, "text"),
        ("---\na: 1\nb: 2024-05-01\n---\n\ntext\n", {"a": 1, "b": "2024-05-01"}, "text"),
        ("---\na: yes\n...\ntext", {"a": "yes"}, "text"),
        ("---\n---\ntext", {}, "text"),
        ("---\n# a comment\n---\ntext", {}, "---\n# a comment\n---\ntext"),
        ("---\nno mapping\n---\ntext", {}, "---\nno mapping\n---\ntext"),
        ("---\nnever: closed\n", {}, "---\nnever: closed"),
        ("----\na: 1\n---\n", {}, "----\na: 1\n---"),
        ("\n---\na: 1\n---\n", {}, "---\na: 1\n---"),
        ("text\n\n---\n\nmore\n\n---\n", {}, "text\n\n---\n\nmore\n\n---"),
    ],
)
def test_split(text: str, front: dict[str, Any], rest: str) -> None:
    """Front matter is a YAML mapping between lines of dashes at the very start; all else is text."""
    collected = Problems()
    page = split(text, "a.md", collected)
    assert page is not None and not collected.shown
    assert {key: plain(value) for key, value in page.front.items()} == front
    assert page.text == rest


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("---\ntitle: a: b\n---\ntext", "a.md:2:9"),
        ("---\na: 1\na: 2\n---\ntext", "a.md:3:1"),
        ("---\ntitle: \x07\n---\ntext", "a.md:1"),
        ("---\na: !!python/object:os.system x\n---\ntext", "a.md:2:4"),
        ("---\na: *b\n---\ntext", "a.md:2:4"),
    ],
)
def test_front_matter_that_is_no_yaml(text: str, where: str) -> None:
    """Broken front matter is told at its line and column in the file."""
    collected = Problems()
    assert split(text, "a.md", collected) is None
    assert brief(collected.shown) == [("input.front-matter", where)]
    page = split("---\na: 1\n---\n", "a.md", collected)
    assert page is not None and page.front == {"a": 1}, "the reader is as good after an error as before"


def test_dates_become_text() -> None:
    """YAML dates are their text, also in lists."""
    page = split("---\na: [2024-05-01, 2024-05-01T10:00:00Z]\n---\n", "a.md", Problems())
    assert page is not None
    assert plain(page.front["a"]) == ["2024-05-01", "2024-05-01T10:00:00+00:00"]
