"""A training that was stopped ends in the bytes of one that was not."""
from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from embspec.stages.train import loop, points, resume
from embspec.stages.train.points import FORMAT
from tests.support.desk import Desk
from tests.support.lessons import Result, World, world
from tests.support.stopped import Stopped, facts, lesson, steps
from tests.support.tiny import tiny_static, tiny_transformer

ROOT = Path(__file__).parents[3]
STATIC = {"model__method": "static", "train__learning_rate": 2e-2}
DRAWN = {"loss__matryoshka__dims": [32, 16, 8], "loss__matryoshka__n_dims_per_step": 1}
# 48 rows in batches of 16 are 3 steps an epoch: each of these is 6 steps, but `patient` and `merged`, which are 5.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "cached": {},
    "drawn dims": {**DRAWN, "train__load_best_model_at_end": False},
    "plain": {**DRAWN, "loss__name": "mnrl", "train__lr_scheduler_type": "cosine", "train__weight_decay": 0.1},
    "patient": {"train__evals_per_epoch": 3, "train__early_stopping.patience": 3, "train__num_train_epochs": 4.0},
    "merged": {"loss__regularize__merge_with_base": 0.5, "train__num_train_epochs": 1.5, "loss__matryoshka": None},
    "static": {**STATIC, "loss__matryoshka__dims": [64, 16], "loss__matryoshka__n_dims_per_step": 1},
    "table": STATIC,
    "static, the last": {**STATIC, "train__load_best_model_at_end": False, "train__evals_per_epoch": 2},
}


@pytest.fixture()
def table(tmp_path: Path) -> Path:
    """A static base."""
    return tiny_static(tmp_path / "base")


def base_of(folder: Path, options: Mapping[str, Any]) -> Path:
    """A base that the options suit."""
    return tiny_static(folder / "base") if "model__method" in options else tiny_transformer(folder / "base")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Result]:
    """The training of a variant that nobody stops and that keeps nothing: done once, whoever compares with it."""

    @cache
    def made(name: str) -> Result:
        folder, options = tmp_path_factory.mktemp("undisturbed"), VARIANTS[name]
        with pytest.MonkeyPatch.context() as patch:
            steps(patch)
            return lesson(folder / "whole", base_of(folder, options), world(), None, **options)

    return made


def stopped(folder: Path, base: Path, kept: Path, monkeypatch: pytest.MonkeyPatch, before: int, *,
            minutes: float = 1.0, rows: World | None = None, **options: Any) -> None:
    """A training that is stopped before a step."""
    steps(monkeypatch, before)
    with pytest.raises(Stopped):
        lesson(folder, base, rows or world(), kept, train__checkpoint_minutes=minutes, **options)


def same(one: Result, other: Result) -> None:
    """Two trainings made the same, and say the same of it."""
    assert one.files().keys() == other.files().keys()
    assert [name for name, data in one.files().items() if data != other.files()[name]] == []
    assert facts(one.made) == facts(other.made)


@pytest.mark.parametrize("minutes", [1.0, 2.0])
@pytest.mark.parametrize("name", [name for name in VARIANTS if name != "table"])
def test_a_stopped_training_ends_in_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: Callable[[str], Result], name: str, minutes: float
) -> None:
    """Model, trace, stat and counts, whatever is trained; stopped twice, inside the first epoch and in the second."""
    options = VARIANTS[name]
    base, kept = base_of(tmp_path, options), tmp_path / "kept"
    whole = undisturbed(name)
    for n, before in enumerate((2, 4)):
        random.seed(n)  # what the process before has drawn is no matter
        torch.manual_seed(n)
        np.random.seed(n)
        stopped(tmp_path / f"run{n}", base, kept, monkeypatch, before, minutes=minutes, **options)
    made = steps(monkeypatch)
    last = lesson(tmp_path / "last", base, world(), kept, train__checkpoint_minutes=minutes, **options)
    assert made[0] == last.made.counts["resumed"] > 1
    assert "resumed" not in whole.made.counts
    assert whole.made.stat["steps"] == (5 if name in ("patient", "merged") else 6)
    same(whole, last)


