"""What holds for every split that cannot leak: by document, by group, by time."""
from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.errors import EmbspecError
from embspec.stages.split.rows import PARTS
from tests.support.splits import Result, Row, World, prose, row, run

ALL = ("train", "validation", "test")
WAYS = st.sampled_from(["document", "group", "time"])
BASE = prose("base", 60)  # texts that begin with it are near-duplicates
names = st.integers(0, 11)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Small worlds with shared documents, parents, sessions and near-duplicates."""
    documents: dict[str, str | tuple[str, str]] = {}
    for n in range(12):
        text = f"{BASE} end{n}" if draw(st.booleans()) else prose(f"d{n}")
        parent = draw(st.sampled_from(["", "", "p", "r"]))
        documents[f"d{n}"] = (text, parent) if parent else text
    gold = draw(st.lists(rows_of("g"), min_size=3, max_size=10, unique_by=lambda one: one["id"]))
    more = draw(st.lists(rows_of("c"), min_size=1, max_size=10, unique_by=lambda one: one["id"]))
    loose = [row("free", "alone", time="2020-01-01", group="free")]
    roles = draw(st.sampled_from([ALL, ("test", "validation")]))
    documents["alone"] = prose("alone")
    sources = {"gold": ("gold", roles, gold), "more": ("curated", ("train",), more + loose)}
    return World(documents, sources)


@st.composite
def rows_of(draw: st.DrawFn, prefix: str) -> Row:
    """A row that shares documents, words, sessions and groups with others; each has its day."""
    more = {"time": f"2026-01-{draw(st.integers(1, 28)):02}"}
    for name in ("session", "group"):
        if draw(st.integers(0, 2)) == 0:
            more[name] = f"{name[0]}{draw(st.integers(0, 1))}"
    query = f"same {draw(names)}" if draw(st.integers(0, 4)) == 0 else ""
    positives = draw(st.lists(names, min_size=1, max_size=2, unique=True))
    return row(f"{prefix}{draw(st.integers(0, 30))}", *(f"d{n}" for n in positives), query=query, **more)


def ties(world: World, source: str, one: Row, by: str) -> set[object]:
    """What a row may not share with a row in another part; texts that are alike are one text."""
    owns = [world.documents[each["id"]] for each in one["positives"]]
    found: set[object] = {("query", one["query"])}
    for each, own in zip(one["positives"], owns, strict=True):
        text, parent = (own, each["id"]) if isinstance(own, str) else own
        found |= {("document", parent), ("text", BASE if text.startswith(BASE) else text)}
    found |= {("session", source, one["session"])} if "session" in one else set()
    return found | ({("group", one["group"])} if by == "group" and "group" in one else set())


def together(world: World, start: str, by: str) -> set[str]:
    """The ids of the rows that hang together with one of them, found by going from row to row."""
    rows = {one["id"]: ties(world, name, one, by) for name, (_, _, some) in world.sources.items() for one in some}
    reached, marks = {start}, set(rows[start])
    while more := {name for name, own in rows.items() if name not in reached and own & marks}:
        reached |= more
        marks.update(*(rows[name] for name in more))
    return reached


def asked(by: str) -> dict[str, str]:
    """The options of a split."""
    return {"split__by": by, "split__time_column": "asked"}


def homes(result: Result) -> dict[str, str]:
    """Query -> part."""
    return {each["id"]: part for part in PARTS for each in result.rows(part)}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(worlds(), WAYS)
def test_nothing_crosses(world: World, by: str) -> None:
    """No text, document, parent, session or group is in two parts; a query is in one part, or counted out."""
    try:
        result = run(world, **asked(by))
    except EmbspecError as error:
        assert {one.code for one in error.problems} == {"input.too-few"}
        return
    assert result.rows("test")
    places: dict[object, set[str]] = {}
    for part in PARTS:
        for each in result.rows(part):
            for tie in ties(world, each["source"], each, by):
                places.setdefault(tie, set()).add(part)
    loose = ("text",) if result.made.stat["dropped_edges"] else ()  # told apart, where they would hold over half
    assert {tie: parts for tie, parts in places.items() if len(parts) > 1 and tie[0] not in loose} == {}
    said = json.loads(result.files["leaks.json"])
    assert said["shared"]["query"] == said["shared"]["document"] == []
    assert said["leaking"] == 0 or result.made.stat["dropped_edges"]
    total = sum(len(rows) for _, _, rows in world.sources.values())
    assert len(homes(result)) + result.made.stat["held_out"] + result.made.stat["unused"] == total


@settings(max_examples=40, deadline=None, derandomize=True)
@given(worlds(), st.integers(0, 1000))
def test_order_does_not_matter(world: World, seed: int) -> None:
    """Lines and sources in another order give the same bytes, pins and numbers."""
    assert attempt(world) == attempt(world, seed)


def attempt(world: World, shuffle: int | None = None) -> object:
    """All that a run says."""
    try:
        result = run(world, shuffle=shuffle)
    except EmbspecError as error:
        return error.problems
    return result.files, result.frozen, result.made.stat, result.made.pins


@settings(max_examples=60, deadline=None, derandomize=True)
@given(worlds(), rows_of("new"), st.sampled_from(["alone", "beside", "alike"]), WAYS)
def test_a_new_document_moves_others_only_towards_test(world: World, extra: Row, joins: str, by: str) -> None:
    """A new document with its query moves none but those that it joins, and these only nearer to test."""
    try:
        before = run(world, **asked(by))
    except EmbspecError:
        return
    trust, roles, rows = world.sources["gold"]
    extra["positives"].append({"id": "fresh", "grade": 1})
    if joins != "beside":
        extra = row(extra["id"], "fresh", time=extra["time"])
    text = f"{BASE} fresh" if joins == "alike" else prose("fresh")
    wide = World({**world.documents, "fresh": text}, {**world.sources, "gold": (trust, roles, [*rows, extra])})
    joined = together(wide, extra["id"], by)
    assert joins != "alone" or joined == {extra["id"]}
    try:
        after = homes(run(wide, pins=before.pins(), **asked(by)))
    except EmbspecError as error:
        assert len(joined) > 1 and {one.code for one in error.problems} == {"input.too-few"}
        return
    new = after.pop(extra["id"])
    for name, part in homes(before).items():
        now = after.get(name)
        if name not in joined:
            assert now == part
        elif now is None:
            assert part == "train"  # held out: its component went to test or validation
        else:
            assert now == part or (PARTS.index(now) < PARTS.index(part) and now == new)
