"""The work of `train`: read, plan, train, choose the best checkpoint, write the folder and the trace."""
from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from embspec.errors import fail
from embspec.plan.protocol import Desk, Made, Params, Progress
from embspec.stages.dims import dims
from embspec.stages.train import batches, checkpoints, examples, loop, losses, weights
from embspec.stages.train.checkpoints import Bench, Times
from embspec.stages.train.collate import Material, Work, work
from embspec.stages.train.loop import Outcome
from embspec.stages.train.model import GroupedModel, load
from embspec.stages.train.texts import Texts

# The others need arguments of their own, which there is no field for yet.
SCHEDULES = ("linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup",
             "inverse_sqrt")
BASE, TUNED = "base/base", "train/model"  # a later round goes on from what the one before it trained
STOP = re.compile(r"([1-9]\d*) of (\d+) s")  # the step where the time was over
METRIC = "ndcg@10"  # of checkpoints, where nothing asks for early stopping by another


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write `model`, the base's folder with trained weights, and `trace`, 24 bytes for each step."""
    _as_built(params)
    found = examples.read(needs["negatives/examples.jsonl"])
    loop.quiet()
    first = TUNED not in needs
    model = load(needs[BASE if first else TUNED])
    _fits(params, model)
    weights.freeze_unwritten(model, needs[BASE])
    wish = _loss(params, model)
    loss = losses.build(model, wish)
    material = _material(params, model, found, desk)
    size = work(material)
    bench = _bench(params, needs, model)
    when = _times(params, len(material.batches), size, bench)
    outcome = loop.train(model, loss, material, _trainer(params), bench, when.steps, desk)
    model_folder = out / "model"
    weights.write(model, needs[BASE], model_folder, params["loss.regularize.merge_with_base"])
    (out / "trace").write_bytes(outcome.trace)
    return Made(_stat(params, found.asked, wish, outcome, "base" if first else "before"), _pins(params, outcome),
                _counts(model, size, material, outcome))


def _as_built(params: Params) -> None:
    """The street refuses these before a build; here they are never ignored."""
    for field, built in (
        ("model.method", ("full", "static")),
        ("train.precision", ("fp32",)),
        ("train.batch_sampler", ("no_duplicates", "batch_sampler")),
        ("train.lr_scheduler_type", SCHEDULES),
    ):
        if params[field] not in built:
            raise fail("spec.not-built", f"`{params[field]}` is not built yet by this version of embspec",
                       fix=f"it builds {', '.join(built)}", field=field)


def _fits(params: Params, model: GroupedModel) -> None:
    if params["model.method"] == "static" and hasattr(model[0], "auto_model"):
        raise fail("spec.conflict", "the base is a transformer, which the method `static` cannot train",
                   fix="write model.method: full, or name a static base", field="model.method")
    if params["model.method"] == "full" and not hasattr(model[0], "auto_model"):
        raise fail("spec.conflict", "the base is a table of vectors, which the method `full` does not suit",
                   fix="write model.method: static", field="model.method")
    unit = any(type(module).__name__ == "Normalize" for module in model)
    if model.similarity_fn_name == "dot" and not unit and params.get("loss.matryoshka.dims") is not None:
        # Matryoshka compares cut vectors at length 1, so that lengths, which serve by dot, would not be trained.
        raise fail("spec.conflict", "this base is compared by dot and its vectors have lengths of their own, which "
                   "Matryoshka does not train", fix="write `loss: {matryoshka: null}`, or similarity_fn_name: cosine",
                   field="loss.matryoshka")


def _loss(params: Params, model: GroupedModel) -> losses.Wish:
    full = cast(int, model.get_embedding_dimension())
    wanted = params.get("loss.matryoshka.dims")
    some: list[int] = dims(full, wanted) if wanted is not None else []
    weighed = params.get("loss.matryoshka.weights")
    if weighed is not None and len(weighed) != len(some):
        raise fail("spec.conflict", f"there are {len(weighed)} weights for {len(some)} dims: {some}",
                   fix="write one weight for each of the dims", field="loss.matryoshka.weights")
    if weighed is not None and isinstance(wanted, list):
        # The weights stand in the order of the dims as they were written.
        own = dict(zip(wanted, weighed, strict=True))
        weighed = [own[dim] for dim in some]
    mini = params["loss.mini_batch_size"]
    return losses.Wish(
        params["loss.name"],
        params["loss.scale"],
        None if mini == "auto" else mini,
        tuple(params["loss.directions"]),
        params["loss.hardness_mode"],
        some,
        weighed,
        params.get("loss.matryoshka.n_dims_per_step", -1),
    )


