"""A transformer's own files: its config, its tokenizer, its weights, and how long a text may be."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embspec.stages.base import weights
from embspec.stages.base.layout import OTHER, Module, write_json
from embspec.stages.base.source import Source
from embspec.stages.live import CROSS_ENCODER

CONFIG = "config.json"
TOKENIZER = "tokenizer_config.json"
WEIGHTS = "model.safetensors"
SHARDS = "model.safetensors.index.json"
LENGTH = "max_seq_length"

COPIED = (
    "tokenizer.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt",
    "sentencepiece.bpe.model", "spiece.model", "tokenizer.model",
)
LENGTHS = tuple(f"sentence_{kind}_config.json" for kind in (
    "bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"))
# What only some versions write or understand of a tokenizer's config.
FOREIGN = ("backend", "is_local", "local_files_only", "name_or_path")
# These count positions from behind the padding token's id, so that as many of them hold no token.
SHIFTED = ("camembert", "data2vec-text", "ibert", "longformer", "mpnet", "roberta", "roberta-prelayernorm",
           "xlm-roberta", "xlm-roberta-xl")
WIDTHS = ("hidden_size", "d_model", "n_embd", "dim")
PLAIN = {
    "transformer_task": "feature-extraction",
    "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
    "module_output_name": "token_embeddings",
}
LONG = 1_000_000  # a tokenizer without a limit says a number far beyond

# What loads a model that a field names, and where it would be put.
LOADERS = {CROSS_ENCODER: ("AutoModelForSequenceClassification", "models/cross_encoder")}
AS_SAFE = (
    "write it in today's format: `python -c \"from transformers import KIND, AutoTokenizer; n, d = 'BASE', "
    "'FOLDER'; KIND.from_pretrained(n).save_pretrained(d); "
    "AutoTokenizer.from_pretrained(n).save_pretrained(d)\"`, and name that folder"
)


def config(source: Source, module: Module) -> dict[str, Any]:
    """The config, refused where it needs what is not built."""
    path = module.at(CONFIG)
    if not source.has(path):
        raise source.wrong("input.missing", f"`{path}` is not there", "name the folder that holds the model")
    found = source.settings(path)
    code = [name for name in (path, module.at(TOKENIZER)) if source.settings(name).get("auto_map")]
    if code:
        raise source.wrong("input.model", "`auto_map` names Python code that comes with the model, which this version "
                           "of embspec does not run", OTHER, code[0])
    for key, what in (("is_encoder_decoder", "an encoder with a decoder"), ("quantization_config", "quantised")):
        if found.get(key):
            raise source.wrong("input.model", f"the model is {what}, which is not built yet", OTHER, path)
    return found


def width(config: Mapping[str, Any], source: Source) -> int:
    """How wide the vector of one token is."""
    found = next((config[key] for key in WIDTHS if isinstance(config.get(key), int)), None)
    if found is None:
        raise source.wrong("input.model", f"none of {', '.join(WIDTHS)} says how wide its vectors are", OTHER, CONFIG)
    return int(found)


def default_pooling(config: Mapping[str, Any]) -> str:
    """What sentence-transformers does with a model that says no pooling."""
    named = (config.get("architectures") or [""])[0]
    return "lasttoken" if named.endswith("ForCausalLM") and config.get("is_causal", True) else "mean"


def lengths(source: Source, module: Module, config: Mapping[str, Any], asked: int | None) -> dict[str, Any]:
    """`sentence_bert_config.json` in old names: what the spec asks, else the model's own length."""
    path = next((p for p in map(module.at, LENGTHS) if source.has(p)), "")
    own = source.settings(path)
    _plain(own, path, source)
    most = positions(config)
    said = source.settings(module.at(TOKENIZER)).get("model_max_length")
    known = [int(n) for n in (own.get(LENGTH) or said, most) if n and n < LONG]
    if asked is not None and most is not None and asked > most:
        raise source.wrong("spec.range", f"the model has positions for {most} tokens, and {asked} are asked for",
                           f"write {most} or less", field="model.max_seq_length")
    length = asked if asked is not None else min(known, default=None)
    return {LENGTH: length, "do_lower_case": bool(own.get("do_lower_case", False))}


