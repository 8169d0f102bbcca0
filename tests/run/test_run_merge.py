"""A merge by what the plan says: what either side built is kept, what neither has is built, no pin is taken anew."""
from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.lock.merge import Sides
from embspec.lock.text import Lock, read, write
from embspec.plan.nodes import expand
from embspec.plan.values import Block, Wish
from embspec.run.merge import Merged, drive, merge
from embspec.stages.street import STREET as STAGES
from tests.support.toys import STREET, Did, Toys, Work, built, moving, reasons, usual

Edit = Callable[[Toys], None]


def value(name: str, text: Any) -> Edit:
    """An edit of the spec."""
    return lambda toys: toys.values.update({name: text})


def file(name: str, text: str) -> Edit:
    """An edit of an input."""
    return lambda toys: toys.files.update({name: text})


EDITS: Mapping[str, Edit] = {
    "gate": value("gates.k >= 2", "on"), "rate": value("train.rate", 0.2), "k": value("eval.k", 5),
    "split": value("split.test", 0.4), "seed": value("seed", 7), "corpus": file("docs/a", "other"),
    "page": file("docs/c", "three"), "blank": file("docs/b", "t w o"), "gold": file("gold", "q2"),
    "source": value("pairs.more.path", "more"),
}


class Branches:
    """Two branches over a shared store: each builds its edits, and then they are merged."""

    def __init__(self, ours: list[Edit], theirs: list[Edit], base: Toys | None = None) -> None:
        self.base = base or built()
        self.base.files["more"] = "m"
        self.sides = []
        for edits in (ours, theirs):
            side = copy.copy(self.base)
            side.values, side.files = dict(self.base.values), dict(self.base.files)
            for edit in edits:
                edit(side)
            side.build()
            self.sides.append(side)
        self.tree = copy.copy(self.base)
        self.tree.values, self.tree.files = (
            self._three(*(getattr(toys, part) for toys in (self.base, *self.sides))) for part in ("values", "files"))

    @staticmethod
    def _three(base: Mapping[str, Any], ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
        """What git, or a hand that prefers theirs, makes of spec and inputs."""
        names = dict.fromkeys([*ours, *theirs])
        picked = {n: theirs if theirs.get(n) != base.get(n) else ours for n in names}
        return {n: side[n] for n, side in picked.items() if n in side}

    def merge(self, known: bool = True) -> Merged:
        """Merge the locks over the merged tree; without a base where it is not known."""
        base = Lock(self.base.blocks) if known else Lock()
        ours, theirs = (Lock(side.blocks) for side in self.sides)
        nodes = expand(self.tree.street, self.tree.values)
        merged = merge(Sides(ours, base, theirs), nodes, self.tree.recipes, self.tree)
        order = [n.name for n in nodes]
        self.tree.blocks = {n: merged.lock.blocks[n] for n in order if n in merged.lock.blocks}
        return merged

    @property
    def keys(self) -> set[str]:
        """What either side built."""
        return {block.key for side in self.sides for block in side.blocks.values() if block.key}


@given(st.lists(st.sampled_from(sorted(EDITS)), max_size=3), st.lists(st.sampled_from(sorted(EDITS)), max_size=3),
       st.booleans())
@settings(max_examples=150, deadline=None)
def test_nothing_that_either_side_built_is_built_again(ours: list[str], theirs: list[str], known: bool) -> None:
    """Whatever was edited: only keys that are new run, and the lock is that of a build without any record."""
    of = Branches([EDITS[name] for name in ours], [EDITS[name] for name in theirs])
    of.merge(known)
    fresh = copy.copy(of.tree)
    fresh.objects, fresh.acts, fresh.out = dict(of.tree.objects), {}, {}
    ran = of.tree.build()
    assert not {of.tree.blocks[name].key for name in ran if name in of.tree.blocks} & of.keys
    assert not moving(of.tree.plan())
    fresh.build()
    assert fresh.blocks == of.tree.blocks


@given(st.lists(st.sampled_from(sorted(EDITS)), max_size=3))
@settings(max_examples=50, deadline=None)
def test_a_side_without_changes_gives_way(edits: list[str]) -> None:
    """A merge of one side's work is that side's lock, with nothing to build."""
    of = Branches([], [EDITS[name] for name in edits])
    merged = of.merge()
    assert merged.lock.blocks == of.sides[1].blocks and not merged.notes
    assert set(merged.kept.values()) <= {"both", "theirs"}
    assert of.tree.build() == []


def test_each_stage_says_what_it_kept() -> None:
    """A gate here, a rate there: the model is theirs, the verdict of both is to be built."""
    of = Branches([EDITS["gate"]], [EDITS["rate"]])
    assert of.merge().kept == {
        "corpus": "both", "snapshot": "both", "pairs.gold": "both", "split": "both", "train": "theirs",
        "evaluate": "theirs", "gates": "to build", "index": "theirs"}
    assert of.tree.build() == ["gates", "report"]


def test_without_any_record_the_locks_are_enough() -> None:
    """On a machine that has none of the records, as a fresh clone: what a side's block says is believed."""
    of = Branches([EDITS["corpus"]], [EDITS["rate"]])
    of.tree.acts = {}
    assert of.merge().kept["train"] == "theirs"
    assert of.tree.build() == ["index", "report"]


def test_what_stands_behind_a_stage_to_build_waits_for_its_bytes() -> None:
    """Both sides changed the documents; if that comes to the bytes of one side, its block still holds."""
    of = Branches([EDITS["corpus"], EDITS["rate"]], [EDITS["page"]])
    of.tree.acts = {}
    merged = of.merge()
    assert merged.kept["corpus"] == "to build" and merged.kept["index"] == "ours"
    assert of.tree.build() == ["corpus", "index", "report"]
    assert {n: b for n, b in of.tree.blocks.items() if n == "train"} == {"train": of.sides[0].blocks["train"]}


def test_the_snapshot_stays_where_nobody_moved_it() -> None:
    """Documents changed on both sides, and every stage behind is to build: no model of other documents by a merge."""
    of = Branches([EDITS["corpus"], EDITS["split"]], [EDITS["page"], EDITS["seed"]])
    of.merge()
    of.tree.build()
    assert of.tree.blocks["snapshot"] == of.base.blocks["snapshot"]


def test_the_snapshot_stays_in_a_spec_without_a_model_too() -> None:
    """Its anchor has no pins to keep, and keeps its name all the same."""
    base = Toys()
    del base.values["train.rate"]
    base.build()
    of = Branches([EDITS["corpus"], EDITS["k"]], [EDITS["page"], EDITS["split"]], base)
    merged = of.merge()
    assert merged.kept["evaluate"] == "to build" and merged.lock.blocks["evaluate"] == Block("1")
    of.tree.build()
    assert of.tree.blocks["snapshot"] == base.blocks["snapshot"] and of.tree.blocks["evaluate"].key


def test_one_side_moved_the_snapshot() -> None:
    """A retrain there, a gate here: the snapshot is that of the retrain."""
    of = Branches([EDITS["gate"]], [EDITS["corpus"]])
    of.sides[1].build(Wish(retrain=True))
    of.tree.files = dict(of.sides[1].files)
    assert of.merge().kept["snapshot"] == "theirs"
    assert of.tree.build() == ["gates", "report"]


def test_both_sides_moved_the_snapshot() -> None:
    """Ours stays, and a line says so."""
    of = Branches([EDITS["corpus"]], [EDITS["page"]])
    for side in of.sides:
        side.build(Wish(retrain=True))
    merged = of.merge()
    assert merged.kept["snapshot"] == "ours"
    assert merged.notes == ("snapshot: both sides moved it; kept ours",)
    of.tree.build()
    assert of.tree.blocks["snapshot"] == of.sides[0].blocks["snapshot"]


@pytest.fixture
def counting() -> Toys:
    """A split that counts how often its threshold was found anew, and a model that a machine's threads go into."""
    toys = Toys()
    count = iter(range(1, 99))

    def split(work: Work) -> Did:
        return usual(work)._replace(pins={"threshold": work.step.pin.get("threshold") or f"found-{next(count)}"})

    toys.work["split"] = split
    toys.street = tuple(s._replace(settles=("numerics.threads",)) if s.name == "train" else s for s in STREET)
    toys.values["numerics.threads"] = "auto"
    toys.build()
    return toys


def test_sticky_pins_outlive_the_blocks(counting: Toys) -> None:
    """Split and train are to build, and neither threshold nor threads are found anew."""
    of = Branches([EDITS["split"], EDITS["rate"]], [EDITS["gold"], value("train.steps", 5)], counting)
    of.tree.machine = {"numerics.threads": "64"}
    merged = of.merge()
    assert (merged.kept["split"], merged.lock.blocks["split"]) == ("to build", Block(pin={"threshold": "found-1"}))
    assert merged.lock.blocks["train"] == Block(pin={"numerics.threads": "2"})
    assert reasons(of.tree.plan(), "split") == ["stage"]
    of.tree.build()
    assert of.tree.blocks["split"].pin["threshold"] == "found-1"
    assert of.tree.blocks["train"].pin["numerics.threads"] == "2"


def test_a_pin_that_one_side_took_anew_moves_for_both(counting: Toys) -> None:
    """Threads were upgraded there, the rate changed here: here's model is right by its key, and not what was asked."""
    of = Branches([EDITS["rate"]], [], counting)
    theirs = of.sides[1]
    theirs.machine = {"numerics.threads": "8"}
    theirs.blocks = {**theirs.blocks, "train": theirs.blocks["train"]._replace(pin={})}
    assert theirs.build()[0] == "train" and theirs.blocks["train"].pin == {"numerics.threads": "8"}
    merged = of.merge()
    assert merged.kept["train"] == "to build" and merged.lock.blocks["train"].pin == {"numerics.threads": "8"}
    assert not merged.notes


def test_a_pin_that_a_run_found_moves_for_both(counting: Toys) -> None:
    """The same of a threshold that was forgotten on purpose, where the other side's block is right by its key."""
    of = Branches([], [], counting)
    ours, theirs = of.sides
    theirs.build(Wish(forget=frozenset({"split threshold"})))
    ours.values["gates.k >= 3"] = "on"
    ours.build()
    of.tree.values = dict(ours.values)
    assert theirs.blocks["split"].pin == {"threshold": "found-2"}
    assert of.merge().kept["split"] == "theirs"
    of.sides.reverse()
    of.tree.blocks = {}
    assert of.merge().kept["split"] == "ours"


def test_pins_that_both_sides_moved(counting: Toys) -> None:
    """Ours, for the whole lock, and a line says so."""
    of = Branches([], [], counting)
    for side, threads in zip(of.sides, ("4", "8"), strict=True):
        side.machine = {"numerics.threads": threads}
        side.blocks = {**side.blocks, "train": side.blocks["train"]._replace(pin={})}
        side.build(Wish(forget=frozenset({"split threshold"})))
    merged = of.merge()
    assert merged.lock.blocks["train"].pin == {"numerics.threads": "4"}
    assert merged.notes[0] == "pin numerics.threads: ours 4, theirs 8; kept ours"
    assert merged.kept["split"] == "ours"


def test_a_spec_that_says_a_pin_itself_is_obeyed(counting: Toys) -> None:
    """What a machine once settled on either side is no matter then."""
    of = Branches([EDITS["rate"]], [value("numerics.threads", 4)], counting)
    merged = of.merge()
    assert merged.kept["train"] == "to build" and not merged.notes
    of.tree.build()
    assert of.tree.blocks["train"].pin == {"numerics.threads": "4"}


@pytest.mark.parametrize("known", [True, False])
def test_a_side_that_has_no_lock_says_nothing(counting: Toys, known: bool) -> None:
    """It was deleted there: what the other side pinned and built is as good as before."""
    of = Branches([EDITS["rate"]], [], counting)
    of.sides[1].blocks = {}
    merged = of.merge(known)
    assert set(merged.kept.values()) == {"ours"} and not merged.notes and of.tree.build() == []
    of.tree.values["split.test"] = 0.3
    assert of.merge(known).lock.blocks["split"].pin == {"threshold": "found-1"}


def test_pins_that_were_taken_out_stay_out(counting: Toys) -> None:
    """Theirs upgraded and did not build yet: the merged lock has them found anew."""
    of = Branches([EDITS["rate"]], [], counting)
    train = of.sides[1].blocks["train"]
    of.sides[1].blocks = {**of.sides[1].blocks, "train": train._replace(pin={})}
    of.tree.machine = {"numerics.threads": "8"}
    assert of.merge().kept["train"] == "to build"
    of.tree.build()
    assert of.tree.blocks["train"].pin == {"numerics.threads": "8"}


def test_a_stage_that_the_merged_spec_lacks_is_named() -> None:
    """Its block goes, as a build would let it go."""
    of = Branches([EDITS["source"]], [EDITS["rate"]])
    of.tree.values = dict(of.sides[1].values)
    merged = of.merge()
    assert "pairs.more: not in the spec any more" in merged.notes
    assert of.tree.build() == []


def test_a_red_verdict_keeps_the_last_green_index() -> None:
    """The index is held: its block is kept whole, whatever the merge came to."""
    of = Branches([EDITS["corpus"]], [EDITS["rate"]])
    of.tree.work = {"gates": lambda work: Did({"verdict": "no"}, {}, {"verdict": "red"})}
    of.tree.values["gates.k >= 9"] = "on"
    merged = of.merge()
    assert merged.kept["index"] == "to build" and merged.lock.blocks["index"].key
    of.tree.build()
    assert of.tree.blocks["index"] == merged.lock.blocks["index"]


def test_the_driver_s_order_is_the_street_s(tmp_path: Path) -> None:
    """A round stands where the street has it, and a source among the sources; what nobody knows comes last."""
    street = [stage.name.replace("{name}", "gold") for stage in STAGES]
    blocks = {name: Block("1", key=f"{number:016x}") for number, name in enumerate([*sorted(street), "zoo"])}
    for side in ("base", "ours", "theirs"):
        (tmp_path / side).write_text(write(Lock(blocks), sorted(blocks)))
    drive(*(str(tmp_path / side) for side in ("base", "ours", "theirs")))
    written = list(read((tmp_path / "ours").read_text(), "ours").blocks)
    assert written == [*street, "zoo"] and written.index("train.2") < written.index("negatives.10")
