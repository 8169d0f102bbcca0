"""A build of stages that compute with floats: pinned numerics, recorded environments, folders handed over, errors."""
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from embspec.errors import EmbspecError
from embspec.plan.canonical import plain
from embspec.plan.nodes import expand
from embspec.plan.plan import REUSE, RUN, Recipes, plan
from embspec.plan.protocol import Stage
from embspec.plan.values import Block, Wish, digest_of
from embspec.run import locked
from embspec.run.build import Event, Job, Order, Outcome, build
from embspec.run.desk import seed_of
from embspec.store import machine
from embspec.store.machine import Cpu, settled
from embspec.store.places import Places
from embspec.store.world import DiskWorld
from tests.support.floats import STREET, VALUES

RECIPES = Recipes({}, {})


class Bench:
    """A project of toy float stages on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.at = Places(str(folder / "specs" / "toy.yaml"), str(folder), "toy")
        os.makedirs(self.at.folder)
        self.values = dict(VALUES)
        self.told: list[Event] = []

    @property
    def world(self) -> DiskWorld:
        """The world as a new command sees it."""
        return DiskWorld(self.at, str(self.folder / "store"), False)

    def build(self, order: Order = Order()) -> Outcome:  # noqa: B008
        """Build, in processes of their own."""
        return build(Job(expand(STREET, self.values), RECIPES, self.world, order, self.told.append))

    def fails(self) -> EmbspecError:
        """Build, and see it fail."""
        with pytest.raises(EmbspecError) as caught:
            self.build()
        return caught.value

    def blocks(self) -> dict[str, Block]:
        """What the lock says."""
        return dict(locked.load(self.at).blocks)

    def shown(self) -> dict[str, bytes]:
        """What lies in `out/`."""
        out = Path(self.at.out)
        return {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An empty project."""
    return Bench(tmp_path / "toy")


def test_the_numerics_are_pinned_and_keyed(bench: Bench) -> None:
    """In the order of the street, as texts in the lock and as values to the stage; another profile is another key."""
    bench.build()
    grow = bench.blocks()["grow"]
    assert list(grow.pin) == ["numerics.profile", "numerics.threads", "found"]
    assert grow.pin["numerics.threads"] == settled("numerics.threads") == grow.stat["threads"]
    assert grow.pin["numerics.profile"] == settled("numerics.profile") == grow.stat["profile"]
    assert list(grow.out) == ["tree", "trace"]
    bench.values |= {"numerics.profile": "native", "numerics.threads": 1}
    assert list(bench.build().done) == ["grow", "use"]
    after = bench.blocks()["grow"]
    assert (after.pin["numerics.profile"], after.pin["numerics.threads"]) == ("native", "1") and after.key != grow.key


def test_the_environment_says_what_computed(bench: Bench) -> None:
    """Device and numerics stand in it, and it is what this machine says that it would record."""
    bench.build()
    lock = locked.load(bench.at)
    env = lock.envs[lock.blocks["grow"].env]
    pins = lock.blocks["grow"].pin
    assert list(env) == ["embspec", "python", "platform", "numpy", "device", "math", "packages"]
    assert env["math"] == f"{pins['numerics.profile']} threads-{pins['numerics.threads']}"
    assert {k: v for k, v in env.items() if k != "packages"} == bench.world.here(("numpy",), pins)


def test_a_folder_is_handed_over_to_be_read(bench: Bench) -> None:
    """With all its files, none of which may be written; their digests are those of the lock."""
    bench.build()
    page = json.loads(bench.shown()["model/page"])
    grow = bench.blocks()["grow"].out
    assert page["files"] == ["deep", "deep/config", "weights"] and page["trace"] == "trace"
    assert page["writable"] == []
    assert page["digests"] == {f"grow/{a}": digest_of(text) for a, text in grow.items()}
    assert os.listdir(bench.folder / "store" / "tmp") == []


def test_the_same_bytes_again(bench: Bench) -> None:
    """From the seed of spec and stage; a warm bank is used and does not show."""
    first = bench.build()
    again = bench.build(Order(Wish(refresh=frozenset({"grow", "use"}))))
    assert {n: d.step.state for n, d in again.done.items()} == {"grow": RUN, "use": RUN}
    assert first.lock == again.lock and [d.counts["rows"] for d in (first.done["use"], again.done["use"])] == [0, 1]
    assert json.loads(bench.shown()["model/deep/config"]) == [42, seed_of({"seed": 42}, "grow")]
    bench.values["seed"] = 43
    bench.build()
    assert locked.load(bench.at).blocks["grow"].out != first.lock.blocks["grow"].out


