"""When a spec has a stage, what the stage opens, and what it imports: functions of the spec's values."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from embspec.plan.protocol import Needs, Params, last_round
from embspec.stages.live import CROSS_ENCODER, parsers

ARRAYS = ("numpy", "safetensors", "tokenizers")
TORCH = (*ARRAYS, "torch")

# Pinned at the first build that computes with floats, for the whole lock.
NUMERICS = ("numerics.profile", "numerics.threads")

# What an evaluation, a verdict and a page are made from, as far as the spec has it.
REPORTED = (
    "survey/lengths.json", "survey/duplicates.json", "split/leaks.json", "split/test.jsonl",
    "lexical/tokenizer.json", "lexical/tried.json", "negatives/ledger.jsonl",
    "train/trace", "choose/choice.json", "choose/tried.json", "evaluate/scores", "evaluate/runs", "gates/verdict.json",
)
CARDED = (
    "snapshot/manifest", "split/leaks.json", "negatives/ledger.jsonl", "train/model", "choose/choice.json",
    "evaluate/scores",
)
MODELLED = ("base/base", "train/model", "export/ranges.json", "choose/choice.json")
JUDGED = ("evaluate/scores", "evaluate/runs", "choose/choice.json")
TRUNCATED = "truncated_fraction"  # the metric of a gate that is about texts, and not about a model


def every_source(names: Sequence[str]) -> tuple[str, ...]:
    """The pairs of every source."""
    return tuple(f"{name}/pairs.jsonl" for name in names if name.startswith("pairs."))


def has_pairs(values: Params) -> bool:
    """Without pairs nothing is split, trained or measured."""
    return any(path.startswith("pairs.") for path in values)


def has_model(values: Params) -> bool:
    """Whether there is something to train."""
    return has_pairs(values) and "model.method" in values


def encoding(values: Params) -> tuple[str, ...]:
    """A static model is encoded without torch."""
    return ARRAYS if values["model.method"] == "static" else (*TORCH, "transformers")


def ranking(values: Params) -> tuple[str, ...]:
    """What encodes the texts; on a processor they are compared by arrays."""
    return (*(encoding(values) if has_model(values) else ("numpy",)), *stemming(values))


def stemming(values: Params) -> tuple[str, ...]:
    """Where `words` may be what BM25 reads, it looks for stems."""
    words = values["eval.bm25.tokenizer"] in ("auto", "words") and values["eval.bm25.language"] != "none"
    return ("PyStemmer",) if words and values["eval.bm25.stem"] else ()


def choosing_words(values: Params) -> tuple[str, ...]:
    """Only candidates that are tried have to be read."""
    return ("numpy", *(stemming(values) if values["eval.bm25.tokenizer"] == "auto" else ()))


def has_cross_encoder(values: Params) -> bool:
    """Whether one has the last word about negatives."""
    return has_model(values) and values.get(CROSS_ENCODER) is not None


def mining(values: Params) -> tuple[str, ...]:
    """A cross-encoder is transformers' whatever the base is."""
    return tuple(dict.fromkeys((*ranking(values), *(("transformers",) if has_cross_encoder(values) else ()))))


def has_round(number: int) -> Callable[[Params], bool]:
    """Whether a spec has so many rounds of mining and training."""
    return lambda values: has_model(values) and values["negatives.rounds"] >= number


def published_by(number: int) -> Callable[[Params], Mapping[str, str]]:
    """The model of the last round goes out; those before it are what the next one mines with."""
    return lambda values: {"model": "model"} if values["negatives.rounds"] == number else {}


def round_name(stage: str, number: int) -> str:
    """The name of a stage in one of its rounds."""
    return stage if number == 1 else f"{stage}.{number}"


def model_before(number: int) -> tuple[str, ...]:
    """The model of the round before; the first has none."""
    return () if number == 1 else (f"{round_name('train', number - 1)}/model",)


