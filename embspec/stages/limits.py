"""What of the vocabulary this version builds; the rest is refused by name."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Fields that no stage sees and that are obeyed all the same: by the plan, or by people.
UNKEYED: tuple[str, ...] = (
    "embspec",
    "keys.env",
    "numerics",
    "corpus.train_on",
    "negatives.rounds",
    "eval.statistics.test",
)

# What of a field, or of all in a section, this version builds where that is not all of it.
LIMITS: Mapping[str, tuple[Any, ...]] = {
    "model.base.vectors": (),
    "model.trust_remote_code": (False,),
    "model.method": ("full", "static"),
    "negatives.miners.*.model": ("base",),
    "loss.name": (
        "CachedMultipleNegativesRankingLoss", "MultipleNegativesRankingLoss", "mnrl", "infonce",
    ),
    "train.precision": ("fp32",),
    "train.lr_scheduler_type": (
        "linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup", "inverse_sqrt",
    ),
    "train.batch_sampler": ("no_duplicates",),
    "numerics.device": ("auto", "cpu", "cuda"),
    "eval.systems": ("base", "bm25", "hybrid", "tuned", "tuned+bm25"),
    "eval.suites.*.split": ("test", "validation"),
    "index.sinks": (),
}

# A section, and the one without which nothing reads it.
REQUIRES: Mapping[str, str] = {
    "model": "pairs", **dict.fromkeys(("negatives", "loss", "train", "numerics", "export", "index"), "model"),
}

# Words of a gate's line that need what this version does not build.
GATE_METRICS: tuple[str, ...] = ("recall", "precision", "mrr", "ndcg", "hit_rate", "truncated_fraction")
GATE_REFUSED: tuple[str, ...] = ("rerank", "filter")
