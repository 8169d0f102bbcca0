"""The split by document: shares, what belongs together, stickiness, what is refused."""
from __future__ import annotations

import pytest

from embspec.errors import EmbspecError
from embspec.stages.split.rows import PARTS
from tests.support.splits import World, plain, prose, row, run

GOLD = ("gold", ("test", "validation"))
SYNTHETIC = ("synthetic", ("train",))
ALL = ("train", "validation", "test")


def both(gold: int = 50, synthetic: int = 100) -> World:
    """Gold on the first documents, synthetic pairs on all of them."""
    return World(
        plain(max(gold, synthetic)),
        {
            "gold": (*GOLD, [row(f"g{n}", f"d{n}") for n in range(gold)]),
            "synth": (*SYNTHETIC, [row(f"s{n}", f"d{n}") for n in range(synthetic)]),
        },
    )


def code(error: pytest.ExceptionInfo[EmbspecError]) -> list[str]:
    """The codes of all problems."""
    return [problem.code for problem in error.value.problems]


def test_gold_fills_test_and_validation_and_holds_training_pairs_out() -> None:
    """Without the role train gold is shared 60 to 40, and training pairs on its documents are held out and counted."""
    result = run(both())
    assert len(result.rows("test")) == 30
    assert len(result.rows("validation")) == 20
    assert result.ids("train") == {f"s{n}" for n in range(50, 100)}
    stat = result.made.stat
    assert (stat["held_out"], stat["unused"]) == (50, 0)
    assert (stat["test.queries"], stat["test.documents"], stat["test.clusters"]) == (30, 30, 30)


def test_one_source_is_split_in_three() -> None:
    """A single source meets the shares of test and validation, the rest trains."""
    world = World(plain(200), {"only": ("curated", ALL, [row(f"q{n}", f"d{n}") for n in range(200)])})
    result = run(world)
    assert [len(result.rows(part)) for part in PARTS] == [30, 20, 150]
    assert result.made.stat["held_out"] == 0


def test_only_the_most_trusted_decide_the_shares() -> None:
    """Curated queries that may enter test follow the gold: where there is none they train."""
    world = World(
        plain(120),
        {
            "gold": ("gold", ALL, [row(f"g{n}", f"d{n}") for n in range(40)]),
            "more": ("curated", ALL, [row(f"c{n}", f"d{n}") for n in range(120)]),
        },
    )
    result = run(world)
    golden = {part: {name for name in result.ids(part) if name.startswith("g")} for part in PARTS}
    assert [len(golden[part]) for part in PARTS] == [6, 4, 30]
    assert {f"c{n}" for n in range(40, 120)} <= result.ids("train")
    assert {f"c{name[1:]}" for name in golden["test"]} <= result.ids("test")


def test_gold_for_test_alone_leaves_validation_to_the_next() -> None:
    """Gold that may only enter test is all there, and validation takes its share of the curated queries."""
    world = World(
        plain(120),
        {
            "gold": ("gold", ("test",), [row(f"g{n}", f"d{n}") for n in range(20)]),
            "more": ("curated", ("train", "validation"), [row(f"c{n}", f"d{n}") for n in range(120)]),
        },
    )
    result = run(world)
    assert len(result.rows("test")) == 20
    assert len(result.rows("validation")) == 12
    assert (len(result.rows("train")), result.made.stat["held_out"]) == (88, 20)


def test_clicks_validate_and_never_test() -> None:
    """A source for validation alone goes there, and where its documents are tested it is left out and counted."""
    world = World(
        plain(60),
        {
            "gold": (*GOLD, [row(f"g{n}", f"d{n}") for n in range(20)]),
            "clicks": ("implicit", ("validation",), [row(f"k{n}", f"d{n}") for n in range(10, 30)]),
            "synth": (*SYNTHETIC, [row(f"s{n}", f"d{n}") for n in range(60)]),
        },
    )
    result = run(world)
    tested = {int(name[1:]) for name in result.ids("test")}
    clicked = {int(name[1:]) for name in result.ids("validation") if name.startswith("k")}
    assert clicked == set(range(10, 30)) - tested
    assert result.made.stat["unused"] == len(tested & set(range(10, 20))) > 0
    assert result.ids("train") == {f"s{n}" for n in range(30, 60)}


