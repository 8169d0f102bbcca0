"""The sentences and the JSON of a plan."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embspec.plan import words
from embspec.plan.keys import Reason
from embspec.plan.values import Wish, digest_of
from tests.support.toys import Did, Toys, built


class Shown:
    """Places as they are shown."""

    spec, lock, out = "specs/toy.yaml", "specs/toy.lock", "out/toy"

    def shown(self, path: str) -> str:
        """As it is."""
        return path


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("pass 0.071 [0.052, 0.09] n=412", ("pass", 0.071, 0.052, 0.09, 412, None)),
        ("inconclusive -0.01 [-0.05, 0.03] n=25 needed=300", ("inconclusive", -0.01, -0.05, 0.03, 25, 300)),
        ("fail 1.0 [none, none] n=25", ("fail", 1.0, None, None, 25, None)),
        ("error none [none, none] n=0", ("error", None, None, None, 0, None)),
        ("pass 1e-05 [-1e-05, 2e-05] n=1", ("pass", 1e-05, -1e-05, 2e-05, 1, None)),
    ],
)
def test_a_gates_line_as_fields(text: str, fields: tuple[Any, ...]) -> None:
    """The lock's line and the JSON say the same."""
    assert tuple(words.gate_stat(text).values()) == fields
    assert list(words.gate_stat(text)) == ["verdict", "value", "low", "high", "n", "needed"]


def test_the_json_of_a_plan() -> None:
    """State, reasons, seconds and counts of each stage, in street order."""
    toys = built()
    toys.values["train.rate"] = 0.2
    told = json.loads(
        words.as_json(words.plan_json(Shown(), toys.plan(), toys.blocks, 10, expected={"train": 1.23456}))
    )
    assert (told["exit"], told["spec"], told["lock"], told["out"]) == (
        10,
        "specs/toy.yaml",
        "specs/toy.lock",
        "out/toy",
    )
    assert [s["name"] for s in told["stages"]] == [s.node.name for s in toys.plan().steps]
    train = next(s for s in told["stages"] if s["name"] == "train")
    assert train == {
        "name": "train",
        "state": "run",
        "why": [{"field": "train.rate", "then": "0.1", "now": "0.2"}],
        "seconds": 1.235,
        "counts": {"encoded": 0, "calls": 0, "rows": 0, "files_read": 0},
    }
    clean = next(s for s in told["stages"] if s["name"] == "split")
    assert (clean["state"], clean["seconds"], clean["why"]) == ("clean", 0.0, [])
    assert next(s for s in told["stages"] if s["name"] == "index")["seconds"] is None


def test_the_json_of_a_build_says_what_was_done() -> None:
    """The counts of a stage that ran stand beside those that nobody counted."""
    toys = built()
    why = (Reason("seed", "1", "2"),)
    told = words.plan_json(Shown(), toys.plan(), toys.blocks, 0, {"corpus": words.Did("run", why, 0.5, {"rows": 3})})
    assert told["stages"][0] == {
        "name": "corpus",
        "state": "run",
        "why": [{"field": "seed", "then": "1", "now": "2"}],
        "seconds": 0.5,
        "counts": {"encoded": 0, "calls": 0, "rows": 3, "files_read": 0},
    }


def judged(toys: Toys) -> Toys:
    """With a line for its gate in the lock."""
    stat = {"verdict": "green", "k >= 1": "pass 2.0 [1.5, 2.5] n=9"}
    toys.work["gates"] = lambda work: Did({"verdict": "v"}, {}, stat)
    toys.values["seed"] = 8
    toys.build()
    return toys


def test_gates_are_shown_only_where_they_hold() -> None:
    """The locked verdict of an up-to-date judge; nothing while it will run again."""
    toys = judged(built())
    assert words.gates(toys.plan(), toys.blocks) == [
        {"gate": "k >= 1", "verdict": "pass", "value": 2.0, "low": 1.5, "high": 2.5, "n": 9, "needed": None}
    ]
    toys.values["gates.k >= 2"] = "on"
    assert words.gates(toys.plan(), toys.blocks) == []


def moved_world() -> Toys:
    """A live corpus that left the snapshot behind."""
    toys = Toys()
    toys.work["corpus"] = lambda work: Did(
        {"documents": repr(work.files), "manifest": "".join(f"{n}\t{t}\n" for n, t in work.files.items())}
    )
    toys.build()
    toys.files |= {"docs/a": "other", "docs/c": "new", "docs/d": "new"}
    del toys.files["docs/b"]
    toys.build()
    return toys


def test_how_far_the_live_corpus_has_moved() -> None:
    """Added, removed and changed documents, and what moves the snapshot."""
    toys = moved_world()
    found = words.drift(toys.plan(), lambda: toys.plan(Wish(retrain=True)), toys.objects.get, {})
    assert found and found[2:5] == (2, 1, 1) and "--retrain" in str(found)
    assert found.stages and found.seconds is None
    assert "up to date" in words.up_to_date("toy", toys.plan(), None)
    assert str(found) in words.up_to_date("toy", toys.plan(), found)


def test_what_moving_the_snapshot_would_cost() -> None:
    """The seconds of the last runs where each stage has one; else no figure rather than a wrong one."""
    toys = moved_world()
    again = partial(toys.plan, Wish(retrain=True))
    stages = words.drift(toys.plan(), again, toys.objects.get, {}).stages  # type: ignore[union-attr]
    known = dict.fromkeys(stages, 2.0)
    found = words.drift(toys.plan(), again, toys.objects.get, known)
    assert found and found.seconds == 2.0 * len(stages) and "by the last runs here" in str(found)
    known.popitem()
    found = words.drift(toys.plan(), again, toys.objects.get, known)
    assert found and found.seconds is None


def test_no_drift_is_said_where_there_is_none_or_nobody_can_know() -> None:
    """At the snapshot; and where a manifest is not at hand."""
    toys = built()
    assert words.drift(toys.plan(), toys.plan, toys.objects.get, {}) is None
    toys = moved_world()
    toys.objects.pop(digest_of(toys.blocks["snapshot"].pin["manifest"]))
    assert words.drift(toys.plan(), toys.plan, toys.objects.get, {}) is None


ROWS = st.dictionaries(st.text("abc", min_size=1, max_size=2), st.sampled_from("xyz"), max_size=4)


@given(ROWS, ROWS)
def test_rows_that_moved(old: dict[str, str], new: dict[str, str]) -> None:
    """Counted by id and digest."""
    texts = ["".join(f"{k}\t{v}\n" for k, v in sorted(rows.items())) for rows in (old, new)]
    changed = {k for k in old if k in new and old[k] != new[k]}
    assert words.moved(*texts) == (len(set(new) - set(old)), len(set(old) - set(new)), len(changed))
