"""The split by group, by time and by query: what is kept together, what is tested, what is refused."""
from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.errors import EmbspecError
from embspec.stages.split import times
from embspec.stages.split.rows import PARTS
from tests.support.splits import Result, World, plain, row, run

ALL = ("train", "validation", "test")
MOMENTS = st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1))


def homes(result: Result) -> dict[str, str]:
    """Query -> part."""
    return {each["id"]: part for part in PARTS for each in result.rows(part)}


def grouped(count: int = 60, size: int = 3) -> World:
    """Questions of one group each about a document of its own."""
    rows = [row(f"q{n:02}", f"d{n}", group=f"g{n // size}") for n in range(count)]
    return World(plain(count), {"only": ("gold", ALL, rows)})


def dated(count: int = 40) -> World:
    """A question a day, each about a document of its own."""
    first = datetime(2026, 1, 1, tzinfo=timezone.utc)
    rows = [row(f"q{n:02}", f"d{n}", time=(first + timedelta(days=n)).date().isoformat()) for n in range(count)]
    return World(plain(count), {"only": ("gold", ALL, rows)})


def test_a_group_is_in_one_part() -> None:
    """All questions of a group go together, and the shares are met by whole groups."""
    found = homes(run(grouped(), split__by="group"))
    parts = [{found[f"q{n:02}"] for n in range(at, at + 3)} for at in range(0, 60, 3)]
    assert all(len(each) == 1 for each in parts)
    assert [sum(part == home for home in found.values()) for part in PARTS] == [9, 6, 45]


def test_a_group_goes_where_its_name_says() -> None:
    """The part of a group is that of its name: other documents in it, or a question more, move nothing."""
    before = homes(run(grouped(), split__by="group"))
    more = grouped()
    rows = [*more.sources["only"][2], row("new", "d60", group="g4")]
    first = run(grouped(), split__by="group")
    after = homes(run(World(plain(61), {"only": ("gold", ALL, rows)}), split__by="group", pins=first.pins(),
                      frozen=first.frozen))
    assert after["new"] == before["q12"] and {name: after[name] for name in before} == before


def test_groups_that_share_a_document_hang_together() -> None:
    """A split by group is never a leak by document."""
    world = grouped(30)
    rows = [row("a", "shared", group="g1"), row("b", "shared", group="g2")]
    source = ("gold", ALL, [*world.sources["only"][2], *rows])
    found = run(World({**world.documents, "shared": "a text of its own"}, {"only": source}), split__by="group")
    home = homes(found)
    assert len({home[name] for name in ("a", "b", "q03", "q04", "q06", "q08")}) == 1
    assert found.made.stat["test.leaking"] == 0


def test_a_split_by_group_needs_groups() -> None:
    """Rows without any are refused, with the field to write."""
    with pytest.raises(EmbspecError) as error:
        run(World(plain(3), {"only": ("gold", ALL, [row("q", "d0")])}), split__by="group")
    assert [one.code for one in error.value.problems] == ["input.field"]


def test_the_latest_are_tested() -> None:
    """Test is the newest, validation comes before it, the oldest train; the lock says from when on."""
    result = run(dated(), split__by="time", split__time_column="asked")
    order = [homes(result)[f"q{n:02}"] for n in range(40)]
    assert order == ["train"] * 30 + ["validation"] * 4 + ["test"] * 6
    assert result.made.stat["test.after"] == "2026-02-03 00:00:00"


def test_a_newer_question_is_tested_and_moves_no_other() -> None:
    """The threshold stays: test grows with time and never shrinks."""
    first = run(dated(), split__by="time", split__time_column="asked")
    world = dated(44)
    later = run(world, split__by="time", split__time_column="asked", pins=first.pins(), frozen=first.frozen)
    assert {name: homes(later)[name] for name in homes(first)} == homes(first)
    assert all(homes(later)[f"q{n}"] == "test" for n in range(40, 44))


def test_an_old_question_about_a_document_that_is_asked_for_now() -> None:
    """It goes where the newest that hangs together with it goes, so that nothing leaks."""
    world = dated()
    rows = [*world.sources["only"][2], row("old", "d39", time="2020-01-01")]
    result = run(World(world.documents, {"only": ("gold", ALL, rows)}), split__by="time", split__time_column="asked")
    assert homes(result)["old"] == "test" and result.made.stat["test.leaking"] == 0


def test_what_happened_at_one_time_is_not_cut_apart() -> None:
    """Questions of one day are in one part."""
    rows = [row(f"q{n:02}", f"d{n}", time=f"2026-01-{1 + n // 10:02}") for n in range(40)]
    found = homes(run(World(plain(40), {"only": ("gold", ALL, rows)}), split__by="time", split__time_column="asked"))
    assert all(len({found[f"q{n:02}"] for n in range(at, at + 10)}) == 1 for at in range(0, 40, 10))
    assert found["q39"] == "test" and found["q00"] == "train"


def test_rows_without_a_time_are_refused_at_once() -> None:
    """Each is named, with what it has and what a time looks like."""
    rows = [row("a", "d0", time="2026-01-01"), row("b", "d1"), row("c", "d2", time="soon")]
    with pytest.raises(EmbspecError) as error:
        run(World(plain(3), {"only": ("gold", ALL, rows)}), split__by="time", split__time_column="asked")
    assert [one.code for one in error.value.problems] == ["input.time", "input.time"]
    assert "'soon'" in error.value.problems[1].text and "asked" in error.value.problems[0].text


def test_by_query_says_what_leaks() -> None:
    """Questions about one document are cut apart, and the leaks are counted."""
    rows = [row(f"q{n:02}", "d0") for n in range(40)]
    result = run(World(plain(1), {"only": ("gold", ALL, rows)}), split__by="query")
    assert len(result.rows("test")) == 6 == result.made.stat["test.leaking"]


def test_a_day_without_dashes_is_that_day() -> None:
    """It is no number of seconds, all of which would be in one summer; one that no calendar has is no time."""
    assert times.order("20260301") == times.order("2026-03-01") < times.order("2026-02-28")
    assert times.order("20261301") == math.inf


@settings(max_examples=100, derandomize=True)
@given(MOMENTS, MOMENTS, st.sampled_from(["iso", "zone", "seconds"]))
def test_later_comes_first(one: datetime, other: datetime, form: str) -> None:
    """Whatever a time is written like; half a minute apart is apart."""
    texts = {"iso": datetime.isoformat, "zone": lambda when: when.isoformat() + "Z",
             "seconds": lambda when: repr(when.replace(tzinfo=timezone.utc).timestamp())}
    first, second = times.order(texts[form](one)), times.order(other.isoformat())
    assert 0 < first <= 1 and 0 < second <= 1
    if abs(one - other) > timedelta(seconds=30):
        assert (first < second) == (one > other)
    if one.microsecond == 0 == other.microsecond:
        assert times.said(second) == other.isoformat(sep=" ")
