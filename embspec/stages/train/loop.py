"""The training itself: sentence-transformers' trainer over planned batches, each step traced."""
from __future__ import annotations

import logging
import shutil
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
from embspec.measure.trace import RECORD
from embspec.plan.protocol import Desk, Progress
from embspec.stages.train import weights
from embspec.stages.train.checkpoints import Bench
from embspec.stages.train.collate import Collator, Material, Planned
from embspec.stages.train.model import GroupedModel
from embspec.stages.train.resume import Engine, Keeper, bring_back

TOLD = 20  # steps between two words of progress
MINUTES = 5.0  # between two checkpoints
CUDA = "cuda"


class Wish(NamedTuple):
    """What the spec asks of the trainer."""

    rate: float
    warmup: float  # under 1 a share of all steps
    schedule: str
    decay: float
    patience: int | None
    keep_best: bool
    minutes: float = MINUTES  # between points to resume from
    seconds: int | None = None  # training ends with the first step after so many
    stop: int | None = None  # the step where an earlier run ended for that: this one does too, whatever the clock says
    device: str = "cpu"


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
    resumed: int | None = None  # the step that this process went on from


def train(
    model: GroupedModel, loss: nn.Module, material: Material, wish: Wish, bench: Bench | None,
    steps: tuple[int, ...], desk: Desk,
) -> Outcome:
    """Train the model in place; afterwards it is the best checkpoint, or the last one where that is wished."""
    quiet()
    last = min(len(material.batches), wish.stop or len(material.batches))
    keeper = Keeper(desk, wish.minutes, last)
    checks = Checks(model, bench, steps, wish, last, keeper, desk)
    trainer = Trainer(model, _arguments(wish, len(material.batches), checks.before, desk), material, loss, checks, desk)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(checks)
    trainer.train()
    model.cpu()  # what is written is written from there
    done, resumed = trainer.step, keeper.found.step if keeper.found else None
    if not wish.keep_best:
        return Outcome(done, checks.base, checks.last, b"".join(trainer.trace), resumed)
    if checks.best is not None and checks.best.step != done:
        weights.bring_back(model, checks.kept)
    return Outcome(done, checks.base, checks.best, b"".join(trainer.trace), resumed)


def _arguments(wish: Wish, total: int, before: int, desk: Desk) -> SentenceTransformerTrainingArguments:
    return SentenceTransformerTrainingArguments(
        output_dir=str(desk.scratch / "trainer"),
        max_steps=total - before,
        learning_rate=wish.rate,
        warmup_steps=int(wish.warmup) if wish.warmup >= 1 else ceil(wish.warmup * total),
        lr_scheduler_type=wish.schedule,
        weight_decay=wish.decay,
        optim="adamw_torch_fused",
        seed=desk.seed % 2**32,
        use_cpu=wish.device != CUDA,
        dataloader_pin_memory=False,
        disable_tqdm=True,
        eval_strategy="no",
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
    )


