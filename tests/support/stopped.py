"""Trainings that are stopped: a clock that the steps move, and a word from above before a step."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from embspec.plan.protocol import Made
from embspec.stages.train import loop
from tests.support.desk import Desk
from tests.support.lessons import Result, World, run

MINUTE = 60.0


class Stopped(Exception):
    """Somebody stopped the training."""


def steps(monkeypatch: pytest.MonkeyPatch, stop: int | None = None, minutes: float = 1.0) -> list[int]:
    """From now on a step takes so many minutes, and training is stopped before step `stop`; which steps were made."""
    plain, made = Plain, list[int]()

    def step(trainer: Any, *args: Any, **kwargs: Any) -> Any:
        if trainer.step == stop:
            raise Stopped
        made.append(trainer.step)
        loss = plain(trainer, *args, **kwargs)
        trainer._desk.now += minutes * MINUTE
        return loss

    monkeypatch.setattr(loop.Trainer, "training_step", step)
    return made


Plain = loop.Trainer.training_step


def lesson(folder: Path, base: Path, rows: World, kept: Path | None, **options: Any) -> Result:
    """Run the stage with a folder that outlives it."""
    desk = Desk(folder / "scratch", seed=5, kept=kept)
    return run(folder, base, rows, desk=desk, **options)


def facts(made: Made) -> tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, int]]:
    """All that is said of a training but that it was resumed."""
    return made.stat, made.pins, {name: count for name, count in made.counts.items() if name != "resumed"}
