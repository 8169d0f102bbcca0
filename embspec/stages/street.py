"""The declarations of all stages, in order: the whole graph on one page."""
from __future__ import annotations

from collections.abc import Mapping

from embspec.plan.protocol import Follow, Stage
from embspec.stages.conditions import (
    ARRAYS,
    JUDGED,
    NUMERICS,
    TORCH,
    card_needs,
    choosing_words,
    encoding,
    evaluate_needs,
    every_source,
    exporting,
    has_cross_encoder,
    has_gates,
    has_model,
    has_pairs,
    has_round,
    lexical_needs,
    made,
    mining,
    mining_needs,
    published_by,
    ranking,
    report_needs,
    round_name,
    training_needs,
    training_numerics,
    with_model,
)
from embspec.stages.live import (
    CROSS_ENCODER,
    base_files,
    base_sticky,
    corpus_files,
    cross_encoder_files,
    cross_encoder_sticky,
    given_files,
    given_paths,
    pairs_files,
)

# Raised when equal inputs would give other bytes; a stage names those it uses.
SHARED: Mapping[str, int] = {
    "bm25": 2, "duplicates": 1, "encode": 1, "fusion": 1, "knn": 1, "metrics": 1, "quantize": 1,
    "rerank": 1,
}

# A search gives the same bytes on any device: no key has it.
SEARCHING = ("numerics.device",)

ROUNDS = ("negatives", "train")  # what a spec may have several rounds of
MOST_ROUNDS = 10

# Field -> the canonical text of the value it had when it was introduced. A field listed here is left out of keys at
# that value, so that a new field makes no old lock stale. The fields of the first version need no line.
INTRODUCED: Mapping[str, str] = {
    "train.max_seconds": "null",
    "eval.bm25.language": "auto",
    "eval.bm25.stem": "true",
}


def handed(role: str) -> str:
    """The name under which a stage is handed an artefact: the number of its round is cut out, as an item's name is."""
    stage, _, rest = role.partition(".")
    return f"{stage}/{rest.partition('/')[2]}" if stage in ROUNDS else role


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


def _negatives(number: int) -> Stage:
    return Stage(
        name=round_name("negatives", number),
        recipe=2,
        params=(
            "seed", "split.near_duplicate_threshold", "negatives.miners", "negatives.guard", "negatives.on_shortage",
            "eval.bm25.k1", "eval.bm25.b",
        ),
        needs=mining_needs(number),
        makes=("examples.jsonl", "ledger.jsonl"),
        make="embspec.stages.negatives.make:make",
        unkeyed=SEARCHING,
        uses=("bm25", "duplicates", "encode", "fusion", "knn", "rerank"),
        settles=NUMERICS,
        when=has_round(number),
        packages=mining,
    )


