"""The sections about training: negatives, loss, the trainer and its numerics."""
from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from embspec.spec.types import (
    Amount,
    AutoCount,
    AutoPositive,
    AutoText,
    Count,
    Device,
    Flag,
    Int,
    Located,
    LossName,
    Metric,
    Natural,
    Number,
    Path,
    Positive,
    Says,
    Section,
    Text,
    kind_of,
    unique,
    wrong,
)


class Window(Section):
    """Ranks that negatives are taken from; rank 0 is the best document of all."""

    range_min: Natural = Field(default=0, description="the first rank")
    range_max: Count = Field(default=100, description="the rank after the last")

    @model_validator(mode="after")
    def _opens(self) -> Window:
        if self.range_min >= self.range_max:
            raise wrong(
                "spec.conflict",
                f"no rank lies from {self.range_min} to {self.range_max}",
                "make range_max the larger",
                at="range_max",
                also="range_min",
            )
        return self


class ShortWindow(Window):
    """The window of BM25, whose good candidates end sooner."""

    range_max: Count = Field(default=50, description="the rank after the last")


Kind = Literal["dense", "bm25", "hybrid", "random", "file"]
Sampling = Literal["top", "random"]


class DenseMiner(Section):
    """Negatives near the query by a model."""

    kind: Kind = Field(description="how negatives are found")
    model: Text = Field(default="base", description="whose vectors: base, or another model's id")
    num_negatives: Count = Field(default=4, description="negatives for each query")
    window: Window = Field(default_factory=Window, description="ranks that negatives are taken from")
    sampling_strategy: Sampling = Field(default="top", description="the first that pass the guard, or drawn among them")


class Bm25Miner(Section):
    """Negatives near the query by its words."""

    kind: Literal["bm25"] = Field(description="how negatives are found")
    num_negatives: Count = Field(default=2, description="negatives for each query")
    window: ShortWindow = Field(default_factory=ShortWindow, description="ranks that negatives are taken from")
    sampling_strategy: Sampling = Field(default="top", description="the first that pass the guard, or drawn among them")


class HybridMiner(Section):
    """Negatives near the query by model and words together."""

    kind: Literal["hybrid"] = Field(description="how negatives are found")
    num_negatives: Count = Field(default=4, description="negatives for each query")
    window: Window = Field(default_factory=Window, description="ranks that negatives are taken from")
    sampling_strategy: Sampling = Field(default="top", description="the first that pass the guard, or drawn among them")


class RandomMiner(Section):
    """Negatives drawn from the whole corpus."""

    kind: Literal["random"] = Field(description="how negatives are found")
    num_negatives: Count = Field(default=2, description="negatives for each query")


class FileMiner(Section):
    """Negatives that somebody else found."""

    kind: Literal["file"] = Field(description="how negatives are found")
    path: Path = Field(description="file of the negatives: `query` or `id`, and `negatives`, a JSON object a line")
    num_negatives: Count = Field(default=4, description="negatives for each query")
    sampling_strategy: Sampling = Field(default="top", description="the first that pass the guard, or drawn among them")


def _miner_kind(value: Any) -> str:
    if not isinstance(value, dict):
        return kind_of(value)
    kind = value.get("kind")
    return f"|{kind}" if kind in ("bm25", "hybrid", "random", "file") else "|dense"


Miner = Annotated[
    Annotated[DenseMiner, Tag("|dense")]
    | Annotated[Bm25Miner, Tag("|bm25")]
    | Annotated[HybridMiner, Tag("|hybrid")]
    | Annotated[RandomMiner, Tag("|random")]
    | Annotated[FileMiner, Tag("|file")],
    Discriminator(_miner_kind),
    Says("a mapping with `kind`"),
]


def _miners() -> list[Any]:
    return [DenseMiner(kind="dense"), Bm25Miner(kind="bm25")]


Excluded = Literal["positives", "siblings", "near_duplicates", "test_documents"]


class Guard(Section):
    """What keeps true answers out of the negatives."""

    relative_margin: Amount | None = Field(
        default=0.05, description="refuses what scores within this share of the positive"
    )
    absolute_margin: Amount | None = Field(
        default=None, description="refuses what scores within this distance of the positive"
    )
    max_score: Number | None = Field(default=None, description="refuses what scores higher")
    cross_encoder: Located | None = Field(
        default=None, description="cross-encoder that has the last word: hub id, ./folder or package:NAME/FOLDER"
    )
    exclude: Annotated[list[Excluded], AfterValidator(unique), Says("a list of what is excluded")] = Field(
        default=["positives", "siblings", "near_duplicates", "test_documents"],
        description="documents that are never negatives",
    )


