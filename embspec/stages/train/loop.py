"""The training itself: sentence-transformers' trainer over planned batches, each step traced."""
from __future__ import annotations

import logging
import struct
from collections.abc import Mapping
from math import ceil, isfinite
from pathlib import Path
from typing import Any, NamedTuple, cast

import datasets  # type: ignore[import-untyped]
import torch
import xxhash
from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from torch import Tensor, nn
from torch.utils.data import BatchSampler
from transformers import PrinterCallback, TrainerCallback
from transformers.utils import logging as transformers_logging

from embspec.errors import fail
from embspec.plan.protocol import Desk, Progress
from embspec.stages.train import weights
from embspec.stages.train.checkpoints import Bench
from embspec.stages.train.collate import Collator, Material, Planned
from embspec.stages.train.model import GroupedModel

TOLD = 20  # steps between two words of progress


class Wish(NamedTuple):
    """What the spec asks of the trainer."""

    rate: float
    warmup: float  # under 1 a share of all steps
    schedule: str
    decay: float
    patience: int | None
    keep_best: bool


class Score(NamedTuple):
    """What validation gave after a step."""

    step: int
    value: float


class Outcome(NamedTuple):
    """What training came to; without validation there is no score."""

    steps: int
    base: Score | None
    taken: Score | None  # of the checkpoint that the model is
    trace: bytes


def train(
    model: GroupedModel, loss: nn.Module, material: Material, wish: Wish, bench: Bench | None,
    steps: tuple[int, ...], desk: Desk,
) -> Outcome:
    """Train the model in place; afterwards it is the best checkpoint, or the last one where that is wished."""
    quiet()
    checks = Checks(model, bench, steps, wish, desk)
    trainer = Trainer(model, _arguments(wish, len(material.batches), desk), material, loss, desk)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(checks)
    trainer.train()
    done = trainer.state.global_step
    if not wish.keep_best:
        return Outcome(done, checks.base, checks.last, b"".join(trainer.trace))
    if checks.best is not None and checks.best.step != done:
        weights.bring_back(model, checks.kept)
    return Outcome(done, checks.base, checks.best, b"".join(trainer.trace))


def _arguments(wish: Wish, total: int, desk: Desk) -> SentenceTransformerTrainingArguments:
    return SentenceTransformerTrainingArguments(
        output_dir=str(desk.scratch / "trainer"),
        max_steps=total,
        learning_rate=wish.rate,
        warmup_steps=int(wish.warmup) if wish.warmup >= 1 else ceil(wish.warmup * total),
        lr_scheduler_type=wish.schedule,
        weight_decay=wish.decay,
        optim="adamw_torch_fused",
        seed=desk.seed % 2**32,
        use_cpu=True,
        dataloader_pin_memory=False,
        disable_tqdm=True,
        eval_strategy="no",
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
    )


class Trainer(SentenceTransformerTrainer):
    """The trainer over batches that were planned; it notes the batch, the loss and the gradient of each step."""

    def __init__(
        self, model: GroupedModel, args: SentenceTransformerTrainingArguments, material: Material, loss: nn.Module,
        desk: Desk,
    ) -> None:
        rows = datasets.Dataset.from_dict({"row": list(range(len(material.examples.rows)))})
        super().__init__(model, args, train_dataset=rows, loss=loss, data_collator=cast(Any, Collator(material)))
        self.trace: list[bytes] = []
        self._material, self._desk = material, desk

    def get_batch_sampler(self, *args: Any, **kwargs: Any) -> BatchSampler:
        """The planned batches, in the place of a sampler of the library's."""
        return Planned(self._material.batches)

    def add_model_card_callback(self, *args: Any, **kwargs: Any) -> None:
        """No card: it would hold seconds and sentences of the data, and embspec writes its own."""

    def training_step(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Tensor:
        """One step up to its gradient, which is noted before it is clipped."""
        loss: Tensor = super().training_step(model, inputs, *args, **kwargs)
        step, value = self.state.global_step, loss.item()
        norm = _norm(model)
        if not (isfinite(value) and isfinite(norm)):
            raise fail(
                "stage.diverged",
                f"the loss of step {step + 1} is {value}, the norm of its gradient {norm}",
                fix=f"lower train.learning_rate; it is {self.args.learning_rate}",
                field="train.learning_rate",
            )
        rows = "\n".join(self._material.examples.rows[at].id for at in self._material.batches[step])
        digest = xxhash.xxh3_64_intdigest(rows.encode("utf-8", "surrogatepass"))
        self.trace.append(struct.pack("<Qdd", digest, value, norm))
        if step % TOLD == 0:
            total = len(self._material.batches)
            self._desk.tell(Progress(f"step {step + 1} of {total}, loss {value:.4f}", step + 1, total))
        return loss


def _norm(model: nn.Module) -> float:
    each = [torch.linalg.vector_norm(one.grad) for one in model.parameters() if one.grad is not None]
    return torch.linalg.vector_norm(torch.stack(each)).item() if each else 0.0


class Checks(TrainerCallback):
    """Measures at the planned steps, keeps the best weights, stops when patience is at its end.

    The base is the first candidate: a training that only lost on validation ships what it began with. Of two equal
    checkpoints the earlier stays.
    """

    def __init__(
        self, model: GroupedModel, bench: Bench | None, steps: tuple[int, ...], wish: Wish, desk: Desk
    ) -> None:
        self.kept: Path = desk.scratch / "best.safetensors"
        self.base: Score | None = None
        self.best: Score | None = None
        self.last: Score | None = None
        self._model, self._bench, self._steps, self._wish, self._desk = model, bench, steps, wish, desk
        self._without_gain = 0

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        """The base before the first step."""
        self.base = self._check(0)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Mapping[str, Any]) -> None:
        """A checkpoint where one is planned."""
        if state.global_step not in self._steps or self._check(state.global_step) is None:
            return
        if self._wish.patience is not None and self._without_gain >= self._wish.patience:
            control.should_training_stop = True

    def _check(self, step: int) -> Score | None:
        if self._bench is None:
            return None
        self.last = found = Score(step, self._bench.measure())
        if self.best is None or found.value > self.best.value:
            self.best, self._without_gain = found, 0
            if self._wish.keep_best:
                weights.keep(self._model, self.kept)
        else:
            self._without_gain += 1
        self._desk.tell(Progress(f"step {step}: {self._bench.metric} {found.value:.4f} on validation", step))
        return found


def quiet() -> None:
    """The libraries' bars and remarks are no facts about the model; errors still come through."""
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    datasets.disable_progress_bars()
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
