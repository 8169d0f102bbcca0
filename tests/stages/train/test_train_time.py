"""A training whose time is over: the clock finds the step once, the pin replays it."""
from __future__ import annotations

from pathlib import Path

import pytest

from embspec.errors import EmbspecError
from tests.support.lessons import World, world
from tests.support.stopped import Stopped, facts, lesson, steps
from tests.support.tiny import tiny_static, tiny_transformer

STATIC = {"model__method": "static", "train__learning_rate": 2e-2, "train__evals_per_epoch": 1}


@pytest.fixture()
def table(tmp_path: Path) -> Path:
    """A static base."""
    return tiny_static(tmp_path / "base")


@pytest.mark.parametrize("best", [True, False])
def test_a_pin_replays_what_the_clock_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, best: bool) -> None:
    """Four minutes of steps that take one each: the fourth is the last; with the pin it is so on any machine."""
    base = tiny_transformer(tmp_path / "base")
    options = {"train__evals_per_epoch": 1, "train__max_seconds": 240, "train__load_best_model_at_end": best}
    steps(monkeypatch)
    one = lesson(tmp_path / "one", base, world(), None, **options, pin__stop=None)
    assert one.made.pins == {"stop": "4 of 240 s"} and one.made.stat["steps"] == 4
    assert len(one.files()["trace"]) == 4 * 24
    assert [text.split(":")[0] for text in one.said if "validation" in text] == ["step 0", "step 3", "step 4"]
    for name, minutes in (("slow", 100.0), ("fast", 0.001)):
        steps(monkeypatch, minutes=minutes)
        other = lesson(tmp_path / name, base, world(), None, **options, pin__stop="4 of 240 s")
        assert other.files() == one.files() and facts(other.made) == facts(one.made)


def test_it_is_a_part_of_the_whole_training(tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches and learning rates are those of all steps: the trace is the head of the trace without a limit."""
    steps(monkeypatch)
    whole = lesson(tmp_path / "whole", table, world(), None, **STATIC)
    cut = lesson(tmp_path / "cut", table, world(), None, **STATIC, train__max_seconds=200, pin__stop=None)
    assert cut.made.pins == {"stop": "4 of 200 s"} and whole.made.pins == {}
    assert whole.files()["trace"][: 4 * 24] == cut.files()["trace"]


def test_time_that_is_never_over(tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pin is the last step, and the bytes are those of a training without a limit."""
    steps(monkeypatch)
    whole = lesson(tmp_path / "whole", table, world(), None, **STATIC)
    other = lesson(tmp_path / "other", table, world(), None, **STATIC, train__max_seconds=10**6, pin__stop=None)
    assert other.made.pins == {"stop": "6 of 1000000 s"} and other.files() == whole.files()
    assert other.made.stat == whole.made.stat


def test_another_limit_finds_another_step(tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the lock knows of the old limit says nothing of the new one."""
    steps(monkeypatch)
    longer = lesson(tmp_path / "longer", table, world(), None, **STATIC, train__max_seconds=300,
                    pin__stop="2 of 120 s")
    assert longer.made.pins == {"stop": "5 of 300 s"}


def test_a_pin_behind_the_end(tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the lock says comes back as it is, where fewer epochs end before it too."""
    steps(monkeypatch)
    options = {**STATIC, "train__num_train_epochs": 1.0, "train__max_seconds": 1}
    late = lesson(tmp_path / "late", table, world(), None, **options, pin__stop="5 of 1 s")
    assert late.made.pins == {"stop": "5 of 1 s"} and late.made.stat["steps"] == 3


def test_the_first_step_is_always_made(tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second is over during the first step, which is the model then; without validation too."""
    steps(monkeypatch)
    rows = world()
    for name, some in (("judged", rows), ("blind", World(rows.examples, [], rows.pool))):
        one = lesson(tmp_path / name, table, some, None, **STATIC, train__max_seconds=1, pin__stop=None)
        assert one.made.pins == {"stop": "1 of 1 s"} and one.made.stat["steps"] == 1


def test_time_goes_on_where_it_was(tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Minutes of a run that was stopped count as far as they were kept: both together end where one alone does."""
    options = {**STATIC, "train__max_seconds": 240, "train__checkpoint_minutes": 1.0, "pin__stop": None}
    steps(monkeypatch)
    whole = lesson(tmp_path / "whole", table, world(), None, **options)
    steps(monkeypatch, 3)
    with pytest.raises(Stopped):
        lesson(tmp_path / "one", table, world(), tmp_path / "kept", **options)
    made = steps(monkeypatch)
    last = lesson(tmp_path / "last", table, world(), tmp_path / "kept", **options)
    assert made == [2, 3] and last.made.pins == whole.made.pins == {"stop": "4 of 240 s"}
    assert last.files() == whole.files() and last.made.stat == whole.made.stat


@pytest.mark.parametrize("pin", ["0 of 60 s", "many", "4", "-3 of 60 s"])
def test_a_pin_that_is_no_step(tmp_path: Path, table: Path, pin: str) -> None:
    """A lock that somebody wrote into by hand is an error that says so, not a training to another end."""
    with pytest.raises(EmbspecError) as error:
        lesson(tmp_path / "run", table, world(), None, **STATIC, train__max_seconds=9, pin__stop=pin)
    assert error.value.problems[0].code == "lock.pin" and pin in error.value.problems[0].text