def test_rows_carry_trust_and_cluster() -> None:
    """A row is its source's row with trust, the document it stands for, and whether it came after the freeze."""
    world = World(
        {"a#0-9": (prose("a0"), "a"), "a#9-18": (prose("a9"), "a"), "b": prose("b")},
        {"gold": ("gold", ("test",), [row("q", "b", "a#9-18", "a#0-9", query="Which  one?", group="x", weight=2.0)])},
    )
    (found,) = run(world).rows("test")
    assert found == {
        "id": "q",
        "query": "Which  one?",
        "positives": [{"id": "b", "grade": 1}, {"id": "a#9-18", "grade": 1}, {"id": "a#0-9", "grade": 1}],
        "at": "pairs.jsonl:1",
        "group": "x",
        "weight": 2.0,
        "source": "gold",
        "trust": "gold",
        "cluster": "a",
        "grown": False,
    }


def test_what_belongs_together_stays_together() -> None:
    """Shared documents, chunks of one parent, sessions, equal and nearly equal texts each hold two queries together."""
    long = prose("long", 60)
    documents = {
        **plain(30),
        "p#1": (prose("p1"), "p"),
        "p#2": (prose("p2"), "p"),
        "n1": long + " end",
        "n2": long + " other",
    }
    ask = "how do i get a new badge when the old one is lost or broken on a trip"
    pairs = {
        "document": (row("a1", "d0"), row("a2", "d0")),
        "parent": (row("b1", "p#1"), row("b2", "p#2")),
        "session": (row("c1", "d1", session="s"), row("c2", "d2", session="s")),
        "text": (row("e1", "d3", query="Where is it?"), row("e2", "d4", query="where  is IT?")),
        "near documents": (row("f1", "n1"), row("f2", "n2")),
        "near queries": (row("h1", "d5", query=ask), row("h2", "d6", query=ask + " abroad")),
    }
    rows = [one for two in pairs.values() for one in two] + [row(f"q{n}", f"d{n}") for n in range(10, 30)]
    for seed in range(8):
        result = run(World(documents, {"only": ("gold", ALL, rows)}), seed=seed, split__test=0.4, split__validation=0.3)
        home = {name: part for part in PARTS for name in result.ids(part)}
        for why, (one, other) in pairs.items():
            assert home[one["id"]] == home[other["id"]], why
        assert result.made.stat["near_duplicate_groups"] == 2


def test_pool_is_validation_positives_then_texts_in_hash_order() -> None:
    """The pool has the positives of validation and up to 5,000 other documents, each once."""
    world = both(20, 40)
    result = run(world)
    pool = result.rows("pool")
    positives = {one["id"] for each in result.rows("validation") for one in each["positives"]}
    assert {one["id"] for one in pool if one["positive"]} == positives
    assert [one["positive"] for one in pool] == sorted((one["positive"] for one in pool), reverse=True)
    assert sorted(one["id"] for one in pool) == sorted(world.documents)
    many = world._replace(documents={**world.documents, **{f"x{n}": "short" for n in range(5100)}})
    assert sum(not one["positive"] for one in run(many).rows("pool")) == 5000


def test_pool_of_more_documents_keeps_its_order() -> None:
    """New documents come between the others and reorder none."""
    few = [one["id"] for one in run(both(20, 40)).rows("pool")]
    world = both(20, 40)
    more = run(world._replace(documents={**world.documents, **plain(10, "new")})).rows("pool")
    assert [one["id"] for one in more if not one["id"].startswith("new")] == few


def test_pool_rows_carry_what_a_checkpoint_encodes() -> None:
    """Each row of the pool has the title and the text of its own document, also where letters take several bytes."""
    documents: dict[str, str | tuple[str, str]] = {f"ä{n}": f"größe {prose(f'd{n}')}" for n in range(30)}
    world = World(documents, {"only": ("gold", ALL, [row(f"q{n}", f"ä{n}") for n in range(20)])})
    pool = run(world).rows("pool")
    assert {one["id"]: one["text"] for one in pool} == documents
    assert all(list(one) == ["id", "positive", "title", "text"] and one["title"] == "" for one in pool)


