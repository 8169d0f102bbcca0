"""Two sides of a lock: what git left in the text is told apart as git would, and blocks are merged by themselves."""
from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embspec.errors import EmbspecError
from embspec.lock.merge import Sides, Texts, apart, blockwise, moved, pins, sides
from embspec.lock.text import Lock, write
from embspec.plan.values import Block

LINE = st.sampled_from(["a: 1", "b: 2", "c: 3", "", "  key: 1", "  key: 2", "x: =======", "======", "<<<<<<<<< x"])
TEXT = st.lists(LINE, max_size=8).map(lambda lines: "".join(f"{line}\n" for line in lines))


def merged_by_git(folder: Path, texts: Texts, *how: str) -> str:
    """What `git merge-file` makes of three texts."""
    for name, text in texts._asdict().items():
        (folder / name).write_text(text, encoding="utf-8")
    done = subprocess.run(["git", "merge-file", "-p", *how, "ours", "base", "theirs"], cwd=folder, text=True,
                          capture_output=True, check=False)
    return done.stdout


@given(st.builds(Texts, TEXT, TEXT, TEXT))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_conflict_is_told_apart_as_git_does(tmp_path: Path, texts: Texts) -> None:
    """Plain or with the base between: each side is what `--ours` and `--theirs` give, with all that was merged."""
    ours, theirs = (merged_by_git(tmp_path, texts, how) for how in ("--ours", "--theirs"))
    plain = merged_by_git(tmp_path, texts)
    found = apart(plain, "x.lock")
    assert (found is None) == (ours == theirs == plain)
    assert found in (None, Texts(ours, "", theirs))
    whole = apart(merged_by_git(tmp_path, texts, "--diff3"), "x.lock")
    assert (whole is None) == (found is None)


def test_the_base_between_the_sides_is_read_where_every_conflict_has_it() -> None:
    """As `merge.conflictStyle = diff3` and `zdiff3` write it."""
    text = "l\n<<<<<<< HEAD\na\n||||||| 12ab\no\n=======\nb\n>>>>>>> other\nm\n"
    assert apart(text, "x") == Texts("l\na\nm\n", "l\no\nm\n", "l\nb\nm\n")
    assert apart(text + "<<<<<<< a\n=======\nn\n>>>>>>> b\n", "x") == Texts("l\na\nm\n", "", "l\nb\nm\nn\n")


@pytest.mark.parametrize(("text", "line"), [
    ("a\n<<<<<<< x\nb\n", 3), ("=======\n", 1), ("<<<<<<< x\n>>>>>>> y\n", 2), ("<<<<<<< x\n<<<<<<< x\n", 2),
    ("<<<<<<< x\n=======\n||||||| z\n", 3), (">>>>>>> y\n", 1),
])
def test_markers_that_do_not_belong_together_are_refused(text: str, line: int) -> None:
    """A hand began to resolve it: nothing is guessed; exit 12 with the line."""
    with pytest.raises(EmbspecError) as caught:
        apart(text, "x.lock")
    (problem,) = caught.value.problems
    assert (problem.code, problem.where and problem.where.line, caught.value.exit) == ("lock.conflict", line, 12)


@pytest.mark.parametrize(("base", "ours", "theirs", "found"), [
    ("a", "a", "a", ("a",)), ("a", "b", "a", ("b",)), ("a", "a", "b", ("b",)), ("a", "b", "b", ("b",)),
    ("a", "b", "c", ("b", "c")), (None, "b", None, ("b",)), ("a", None, "a", (None,)), ("a", None, "c", (None, "c")),
])
def test_three_way(base: str | None, ours: str | None, theirs: str | None, found: tuple[str | None, ...]) -> None:
    """The side that moved; both where they moved apart."""
    assert moved(base, ours, theirs) == found


BLOCKS = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.builds(
    Block, recipe=st.just("1"), pin=st.dictionaries(st.sampled_from(["p", "q"]), st.sampled_from(["1", "2", "3"])),
    key=st.sampled_from(["k1", "k2", "k3"])))


@given(BLOCKS, BLOCKS, BLOCKS)
def test_block_by_block(base: Mapping[str, Block], ours: Mapping[str, Block], theirs: Mapping[str, Block]) -> None:
    """A block that one side changed is that side's; where both did otherwise it is ours, with the pins they moved."""
    found = blockwise(Sides(Lock(ours), Lock(base), Lock(theirs))).blocks
    for name in {*base, *ours, *theirs}:
        first, *other = moved(base.get(name), ours.get(name), theirs.get(name))
        if not other or first is None:
            assert found.get(name) == first
        else:
            assert found[name].key == ours[name].key
            pin = pins(base.get(name, Block()), ours[name], theirs.get(name, Block()), ["p", "q"])[0]
            assert dict(found[name].pin) == pin
    assert blockwise(Sides(Lock(ours), Lock(base), Lock(base))).blocks == ours
    assert blockwise(Sides(Lock(base), Lock(base), Lock(theirs))).blocks == theirs


def test_pins_that_no_key_covers_are_of_one_side() -> None:
    """A snapshot that both moved stays whole: the documents of one by the definition of the other were never taken."""
    base, ours, theirs = (Lock({"snapshot": Block(pin=pin)}) for pin in (
        {"definition": "1", "documents": "a"}, {"definition": "1", "documents": "b"},
        {"definition": "2", "documents": "c"}))
    assert blockwise(Sides(ours, base, theirs)).blocks == ours.blocks


def test_pins_that_both_moved_are_named() -> None:
    """Ours stays, and somebody is told; what one side took out is out."""
    base, ours, theirs = (Block(pin=pin) for pin in (
        {"a": "1", "b": "1", "c": "1", "d": "1"}, {"a": "2", "b": "1", "c": "2", "d": "1"},
        {"a": "1", "b": "3", "c": "3"}))
    assert pins(base, ours, theirs, "abcd") == ({"a": "2", "b": "3", "c": "2"}, ["c"])


def test_a_base_that_was_a_conflict_itself_is_none() -> None:
    """As git's own base of a criss-cross merge may be; a side that cannot be read is an error with its name."""
    good = write(Lock({"a": Block("1")}), ["a"])
    torn = good + "<<<<<<< x\n"
    assert sides(Texts(good, torn, ""), ("ours", "theirs")) == Sides(Lock({"a": Block("1")}), Lock(), Lock())
    with pytest.raises(EmbspecError) as caught:
        sides(Texts(good, "", torn), ("ours", "theirs"))
    assert caught.value.exit == 12 and str(caught.value.problems[0].where) == "theirs:6"


def test_lines_of_a_newer_embspec_are_not_merged_away() -> None:
    """Exit 12, whichever side has them."""
    with pytest.raises(EmbspecError) as caught:
        sides(Texts("", "", "lock: 1\nnewer: 1\n"), ("ours", "theirs"))
    assert [p.code for p in caught.value.problems] == ["lock.unknown"]
