"""The same bytes in every process, and the same training as the plain library's."""
from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset  # type: ignore[import-untyped]
from safetensors.numpy import load_file
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.sentence_transformer.losses import MatryoshkaLoss, MultipleNegativesRankingLoss
from torch.utils.data import BatchSampler

from embspec.stages.train.batches import plan
from embspec.stages.train.collate import Planned
from embspec.stages.train.examples import Examples, read
from tests.support.lessons import apart, needs, run, world
from tests.support.tiny import tiny_static, tiny_transformer

ROOT = Path(__file__).parents[3]
FRESH = """
import os, sys
from pathlib import Path
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from tests.stages.train.test_train_repeats import lessons
lessons(Path(sys.argv[1]))
"""


def lessons(folder: Path) -> None:
    """Three trainings with two threads, from the same seeds."""
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    random.seed(5)
    np.random.seed(5)
    torch.manual_seed(5)
    more = {"loss__matryoshka__dims": [32, 16, 8], "loss__matryoshka__n_dims_per_step": 2}
    for name, make, options in (
        ("transformer", tiny_transformer, more),
        ("plain", tiny_transformer, {**more, "loss__name": "mnrl"}),
        ("static", tiny_static, {"model__method": "static", "train__learning_rate": 2e-2}),
    ):
        run(folder / name, make(folder / f"{name}-base"), world(96), **options, train__load_best_model_at_end=False)


def written(folder: Path) -> dict[str, bytes]:
    """What they wrote, by run and file."""
    names = ("model.safetensors", "trace")
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.name in names and "out" in path.parts}


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    """Two threads, dropout and drawn dims: a fresh process, given one core alone, writes the same model and trace."""
    lessons(tmp_path / "one")
    (tmp_path / "other").mkdir()
    env = os.environ | {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONHASHSEED": "5"}
    subprocess.run([sys.executable, "-c", FRESH, str(tmp_path / "other")], cwd=ROOT, env=env, check=True)
    one, other = written(tmp_path / "one"), written(tmp_path / "other")
    assert len(one) == 6
    assert {name for name in one if one[name] != other[name]} == set() and one.keys() == other.keys()
    assert one["plain/out/model/model.safetensors"] != one["transformer/out/model/model.safetensors"]


class Plain(SentenceTransformerTrainer):
    """The library's trainer, told which rows are a batch."""

    batches: list[list[int]]

    def get_batch_sampler(self, *args: Any, **kwargs: Any) -> BatchSampler:
        """The same batches."""
        return Planned(self.batches)

    def add_model_card_callback(self, *args: Any, **kwargs: Any) -> None:
        """No card."""


def theirs(folder: Path, base: Path, examples: Examples, batches: list[list[int]]) -> list[float]:
    """The losses of a plain training, saved under the folder."""
    model = SentenceTransformer(str(base), device="cpu")
    columns = {"anchor": [examples.queries[row.query] for row in examples.rows],
               "positive": [examples.documents[row.positive] for row in examples.rows]}
    columns |= {f"negative_{n}": [examples.documents[row.negatives[n]] for row in examples.rows] for n in range(2)}
    loss = MatryoshkaLoss(model, MultipleNegativesRankingLoss(model), [32, 16])
    args = SentenceTransformerTrainingArguments(
        output_dir=str(folder / "trainer"), max_steps=len(batches), learning_rate=1e-3, warmup_steps=2, use_cpu=True,
        disable_tqdm=True, report_to="none", save_strategy="no", logging_steps=1, dataloader_pin_memory=False)
    trainer = Plain(model, args, train_dataset=Dataset.from_dict(columns), loss=loss)
    trainer.batches = batches
    trainer.train()
    model.save(str(folder / "model"), create_model_card=False)
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.parametrize("name", ["mnrl", "CachedMultipleNegativesRankingLoss"])
def test_the_training_is_the_librarys(tmp_path: Path, name: str) -> None:
    """Without dropout, and where no document is shared, losses and vectors are those of a plain trainer to 1e-5."""
    base = tiny_transformer(tmp_path / "base", dropout=0.0)
    some = apart(64, 2)
    ours = run(tmp_path / "ours", base, some, loss__name=name, train__warmup_steps=2,
               loss__matryoshka__dims=[32, 16], train__load_best_model_at_end=False)
    examples = read(needs(tmp_path / "theirs", base, some)["negatives/examples.jsonl"])
    expected = theirs(tmp_path / "theirs", base, examples, plan(examples.rows, 16, 2.0, 5))
    losses = [loss for _, loss, _ in struct.iter_unpack("<Qdd", ours.files()["trace"])]
    assert losses == pytest.approx(expected, abs=1e-5) and len(losses) == 8
    texts = [*examples.queries, *examples.documents]
    one, other = (SentenceTransformer(str(folder), device="cpu").encode(texts)
                  for folder in (ours.model, tmp_path / "theirs" / "model"))
    assert np.abs(one - other).max() < 1e-5
    before = SentenceTransformer(str(base), device="cpu").encode(texts)
    assert np.abs(one - before).max() > 1e-2
    table = "embeddings.word_embeddings.weight"
    one, other = (load_file(folder / "model.safetensors")[table] for folder in (ours.model, tmp_path / "theirs/model"))
    assert np.abs(one - other).max() < 1e-5
