"""What holds for every split by document."""
from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.errors import EmbspecError
from embspec.stages.split.rows import PARTS
from tests.support.splits import Result, Row, World, prose, row, run

ALL = ("train", "validation", "test")
names = st.integers(0, 11)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Small worlds with shared documents, parents, sessions and near-duplicates."""
    base = prose("base", 60)
    documents: dict[str, str | tuple[str, str]] = {}
    for n in range(12):
        text = f"{base} end{n}" if draw(st.booleans()) else prose(f"d{n}")
        parent = draw(st.sampled_from(["", "", "p", "r"]))
        documents[f"d{n}"] = (text, parent) if parent else text
    gold = draw(st.lists(rows_of("g"), min_size=1, max_size=10, unique_by=lambda one: one["id"]))
    more = draw(st.lists(rows_of("c"), min_size=1, max_size=10, unique_by=lambda one: one["id"]))
    loose = [row("free", "alone")]
    roles = draw(st.sampled_from([ALL, ("test", "validation")]))
    documents["alone"] = prose("alone")
    sources = {"gold": ("gold", roles, gold), "more": ("curated", ("train",), more + loose)}
    return World(documents, sources)


@st.composite
def rows_of(draw: st.DrawFn, prefix: str) -> Row:
    """A row that shares documents, words and sessions with others."""
    more = {"session": f"s{draw(names)}"} if draw(st.integers(0, 4)) == 0 else {}
    query = f"same {draw(names)}" if draw(st.integers(0, 4)) == 0 else ""
    positives = draw(st.lists(names, min_size=1, max_size=2, unique=True))
    return row(f"{prefix}{draw(st.integers(0, 30))}", *(f"d{n}" for n in positives), query=query, **more)


def homes(result: Result) -> dict[str, str]:
    """Query -> part."""
    return {each["id"]: part for part in PARTS for each in result.rows(part)}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(worlds())
def test_nothing_crosses(world: World) -> None:
    """No text, document, parent or session is in two parts, and every query is in one part or counted out."""
    try:
        result = run(world)
    except EmbspecError as error:
        assert {one.code for one in error.problems} == {"input.too-few"}
        return
    places: dict[object, set[str]] = {}
    for part in PARTS:
        for each in result.rows(part):
            marks: list[object] = [("query", each["query"])]
            for one in each["positives"]:
                own = world.documents[one["id"]]
                marks.append(("document", one["id"] if isinstance(own, str) else own[1]))
            if "session" in each:
                marks.append((each["source"], each["session"]))
            for mark in marks:
                places.setdefault(mark, set()).add(part)
    assert {mark: parts for mark, parts in places.items() if len(parts) > 1} == {}
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
@given(worlds(), rows_of("new"), st.booleans())
def test_a_new_document_moves_others_only_towards_test(world: World, extra: Row, joins: bool) -> None:
    """A new document with its query leaves all others where they are, or takes those that it joins nearer to test."""
    try:
        before = run(world)
    except EmbspecError:
        return
    trust, roles, rows = world.sources["gold"]
    extra["positives"].append({"id": "fresh", "grade": 1})
    if not joins:
        extra = row(extra["id"], "fresh")
    wide = World(
        {**world.documents, "fresh": prose("fresh")}, {**world.sources, "gold": (trust, roles, [*rows, extra])}
    )
    try:
        after = homes(run(wide, pins=before.pins()))
    except EmbspecError as error:
        assert joins and {one.code for one in error.problems} == {"input.too-few"}
        return
    new = after.pop(extra["id"])
    for name, part in homes(before).items():
        now = after.get(name)
        if not joins:
            assert now == part
        elif now is None:
            assert part == "train"  # held out: its component went to test or validation
        else:
            assert now == part or (PARTS.index(now) < PARTS.index(part) and now == new)
