"""The split as given: roles decide, and what test and train share is an error."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from embspec.errors import EmbspecError
from embspec.stages.split.rows import PARTS
from tests.support.splits import Row, World, plain, prose, row, run

LONG = prose("long", 60)
ASK = "how do i get a new badge when the old one is lost or broken on a trip"


def given(test: list[Row], train: list[Row], **documents: str | tuple[str, str]) -> World:
    """Two published splits."""
    return World(
        {**plain(20), **documents},
        {"check": ("gold", ("test",), test), "learn": ("curated", ("train",), train)},
    )


def test_roles_decide() -> None:
    """Each source goes where its role says, whatever its documents."""
    world = given([row(f"t{n}", f"d{n}") for n in range(5)], [row(f"l{n}", f"d{n}") for n in range(5, 9)])
    result = run(world, split__by="given")
    assert result.ids("test") == {f"t{n}" for n in range(5)}
    assert result.ids("train") == {f"l{n}" for n in range(5, 9)}
    assert result.made.stat["held_out"] == 0
    assert json.loads(result.files["leaks.json"])["leaking"] == 0
    assert "leaking" not in result.rows("test")[0]


def test_rows_decide_where_they_say() -> None:
    """A row's own role stands before the roles of its source."""
    rows = [row(f"q{n}", f"d{n}", role=PARTS[n % 3]) for n in range(9)]
    result = run(World(plain(9), {"all": ("gold", PARTS, rows)}), split__by="given")
    assert all(each["role"] == part for part in PARTS for each in result.rows(part))


def test_several_roles_are_shared_by_document() -> None:
    """What the roles leave open is placed by document."""
    world = World(
        plain(80),
        {
            "check": ("gold", ("test", "validation"), [row(f"t{n}", f"d{n}") for n in range(50)]),
            "learn": ("curated", ("train",), [row(f"l{n}", f"d{n}") for n in range(50, 80)]),
        },
    )
    result = run(world, split__by="given")
    assert [len(result.rows(part)) for part in PARTS] == [30, 20, 30]


def test_copies_stay_together_whoever_has_the_first() -> None:
    """Two copies among open queries are joined although a third, which the others are linked to, is placed by role."""
    open_ones = [row("t1", "c2"), row("t2", "c3"), *(row(f"q{n}", f"d{n}") for n in range(10))]
    world = World(
        {**plain(20), "c1": LONG, "c2": LONG, "c3": LONG},
        {
            "check": ("gold", ("test", "validation"), open_ones),
            "learn": ("curated", ("train",), [row("l", "c1")]),
        },
    )
    for seed in range(10):
        result = run(world, split__by="given", split__on_leak="report", seed=seed)
        assert any({"t1", "t2"} <= result.ids(part) for part in ("test", "validation"))


LEAKS = [
    ("query", given([row("t", "d0", query="Where is it?")], [row("l", "d1", query="where is  it?")])),
    ("document", given([row("t", "d0", "d2")], [row("l", "d1", "d2")])),
    ("document", given([row("t", "p1")], [row("l", "p2")], p1=(prose("p1"), "p"), p2=(prose("p2"), "p"))),
    ("near_duplicate", given([row("t", "n1")], [row("l", "n2")], n1=LONG + " one", n2=LONG + " two")),
    ("near_duplicate", given([row("t", "d0", query=ASK)], [row("l", "d1", query=ASK + " abroad")])),
]


@pytest.mark.parametrize(("kind", "world"), LEAKS)
def test_each_leak_is_refused(kind: str, world: World) -> None:
    """A shared text, document, parent or near-duplicate is an error with count and example."""
    with pytest.raises(EmbspecError) as error:
        run(world, split__by="given")
    (problem,) = error.value.problems
    assert problem.code == "input.leak"
    assert problem.text.startswith("1 of 1 test queries")
    assert "check 't' and learn 'l'" in problem.text
    assert str(problem.where) == "pairs.jsonl:1"


@pytest.mark.parametrize(("kind", "world"), LEAKS)
def test_each_leak_is_reported(kind: str, world: World) -> None:
    """With `on_leak: report` the leak is written down and its test rows are marked."""
    trust, roles, rows = world.sources["check"]
    world = world._replace(sources={**world.sources, "check": (trust, roles, [*rows, row("free", "d19")])})
    result = run(world, split__by="given", split__on_leak="report")
    said = json.loads(result.files["leaks.json"])
    assert (said["test"], said["leaking"], said["disjoint"]) == (2, 1, 1)
    found = {name: [(one["test"], one["train"]) for one in pairs] for name, pairs in said["shared"].items()}
    assert found == {"query": [], "document": [], "near_duplicate": [], kind: [("t", "l")]}
    assert {each["id"]: each["leaking"] for each in result.rows("test")} == {"t": True, "free": False}
    assert result.made.stat["test.leaking"] == 1


