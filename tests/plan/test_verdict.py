"""Green and red: what a verdict holds back, and where things go."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from embspec.plan.plan import CLEAN, HELD, RUN
from embspec.plan.values import Wish
from tests.support.toys import Did, Toys, Work, built, moving, states, usual


def says(verdict: str) -> Callable[[Work], Did]:
    """A judge with this verdict."""
    return lambda work: usual(work)._replace(stat={"verdict": verdict})


def red(toys: Toys, verdict: str = "red", rate: float = 0.2) -> Toys:
    """A new model, judged so."""
    toys.work["gates"] = says(verdict)
    toys.values["train.rate"] = rate
    toys.build()
    return toys


@pytest.mark.parametrize("verdict", ["red", "inconclusive", "error"])
def test_a_red_verdict_holds_the_index_at_the_last_green(verdict: str) -> None:
    """The index block and what `out/` serves stay; the new model lies in candidate/."""
    toys = built()
    index, out = toys.blocks["index"], dict(toys.out)
    red(toys, verdict)
    now = toys.plan()
    assert states(now)["index"] == HELD and toys.blocks["index"] == index
    assert not now.green and now.work == () and now.stale == ()
    assert (toys.out["model"], toys.out["index/vectors"]) == (out["model"], out["index/vectors"])
    assert toys.out["candidate/model"] == toys.blocks["train"].out["model"] != out["model"]
    assert toys.out["report/page"] != out["report/page"]


def test_the_next_green_build_removes_the_candidate() -> None:
    """What was held is built, and `out/` holds the new model."""
    toys = red(built())
    toys.work["gates"] = says("green")
    toys.values["train.rate"] = 0.3
    assert toys.build() == ["train", "evaluate", "gates", "index", "report"]
    assert toys.out["model"] == toys.blocks["train"].out["model"] and "candidate/model" not in toys.out


def test_from_a_red_lock_alone_comes_the_candidate() -> None:
    """A fresh clone cannot have the last green model: that block is not in the lock."""
    toys = red(built())
    toys.out.clear()
    toys.build()
    assert set(toys.out) == {"candidate/model", "report/page"}


def test_going_back_to_the_green_model_is_green_at_once() -> None:
    """The record of the judge carries its verdict, so nothing is held behind it."""
    toys = red(built())
    toys.work["gates"] = says("green")
    toys.values["train.rate"] = 0.1
    assert toys.build() == [] and toys.plan().green and "candidate/model" not in toys.out


def test_a_red_first_build_has_no_index() -> None:
    """There was no green build to stay at."""
    toys = Toys()
    toys.work["gates"] = says("red")
    toys.build()
    assert "index" not in toys.blocks and states(toys.plan())["index"] == HELD
    assert set(toys.out) == {"candidate/model", "report/page"}


def test_an_index_that_fits_stays_clean_under_red() -> None:
    """Held is only what would have to be built."""
    toys = built()
    toys.work["gates"] = says("red")
    toys.values["gates.k >= 9"] = "on"
    toys.build()
    assert states(toys.plan())["index"] == CLEAN and moving(toys.plan()) == {} and not toys.plan().green


def test_a_document_that_moves_under_red_waits() -> None:
    """The corpus is read, the index is held."""
    toys = red(built())
    toys.files["docs/c"] = "three"
    assert states(toys.plan())["corpus"] == RUN
    assert toys.build() == ["corpus"] and states(toys.plan())["index"] == HELD


def test_without_gates_everything_is_green() -> None:
    """Nothing judges, nothing holds."""
    toys = Toys()
    toys.street = tuple(s for s in toys.street if s.name != "gates")
    toys.build()
    assert toys.plan().verdict == "" and toys.plan().green and "model" in toys.out and "index" in toys.blocks


def test_up_to_a_stage_before_the_judge_nothing_ships() -> None:
    """A model that nobody judged goes neither to `out/` nor to candidate/, and a candidate stays where it is."""
    toys = built()
    out = dict(toys.out)
    toys.values["train.rate"] = 0.2
    assert toys.build(Wish(to="train")) == ["train", "report"]
    assert {p: d for p, d in toys.out.items() if p != "report/page"} == {
        p: d for p, d in out.items() if p != "report/page"
    }
    toys = red(built())
    candidate = toys.out["candidate/model"]
    toys.build(Wish(to="train"))
    assert toys.out["candidate/model"] == candidate


def test_up_to_the_index_its_judge_has_a_say() -> None:
    """What is held under a red verdict is not built by asking for it alone."""
    toys = red(built())
    index, out = toys.blocks["index"], dict(toys.out)
    assert toys.build(Wish(to="index")) == [] and states(toys.plan(Wish(to="index")))["index"] == HELD
    assert toys.blocks["index"] == index and toys.out == out