class Negatives(Section):
    """How hard negatives are found."""

    miners: list[Miner] = Field(default_factory=_miners, description="where negatives come from, in this order")
    guard: Guard = Field(default_factory=Guard, description="what keeps true answers out")
    on_shortage: Literal["keep", "drop", "fill_random"] = Field(
        default="keep", description="what becomes of a row with too few"
    )
    rounds: Annotated[Count, Field(le=10), Says("a whole number")] = Field(
        default=1, description="over 1 mines again with the tuned model"
    )

    @model_validator(mode="after")
    def _rounds_mine(self) -> Negatives:
        if self.rounds > 1 and not self.miners:
            raise wrong(
                "spec.conflict",
                f"{self.rounds} rounds without a miner would train on the same rows again",
                "name a miner, or train longer: train.num_train_epochs",
                at="rounds",
                also="miners",
            )
        return self


Dims = Annotated[list[Count], Field(min_length=1), AfterValidator(unique)]
AutoDims = Annotated[
    AutoText | Annotated[Dims, Tag("|list")], Discriminator(kind_of), Says("`auto` or a list of whole numbers")
]


Weights = Annotated[list[Amount], Field(min_length=1), Says("a list of numbers")]


class Matryoshka(Section):
    """Trains the first dimensions to serve alone."""

    dims: AutoDims = Field(
        default="auto", description="dimensions that serve alone; auto is full, half, a quarter … down to 64"
    )
    weights: Weights | None = Field(default=None, description="weights of the dims; null is equal")
    n_dims_per_step: Int = Field(default=-1, description="dims drawn for each step; -1 is all")

    @model_validator(mode="after")
    def _paired(self) -> Matryoshka:
        if self.weights is not None and not isinstance(self.dims, str) and len(self.weights) != len(self.dims):
            raise wrong(
                "spec.conflict",
                f"there are {len(self.weights)} weights for {len(self.dims)} dims",
                "write one weight for each of the dims",
                at="weights",
                also="dims",
            )
        if self.n_dims_per_step < 1 and self.n_dims_per_step != -1:
            raise wrong(
                "spec.range",
                f"n_dims_per_step is {self.n_dims_per_step}",
                "write -1 for all, or a number from 1",
                at="n_dims_per_step",
            )
        return self


class Regularize(Section):
    """What keeps the tuned model near the base."""

    merge_with_base: Annotated[float, Field(gt=0, lt=1), Says("a number")] | None = Field(
        default=None, description="the tuned model's share in a mean with the base: 0.7 is 0.7 tuned and 0.3 base"
    )


SHORT_LOSSES = ("mnrl", "infonce", "gist", "triplet", "cosent", "margin_mse", "kl")
Direction = Literal["query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc"]


def _loss_name(value: str) -> str:
    if value in SHORT_LOSSES or re.fullmatch(r"[A-Za-z]\w*Loss|.+\.py:[A-Za-z_]\w*", value):
        return value
    short = ", ".join(SHORT_LOSSES)
    fix = f"write a class such as CachedMultipleNegativesRankingLoss, ./losses.py:MyLoss, or one of {short}"
    raise wrong("spec.choice", f"`{value}` is not a loss", fix)


class Loss(Section):
    """What training makes small."""

    name: Annotated[LossName, AfterValidator(_loss_name)] = Field(
        default="CachedMultipleNegativesRankingLoss",
        description="a class of sentence-transformers, ./losses.py:MyLoss, or a short name",
    )
    scale: Positive = Field(default=20.0, description="what similarities are multiplied by")
    mini_batch_size: AutoCount = Field(default="auto", description="rows computed at a time by a cached loss")
    directions: Annotated[
        list[Direction], Field(min_length=1), AfterValidator(unique), Says("a list of directions")
    ] = Field(default=["query_to_doc"], description="which side has to find which")
    hardness_mode: Literal["in_batch_negatives", "hard_negatives", "all_negatives"] | None = Field(
        default=None, description="which negatives weigh more the harder they are; null is none"
    )
    matryoshka: Matryoshka | None = Field(
        default_factory=Matryoshka, description="trains the first dimensions to serve alone; null is off"
    )
    regularize: Regularize = Field(default_factory=Regularize, description="what keeps the model near its base")


