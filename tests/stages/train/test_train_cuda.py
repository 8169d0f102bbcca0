"""Training on a GPU, where there is one: by the way that a build takes, in a process that the worker starts."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from embspec.plan.protocol import Progress
from embspec.run.desk import Given
from embspec.run.task import Task
from embspec.run.worker import Workers, log_path
from embspec.stages.train import loop
from embspec.store.environment import environment
from embspec.store.machine import gpu
from tests.support.desk import Desk
from tests.support.lessons import PARAMS, needs, world
from tests.support.tiny import tiny_static, tiny_transformer

on_gpu = pytest.mark.skipif(gpu() is None, reason="there is no GPU here")
DRAWN = {"loss.matryoshka.dims": [32, 16, 8], "loss.matryoshka.n_dims_per_step": 2, "train.evals_per_epoch": 3}
CASES = {
    "cached": {},
    "drawn dims": DRAWN,
    "plain": {**DRAWN, "loss.name": "mnrl"},
    "static": {"model.method": "static", "train.learning_rate": 2e-2, "train.evals_per_epoch": 3},
}
PACKAGES = ("numpy", "safetensors", "tokenizers", "torch", "transformers", "sentence-transformers")

Told = Callable[[Progress], None]


def train(folder: Path, base: Path, kept: Path | None, told: Told = lambda event: None, device: str = "cuda",
          **options: Any) -> dict[str, bytes]:
    """Every file that a training in a worker writes; `told` hears what it says."""
    rows = needs(folder / "needs", base, world())
    for sub in ("out", "scratch"):
        (folder / sub).mkdir(parents=True)
    params = {**PARAMS, "train.checkpoint_minutes": 1e-6, "pin.numerics.device": device, **options}
    given = Given(5, {}, str(folder / "store"), {}, str(kept or ""))
    with Workers(str(folder / "state"), "spec") as workers:
        workers.run(Task("train", "embspec.stages.train.make:make", params, {k: str(v) for k, v in rows.items()},
                         str(folder / "out"), str(folder / "scratch"), given, PACKAGES, "native", 2,
                         log_path(str(folder / "state"), "spec", "train"), device), told)
    out = folder / "out"
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


@on_gpu
@pytest.mark.parametrize("name", CASES)
def test_a_gpu_repeats_itself_and_can_be_stopped(tmp_path: Path, name: str) -> None:
    """Two trainings are byte-equal, and so is a third that was stopped after an evaluation and went on from there."""
    options = CASES[name]
    base = (tiny_static if name == "static" else tiny_transformer)(tmp_path / "base")
    one = train(tmp_path / "one", base, None, **options)
    assert one == train(tmp_path / "other", base, None, **options)
    said: list[str] = []

    def stop(event: Progress) -> None:
        said.append(event.text)
        if event.text.startswith("step 5:" if "evals" in str(options) else "step 3:"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "stopped", base, tmp_path / "kept", stop, **options)
    resumed = train(tmp_path / "resumed", base, tmp_path / "kept", lambda event: said.append(event.text), **options)
    assert any(text.startswith("training goes on from step ") for text in said)
    assert resumed == one


@on_gpu
def test_a_gpu_trains_what_the_processor_trains(tmp_path: Path) -> None:
    """Without dropout weights and losses are near to those of the processor, and not their bytes."""
    base = tiny_transformer(tmp_path / "base", dropout=0.0)
    options = {"train.load_best_model_at_end": False}
    found = [train(tmp_path / device, base, None, device=device, **options) for device in ("cuda", "cpu")]
    assert found[0]["trace"] != found[1]["trace"]
    one, other = (load_file(tmp_path / device / "out/model/model.safetensors") for device in ("cuda", "cpu"))
    table = "embeddings.word_embeddings.weight"
    assert np.abs(one[table] - other[table]).max() < 1e-3
    assert np.abs(one[table] - load_file(base / "model.safetensors")[table]).max() > 1e-3


@on_gpu
def test_a_gpu_is_named_in_the_environment() -> None:
    """By its own name and capability."""
    here = gpu()
    assert here
    pins = {"numerics.profile": "native", "numerics.threads": "2", "numerics.device": "cuda"}
    assert environment((), pins)["device"] == f"cuda {here.name} sm_{here.capability[0]}{here.capability[1]}"


def test_the_trainer_is_told_where_to_compute(tmp_path: Path) -> None:
    """On the processor, but for `cuda`; the pin of the lock says which."""
    wish = loop.Wish(1e-3, 0.1, "linear", 0.0, None, False)
    desk = Desk(tmp_path / "scratch")
    assert loop._arguments(wish, 4, 0, desk).use_cpu
    assert not loop._arguments(wish._replace(device="cuda"), 4, 0, desk).use_cpu
