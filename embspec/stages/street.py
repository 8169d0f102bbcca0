"""The declarations of all stages, in order: the whole graph on one page."""
from __future__ import annotations

from collections.abc import Mapping, Sequence

from embspec.plan.protocol import Follow, Params, Stage

# Raised when equal inputs would give other bytes; a stage names those it uses.
SHARED: Mapping[str, int] = {"bm25": 1, "duplicates": 1, "metrics": 1}

# Field -> the canonical text of the value it had when it was introduced. A field listed here is left out of keys at
# that value, so that a new field makes no old lock stale. The fields of the first version need no line.
INTRODUCED: Mapping[str, str] = {}


def _pairs(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{name}/pairs.jsonl" for name in names if name.startswith("pairs."))


def _has_pairs(values: Params) -> bool:
    return any(path.startswith("pairs.") for path in values)


def _has_gates(values: Params) -> bool:
    return _has_pairs(values) and any(path.startswith("gates.") for path in values)


def _lexical_needs(params: Params, names: Sequence[str]) -> tuple[str, ...]:
    if params.get("eval.bm25.tokenizer") != "auto":
        return ()
    return ("split/validation.jsonl", "snapshot/documents.jsonl")


def _report_needs(params: Params, names: Sequence[str]) -> tuple[str, ...]:
    roles = ["snapshot/manifest"]
    roles += ["split/leaks.json", "split/test.jsonl"] if "split" in names else []
    roles += ["lexical/tokenizer.json", "lexical/tried.json"] if "lexical" in names else []
    roles += ["evaluate/scores", "evaluate/runs"] if "evaluate" in names else []
    roles += ["gates/verdict.json"] if "gates" in names else []
    return tuple(roles)


def _is_folder(path: str) -> bool:
    """A path that names a folder: no ending, no glob in its last part."""
    last = path.rstrip("/").rsplit("/", 1)[-1]
    return path.endswith("/") or not ("." in last.strip(".") or "*" in last or "?" in last)


def corpus_files(params: Params) -> tuple[str, ...]:
    """The globs of a corpus; a folder is a BEIR folder."""
    return tuple(f"{p.rstrip('/')}/corpus.jsonl" if _is_folder(p) else p for p in params["corpus.path"])


def pairs_files(params: Params) -> tuple[str, ...]:
    """The files of a pair source; a folder is a BEIR folder, with the judgements of one published split."""
    path = params["pairs.path"]
    if params["pairs.format"] == "beir" or (params["pairs.format"] == "auto" and _is_folder(path)):
        folder = path.rstrip("/")
        return (f"{folder}/queries.jsonl", f"{folder}/qrels/{params['pairs.qrels'] or '*'}.tsv")
    return (path,)


STREET: tuple[Stage, ...] = (
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
        recipe=1,
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
        name="evaluate",
        recipe=1,
        params=(
            "corpus.dedup.exact",
            "eval.metrics",
            "eval.suites.*.split",
            "eval.systems",
            "eval.bm25.k1",
            "eval.bm25.b",
        ),
        needs=lambda params, names: (
            "split/test.jsonl",
            "snapshot/documents.jsonl",
            "snapshot/manifest",
            "lexical/tokenizer.json",
        ),
        makes=("scores", "runs"),
        make="embspec.stages.evaluate.make:make",
        uses=("bm25", "metrics"),
        when=_has_pairs,
        packages=("numpy",),
    ),
    Stage(
        name="gates",
        recipe=1,
        params=("seed", "risk", "eval.statistics.resamples", "eval.statistics.cluster", "gates"),
        needs=lambda params, names: ("evaluate/scores", "evaluate/runs"),
        makes=("verdict.json",),
        make="embspec.stages.gates.make:make",
        uses=("metrics",),
        judges=True,
        when=_has_gates,
        packages=("numpy",),
    ),
    Stage(
        name="report",
        recipe=1,
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
)

# Fields that no stage sees and that are obeyed all the same: by the plan, or by people.
UNKEYED: tuple[str, ...] = (
    "embspec",
    "keys.env",
    "corpus.train_on",
    "corpus.chunking.strategy",
    "eval.statistics.test",
)

# What of a field this version builds, where that is not all of it.
LIMITS: Mapping[str, tuple[str, ...]] = {
    "corpus.chunking.strategy": ("none",),
    "pairs.*.format": ("auto", "embspec", "beir", "csv"),
    "split.by": ("document", "given"),
    "eval.systems": ("bm25",),
    "eval.suites.*.split": ("test",),
    "keys.env": ("record",),
}

# Words of a gate's line that need what this version does not build.
GATE_METRICS: tuple[str, ...] = ("recall", "precision", "mrr", "ndcg", "hit_rate")
GATE_REFUSED: tuple[str, ...] = ("dim", "precision", "base", "full", "float32", "hybrid", "locked")