class EarlyStopping(Section):
    """When training stops before its end."""

    patience: Count = Field(default=3, description="evaluations without a gain")
    metric: Metric = Field(default="ndcg@10", description="what has to gain")


Scheduler = Literal[
    "linear",
    "cosine",
    "cosine_with_restarts",
    "polynomial",
    "constant",
    "constant_with_warmup",
    "inverse_sqrt",
    "cosine_with_min_lr",
    "warmup_stable_decay",
]


def _plain(item: Any) -> bool:
    return item is None or isinstance(item, (str, bool, int, float))


def _arguments(value: dict[str, Any]) -> dict[str, Any]:
    for name, item in value.items():
        if name in Train.model_fields and name != "args":
            raise wrong("spec.conflict", f"`{name}` has a field of its own", f"write it as train.{name}", at=name)
        if not _plain(item) and not (isinstance(item, list) and all(map(_plain, item))):
            raise wrong("spec.type", f"`train.args.{name}` expects a plain value or a list of them", at=name)
    return {
        name: [_number(i) for i in item] if isinstance(item, list) else _number(item) for name, item in value.items()
    }


def _number(item: Any) -> Any:
    # These have no types of their own to tell 1 from 1.0, so both are the whole number.
    return int(item) if isinstance(item, float) and item.is_integer() else item


Arguments = Annotated[
    dict[str, Any], AfterValidator(_arguments), Says("a mapping of training arguments to plain values")
]


class Train(Section):
    """The trainer, by the names transformers gives its arguments."""

    num_train_epochs: Positive = Field(default=1.0, description="times the training pairs are seen")
    per_device_train_batch_size: Count = Field(default=128, description="rows of a batch")
    learning_rate: AutoPositive = Field(
        default="auto", description="auto is 2e-5 full, 2e-4 lora, 1e-3 adapter, 2e-2 static"
    )
    warmup_steps: Amount = Field(default=0.1, description="steps of warm-up; under 1 a share of all")
    lr_scheduler_type: Scheduler = Field(default="linear", description="how the learning rate falls")
    weight_decay: Amount = Field(default=0.0, description="how weights are drawn to zero")
    batch_sampler: Literal["no_duplicates", "batch_sampler", "group_by_label"] = Field(
        default="no_duplicates", description="which rows may share a batch; no_duplicates minds groups too"
    )
    multi_dataset_batch_sampler: Literal["proportional", "round_robin"] = Field(
        default="proportional", description="how batches are drawn from several sources"
    )
    precision: Literal["fp32", "bf16"] = Field(default="fp32", description="numbers that training computes with")
    early_stopping: EarlyStopping | None = Field(
        default_factory=EarlyStopping, description="stops when nothing gains; null is off"
    )
    load_best_model_at_end: Flag = Field(default=True, description="keep the best checkpoint, not the last")
    evals_per_epoch: AutoCount = Field(
        default="auto", description="checkpoints in an epoch; auto is 1 to 4, at most a quarter of the time"
    )
    checkpoint_minutes: Positive = Field(default=5.0, description="minutes between points to resume from")
    world_size: Count = Field(default=1, description="processes that train together; it changes the result")
    max_seconds: Count | None = Field(default=None, description="training stops here; the step is pinned and replayed")
    args: Arguments = Field(default={}, description="other training arguments by name")


AutoThreads = Annotated[
    AutoText | Annotated[Annotated[Count, Field(le=1024)], Tag("|number")],
    Discriminator(kind_of),
    Says("`auto` or a whole number"),
]


class Numerics(Section):
    """How floating-point results are made to repeat."""

    profile: Literal["auto", "avx2", "native"] = Field(
        default="auto", description="code path of the processor; auto is pinned"
    )
    threads: AutoThreads = Field(
        default="auto", description="compute threads, which change training's result; auto is pinned"
    )
    device: Device = Field(
        default="auto",
        description="where training runs and documents are searched; auto trains on the processor, and searches on a "
        "GPU where there is one; vectors are computed on the processor",
    )