def test_seeds_are_of_stage_and_spec() -> None:
    """63 bits, the same everywhere; a stage without the field has its own all the same."""
    seeds = [seed_of({"seed": 1}, "a"), seed_of({"seed": 2}, "a"), seed_of({"seed": 1}, "b"), seed_of({}, "a")]
    assert len(set(seeds)) == 4 and all(0 <= seed < 1 << 63 for seed in seeds)
    assert seeds[0] == 3618325221710362159 and seed_of({}, "a") == seed_of({"seed": 0}, "a")


def test_a_result_is_taken_from_its_own_environment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is gone, the record is there: it is used here, and elsewhere only where that is asked for."""
    lock = bench.build().lock
    os.unlink(bench.at.lock)
    assert {n: d.step.state for n, d in bench.build().done.items()} == {"grow": RUN, "use": REUSE}  # a pin of the run
    assert locked.load(bench.at) == lock
    os.unlink(bench.at.lock)
    bench.build(Order(Wish(to="grow")))
    monkeypatch.setattr(machine, "cpu", lambda: Cpu("Other", frozenset({"avx2"}), 2))

    def state(wish: Wish) -> str:
        now = plan(expand(STREET, bench.values), bench.blocks(), bench.world, wish, RECIPES)
        return {s.node.name: s.state for s in now.steps}["use"]

    assert (state(Wish()), state(Wish(any_env=True))) == (RUN, REUSE)


@pytest.mark.parametrize(("fate", "code", "said"), [
    ("killed", "stage.failed", "SIGKILL"), ("falling", "stage.failed", "the work fell over"),
    ("wrong", "input.first", "the first thing"),
])
def test_a_stage_that_fails_leaves_the_last_good_build(bench: Bench, fate: str, code: str, said: str) -> None:
    """Whatever became of its process: lock and `out/` stay, nothing is left behind, the next build goes on."""
    bench.build()
    before, lock = bench.shown(), Path(bench.at.lock).read_bytes()
    bench.values["train.fate"] = fate
    error = bench.fails()
    assert error.problems[0].code == code and said in error.problems[0].text
    assert (bench.shown(), Path(bench.at.lock).read_bytes()) == (before, lock)
    assert os.listdir(bench.folder / "store" / "tmp") == []
    log = Path(bench.at.state, "runs", "toy.grow.log")
    assert log.exists() and (fate != "falling" or "RuntimeError" in log.read_text())
    bench.values["train.fate"] = "well"
    assert list(bench.build().done) == [] and bench.shown() == before


def test_a_package_that_is_missing_is_said_before_the_work(bench: Bench) -> None:
    """With the line that installs it."""
    first, second = STREET
    bench.values["train.fate"] = "killed"
    street = (first._replace(packages=("numpy", "no-such-thing")), second)
    with pytest.raises(EmbspecError) as caught:
        build(Job(expand(street, bench.values), RECIPES, bench.world, Order(), bench.told.append))
    assert (caught.value.exit, caught.value.problems[0].fix) == (32, "pip install no-such-thing")


def test_an_artefact_that_was_asked_for_has_to_be_there(bench: Bench) -> None:
    """An optional one is made where the parameters ask for it; a stage that does not is said to have failed."""
    bench.values["train.fate"] = "onnx"
    problem: Any = bench.fails().problems[0]
    assert problem.code == "stage.failed" and "onnx" in problem.text


def test_numerics_come_back_as_values(bench: Bench) -> None:
    """Threads are a number to the stage."""
    bench.build()
    assert plain(bench.blocks()["grow"].stat["threads"]) == int(settled("numerics.threads"))


def test_files_that_are_pinned_once_are_read_as_pinned_or_not_at_all(bench: Bench) -> None:
    """They changed since: nothing runs for that; a stage that has to run all the same says so, and the lock stays."""
    street = (Stage("base", 1, ("train.rate",), ("page",), "tests.support.floats:copy",
                    live=lambda params: ("base.txt",), sticky=lambda params: True),)

    def again(order: Order) -> Outcome:
        return build(Job(expand(street, bench.values), RECIPES, bench.world, order, bench.told.append))

    file = Path(bench.at.folder, "base.txt")
    file.write_text("one")
    assert list(again(Order()).done) == ["base"]
    file.write_text("another")
    lock = Path(bench.at.lock).read_bytes()
    assert list(again(Order()).done) == []
    with pytest.raises(EmbspecError) as caught:
        again(Order(Wish(refresh=frozenset({"base"}))))
    assert (caught.value.exit, caught.value.problems[0].code) == (32, "nowhere.files")
    assert Path(bench.at.lock).read_bytes() == lock
    assert list(again(Order(Wish(forget=frozenset({"base tree"})))).done) == ["base"]
    assert Path(bench.at.lock).read_bytes() != lock