def test_every_step_can_be_gone_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transformer with dropout and drawn dims on two threads, and no step is where it would end otherwise."""
    torch.set_num_threads(2)
    base = tiny_transformer(tmp_path / "base", dropout=0.3)
    steps(monkeypatch)
    whole = lesson(tmp_path / "whole", base, world(), None, **DRAWN, train__evals_per_epoch=3)
    for before in range(2, 6):
        kept = tmp_path / f"kept{before}"
        stopped(tmp_path / f"run{before}", base, kept, monkeypatch, before, **DRAWN, train__evals_per_epoch=3)
        made = steps(monkeypatch)
        last = lesson(tmp_path / f"last{before}", base, world(), kept, **DRAWN, train__evals_per_epoch=3)
        assert made == list(range(before - 1, 6))
        same(whole, last)


def test_a_checkpoint_moves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that is kept after every step makes the bytes of one that is never kept, without a word on it."""
    base = tiny_transformer(tmp_path / "base")
    steps(monkeypatch)
    never = lesson(tmp_path / "never", base, world(), None, **DRAWN)
    often = lesson(tmp_path / "often", base, world(), tmp_path / "kept", **DRAWN, train__checkpoint_minutes=0.5)
    assert sorted(path.name for path in (tmp_path / "kept").glob("state-*")) == [
        "state-000000004.json", "state-000000005.json"]
    same(never, often)
    assert never.said == often.said