def _material(params: Params, model: GroupedModel, found: examples.Examples, desk: Desk) -> Material:
    desk.tell(Progress(f"planning the batches of {len(found.rows)} rows"))
    planned = batches.plan(
        found.rows,
        params["train.per_device_train_batch_size"],
        params["train.num_train_epochs"],
        desk.seed,
        apart=params["train.batch_sampler"] == "no_duplicates",
    )
    size, asked = max(map(len, planned)), params["train.per_device_train_batch_size"]
    if 2 * size < min(asked, len(found.rows)):
        desk.tell(Progress(f"batches hold {size} rows, not {asked}: so many rows share a question, answer or group"))
    queries = Texts(model, found.queries, model.prompts.get("query"))
    return Material(found, planned, queries, Texts(model, found.documents, model.prompts.get("document")))


def _metric(params: Params) -> str:
    return params.get("train.early_stopping.metric") or METRIC


def _bench(params: Params, needs: Mapping[str, Any], model: GroupedModel) -> Bench | None:
    pool = checkpoints.read(needs["split/validation.jsonl"], needs["split/pool.jsonl"], _metric(params))
    return Bench(model, pool, model.prompts) if pool.questions else None


def _times(params: Params, total: int, size: Work, bench: Bench | None) -> Times:
    if bench is None:
        return Times((), 0)
    asked = params["train.evals_per_epoch"]
    when = checkpoints.times(
        total, params["train.num_train_epochs"], None if asked == "auto" else asked, bench.work(size.tokens)
    )
    bench.size = when.documents
    return when


def _trainer(params: Params) -> loop.Wish:
    return loop.Wish(
        params["train.learning_rate"],
        params["train.warmup_steps"],
        params["train.lr_scheduler_type"],
        params["train.weight_decay"],
        params.get("train.early_stopping.patience"),
        params["train.load_best_model_at_end"],
        params["train.checkpoint_minutes"],
        params["train.max_seconds"],
        _stop(params),
        params.get("pin.numerics.device") or "cpu",
    )


def _stop(params: Params) -> int | None:
    """The step where the training that the lock knows was ended by its time; with another time it is found anew."""
    limit = params["train.max_seconds"]
    pin = params["pin.stop"] if limit is not None else None
    if pin is None:
        return None
    found = STOP.fullmatch(str(pin))
    if not found:
        raise fail("lock.pin", f"the lock's pin `stop` of stage train is `{pin}`, expected `12 of 60 s`",
                   fix="restore the lock from git, or take it anew: embspec lock --upgrade train.stop",
                   field="train.max_seconds")
    return int(found[1]) if int(found[2]) == limit else None


def _pins(params: Params, outcome: Outcome) -> dict[str, str]:
    """Where training ended is found by its clock once, and then replayed."""
    limit = params["train.max_seconds"]
    return {} if limit is None else {"stop": f"{_stop(params) or outcome.steps} of {limit} s"}


def _stat(params: Params, count: int, wish: losses.Wish, outcome: Outcome, begun: str) -> dict[str, Any]:
    stat: dict[str, Any] = {"examples": count, "steps": outcome.steps}
    if wish.dims:
        stat["dims"] = " ".join(map(str, wish.dims))
    if outcome.base is None or outcome.taken is None:
        return stat
    metric, name = _metric(params), "best" if params["train.load_best_model_at_end"] else "last"
    if params["loss.regularize.merge_with_base"] is not None:
        name += " before merging"
    return stat | {
        name: f"step {outcome.taken.step} {metric} {outcome.taken.value:.4f}",
        begun: f"{metric} {outcome.base.value:.4f}",
    }


def _counts(model: GroupedModel, size: Work, material: Material, outcome: Outcome) -> dict[str, int]:
    counts = {
        "steps": outcome.steps,
        "rows": sum(map(len, material.batches[: outcome.steps])),
        "encoded": model.ran,
        "negatives": size.negatives,
        "negatives_left_out": size.left_out,
    }
    return counts if outcome.resumed is None else {**counts, "resumed": outcome.resumed}