def _train(number: int) -> Stage:
    return Stage(
        name=round_name("train", number),
        recipe=1,
        params=("seed", *TRAINING, "train.max_seconds"),
        unkeyed=("train.checkpoint_minutes",),
        needs=training_needs(number),
        makes=("model", "trace"),
        make="embspec.stages.train.make:make",
        uses=("duplicates", "knn", "metrics"),
        settles=training_numerics,
        pins=lambda values: () if values["train.max_seconds"] is None else ("stop",),
        when=has_round(number),
        ships=True,
        out=published_by(number),
        packages=(*TORCH, "accelerate", "sentence-transformers", "transformers"),
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
        when=has_model,
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
        needs=lambda params, names: (*every_source(names), "snapshot/documents.jsonl"),
        makes=("train.jsonl", "validation.jsonl", "test.jsonl", "pool.jsonl", "leaks.json"),
        make="embspec.stages.split.make:make",
        uses=("duplicates",),
        pins=("threshold.test", "threshold.validation", "dropped", "terms", "test"),
        when=has_pairs,
        packages=("numpy", "xxhash"),
    ),
    Stage(
        name="lexical",
        recipe=2,
        params=("corpus.dedup.exact", "eval.bm25"),
        needs=lexical_needs,
        makes=("tokenizer.json", "tried.json"),
        make="embspec.stages.lexical.make:make",
        uses=("bm25", "metrics"),
        when=has_pairs,
        packages=choosing_words,
    ),
    Stage(
        name="cross_encoder",
        recipe=1,
        params=(CROSS_ENCODER,),
        live=cross_encoder_files,
        sticky=cross_encoder_sticky,
        makes=("cross_encoder",),
        make="embspec.stages.base.cross_encoder:make",
        pins=("revision",),
        when=has_cross_encoder,
        packages=ARRAYS,
    ),
    Stage(
        name="candidates",
        recipe=1,
        params=("negatives.miners.*.path",),
        live=given_files,
        needs=lambda params, names: ("snapshot/manifest", *every_source(names)),
        makes=("given.jsonl",),
        make="embspec.stages.candidates.make:make",
        keeps=True,
        when=lambda values: has_model(values) and bool(given_paths(values)),
    ),
    *(stage for number in range(1, MOST_ROUNDS + 1) for stage in (_negatives(number), _train(number))),
    Stage(
        name="export",
        recipe=1,
        params=("export", "loss.matryoshka.dims", "eval.dims", "index.truncate_dim="),
        needs=with_model("snapshot/documents.jsonl"),
        makes=("onnx", "golden.safetensors", "ranges.json"),
        optional={"onnx": lambda params: "export.onnx.opset" in params},
        make="embspec.stages.export.make:make",
        uses=("encode", "knn", "quantize"),
        settles=NUMERICS,
        when=has_model,
        ships=True,
        out={"onnx": "model/onnx", "golden.safetensors": "model/golden.safetensors"},
        packages=exporting,
    ),
    Stage(
        name="choose",
        recipe=2,
        params=(
            "corpus.dedup.exact",
            "loss.matryoshka.dims",
            "eval.bm25.k1",
            "eval.bm25.b",
            "eval.fusion",
            "index.truncate_dim",
            "index.precision",
        ),
        needs=with_model(
            "split/validation.jsonl", "snapshot/documents.jsonl", "snapshot/manifest", "lexical/tokenizer.json",
            "export/ranges.json",
        ),
        makes=("choice.json", "tried.json"),
        make="embspec.stages.choose.make:make",
        unkeyed=SEARCHING,
        uses=("bm25", "encode", "fusion", "knn", "metrics", "quantize"),
        settles=NUMERICS,
        when=has_model,
        packages=ranking,
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
        needs=evaluate_needs,
        makes=("scores", "runs"),
        make="embspec.stages.evaluate.make:make",
        unkeyed=SEARCHING,
        uses=("bm25", "encode", "fusion", "knn", "metrics", "quantize"),
        settles=lambda values: NUMERICS if has_model(values) else (),
        when=has_pairs,
        packages=ranking,
    ),
    Stage(
        name="gates",
        recipe=1,
        params=("seed", "risk", "eval.statistics.resamples", "eval.statistics.cluster", "gates"),
        needs=lambda params, names: made(JUDGED, names),
        makes=("verdict.json",),
        make="embspec.stages.gates.make:make",
        uses=("metrics",),
        judges=True,
        when=has_gates,
        packages=("numpy",),
    ),
    Stage(
        name="index",
        recipe=1,
        params=("eval.bm25.k1", "eval.bm25.b"),
        needs=with_model(
            "corpus/documents.jsonl", "choose/choice.json", "export/ranges.json", "lexical/tokenizer.json",
        ),
        makes=("index",),
        make="embspec.stages.index.make:make",
        uses=("encode", "knn", "quantize"),
        settles=NUMERICS,
        when=has_model,
        gated=True,
        ships=True,
        out={"index": "index"},
        packages=encoding,
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
        needs=report_needs,
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
        needs=card_needs,
        makes=("README.md",),
        make="embspec.stages.card.make:make",
        locked=False,
        when=has_model,
        ships=True,
        out={"README.md": "model/README.md"},
        packages=("numpy",),
    ),
)
