"""What runs, what stays, and because of what."""

from __future__ import annotations

from typing import Any

import pytest

from embspec.plan.plan import CLEAN, REUSE, RUN, UNKNOWN, Recipes
from embspec.plan.values import Wish
from tests.support.toys import RECIPES, STREET, Did, Toys, Work, built, moving, reasons, states, usual

ALL = ["corpus", "pairs.gold", "split", "train", "evaluate", "gates", "index", "report"]


def test_the_first_build_runs_everything_and_the_second_nothing() -> None:
    """A build is followed by a plan in which every stage is clean."""
    toys = Toys()
    assert toys.build() == ALL
    assert moving(toys.plan()) == {} and toys.build() == []


def test_a_new_stage_says_so() -> None:
    """Without a block there is one reason."""
    toys = Toys()
    assert {s.node.name: reasons(toys.plan(), s.node.name) for s in toys.plan().steps if s.node.stage.locked} == {
        n: ["stage"] for n in states(toys.plan()) if n != "report"
    }


@pytest.mark.parametrize(
    ("edit", "ran"),
    [
        ({"seed": 7}, ["split", "train", "evaluate", "gates", "index", "report"]),
        ({"train.rate": 0.2}, ["train", "evaluate", "gates", "index", "report"]),
        ({"eval.k": 20}, ["evaluate", "gates", "report"]),
        ({"gates.k >= 2": "on"}, ["gates", "report"]),
        ({"name": "other"}, ["report"]),
        ({"pairs.gold.trust": "curated"}, ["split", "train", "evaluate", "gates", "index", "report"]),
        ({"elsewhere": 1}, []),
    ],
)
def test_an_edit_runs_its_stage_and_what_stands_on_it(edit: dict[str, Any], ran: list[str]) -> None:
    """A gate edit runs gates alone, never an evaluation; a rate never a split."""
    toys = built()
    toys.values |= edit
    assert toys.build() == ran
    assert moving(toys.plan()) == {}


def test_the_plan_names_the_field_then_and_now() -> None:
    """The stage whose field moved runs; those behind it run if its bytes change, and say what they wait for."""
    toys = built()
    toys.values["train.rate"] = 0.2
    now = toys.plan()
    assert moving(now) == {"train": "run", "evaluate": "maybe", "gates": "maybe", "index": "maybe", "report": "run"}
    (reason,) = next(s.why for s in now.steps if s.node.name == "train")
    assert reason == ("train.rate", "0.1", "0.2")
    (waits,) = next(s.why for s in now.steps if s.node.name == "index")
    assert waits.field == "needs train/model" and waits.then and waits.now == UNKNOWN


def test_a_changed_tree_names_its_files() -> None:
    """Which files are new, gone or other, with their digests; past ten only how many more."""
    toys = built()
    toys.files |= {"docs/a": "other", "docs/c": "new"}
    del toys.files["docs/b"]
    (step,) = (s for s in toys.plan().steps if s.node.name == "corpus")
    tree, *files = step.why
    assert tree.field == "pin tree" and tree.then == toys.blocks["corpus"].pin["tree"]
    assert [r.field for r in files] == ["file docs/a", "file docs/b", "file docs/c"]
    assert [(bool(r.then), bool(r.now)) for r in files] == [(True, True), (True, False), (False, True)]
    toys.files |= {f"docs/n{n}": "new" for n in range(9)}
    *_, last = next(s.why for s in toys.plan().steps if s.node.name == "corpus")
    assert (last.field, last.now) == ("files", "and 2 more")


def test_a_changed_tree_that_nobody_remembers_has_one_reason() -> None:
    """The listing of the earlier files is not at hand: the pin alone says it."""
    toys = built()
    toys.seen.clear()
    toys.files["docs/a"] = "other"
    assert reasons(toys.plan(), "corpus") == ["pin tree"]


@pytest.mark.parametrize("same", [0.10, 1e-1, float("0.1")])
def test_another_spelling_is_no_edit(same: float) -> None:
    """0.10 and 0.1 are one value."""
    toys = built()
    toys.values["train.rate"] = same
    assert moving(toys.plan()) == {}


@pytest.mark.parametrize(("then", "now"), [(1, True), (1, 1.0), (0, False), ("1", 1), (None, "null"), ([], "[]")])
def test_values_that_python_holds_equal_are_an_edit(then: Any, now: Any) -> None:
    """The text is compared, never the value."""
    toys = built(eval__k=then)
    toys.values["eval.k"] = now
    assert states(toys.plan())["evaluate"] == RUN


def test_bytes_that_stay_move_nothing_after() -> None:
    """A stage that ran and made the same bytes is where it ends."""
    toys = built()
    before = dict(toys.blocks)
    toys.files["docs/a"] = "o n e"
    assert moving(toys.plan()) == {"corpus": "run", "index": "maybe"}
    assert toys.build() == ["corpus"]
    assert {n for n in before if before[n] != toys.blocks[n]} == {"corpus"}
    assert before["corpus"].out == toys.blocks["corpus"].out