def test_it_is_said_where_training_goes_on(tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line; a folder with nothing in it is not worth one."""
    kept = tmp_path / "kept"
    stopped(tmp_path / "one", table, kept, monkeypatch, 4, **STATIC)
    steps(monkeypatch)
    assert "training goes on from step 3" in lesson(tmp_path / "two", table, world(), kept, **STATIC).said
    kept.mkdir(exist_ok=True)
    said = lesson(tmp_path / "three", table, world(), tmp_path / "other", **STATIC).said
    assert not [text for text in said if "goes on" in text or "anew" in text or "damaged" in text]


def test_how_often_a_checkpoint_is_written(tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the minutes are over; after an evaluation when half of them are, and never for one alone."""
    kept: list[int] = []
    plain = resume.Points.put
    monkeypatch.setattr(resume.Points, "put", lambda *args: (kept.append(args[1]), plain(*args))[1])
    options = {**STATIC, "train__num_train_epochs": 4.0}

    def written(name: str, minutes: float, evals: int) -> list[int]:
        kept.clear()
        steps(monkeypatch)
        lesson(tmp_path / name, table, world(), tmp_path / f"kept {name}", train__checkpoint_minutes=minutes,
               train__evals_per_epoch=evals, train__early_stopping=None, **options)
        return list(kept)

    # A step takes a minute; the model is measured after 3, 6 and 9 steps.
    assert written("by time", 2.0, 1) == [2, 3, 5, 6, 8, 9, 11]
    assert written("evaluated", 5.0, 1) == written("in time", 6.0, 1) == [3, 6, 9]
    assert written("too soon", 8.0, 1) == [6]
    assert written("never", 60.0, 1) == []


def test_an_evaluation_does_not_make_a_dear_checkpoint_frequent(tmp_path: Path) -> None:
    """After an evaluation it is written only where the last one took a hundredth of the time since, or less."""
    desk = Desk(tmp_path / "scratch", kept=tmp_path / "kept")
    keeper = resume.Keeper(desk, 5.0, 9)
    desk.now = 150.0
    assert keeper.due(True) and not keeper.due(False)
    keeper._cost = 2.0
    assert not keeper.due(True)
    desk.now = 200.0
    assert keeper.due(True) and not keeper.due(False)
    keeper._cost = 100.0
    desk.now = 300.0
    assert keeper.due(False)


@pytest.mark.parametrize("torn", ["bit", "half", "gone", "state", "empty", "format"])
def test_a_damaged_checkpoint_is_not_used(
    tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: Callable[[str], Result], torn: str
) -> None:
    """The one before it is, and that is said; the bytes are the same."""
    kept = tmp_path / "kept"
    whole = undisturbed("table")
    stopped(tmp_path / "one", table, kept, monkeypatch, 5, **STATIC)
    tear(kept, 4, torn)
    made = steps(monkeypatch)
    last = lesson(tmp_path / "last", table, world(), kept, **STATIC)
    assert made[0] == last.made.counts["resumed"] == 3
    assert "the checkpoint of step 4 is damaged and is not used: training goes on from step 3" in last.said
    same(whole, last)


def test_where_no_checkpoint_is_whole_training_starts_anew(
    tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: Callable[[str], Result]
) -> None:
    """And that is said too; the folder is of use again at once."""
    kept = tmp_path / "kept"
    whole = undisturbed("table")
    stopped(tmp_path / "one", table, kept, monkeypatch, 5, **STATIC)
    for step, torn in ((3, "gone"), (4, "bit")):
        tear(kept, step, torn)
    stopped(tmp_path / "two", table, kept, monkeypatch, 3, **STATIC)
    assert sorted(path.name for path in kept.glob("step-*")) == ["step-1.safetensors", "step-2.safetensors"]
    for step in (1, 2):
        tear(kept, step, "half")
    made = steps(monkeypatch)
    last = lesson(tmp_path / "last", table, world(), kept, **STATIC)
    assert made == list(range(6)) and "resumed" not in last.made.counts
    assert "the checkpoint of step 2, 1 is damaged and is not used: training starts anew" in last.said
    same(whole, last)


def tear(kept: Path, step: int, how: str) -> None:
    """Damage a checkpoint."""
    state, part = kept / f"state-{step:09}.json", kept / f"step-{step}.safetensors"
    data = part.read_bytes()
    if how == "bit":
        part.write_bytes(data[:-9] + bytes([data[-9] ^ 4]) + data[-8:])
    elif how == "half":
        part.write_bytes(data[: len(data) // 2])
    elif how == "gone":
        part.unlink()
    elif how == "state":
        text = state.read_bytes()
        state.write_bytes(text.replace(b'"seconds": ', b'"seconds": 1'))
        assert state.read_bytes() != text
    elif how == "empty":
        state.write_bytes(b"")
    elif how == "format":
        told = json.loads(state.read_bytes().split(b"\n", 1)[1])
        text = json.dumps({**told, "format": FORMAT + 1}).encode()
        state.write_bytes(points.hashlib.sha256(text).hexdigest().encode() + b"\n" + text)


def test_what_was_half_written_is_swept_away(tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part without a state, and a file under its first name; what is kept is what two states name."""
    kept = tmp_path / "kept"
    stopped(tmp_path / "one", table, kept, monkeypatch, 3, **STATIC)
    for name in ("step-7.safetensors", "step-8.safetensors.new", "best-7.safetensors"):
        (kept / name).write_bytes(b"half")
    stopped(tmp_path / "two", table, kept, monkeypatch, 4, **STATIC)
    names = {path.name for path in kept.iterdir()}
    assert {name for name in names if not name.startswith("best-")} == {
        "state-000000002.json", "state-000000003.json", "step-2.safetensors", "step-3.safetensors"}
    assert len(names) in (5, 6) and "best-7.safetensors" not in names


@pytest.mark.parametrize("why", ["full", "taken"])
def test_a_checkpoint_that_cannot_be_written_is_said(
    tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: Callable[[str], Result], why: str
) -> None:
    """Training goes on, to the same bytes; nothing half written is left."""
    whole = undisturbed("table")
    steps(monkeypatch)
    kept = tmp_path / "kept"
    if why == "taken":
        kept.write_text("a file lies there", encoding="utf-8")
    else:
        monkeypatch.setattr(points.os, "fsync", lambda file: (_ for _ in ()).throw(OSError(28, os.strerror(28))))
    last = lesson(tmp_path / "last", table, world(), kept, **STATIC, train__checkpoint_minutes=1.0)
    reason = "No space left on device" if why == "full" else "File exists"
    words = [text for text in last.said if text.startswith("no checkpoint could be kept at step 2, training goes on: ")]
    assert len(words) == 1 and reason in words[0]
    assert why == "taken" or list(kept.iterdir()) == []
    same(whole, last)


# One process imports and computes nothing; it forks one after another for the trainings, as a build does.
CHILD = """
import os, random, signal, sys
from pathlib import Path
import numpy, torch
from embspec.stages.train import make, points
from tests.support.desk import Desk
from tests.support.lessons import run, world
for name, deadly in zip(sys.argv[2::2], sys.argv[3::2]):
    child = os.fork()
    if not child:
        break
    code, kept = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), Path(sys.argv[1], "kept")
    print("ended", name, code, *sorted(os.listdir(kept) if kept.exists() else ()), flush=True)
else:
    sys.exit()
folder = Path(sys.argv[1], name)
torch.set_num_threads(2)
torch.use_deterministic_algorithms(True)
random.seed(5); numpy.random.seed(5); torch.manual_seed(5)
sync = points._sync

def synced(path):
    if path.name == deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    sync(path)

points._sync = synced

class Clock(Desk):
    def seconds(self):
        self.now += 1
        return self.now

kept = None if deadly == "never kept" else folder.parent / "kept"
desk = Clock(folder / "scratch", seed=5, kept=kept)
made = run(folder, folder.parent / "base", world(), desk=desk, train__checkpoint_minutes=1e-3,
           loss__matryoshka__dims=[32, 16, 8], loss__matryoshka__n_dims_per_step=2).made
print("resumed", name, made.counts.get("resumed"), flush=True)
os._exit(0)
"""


def processes(folder: Path, seed: int, **deadly: str) -> list[str]:
    """Trainings one after another, each in a process that is killed when a file of that name is about to be safe."""
    for name in deadly:
        (folder / name).mkdir()
    env = os.environ | {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONHASHSEED": str(seed)}
    words = [word for pair in deadly.items() for word in pair]
    done = subprocess.run([sys.executable, "-c", CHILD, str(folder), *words], cwd=ROOT, env=env, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_killed_processes_leave_what_the_next_goes_on_from(tmp_path: Path) -> None:
    """SIGKILL between two files of a checkpoint, twice; the third process ends in the bytes of an undisturbed one."""
    tiny_transformer(tmp_path / "base")
    assert processes(tmp_path, 1, whole="never kept") == ["resumed whole None", "ended whole 0"]
    first, second, resumed, third = map(str.split, processes(
        tmp_path, 2, first="state-000000003.json.new", second="step-5.safetensors.new", third=""))
    assert first[:3] == ["ended", "first", str(-signal.SIGKILL)]
    assert {"state-000000003.json.new", "step-3.safetensors", "state-000000002.json"} <= set(first[3:])
    assert second[:3] == ["ended", "second", str(-signal.SIGKILL)]
    assert (resumed, third[:3]) == (["resumed", "third", "4"], ["ended", "third", "0"])
    one, other = ({str(path.relative_to(tmp_path / name)): path.read_bytes()
                   for path in sorted((tmp_path / name / "out").rglob("*")) if path.is_file()}
                  for name in ("whole", "third"))
    assert one == other and "out/trace" in one


def test_weights_alone_would_not_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thing that a checkpoint holds is needed: without one of them the bytes are others."""
    base = tiny_transformer(tmp_path / "base")
    options = {**DRAWN, "train__load_best_model_at_end": False}
    steps(monkeypatch)
    whole = lesson(tmp_path / "whole", base, world(64), None, **options)
    plain = loop.bring_back
    hidden = {
        "weights": "torch.Tensor.copy_", "optimizer": "torch.optim.Optimizer.load_state_dict",
        "schedule": "torch.optim.lr_scheduler.LambdaLR.load_state_dict", "drawn dims": "random.setstate",
        "dropout": "torch.set_rng_state",
    }
    for name, what in hidden.items():
        kept = tmp_path / name
        stopped(tmp_path / f"one {name}", base, kept, monkeypatch, 3, rows=world(64), **options)
        steps(monkeypatch)

        def without(point: Any, engine: Any, what: str = what) -> bytes:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(what, lambda *args, **kwargs: None)
                return plain(point, engine)

        monkeypatch.setattr(loop, "bring_back", without)
        last = lesson(tmp_path / f"last {name}", base, world(64), kept, **options)
        assert last.made.counts["resumed"] == 2 and last.files() != whole.files(), name
        monkeypatch.setattr(loop, "bring_back", plain)
