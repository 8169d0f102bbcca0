"""A small world to train in: what `negatives` and `split` hand over, and the stage run over it."""
from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from embspec.plan.protocol import Made
from tests.support.desk import Desk

WORDS = (
    "pump", "valve", "motor", "engine", "belt", "wheel", "gate", "door", "key", "lock", "lamp", "bell", "rope", "chain",
    "boat", "ship", "harbour", "crane", "dock", "tide", "wind", "rain", "snow", "storm", "invoice", "account", "money",
    "bank", "tax", "leave", "holiday", "work", "office", "store", "room", "house", "kitchen", "road", "train", "car",
    "truck", "load", "lift", "weight", "speed", "heat", "noise", "error", "code", "fault", "reset", "file", "server",
)
PARAMS: Mapping[str, Any] = {
    "seed": 1,
    "model.method": "full",
    "loss.name": "CachedMultipleNegativesRankingLoss",
    "loss.scale": 20.0,
    "loss.mini_batch_size": "auto",
    "loss.directions": ["query_to_doc"],
    "loss.hardness_mode": None,
    "loss.matryoshka.dims": "auto",
    "loss.matryoshka.weights": None,
    "loss.matryoshka.n_dims_per_step": -1,
    "loss.regularize.merge_with_base": None,
    "train.num_train_epochs": 2.0,
    "train.per_device_train_batch_size": 16,
    "train.learning_rate": 1e-3,
    "train.warmup_steps": 0.1,
    "train.lr_scheduler_type": "linear",
    "train.weight_decay": 0.0,
    "train.batch_sampler": "no_duplicates",
    "train.early_stopping.patience": 3,
    "train.early_stopping.metric": "ndcg@10",
    "train.load_best_model_at_end": True,
    "train.evals_per_epoch": "auto",
    "train.precision": "fp32",
    "train.checkpoint_minutes": 5.0,
    "train.max_seconds": None,
    "pin.numerics.profile": "native",
    "pin.numerics.threads": 1,
}

Row = dict[str, Any]


class World(NamedTuple):
    """The rows of the three files."""

    examples: Sequence[Row]
    validation: Sequence[Row]
    pool: Sequence[Row]


class Result(NamedTuple):
    """What a run of the stage left."""

    made: Made
    out: Path
    desk: Desk

    @property
    def model(self) -> Path:
        """The folder of the model."""
        return self.out / "model"

    def files(self) -> dict[str, bytes]:
        """Every file of every artefact."""
        found = sorted(path for path in self.out.rglob("*") if path.is_file())
        return {str(path.relative_to(self.out)): path.read_bytes() for path in found}

    @property
    def said(self) -> list[str]:
        """The words of progress."""
        return [event.text for event in self.desk.told]


def world(rows: int = 48, negatives: int | None = None, seed: int = 1) -> World:
    """Questions made of four words of their answer; each row has 0 to 3 negatives, or so many."""
    drawn = random.Random(seed)
    documents = {f"d{n}": " ".join(drawn.choice(WORDS) for _ in range(drawn.randint(5, 60))) for n in range(60)}
    ids, tested = list(documents)[:40], list(documents)[40:]

    def one(id: str) -> Row:
        return {"id": id, "text": documents[id]}

    def question(id: str) -> str:
        return " ".join(drawn.sample(documents[id].split(), 4))

    examples = []
    for n in range(rows):
        right = ids[n % len(ids)]
        wrong = drawn.sample([id for id in ids if id != right], drawn.randint(0, 3) if negatives is None else negatives)
        examples.append({"id": f"q{n}", "query": question(right), "positives": [one(right)],
                         "negatives": [one(id) for id in wrong], "cluster": right})
    validation = [{"id": f"v{id}", "query": question(id), "positives": [{"id": id, "grade": 1}]} for id in tested]
    pool = [{"id": id, "positive": id in tested, "title": "", "text": documents[id]} for id in (*tested, *ids)]
    return World(examples, validation, pool)


def apart(rows: int, negatives: int, seed: int = 1) -> World:
    """Examples whose documents are all different, so that a batch is what any trainer would make of it."""
    drawn = random.Random(seed)

    def one(id: str) -> Row:
        return {"id": id, "text": " ".join(drawn.choice(WORDS) for _ in range(drawn.randint(8, 60)))}

    examples = []
    for n in range(rows):
        right = one(f"p{n}")
        examples.append({"id": f"q{n}", "query": " ".join(drawn.sample(right["text"].split(), 5)), "positives": [right],
                         "negatives": [one(f"n{n}-{m}") for m in range(negatives)], "cluster": f"p{n}"})
    return World(examples, [], [])


def needs(folder: Path, base: Path, rows: World) -> dict[str, Path]:
    """What the stage is handed."""
    folder.mkdir(parents=True, exist_ok=True)
    roles = {"negatives/examples.jsonl": rows.examples, "split/validation.jsonl": rows.validation,
             "split/pool.jsonl": rows.pool}
    made = {"base/base": base}
    for role, some in roles.items():
        made[role] = folder / role.replace("/", "-")
        made[role].write_text("".join(json.dumps(one) + "\n" for one in some), encoding="utf-8")
    return made


def run(folder: Path, base: Path, rows: World, *, seed: int = 5, desk: Desk | None = None, **options: Any) -> Result:
    """Run the stage; an option `loss__name` is the field `loss.name`, and None of a section leaves it out."""
    from embspec.stages.train.make import make

    params = dict(PARAMS)
    for name, value in options.items():
        field = name.replace("__", ".")
        if value is None:
            for inner in [path for path in params if path.startswith(f"{field}.")]:
                del params[inner]
        params[field] = value
    out, desk = folder / "out", desk or Desk(folder / "scratch", seed=seed)
    out.mkdir(parents=True)
    return Result(make(params, needs(folder / "needs", base, rows), out, desk), out, desk)