def test_a_field_newer_than_the_lock_is_not_stale() -> None:
    """At the value it was introduced with it is left out of the key; at another it is the reason."""
    toys = built()
    old = {
        n: b._replace(params={k: v for k, v in b.params.items() if k != "split.late"}) for n, b in toys.blocks.items()
    }
    toys.blocks = old
    assert moving(toys.plan()) == {}
    toys.values["split.late"] = 3
    assert reasons(toys.plan(), "split") == ["split.late"]
    toys.recipes = Recipes(RECIPES.shared, {})
    toys.values["split.late"] = None
    assert reasons(toys.plan(), "split") == ["split.late"]


def raised(toys: Toys, name: str) -> None:
    """The stage comes with a newer recipe."""
    toys.street = tuple(s._replace(recipe=2) if s.name == name else s for s in STREET)


def test_a_recorded_recipe_is_honoured() -> None:
    """A release makes no old lock stale: the stage is clean, with a note."""
    toys = built()
    raised(toys, "split")
    step = next(s for s in toys.plan().steps if s.node.name == "split")
    assert (step.state, step.note, step.recipe) == (CLEAN, "built by recipe 1, now 2", "1")
    assert toys.build() == [] and toys.blocks["split"].recipe == "1"


def test_a_stage_that_has_to_run_takes_the_new_recipe() -> None:
    """With another reason the recipe moves too, and is named among the reasons."""
    toys = built()
    raised(toys, "split")
    toys.values["seed"] = 7
    assert reasons(toys.plan(), "split") == ["recipe", "seed"]
    assert toys.build()[0] == "split" and toys.blocks["split"].recipe == "2"


def test_the_recipe_of_a_shared_algorithm_is_honoured_too() -> None:
    """Each stage that used it keeps what it was built with."""
    toys = built()
    toys.recipes = Recipes({"sorting": 2}, RECIPES.introduced)
    notes = {s.node.name: s.note for s in toys.plan().steps if s.note}
    assert moving(toys.plan()) == {} and notes == dict.fromkeys(("split", "evaluate"), "built by sorting 1, now 2")
    toys.values["eval.k"] = 11
    assert reasons(toys.plan(), "evaluate") == ["eval.k", "uses sorting"]
    toys.build()
    assert (toys.blocks["split"].uses, toys.blocks["evaluate"].uses) == ({"sorting": "1"}, {"sorting": "2"})


def test_then_is_rebuilt_from_the_lock_alone() -> None:
    """The reason stands without a store: neither objects nor records are asked for it."""
    toys = built()
    toys.acts.clear()
    toys.values["train.rate"] = 0.2
    assert reasons(toys.plan(), "train") == ["train.rate"]


def test_a_block_that_does_not_hash_to_its_key_has_one_reason() -> None:
    """A text merge that is clean as text and wrong in fact: the reason is `key`."""
    toys = built()
    toys.blocks["train"] = toys.blocks["train"]._replace(params={"train.rate": "0.3"})
    assert reasons(toys.plan(), "train") == ["key"]  # its key is that of the spec, and its own lines say another
    toys.values["train.rate"] = 0.3
    assert reasons(toys.plan(), "train") == ["key"]
    assert toys.build()[0] == "train"


def test_a_stopped_build_goes_on_where_it_was() -> None:
    """The lock has new blocks up to a stage: those are clean, the next ones know only that their key is another."""
    toys = built()
    toys.values["seed"] = 7
    step = toys.plan().work[0]
    toys._take(step, toys.run(step, toys.plan()))
    assert reasons(toys.plan(), "train") == ["key"] and states(toys.plan())["split"] == CLEAN
    assert toys.build() == ["train", "evaluate", "gates", "index", "report"]


def test_going_back_takes_the_old_results() -> None:
    """What was built once is taken from its record, not built again."""
    toys = built()
    before = dict(toys.blocks)
    toys.values["train.rate"] = 0.2
    toys.build()
    toys.values["train.rate"] = 0.1
    assert states(toys.plan())["train"] == REUSE
    assert toys.build() == [] and toys.blocks == before


def test_a_record_of_other_ingredients_is_no_result() -> None:
    """The reader compares the ingredients: a key that collides is not taken."""
    toys = built()
    toys.values["train.rate"] = 0.2
    now = next(s for s in toys.plan().steps if s.node.name == "train")
    wrong = toys.acts[toys.blocks["train"].key][0]
    toys.acts[now.key] = [wrong]
    assert states(toys.plan())["train"] == RUN


