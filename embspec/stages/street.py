"""The declarations of all stages, in order: the whole graph on one page."""
from __future__ import annotations

from collections.abc import Mapping, Sequence

from embspec.plan.protocol import Follow, Params, Stage
from embspec.stages.live import base_files, base_sticky, corpus_files, pairs_files

# Raised when equal inputs would give other bytes; a stage names those it uses.
SHARED: Mapping[str, int] = {
    "bm25": 1, "duplicates": 1, "encode": 1, "fusion": 1, "knn": 1, "metrics": 1, "quantize": 1,
}

ARRAYS = ("numpy", "safetensors", "tokenizers")
TORCH = (*ARRAYS, "torch")

# Pinned at the first build that computes with floats, for the whole lock.
NUMERICS = ("numerics.profile", "numerics.threads")

# Field -> the canonical text of the value it had when it was introduced. A field listed here is left out of keys at
# that value, so that a new field makes no old lock stale. The fields of the first version need no line.
INTRODUCED: Mapping[str, str] = {"train.max_seconds": "null"}


def _pairs(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{name}/pairs.jsonl" for name in names if name.startswith("pairs."))


def _has_pairs(values: Params) -> bool:
    return any(path.startswith("pairs.") for path in values)


def _has_model(values: Params) -> bool:
    return _has_pairs(values) and "model.method" in values


def _encoding(values: Params) -> tuple[str, ...]:
    """A static model is encoded without torch."""
    return ARRAYS if values["model.method"] == "static" else (*TORCH, "transformers")


def _ranking(values: Params) -> tuple[str, ...]:
    """Exact search is torch's; words alone need arrays only."""
    return tuple(dict.fromkeys((*TORCH, *_encoding(values)))) if _has_model(values) else ("numpy",)


def _training(values: Params) -> tuple[str, ...]:
    """Training alone goes to another device, so that vectors are what they are on any machine."""
    return NUMERICS if values["numerics.device"] in ("auto", "cpu") else (*NUMERICS, "numerics.device")


def _exporting(values: Params) -> tuple[str, ...]:
    return (*_encoding(values), *(("onnx", "onnxruntime") if "export.onnx.opset" in values else ()))


def _has_gates(values: Params) -> bool:
    return _has_pairs(values) and any(path.startswith("gates.") for path in values)


def _lexical_needs(params: Params, names: Sequence[str]) -> tuple[str, ...]:
    if params.get("eval.bm25.tokenizer") != "auto":
        return ()
    return ("split/validation.jsonl", "snapshot/documents.jsonl")


def _evaluate_needs(params: Params, names: Sequence[str]) -> tuple[str, ...]:
    parts = sorted({params[path] for path in params if path.startswith("eval.suites.")})
    roles = [*(f"split/{part}.jsonl" for part in parts), "snapshot/documents.jsonl", "snapshot/manifest"]
    return (*roles, "lexical/tokenizer.json", *_made(MODELLED, names))


def _report_needs(params: Params, names: Sequence[str]) -> tuple[str, ...]:
    return ("snapshot/manifest", *_made(REPORTED, names))


def _card_needs(params: Params, names: Sequence[str]) -> tuple[str, ...]:
    return (*CARDED, *_made(("gates/verdict.json",), names))


def _made(roles: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Those whose stage this spec has."""
    return tuple(role for role in roles if role.split("/")[0] in names)


# What an evaluation, a verdict and a page are made from, as far as the spec has it.
REPORTED = (
    "split/leaks.json", "split/test.jsonl", "lexical/tokenizer.json", "lexical/tried.json", "negatives/ledger.jsonl",
    "train/trace", "choose/choice.json", "choose/tried.json", "evaluate/scores", "evaluate/runs", "gates/verdict.json",
)
CARDED = (
    "snapshot/manifest", "split/leaks.json", "negatives/ledger.jsonl", "train/model", "choose/choice.json",
    "evaluate/scores",
)
MODELLED = ("base/base", "train/model", "export/ranges.json", "choose/choice.json")
JUDGED = ("evaluate/scores", "evaluate/runs", "choose/choice.json")

# How a model is trained, as far as it changes the model.
TRAINING = (
    "model.method",
    "loss",
    "train.num_train_epochs",
    "train.per_device_train_batch_size",
    "train.learning_rate",
    "train.warmup_steps",
    "train.lr_scheduler_type",
    "train.weight_decay",
    "train.batch_sampler",
    "train.precision",
    "train.early_stopping",
    "train.load_best_model_at_end",
    "train.evals_per_epoch",
)


STREET: tuple[Stage, ...] = (
    Stage(
        name="base",
        recipe=1,
        params=(
            "model.base",
            "model.revision",
            "model.trust_remote_code",
            "model.max_seq_length",
            "model.similarity_fn_name",
            "model.prompts",
        ),
        live=base_files,
        sticky=base_sticky,
        makes=("base",),
        make="embspec.stages.base.make:make",
        pins=("revision",),
        when=_has_model,
        packages=ARRAYS,
    ),
    Stage(
        name="corpus",
        recipe=1,
        params=("corpus.path", "corpus.fields", "corpus.metadata", "corpus.normalize"),
        live=corpus_files,
        makes=("documents.jsonl", "manifest"),
        make="embspec.stages.corpus.make:make",
        packages=("ruamel.yaml", "xxhash"),
    ),
    Stage(
        name="snapshot",
        recipe=1,
        params=("corpus.train_on",),
        makes=("documents.jsonl", "manifest"),
        make="",
        follow=Follow("corpus", ("train", "evaluate"), lambda values: bool(values["corpus.train_on"] == "live")),
    ),
    Stage(
        name="pairs.{name}",
        recipe=1,
        params=("pairs.{name}.path", "pairs.{name}.format", "pairs.{name}.qrels", "pairs.{name}.fields"),
        live=pairs_files,
        needs=lambda params, names: ("snapshot/manifest",),
        makes=("pairs.jsonl",),
        make="embspec.stages.pairs.make:make",
        keeps=True,
        packages=("xxhash",),
    ),
    Stage(
        name="split",
        recipe=2,
        params=(
            "seed",
            "split.by",
            "split.on_leak",
            "split.near_duplicate_threshold",
            "split.test",
            "split.validation",
            "split.freeze",
            "split.min_queries",
            "pairs.*.trust",
            "pairs.*.roles",
        ),
        needs=lambda params, names: (*_pairs(names), "snapshot/documents.jsonl"),
        makes=("train.jsonl", "validation.jsonl", "test.jsonl", "pool.jsonl", "leaks.json"),
        make="embspec.stages.split.make:make",
        uses=("duplicates",),
        pins=("threshold.test", "threshold.validation", "dropped", "terms", "test"),
        when=_has_pairs,
        packages=("numpy", "xxhash"),
    ),
    Stage(
        name="lexical",
        recipe=1,
        params=("eval.bm25",),
        needs=_lexical_needs,
        makes=("tokenizer.json", "tried.json"),
        make="embspec.stages.lexical.make:make",
        uses=("bm25", "metrics"),
        when=_has_pairs,
        packages=("numpy",),
    ),
    Stage(
        name="negatives",
        recipe=1,
        params=("seed", "split.near_duplicate_threshold", "negatives", "eval.bm25.k1", "eval.bm25.b"),
        needs=lambda params, names: (
            "split/train.jsonl", "split/validation.jsonl", "split/test.jsonl", "snapshot/documents.jsonl", "base/base",
            "lexical/tokenizer.json",
        ),
        makes=("examples.jsonl", "ledger.jsonl"),
        make="embspec.stages.negatives.make:make",
        uses=("bm25", "duplicates", "encode", "fusion", "knn"),
        settles=NUMERICS,
        when=_has_model,
        packages=_ranking,
    ),
    Stage(
        name="train",
        recipe=1,
        params=("seed", *TRAINING, "train.max_seconds"),
        unkeyed=("train.checkpoint_minutes",),
        needs=lambda params, names: (
            "negatives/examples.jsonl", "split/validation.jsonl", "split/pool.jsonl", "base/base",
        ),
        makes=("model", "trace"),
        make="embspec.stages.train.make:make",
        uses=("duplicates", "knn", "metrics"),
        settles=_training,
        pins=lambda values: () if values["train.max_seconds"] is None else ("stop",),
        when=_has_model,
        ships=True,
        out={"model": "model"},
        packages=(*TORCH, "accelerate", "sentence-transformers", "transformers"),
    ),
    Stage(
        name="export",
        recipe=1,
        params=("export", "loss.matryoshka.dims", "eval.dims", "index.truncate_dim="),
        needs=lambda params, names: ("train/model", "snapshot/documents.jsonl"),
        makes=("onnx", "golden.safetensors", "ranges.json"),
        optional={"onnx": lambda params: "export.onnx.opset" in params},
        make="embspec.stages.export.make:make",
        uses=("encode", "knn", "quantize"),
        settles=NUMERICS,
        when=_has_model,
        ships=True,
        out={"onnx": "model/onnx", "golden.safetensors": "model/golden.safetensors"},
        packages=_exporting,
    ),
    Stage(
        name="choose",
        recipe=1,
        params=(
            "loss.matryoshka.dims",
            "eval.bm25.k1",
            "eval.bm25.b",
            "eval.fusion",
            "index.truncate_dim",
            "index.precision",
        ),
        needs=lambda params, names: (
            "train/model", "split/validation.jsonl", "snapshot/documents.jsonl", "lexical/tokenizer.json",
            "export/ranges.json",
        ),
        makes=("choice.json", "tried.json"),
        make="embspec.stages.choose.make:make",
        uses=("bm25", "encode", "fusion", "knn", "metrics", "quantize"),
        settles=NUMERICS,
        when=_has_model,
        packages=_ranking,
    ),
    Stage(
        name="evaluate",
        recipe=1,
        params=(
            "corpus.dedup.exact",
            "eval.metrics",
            "eval.suites.*.split",
            "eval.systems",
            "eval.dims",
            "eval.precisions",
            "eval.bm25.k1",
            "eval.bm25.b",
            "loss.matryoshka.dims",
        ),
        needs=_evaluate_needs,
        makes=("scores", "runs"),
        make="embspec.stages.evaluate.make:make",
        uses=("bm25", "encode", "fusion", "knn", "metrics", "quantize"),
        settles=lambda values: NUMERICS if _has_model(values) else (),
        when=_has_pairs,
        packages=_ranking,
    ),
    Stage(
        name="gates",
        recipe=1,
        params=("seed", "risk", "eval.statistics.resamples", "eval.statistics.cluster", "gates"),
        needs=lambda params, names: _made(JUDGED, names),
        makes=("verdict.json",),
        make="embspec.stages.gates.make:make",
        uses=("metrics",),
        judges=True,
        when=_has_gates,
        packages=("numpy",),
    ),
    Stage(
        name="index",
        recipe=1,
        params=("eval.bm25.k1", "eval.bm25.b"),
        needs=lambda params, names: (
            "corpus/documents.jsonl", "train/model", "choose/choice.json", "export/ranges.json",
            "lexical/tokenizer.json",
        ),
        makes=("index",),
        make="embspec.stages.index.make:make",
        uses=("encode", "knn", "quantize"),
        settles=NUMERICS,
        when=_has_model,
        gated=True,
        ships=True,
        out={"index": "index"},
        packages=_encoding,
    ),
    Stage(
        name="report",
        recipe=2,
        params=(
            "name",
            "version",
            "description",
            "seed",
            "eval.metrics",
            "eval.statistics.resamples",
            "eval.statistics.cluster",
        ),
        needs=_report_needs,
        makes=("report.md", "report.json"),
        make="embspec.stages.report.make:make",
        locked=False,
        out={"report.md": "report/report.md", "report.json": "report/report.json"},
        packages=("numpy",),
    ),
    Stage(
        name="card",
        recipe=1,
        params=(
            "name",
            "version",
            "description",
            "seed",
            "model.base",
            "model.revision",
            *TRAINING,
            "eval.statistics.resamples",
            "eval.statistics.cluster",
        ),
        needs=_card_needs,
        makes=("README.md",),
        make="embspec.stages.card.make:make",
        locked=False,
        when=_has_model,
        ships=True,
        out={"README.md": "model/README.md"},
        packages=("numpy",),
    ),
)