def test_ids_of_two_sources_never_meet() -> None:
    """Where two sources bring one id to a part, the source is written before it."""
    world = World(
        plain(6),
        {
            "one": (*SYNTHETIC, [row("q", "d0"), row("own", "d1")]),
            "two": (*SYNTHETIC, [row("q", "d2", query="another"), row("one/q", "d3"), row("free", "d4")]),
        },
    )
    assert [each["id"] for each in run(world).rows("train")] == ["free", "one/q", "own", "two/one/q", "two/q"]


def test_a_grade_of_zero_is_no_positive() -> None:
    """A document judged not relevant ties nothing together."""
    judged = row("q0", "d0")
    judged["positives"].append({"id": "d1", "grade": 0})
    world = World(plain(2), {"only": ("gold", ("test",), [judged, row("q1", "d1")])})
    assert run(world).made.stat["test.clusters"] == 2
    assert run(world).made.stat["largest_component"] == 1


def test_too_few_is_refused_with_counts() -> None:
    """Parts below their minimum are refused, all at once, with the counts and the field."""
    with pytest.raises(EmbspecError) as error:
        run(both(), split__min_queries__test=200, split__min_queries__validation=100)
    assert code(error) == ["input.too-few", "input.too-few"]
    assert [one.field for one in error.value.problems] == ["split.min_queries.test", "split.min_queries.validation"]
    assert "test gets 30 queries, and 200 are asked for; 50 may enter it" in error.value.problems[0].text
    assert error.value.exit == 3


def test_enough_is_enough() -> None:
    """Exactly the minimum passes."""
    run(both(), split__min_queries__test=30, split__min_queries__validation=20)


def test_nothing_left_to_train_on_is_refused() -> None:
    """Training pairs that are all held out are an error, not an empty file."""
    with pytest.raises(EmbspecError) as error:
        run(both(50, 40))
    assert code(error) == ["input.too-few"]
    assert "all 40 training queries" in error.value.problems[0].text


def test_without_training_pairs_there_is_nothing_to_miss() -> None:
    """A spec that only measures needs no training queries."""
    world = both(50, 0)
    result = run(world._replace(sources={"gold": world.sources["gold"]}))
    assert result.files["train.jsonl"] == b""


def test_a_missing_document_is_refused() -> None:
    """A positive that the snapshot lacks is named with its row."""
    with pytest.raises(EmbspecError) as error:
        run(World(plain(1), {"only": ("gold", ("test",), [row(f"q{n}", f"no{n}") for n in range(30)])}))
    assert code(error) == ["input.dangling"] * 21
    assert str(error.value.problems[0].where) == "pairs.jsonl:2"
    assert "10 more" in error.value.problems[-1].text


def giant() -> World:
    """Two thirds of the documents are near-duplicates, half of those nearer than the rest."""
    base = " ".join(f"w{n}" for n in range(100))
    near = {f"n{n}": f"{base} end{n}" for n in range(10)}  # 98 of 100 shingles in common
    # Two words differ at the end of these: nearer to each other's kind by less.
    far = {f"f{n}": f"{base} last{n} word{n}" for n in range(10)}
    rows = [row(f"q{name}", name) for name in [*near, *far, *plain(10)]]
    return World({**near, **far, **plain(10)}, {"only": ("gold", ALL, rows)})


def test_a_giant_component_gives_up_its_weakest_edges() -> None:
    """Near-duplicates are given up from the weakest until no component holds more than half, and counted."""
    stat = run(giant()).made.stat
    assert stat["largest_component"] == 10
    # All edges within `far` (96 / 100 or so) and between the two kinds go; the 45 within `near` stay.
    assert stat["dropped_edges"] == 190 - 45
    assert run(giant()).made.pins["dropped"] not in (0.0, 1.0)


def test_what_is_given_up_is_sticky() -> None:
    """The pinned choice holds when the giant would no longer be one, and when there was none at first."""
    first = run(giant())
    world = giant()
    trust, roles, rows = world.sources["only"]
    wide = World(
        {**world.documents, **plain(60, "more")},
        {"only": (trust, roles, [*rows, *(row(f"m{n}", f"more{n}") for n in range(60))])},
    )
    assert run(wide).made.stat["dropped_edges"] == 0
    assert run(wide, pins=first.pins()).made.stat["dropped_edges"] == 145
    kept = run(giant(), pins=run(wide).pins()).made
    assert (kept.stat["dropped_edges"], kept.stat["largest_component"]) == (0, 20)