class Checks(TrainerCallback):
    """Measures at the planned steps, keeps the best weights, ends the training when patience or time is over.

    The base is the first candidate: a training that only lost on validation ships what it began with. Of two equal
    checkpoints the earlier stays. A training that its time ends is measured there too, so that it has a candidate.
    """

    def __init__(
        self, model: GroupedModel, bench: Bench | None, steps: tuple[int, ...], wish: Wish, last: int, keeper: Keeper,
        desk: Desk,
    ) -> None:
        self.kept: Path = desk.scratch / "best.safetensors"
        self.base: Score | None = None
        self.best: Score | None = None
        self.last: Score | None = None
        self.before = keeper.found.step if keeper.found else 0  # steps that an earlier process made
        self.keeper = keeper
        self._model, self._bench, self._steps, self._wish, self._desk = model, bench, steps, wish, desk
        self._end, self._without_gain = last, 0
        self._began = desk.seconds()
        if keeper.found:
            self._bring_back(keeper.found.facts, keeper.found.parts)

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        """The base before the first step."""
        if not self.keeper.found:
            self.base = self._check(0)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A checkpoint where one is planned, and where the training ends."""
        step = self.before + state.global_step
        ended = step == self._end or self._over()
        if (ended or step in self._steps) and self._check(step) is not None:
            ended = ended or (self._wish.patience is not None and self._without_gain >= self._wish.patience)
        control.should_training_stop = control.should_training_stop or ended

    def facts(self) -> Mapping[str, Any]:
        """What was measured so far, for a checkpoint."""
        return {"base": self.base, "best": self.best, "last": self.last, "without_gain": self._without_gain,
                "seconds": self._seconds(), "ran": self._model.ran}

    def best_weights(self) -> tuple[int, Path] | None:
        """The best step so far and its weights."""
        return (self.best.step, self.kept) if self.best and self._wish.keep_best else None

    def _bring_back(self, facts: Mapping[str, Any], parts: Mapping[str, Path]) -> None:
        self.base, self.best, self.last = (Score(*facts[k]) if facts[k] else None for k in ("base", "best", "last"))
        self._without_gain, self._model.ran = facts["without_gain"], facts["ran"]
        self._began -= facts["seconds"]
        if "best" in parts:
            shutil.copyfile(parts["best"], self.kept)

    def _seconds(self) -> float:
        """What training has taken, in all processes up to this one."""
        return self._desk.seconds() - self._began

    def _over(self) -> bool:
        wish = self._wish
        return wish.stop is None and wish.seconds is not None and self._seconds() >= wish.seconds

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


class Trainer(SentenceTransformerTrainer):
    """The trainer over batches that were planned; it notes the batch, the loss and the gradient of each step.

    The library's own way to resume unpickles what it finds. Here its trainer is given the batches that are left, and
    before the first of them everything that moves is set to what it was there.
    """

    def __init__(
        self, model: GroupedModel, args: SentenceTransformerTrainingArguments, material: Material, loss: nn.Module,
        checks: Checks, desk: Desk,
    ) -> None:
        rows = datasets.Dataset.from_dict({"row": list(range(len(material.examples.rows)))})
        super().__init__(model, args, train_dataset=rows, loss=loss, data_collator=cast(Any, Collator(material)))
        self.trace: list[bytes] = []
        self._material, self._checks, self._desk = material, checks, desk
        self._left = checks.keeper.found

    @property
    def step(self) -> int:
        """Steps made so far, those of earlier processes too."""
        return self._checks.before + int(self.state.global_step)

    def get_batch_sampler(self, *args: Any, **kwargs: Any) -> BatchSampler:
        """The planned batches, in the place of a sampler of the library's."""
        return Planned(self._material.batches[self._checks.before :])

    def create_scheduler(self, num_training_steps: int, *args: Any, **kwargs: Any) -> Any:
        """The schedule of the whole training, however much of it is left."""
        return super().create_scheduler(len(self._material.batches), *args, **kwargs)

    def add_model_card_callback(self, *args: Any, **kwargs: Any) -> None:
        """No card: it would hold seconds and sentences of the data, and embspec writes its own."""

    def training_step(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Tensor:
        """One step up to its gradient, which is noted before it is clipped."""
        self._between_steps()
        loss: Tensor = super().training_step(model, inputs, *args, **kwargs)
        step, value = self.step, loss.item()
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
        self.trace.append(RECORD.pack(digest, value, norm))
        if step % TOLD == 0:
            total = len(self._material.batches)
            self._desk.tell(Progress(f"step {step + 1} of {total}, loss {value:.4f}", step + 1, total))
        return loss

    def _between_steps(self) -> None:
        """Training is brought back where it is kept, after a step and all that follows it, so that nothing is between.

        No batch that the loader has read ahead counts: to read one draws no random number.
        """
        engine = Engine(cast(nn.Module, self.loss), self.optimizer, self.lr_scheduler)
        checks, keeper = self._checks, self._checks.keeper
        if self._left:
            self.trace = [bring_back(self._left, engine)]
            self._left = None
        elif keeper.due(checks.last is not None and checks.last.step == self.step):
            keeper.keep(self.step, engine, checks.facts(), b"".join(self.trace), checks.best_weights())


def _norm(model: nn.Module) -> float:
    each = [torch.linalg.vector_norm(one.grad) for one in model.parameters() if one.grad is not None]
    return torch.linalg.vector_norm(torch.stack(each)).item() if each else 0.0


def quiet() -> None:
    """The libraries' bars and remarks are no facts about the model; errors still come through."""
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    datasets.disable_progress_bars()
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