def positions(config: Mapping[str, Any]) -> int | None:
    """How many tokens the model has positions for; None where it has no such limit."""
    most = config.get("max_position_embeddings")
    if not isinstance(most, int) or most < 1:
        return None
    return most - config.get("pad_token_id", 1) - 1 if config.get("model_type") in SHIFTED else most


def _plain(own: Mapping[str, Any], path: str, source: Source) -> None:
    """Refuse what older versions cannot say: another task, other inputs, arguments of classes."""
    strange = [key for key, value in PLAIN.items() if own.get(key, value) != value]
    strange += [key for key in own if key.endswith(("_args", "_kwargs")) and own[key]]
    strange += [key for key in ("query_length", "document_length", "query_expansion") if own.get(key)]
    if strange:
        raise source.wrong("input.model", f"`{strange[0]}` of this model is not built yet", OTHER, path)


def write(source: Source, module: Module, config: Mapping[str, Any], out: Path, scratch: Path) -> None:
    """Config, tokenizer and weights."""
    write_tokenizer(source, module, out)
    write_json(out / CONFIG, as_float32(config))
    write_weights(source, module, out / WEIGHTS, scratch)


def write_tokenizer(source: Source, module: Module, out: Path, **said: Any) -> None:
    """The files of a tokenizer, with what its config has to say."""
    if not source.has(module.at("tokenizer.json")):
        raise source.wrong("input.model", "`tokenizer.json` is not there", as_safe(source))
    for name in COPIED:
        if source.has(module.at(name)):
            source.copy(module.at(name), out / name)
    if said or source.has(module.at(TOKENIZER)):
        write_json(out / TOKENIZER, _tokenizer({**source.settings(module.at(TOKENIZER)), **said}))


def as_safe(source: Source) -> str:
    """How to get the files that are read from those that are not."""
    kind, folder = LOADERS.get(source.field, ("AutoModel", "models/base"))
    return AS_SAFE.replace("KIND", kind).replace("FOLDER", folder).replace("BASE", source.shown)


def as_float32(own: Mapping[str, Any]) -> dict[str, Any]:
    """Newer versions say `dtype`, older `torch_dtype`, which newer ones read too; and all weights are float32."""
    kept = {key: value for key, value in own.items() if key not in ("_name_or_path", "dtype", "torch_dtype")}
    rope = own.get("rope_parameters")
    if isinstance(rope, dict) and "rope_theta" in rope:  # older versions would take their own default in silence
        kept.setdefault("rope_theta", rope["rope_theta"])
    return dict(sorted({**kept, "torch_dtype": "float32"}.items()))


def _tokenizer(own: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in own.items() if key not in FOREIGN}
    if kept.get("tokenizer_class") == "TokenizersBackend":
        kept["tokenizer_class"] = "PreTrainedTokenizerFast"
    if isinstance(kept.get("extra_special_tokens"), list):
        kept.setdefault("additional_special_tokens", kept.pop("extra_special_tokens"))
    return dict(sorted(kept.items()))


def write_weights(source: Source, module: Module, target: Path, scratch: Path) -> None:
    """One file of float32: the source's own bytes where it is that already."""
    path, index = module.at(WEIGHTS), module.at(SHARDS)
    if source.has(path):
        names = [WEIGHTS]
    elif source.has(index):
        names = sorted(set(source.settings(index).get("weight_map", {}).values()))
    else:
        names = []
    missing = [name for name in names if not source.has(module.at(name))]
    if missing or not names:
        # A pickle would be read by torch, which this stage, that computes nothing, would load for this alone.
        wanted = module.at(missing[0] if missing else WEIGHTS)
        text = f"`{wanted}` is not there, and weights in other formats are not read"
        raise source.wrong("input.missing", text, as_safe(source))
    copies = []
    for at, name in enumerate(names):
        copy = scratch / f"weights-{at}"
        source.copy(module.at(name), copy)
        copies.append((copy, source.names[module.at(name)]))
    found = weights.gather(copies, source.field)
    if len(names) == 1 and all(t.kind == "F32" for t in found.values()):
        copies[0][0].replace(target)
    else:
        weights.write(found, target, source.shown, source.field)
    for copy, _ in copies:
        copy.unlink(missing_ok=True)
