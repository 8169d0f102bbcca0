"""Paths of a first spec: all files that are meant, and no other."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embspec.init.globs import covering, matched

PARTS = st.sampled_from(["a", "b", "kb-1", "kb-2", "x[1]", "faq", "team faq", "*", "q?"])
NAMES = st.builds(lambda folders, stem, end: "/".join([*folders, stem + end]),
                  st.lists(PARTS, max_size=3), PARTS, st.sampled_from([".md", ".MD", ".yml", ".jsonl"]))


@given(st.dictionaries(NAMES, st.booleans(), min_size=1, max_size=25), st.sampled_from(["", "../", "../../"]))
def test_they_match_what_is_wanted_and_nothing_else(files: dict[str, bool], up: str) -> None:
    """By the rule that a build goes by, whatever letters the names have, also from a folder beside the documents."""
    names = [up + name for name in files]
    wanted = [up + name for name, meant in files.items() if meant]
    found = {name for path in covering(wanted, names) for name in matched(path, names)}
    assert found == set(wanted)


@pytest.mark.parametrize(("wanted", "others", "paths"), [
    (["docs/a.md", "docs/b/c.md"], [], ["docs/**/*.md"]),
    (["docs/a.md", "docs/b.md"], ["README.md"], ["docs/*.md"]),
    (["a.md"], ["b.md"], ["a.md"]),
    (["x/faq.yml", "y/team-faq.yml"], ["mkdocs.yml"], ["**/*faq.yml"]),
    (["kb-1.txt", "kb-2.txt", "kb-3.txt"], ["requirements.txt"], ["kb-*.txt"]),
    (["docs/a.md", "faq.yml"], ["mkdocs.yml"], ["docs/a.md", "faq.yml"]),
    (["a/x.md", "a/y.md", "b/z.md"], ["node_modules/n.md"], ["a/*.md", "b/z.md"]),
])
def test_they_are_what_a_person_would_write(wanted: list[str], others: list[str], paths: list[str]) -> None:
    """One glob for a kind of file in a folder, which takes what is added later too."""
    assert covering(wanted, [*wanted, *others]) == paths
