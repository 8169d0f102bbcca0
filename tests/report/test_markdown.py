"""Text of people and names of things inside Markdown."""

from __future__ import annotations

import pytest

from embspec.report.cells import table
from embspec.report.markdown import render
from tests.support.bare import BARE


def test_a_bare_report_is_a_page() -> None:
    """A spec without a name and a build without results still render."""
    text = render(BARE)
    assert text.startswith("# Report\n\n## Verdict: none\n")
    assert text.endswith("- 0 documents in the snapshot\n")


def test_name_and_version_are_the_title() -> None:
    """The title is on one line whatever the spec holds."""
    assert render({**BARE, "name": "kelp\nworks", "version": "1.2"}).startswith("# kelp works 1.2\n")


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("green", "No gate stops"),
        ("red", "must not ship"),
        ("inconclusive", "undecided stops"),
    ],
)
def test_every_standing_is_explained(state: str, says: str) -> None:
    """Under the verdict stands what it means."""
    text = render({**BARE, "verdict": {"verdict": state, "gates": []}})
    assert f"## Verdict: {state}\n\n" in text and says in text


def test_a_cell_cannot_break_its_table() -> None:
    """A bar in a cell is escaped, so that the row keeps its columns."""
    assert table(["a", "b"], [["x|y", "z"]]) == "| a | b |\n| --- | --- |\n| x\\|y | z |"


def test_questions_keep_to_their_line() -> None:
    """Line breaks and marks in a question, and backticks in an id, do not reach the page's layout."""
    row = {
        "query": "is\n# this *bold* <b>?",
        "positives": ["a`b"],
        "system": "bm25",
        "rank": 3,
        "depth": 100,
        "first": None,
        "metric": "mrr@10",
        "value": 1 / 3,
    }
    text = render({**BARE, "hardest": [row]})
    assert "- is # this \\*bold\\* \\<b\\>?\n  `` a`b ``: at rank 3, mrr@10 0.3333\n" in text


def test_a_measured_nothing_is_blank() -> None:
    """What could not be computed is an empty cell with its reason, not a zero."""
    gate = {
        "gate": "mrr@10 of tuned >= 0.5",
        "verdict": "error",
        "value": None,
        "low": None,
        "high": None,
        "bound": None,
        "n": 0,
        "clusters": 0,
        "system": None,
        "ref": None,
        "p": None,
        "needed": None,
        "detectable": None,
        "note": "tuned was not measured on domain",
    }
    text = render({**BARE, "verdict": {"verdict": "red", "gates": [gate]}})
    assert "| `mrr@10 of tuned >= 0.5` | error |  |  | 0 |  | tuned was not measured on domain |" in text


def test_more_questions_are_named_where_they_help() -> None:
    """An open verdict says how many more would settle it."""
    gate = {
        "gate": "mrr@10 of bm25 >= 0.5 @95",
        "verdict": "inconclusive",
        "value": 0.5,
        "low": 0.4,
        "high": 0.6,
        "bound": 0.45,
        "n": 40,
        "clusters": 40,
        "system": 0.5,
        "ref": None,
        "p": None,
        "needed": 300,
        "detectable": 0.2,
        "note": "",
    }
    text = render({**BARE, "verdict": {"verdict": "green", "gates": [gate]}})
    assert "about 300 more queries would settle it" in text