def test_a_pin_that_only_a_run_finds_is_handed_in_again() -> None:
    """The first run finds it; the next is handed it, and it comes back unchanged."""
    toys = built()
    handed = []

    def work(found: Work) -> Did:
        handed.append(found.step.pin.get("threshold"))
        return usual(found)

    toys.work["split"] = work
    toys.values["seed"] = 7
    toys.build()
    assert handed == ["threshold-1"] and toys.blocks["split"].pin == {"threshold": "threshold-1"}


def test_a_stage_whose_pin_is_missing_runs_and_is_not_looked_up() -> None:
    """Its record would bring back another build's threshold."""
    toys = built()
    toys.blocks["split"] = toys.blocks["split"]._replace(pin={})
    assert states(toys.plan())["split"] == RUN and reasons(toys.plan(), "split") == ["pin threshold"]
    assert toys.plan().steps[3].why[0].then == "threshold-1"  # its record knows what the lock does not say
    assert toys.build() == ["split"]
    assert moving(toys.plan()) == {}


def test_without_a_lock_the_pins_are_taken_anew_and_the_rest_from_records() -> None:
    """Deleting the lock runs only what has a pin of its own; the result is the same lock."""
    toys = built()
    before = dict(toys.blocks)
    toys.blocks = {}
    assert toys.build() == ["split"]
    assert toys.blocks == before


def test_a_pin_is_forgotten_on_request() -> None:
    """The test set moves only when somebody asks."""
    toys = built()
    wish = Wish(forget=frozenset({"split threshold"}))
    assert reasons(toys.plan(wish), "split") == ["pin threshold"] and toys.build(wish) == ["split"]


def test_a_key_holds_the_pins_that_the_run_returned() -> None:
    """Another pin from the same parameters is another key, and the next plan finds it clean."""
    toys = built()
    before = toys.blocks["split"].key
    toys.work["split"] = lambda w: usual(w)._replace(pins={"threshold": "threshold-2"})
    toys.build(Wish(forget=frozenset({"split threshold"})))
    assert toys.blocks["split"].key != before and moving(toys.plan()) == {}


def test_refresh_runs_a_clean_stage() -> None:
    """The same bytes move nothing; other bytes move what stands on them."""
    toys = built()
    wish = Wish(refresh=frozenset({"split"}))
    assert reasons(toys.plan(wish), "split") == ["--refresh"]
    assert toys.build(wish) == ["split"]
    toys.work["split"] = lambda w: Did({"train": "other", "test": "other"}, {"threshold": "threshold-1"})
    assert toys.build(wish) == ["split", "train", "evaluate", "gates", "index", "report"]


def test_one_key_with_two_results_keeps_the_one_in_the_lock() -> None:
    """The lock's bytes win over other records of the same key."""
    toys = built()
    old = toys.blocks["train"].out
    step = next(s for s in toys.plan(Wish(refresh=frozenset({"train"}))).steps if s.node.name == "train")
    toys.work["train"] = lambda w: Did({"model": "from another machine"})
    toys.run(step, toys.plan())
    assert len(toys.acts[toys.blocks["train"].key]) == 2
    assert moving(toys.plan()) == {} and toys.blocks["train"].out == old


def test_what_the_spec_has_no_more_is_dropped() -> None:
    """A block without a stage is named, and gone after the build."""
    toys = built()
    del toys.values["train.rate"]
    now = toys.plan()
    assert now.dropped == ("train",) and "needs train/model" in reasons(now, "evaluate")
    toys.build()
    assert "train" not in toys.blocks and moving(toys.plan()) == {} and not toys.plan().dropped


def test_a_new_source_runs_itself_and_what_reads_all_sources() -> None:
    """The other sources stay."""
    toys = built()
    toys.files["faq"] = "f"
    toys.values |= {"pairs.faq.path": "faq", "pairs.faq.trust": "curated"}
    assert [n for n, s in moving(toys.plan()).items() if s == "run"] == ["pairs.faq", "split", "report"]
    assert "pairs.gold" not in toys.build()


def test_up_to_a_stage() -> None:
    """`--to` builds what the stage stands on and a report, and drops nothing."""
    toys = Toys()
    assert toys.build(Wish(to="split")) == ["corpus", "pairs.gold", "split", "report"]
    toys.build()
    assert list(states(toys.plan(Wish(to="evaluate")))) == [
        "corpus",
        "snapshot",
        "pairs.gold",
        "split",
        "train",
        "evaluate",
        "report",
    ]
    assert toys.plan(Wish(to="split")).dropped == ()


def test_the_report_has_no_block() -> None:
    """It is clean when its record is there, and never makes a lock stale."""
    toys = built()
    assert "report" not in toys.blocks
    toys.acts = {k: v for k, v in toys.acts.items() if v[0].ingredients["stage"] != "report"}
    now = toys.plan()
    assert moving(now) == {"report": "run"} and now.stale == () and toys.build() == ["report"]
