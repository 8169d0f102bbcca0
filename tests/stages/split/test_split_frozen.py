"""The frozen test list: it may grow, and never shrinks by itself."""
from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from embspec.errors import EmbspecError
from tests.support.splits import Result, World, plain, row, run

GOLD = ("gold", ("test", "validation"))


def world(first: int, last: int, **changed: str) -> World:
    """Gold on documents `first` to `last`; some queries with another text or document."""
    rows = [row(f"g{n}", changed.get(f"g{n}", f"d{n}")) for n in range(first, last)]
    return World(plain(200), {"gold": (*GOLD, rows)})


def pinned(result: Result) -> dict[str, Any]:
    """All pins of a build, the frozen list among them."""
    digest = hashlib.sha256(result.frozen).hexdigest()
    return {**result.pins(), "pin.test": f"sha256:{digest} {len(result.frozen)}"}


def some_test(result: Result) -> list[str]:
    """Ids in test, in order."""
    return sorted(result.ids("test"))


def test_the_list_is_the_members_sorted() -> None:
    """A member is its normalised text and its documents, one canonical line each."""
    rows = [row("1", "c#1", "c#2", "a", query=" Ärger  mit  X? "), row("2", "a", query="b")]
    questions = World({"c#1": ("one", "c"), "c#2": ("two", "c"), "a": "three"}, {"gold": ("gold", ("test",), rows)})
    assert run(questions).frozen == '["b",["a"]]\n["ärger mit x?",["a","c"]]\n'.encode()


def test_the_same_test_set_keeps_its_pin() -> None:
    """An unchanged list needs no old one and marks nothing."""
    first = run(world(0, 50))
    again = run(world(0, 50), pins=pinned(first))
    assert again.frozen == first.frozen
    assert again.files == first.files


def test_growth_is_allowed_and_marked() -> None:
    """New members are marked, the pin stays the old list."""
    first = run(world(0, 50))
    after = run(world(0, 100), pins=pinned(first), frozen=first.frozen)
    assert after.frozen == first.frozen
    assert {each["id"] for each in after.rows("test") if not each["grown"]} == first.ids("test")
    assert {each["id"] for each in after.rows("test") if each["grown"]} == after.ids("test") - first.ids("test")
    assert after.made.stat["test.grown"] == len(after.ids("test")) - len(first.ids("test")) > 0


def test_what_is_lost_is_named() -> None:
    """A member that is gone or has other positives is an error that says what became of it."""
    first = run(world(0, 50))
    gone, changed = some_test(first)[:2]
    rows = world(0, 50, **{changed: "d199"}).sources["gold"][2]
    fewer = World(plain(200), {"gold": (*GOLD, [one for one in rows if one["id"] != gone])})
    with pytest.raises(EmbspecError) as error:
        run(fewer, pins=pinned(first), frozen=first.frozen)
    (problem,) = error.value.problems
    assert problem.code == "input.frozen-lost"
    assert "2 of the frozen test queries are lost" in problem.text
    assert f"'question {gone}': in no source" in problem.text
    assert f"'question {changed}': other positives in gold" in problem.text
    assert "--accept-test-change" in problem.fix


def test_a_member_that_moved_is_lost() -> None:
    """A smaller share of test takes members away, which is an error that says where they are."""
    first = run(world(0, 50))
    with pytest.raises(EmbspecError) as error:
        run(world(0, 50), pins=pinned(first), frozen=first.frozen, split__test=0.01)
    assert [one.code for one in error.value.problems] == ["input.frozen-lost"]
    assert "in validation now" in error.value.problems[0].text
    assert "more" in error.value.problems[0].text


def test_a_larger_share_only_grows_the_list() -> None:
    """More test than before keeps every old member."""
    first = run(world(0, 50))
    after = run(world(0, 50), pins=pinned(first), frozen=first.frozen, split__test=0.3)
    assert first.ids("test") < after.ids("test")


def test_an_old_list_that_is_nowhere_is_said() -> None:
    """A changed test set cannot be judged without the old list."""
    first = run(world(0, 50))
    with pytest.raises(EmbspecError) as error:
        run(world(0, 100), pins=pinned(first))
    assert error.value.problems[0].code == "nowhere.frozen-list"
    assert error.value.exit == 32


def test_an_accepted_change_makes_a_new_list() -> None:
    """Without the pin the list of now is kept."""
    first = run(world(0, 50))
    pins = {name: value for name, value in pinned(first).items() if name != "pin.test"}
    after = run(world(10, 60), pins=pins)
    assert {tuple(json.loads(line)[1]) for line in after.frozen.splitlines()} == {
        (each["cluster"],) for each in after.rows("test")
    }
    assert after.made.stat["test.grown"] == 0


def test_without_freeze_nothing_is_held() -> None:
    """`freeze: false` lets the test set change and marks nothing."""
    first = run(world(0, 50))
    after = run(world(10, 60), pins=pinned(first), split__freeze=False)
    assert after.frozen != first.frozen
    assert "grown" not in after.rows("test")[0]


def test_a_place_is_a_place_however_it_is_cut() -> None:
    """A member has the characters of its document, once, whichever texts hold them; all of it is the document."""
    def frozen(cuts: dict[str, tuple[str, str]], *positives: Any) -> bytes:
        rows = [{"id": "1", "query": "q", "positives": list(positives)}]
        return run(World(dict(cuts), {"gold": ("gold", ("test",), rows)})).frozen

    fine = {"a#0-4": ("abcd", "a"), "a#4-9": ("efghi", "a")}
    two = [{"id": name, "grade": 1, "start": 2, "end": 6} for name in fine]
    assert frozen(fine, *two) == b'["q",[["a",2,6]]]\n'
    whole = {"a#0-9": ("abcdefghi", "a")}
    assert frozen(whole, {"id": "a#0-9", "grade": 1, "start": 2, "end": 6}) == b'["q",[["a",2,6]]]\n'
    several = {"id": "a#0-9", "grade": 1, "start": 2, "end": 6, "places": [[0, 1], [2, 6]]}
    assert frozen(whole, several) == b'["q",[["a",0,1],["a",2,6]]]\n'
    assert frozen(whole, {"id": "a#0-9", "grade": 1, "start": 0, "end": 9}) == b'["q",["a"]]\n'
    assert frozen({"a": "abcdefghi"}, {"id": "a", "grade": 1}) == b'["q",["a"]]\n'  # type: ignore[dict-item]


def test_what_was_frozen_stays_when_nothing_ties_it_any_more() -> None:
    """A test query that came to test with its like stays there when they are not alike any more, and its like too."""
    rows = [row(f"g{n}", f"d{n}") for n in range(60)]
    ties = dict(zip(range(0, 60, 2), range(1, 60, 2), strict=True))
    alike = {**plain(60), **{f"d{one}": f"{plain(60)[f'd{other}']} too" for one, other in ties.items()}}
    first = run(World(alike, {"gold": (*GOLD, rows)}))
    apart = run(World(plain(60), {"gold": (*GOLD, rows)}))
    assert first.ids("test") - run(World(plain(60), {"gold": (*GOLD, rows)}), pins=first.pins()).ids("test")
    after = run(World(plain(60), {"gold": (*GOLD, rows)}), pins=pinned(first), frozen=first.frozen)
    assert after.ids("test") >= first.ids("test") and after.frozen == first.frozen and apart.frozen != first.frozen
    with pytest.raises(EmbspecError) as error:  # other shares are another wish
        run(World(plain(60), {"gold": (*GOLD, rows)}), pins=pinned(first), frozen=first.frozen, split__test=0.02)
    assert error.value.problems[0].code == "input.frozen-lost"
