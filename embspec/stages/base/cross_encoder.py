"""The guard's cross-encoder: a model that reads a query and a passage together, as one folder that loads anywhere."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from embspec.plan.protocol import Desk, Made, Params, Progress
from embspec.stages.base import transformer
from embspec.stages.base.layout import CARD, OTHER, Module, write_json
from embspec.stages.base.source import Source, folder
from embspec.stages.live import CROSS_ENCODER, cross_encoder_revision
from embspec.stages.reranker import ACTIVATIONS, DEFAULT_ACTIVATION, activation_of

SCORES = "ForSequenceClassification"
ONE_SCORE = "take one with one output, as rerankers have it (`num_labels: 1`)"
MADE = "cross_encoder"


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write the tree `cross_encoder`: config, tokenizer, weights as float32."""
    model = params[CROSS_ENCODER]
    source = folder(model, cross_encoder_revision(params), needs["live"], CROSS_ENCODER)
    desk.tell(Progress("reading the cross-encoder"))
    module = _module(source)
    config = transformer.config(source, module)
    _check_scores(config, source, module)
    length = _length(source, module, config)
    target = out / MADE
    target.mkdir(parents=True)
    transformer.write_tokenizer(source, module, target, model_max_length=length)
    _check_tokenizer(target, config, source, module)
    write_json(target / transformer.CONFIG, _written(config, _activation(source, module, config)))
    transformer.write_weights(source, module, target / transformer.WEIGHTS, desk.scratch)
    revision = None if source.revision is None else f"{source.revision} {model}@auto"
    stat = {"kind": config["model_type"], "max_length": length}
    return Made(stat=stat, pins={"revision": revision}, counts={"files_read": len(source.names)})


def _module(source: Source) -> Module:
    """The one part that such a model may have; what follows it would change its scores."""
    if not source.has("modules.json"):
        if not source.has(transformer.CONFIG):
            raise source.wrong("input.missing", "`config.json` is not there", "name the folder that holds the model")
        return Module("Transformer")
    rows = source.json("modules.json")
    kinds = [str(row.get("type", "")) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    own = len(kinds) == 1 and kinds[0].startswith("sentence_transformers.") and kinds[0].endswith(".Transformer")
    if not own:
        said = ", ".join(kind.rpartition(".")[2] for kind in kinds) or "none"
        raise source.wrong("input.model", f"it is made of the modules {said}; a cross-encoder of one Transformer is "
                           "what is read", OTHER, "modules.json")
    return Module("Transformer", str(rows[0].get("path", "")).strip("./"))


def _check_scores(config: Mapping[str, Any], source: Source, module: Module) -> None:
    """One number for a pair: a model of vectors has none, and one of classes has several."""
    path = module.at(transformer.CONFIG)
    named = [str(name) for name in config.get("architectures") or []]
    if not any(name.endswith(SCORES) for name in named):
        raise source.wrong("input.model", f"this model scores no pairs: its config names {', '.join(named) or 'none'}, "
                           f"and not a …{SCORES}", "name a cross-encoder, which reads query and passage together", path)
    if (labels := _labels(config)) != 1:
        raise source.wrong("input.model", f"this model has {labels} outputs for a pair", ONE_SCORE, path)
    own = source.settings(CARD)
    if own.get("default_prompt_name") and (own.get("prompts") or {}).get(own["default_prompt_name"]):
        raise source.wrong("input.model", "prompts of a cross-encoder are not built yet", OTHER, CARD)
    if any(source.settings(path).get("do_lower_case") for path in map(module.at, transformer.LENGTHS)):
        raise source.wrong("input.model", "`do_lower_case` of a cross-encoder is not built yet", OTHER)


def _labels(config: Mapping[str, Any]) -> int:
    """As transformers counts them: by name where they have names, else two."""
    named = config.get("id2label")
    return len(named) if named is not None else int(config.get("num_labels") or 2)


def _length(source: Source, module: Module, config: Mapping[str, Any]) -> int:
    """The tokens of a pair at most: what its tokenizer says, as far as it has positions."""
    found = transformer.lengths(source, module, config, None)[transformer.LENGTH]
    if not found:
        raise source.wrong("input.model", "nothing says how long a pair may be",
                           "write `model_max_length` into `tokenizer_config.json`", module.at(transformer.TOKENIZER))
    return int(found)


def _check_tokenizer(target: Path, config: Mapping[str, Any], source: Source, module: Module) -> None:
    """Every token needs its row, or a pair would read past the table's end."""
    name = module.at("tokenizer.json")
    try:
        tokenizer = Tokenizer.from_file(str(target / "tokenizer.json"))
    except Exception as error:  # the library's own class: a plain Exception
        raise source.wrong("input.model", f"this is no tokenizer: {error}", "restore the file", name) from None
    most = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if most >= (rows := int(config.get("vocab_size") or 0)):
        raise source.wrong("input.model", f"the tokenizer has tokens up to {most}, and the model knows {rows}",
                           "name the tokenizer that belongs to this model", name)


def _activation(source: Source, module: Module, config: Mapping[str, Any]) -> str:
    """What turns an output into a score: the model's own word in either place where it may stand."""
    said = source.settings(CARD).get("activation_fn") or activation_of(config) or DEFAULT_ACTIVATION
    if said not in ACTIVATIONS:
        built = ", ".join(name.rpartition(".")[2] for name in ACTIVATIONS)
        raise source.wrong("input.model", f"scores through `{said}` are not built yet; built are {built}", OTHER,
                           module.at(transformer.CONFIG))
    return str(said)


def _written(config: Mapping[str, Any], activation: str) -> dict[str, Any]:
    """The config with the activation in old words and in new, so that older and newer versions score alike."""
    kept = transformer.as_float32(config)
    own = {**(kept.get("sentence_transformers") or {}), "activation_fn": activation}
    own.pop("version", None)
    return dict(sorted({**kept, "sentence_transformers": own,
                        "sbert_ce_default_activation_function": activation}.items()))