def test_edges_that_do_not_help_are_kept() -> None:
    """Where documents themselves tie everything together, no near-duplicate is let go for nothing."""
    base = prose("base", 60)
    world = World(
        {"a": base + " x", "b": base + " y", "c": prose("c"), "hub": prose("hub")},
        {"only": ("gold", ALL, [row("1", "a", "hub"), row("2", "hub"), row("3", "hub", "b"), row("4", "c")])},
    )
    assert run(world, split__test=0.1, split__validation=0.0).made.stat["dropped_edges"] == 0


def test_a_row_may_name_its_part() -> None:
    """A row's own role holds within what its source may enter."""
    rows = [row(f"q{n}", f"d{n}", role=ALL[n % 3]) for n in range(9)]
    result = run(World(plain(9), {"only": ("gold", ALL, rows)}))
    assert [len(result.rows(part)) for part in PARTS] == [3, 3, 3]
    assert all(each["role"] == part for part in PARTS for each in result.rows(part))


def test_who_asks_is_no_part() -> None:
    """Roles of people in `role` do not matter to the split."""
    plain_rows, asked = ([row(f"q{n}", f"d{n}", **more) for n in range(40)] for more in ({}, {"role": "engineer"}))
    one, other = (run(World(plain(40), {"only": ("gold", ALL, rows)})) for rows in (plain_rows, asked))
    assert [one.ids(part) for part in PARTS] == [other.ids(part) for part in PARTS]


@pytest.mark.parametrize("bad", ["tset", "test"])
def test_a_wrong_role_is_refused(bad: str) -> None:
    """A word that is no part, or a part that the source may not enter, is named with its line."""
    rows = [row("q1", "d1", role="train"), row("q2", "d2", role=bad)]
    with pytest.raises(EmbspecError) as error:
        run(World(plain(3), {"only": ("gold", ("train", "validation"), rows)}))
    assert code(error) == ["input.role"]
    assert error.value.problems[0].where is not None


def test_thresholds_are_kept_for_the_terms_they_were_chosen_under() -> None:
    """Pinned thresholds stay when data comes; a new share, or the first gold, chooses new ones."""
    first = run(both(100, 200))
    grown = run(both(150, 200), pins=first.pins())
    assert grown.made.pins == first.made.pins
    assert run(both(100, 200), pins=first.pins(), split__test=0.3).made.pins != first.made.pins
    curated = World(plain(200), {"only": ("curated", ALL, [row(f"q{n}", f"d{n}") for n in range(200)])})
    alone = run(curated)
    assert run(both(100, 200), pins=alone.pins()).files == first.files


def test_a_pinned_number_alone_is_used_as_it_is() -> None:
    """Thresholds without terms are taken at their word."""
    result = run(both(), pins={"pin.threshold.test": "0.0", "pin.threshold.validation": "1.0"})
    assert [len(result.rows(part)) for part in PARTS] == [0, 50, 50]


def test_bytes_are_pinned() -> None:
    """These bytes change only with a raised recipe."""
    world = World(
        {"a": prose("a"), "b": prose("b"), "c": prose("c")},
        {"only": ("gold", ALL, [row("1", "a"), row("2", "b"), row("3", "c")])},
    )
    result = run(world, split__test=0.4, split__validation=0.3)
    assert result.files["test.jsonl"] == (
        b'{"id":"3","query":"question 3","positives":[{"id":"c","grade":1}],"at":"pairs.jsonl:1","source":"only",'
        b'"trust":"gold","cluster":"c","grown":false}\n'
    )
    assert result.ids("validation") == {"2"}
    assert [one["id"] for one in result.rows("pool")] == ["b", "a", "c"]
    first = b'{"id":"b","positive":true,"title":"","text":"bw0 bw1 '
    assert result.files["pool.jsonl"].startswith(first)
    assert result.made.pins == {
        "threshold.test": 0.49494691800746415,
        "threshold.validation": 0.806487946104883,
        "dropped": 0.0,
        "terms": "document, seed 42, test 0.4 of gold that may train, validation 0.3 of gold that may train",
    }