def mining_needs(number: int) -> Needs:
    """The first round mines with the base, each other with the model that the round before it trained."""
    model = model_before(number) or ("base/base",)
    return lambda params, names: (
        "split/train.jsonl", "split/validation.jsonl", "split/test.jsonl", "snapshot/documents.jsonl", *model,
        "lexical/tokenizer.json", *made(("candidates/given.jsonl", "cross_encoder/cross_encoder"), names),
        *every_source(names),
    )


def training_needs(number: int) -> Needs:
    """A later round goes on from the model of the one before; the base is what it may be merged with."""
    examples = f"{round_name('negatives', number)}/examples.jsonl"
    return lambda params, names: (
        examples, "split/validation.jsonl", "split/pool.jsonl", "base/base", *model_before(number),
    )


def training_numerics(values: Params) -> tuple[str, ...]:
    """Training alone computes on another device what is kept, so that vectors are what they are on any machine."""
    return NUMERICS if values["numerics.device"] in ("auto", "cpu") else (*NUMERICS, "numerics.device")


def exporting(values: Params) -> tuple[str, ...]:
    """ONNX is asked for or not."""
    return (*encoding(values), *(("onnx", "onnxruntime") if "export.onnx.opset" in values else ()))


def has_gates(values: Params) -> bool:
    """Whether anything is judged."""
    return has_pairs(values) and any(path.startswith("gates.") for path in values)


def corpus_needs(params: Params, names: Sequence[str]) -> tuple[str, ...]:
    """Chunks have a limit in tokens, which the base counts."""
    return ("base/base",) if params.get("corpus.chunking.strategy") == "structure" and "base" in names else ()


def corpus_packages(values: Params) -> tuple[str, ...]:
    """What reads the files that the spec names, and what counts tokens."""
    counting = ARRAYS if values["corpus.chunking.strategy"] == "structure" else ()
    return tuple(sorted({"ruamel.yaml", "xxhash", *parsers(values), *counting}))


def survey_needs(params: Params, names: Sequence[str]) -> tuple[str, ...]:
    """The base counts the tokens; without one nobody reads, and nothing is cut off."""
    return (*(("base/base",) if "base" in names else ()), "snapshot/documents.jsonl", "snapshot/manifest")


def gates_needs(params: Params, names: Sequence[str]) -> tuple[str, ...]:
    """What was measured; how long the texts are where a gate is about that."""
    asks = any(path.startswith(f"{TRUNCATED} ") for path in params)  # a gate is known by its own line
    return (*made(JUDGED, names), *(("survey/lengths.json",) if asks else ()))


def lexical_needs(params: Params, names: Sequence[str]) -> tuple[str, ...]:
    """The validation queries choose among tokenizers, the documents say their language."""
    if params.get("eval.bm25.tokenizer") == "auto":
        return ("split/validation.jsonl", "snapshot/documents.jsonl", "snapshot/manifest")
    asks = params.get("eval.bm25.tokenizer") == "words" and params.get("eval.bm25.language") == "auto"
    return ("snapshot/documents.jsonl",) if asks else ()


def evaluate_needs(params: Params, names: Sequence[str]) -> tuple[str, ...]:
    """The parts that its suites ask of, and the models where there are any."""
    parts = sorted({params[path] for path in params if path.startswith("eval.suites.") and path.endswith(".split")})
    roles = [*(f"split/{part}.jsonl" for part in parts), "snapshot/documents.jsonl", "snapshot/manifest"]
    return (*roles, "lexical/tokenizer.json", *made(MODELLED, names))


def with_model(*roles: str) -> Needs:
    """The model of the last round, and other artefacts."""
    return lambda params, names: (last_round("train/model", names), *roles)


def report_needs(params: Params, names: Sequence[str]) -> tuple[str, ...]:
    """Whatever the spec has that a page can be made from."""
    return ("snapshot/manifest", *made(REPORTED, names))


def card_needs(params: Params, names: Sequence[str]) -> tuple[str, ...]:
    """What a model's card says."""
    return (*(last_round(role, names) for role in CARDED), *made(("gates/verdict.json",), names))


def made(roles: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Those whose stage this spec has, each of its last round."""
    return tuple(last_round(role, names) for role in roles if role.split("/")[0] in names)