def test_equal_and_similar_texts_leak_through_each_other() -> None:
    """Copies of one text are near-duplicates of each other, and of what one of them is like."""
    world = given(
        [row("t1", "c2"), row("t2", "n1")], [row("l", "c3")], c1=LONG, c2=LONG, c3=LONG, n1=LONG + " one"
    )
    world.sources["check"][2].append(row("t3", "c1"))
    with pytest.raises(EmbspecError) as error:
        run(world, split__by="given")
    assert "3 of 3 test queries share a near-duplicate text or positive document" in error.value.problems[0].text


def test_all_kinds_are_said_at_once() -> None:
    """Every kind of leak has its own error in one go, and too few queries as well."""
    world = given(
        [row("t1", "d0", query="same"), row("t2", "d1"), row("t3", "n1")],
        [row("l1", "d2", query="same"), row("l2", "d1"), row("l3", "n2")],
        n1=LONG + " one",
        n2=LONG + " two",
    )
    with pytest.raises(EmbspecError) as error:
        run(world, split__by="given", split__min_queries__test=10)
    assert [one.code for one in error.value.problems] == ["input.leak"] * 3 + ["input.too-few"]


def test_the_same_data_by_document_does_not_leak() -> None:
    """What is refused as given is held out by document."""
    for _, world in LEAKS:
        trust, roles, rows = world.sources["learn"]
        rows = [*rows, row("free", "d19"), row("f", "d18")]
        result = run(world._replace(sources={**world.sources, "learn": (trust, roles, rows)}))
        assert result.ids("train") == {"free", "f"}
        assert result.made.stat["test.leaking"] == 0


def test_a_given_split_does_not_pin_thresholds_for_another() -> None:
    """Pins of a split as given do not decide the split by document that comes after it."""
    rows = [row(f"q{n}", f"d{n}", role=PARTS[n % 3]) for n in range(9)]
    first = run(World(plain(9), {"all": ("gold", PARTS, rows)}), split__by="given")
    world = World(plain(40), {"all": ("gold", PARTS, [row(f"q{n}", f"d{n}") for n in range(40)])})
    assert run(world, pins=first.pins()).files == run(world).files


def scifact(folder: Path) -> World:
    """SciFact's own split, as its qrels have it."""
    with (folder / "corpus.jsonl").open(encoding="utf-8") as file:
        documents = {str(one.get("_id", one.get("id"))): one["text"] for one in map(json.loads, file)}
    with (folder / "queries.jsonl").open(encoding="utf-8") as file:
        texts = {str(one.get("_id", one.get("id"))): one["text"] for one in map(json.loads, file)}
    sources = {}
    for name, role in (("train", "train"), ("dev", "validation"), ("test", "test")):
        judged: dict[str, list[str]] = {}
        for line in (folder / "qrels" / f"{name}.tsv").read_text().splitlines()[1:]:
            query, document, _ = line.split("\t")
            judged.setdefault(query, []).append(document)
        rows = [row(query, *positives, query=texts[query]) for query, positives in judged.items()]
        sources[name] = ("gold" if role == "test" else "curated", (role,), rows)
    return World(documents, sources)


def test_scifact_is_refused_as_published(bench_data: Path) -> None:
    """184 of SciFact's 300 test claims share a positive document with train.tsv alone; with dev in train it is 196."""
    world = scifact(bench_data / "scifact")
    with pytest.raises(EmbspecError) as error:
        run(world, split__by="given")
    texts = [one.text for one in error.value.problems if one.code == "input.leak"]
    assert any(text.startswith("184 of 300 test queries share a positive document with train") for text in texts)
    trust, _, rows = world.sources["dev"]
    with pytest.raises(EmbspecError) as error:
        run(world._replace(sources={**world.sources, "dev": (trust, ("train",), rows)}), split__by="given")
    texts = [one.text for one in error.value.problems if one.code == "input.leak"]
    assert any(text.startswith("196 of 300 test queries share a positive document with train") for text in texts)
    result = run(world, split__by="given", split__on_leak="report")
    assert sum(each["leaking"] for each in result.rows("test")) >= 184
