"""The base model, whatever it comes as, in the portable layout with the spec's own settings baked in."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.numpy import save_file
from tokenizers import Tokenizer

from embspec.errors import fail
from embspec.plan.protocol import Desk, Made, Params, Progress
from embspec.stages.base import layout, transformer, weights
from embspec.stages.base.layout import Module, write_json
from embspec.stages.base.source import FIELD, Source, opened

TABLE = "StaticEmbedding"


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write the tree `base`: modules, weights as float32, prompts, length and similarity."""
    if params["model.trust_remote_code"]:
        raise fail("spec.not-built", "Python code that comes with a model is not run by this version of embspec", None,
                   "take `trust_remote_code` out of the spec", "model.trust_remote_code")
    source = opened(params, needs["live"])
    desk.tell(Progress("reading the base"))
    found = layout.modules(source) if params.get(FIELD) is not None else [Module(TABLE)]
    folder = out / "base"
    settings = layout.settings(params, source)
    folders = layout.write_modules([module.kind for module in found], folder)
    write_json(folder / layout.CARD, settings)
    if found[0].kind == TABLE:
        stat = _table(params, source, found[0], folder / folders[0], desk.scratch)
    else:
        stat = _transformer(params, source, found, folders, folder, desk.scratch)
    revision = None if source.revision is None else f"{source.revision} {params[FIELD]}@{params['model.revision']}"
    return Made(stat=stat, pins={"revision": revision}, counts={"files_read": len(source.names)})


def _table(params: Params, source: Source, module: Module, target: Path, scratch: Path) -> dict[str, Any]:
    """One vector a token; texts are read whole."""
    if params["model.max_seq_length"] is not None:
        raise source.wrong("spec.conflict", "a static base reads texts whole, however long",
                           "take `max_seq_length` out of the spec", field="model.max_seq_length")
    for name in (transformer.WEIGHTS, "tokenizer.json"):
        if not source.has(module.at(name)):
            raise source.wrong("input.missing", f"`{module.at(name)}` is not there", "name the folder of the model")
    copy = scratch / "table"
    source.copy(module.at(transformer.WEIGHTS), copy)
    table = weights.table(copy, source.names[module.at(transformer.WEIGHTS)])
    copy.unlink()
    source.copy(module.at("tokenizer.json"), target / "tokenizer.json")
    _fits(target / "tokenizer.json", len(table), source, module)
    save_file({"embedding.weight": table}, target / transformer.WEIGHTS)
    (target / transformer.WEIGHTS).chmod(0o644)
    return {"dim": table.shape[1], "kind": "static", "max_seq_length": None}


def _fits(path: Path, rows: int, source: Source, module: Module) -> None:
    """Every token needs its row, or a text would read past the table's end."""
    name = module.at("tokenizer.json")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library's own class: a plain Exception
        raise source.wrong("input.model", f"this is no tokenizer: {error}", "name the `tokenizer.json` of the table",
                           name) from None
    most = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if most >= rows:
        raise source.wrong("input.model", f"the tokenizer has tokens up to {most}, and the table has {rows} rows",
                           "name the tokenizer that belongs to this table", name)


def _transformer(
    params: Params, source: Source, found: list[Module], folders: list[str], folder: Path, scratch: Path
) -> dict[str, Any]:
    first, pool, *rest = found
    config = transformer.config(source, first)
    lengths = transformer.lengths(source, first, config, params["model.max_seq_length"])
    write_json(folder / "sentence_bert_config.json", lengths)
    portable, dim = layout.pooling(
        source.settings(pool.at("config.json")) if pool.path else {}, transformer.width(config, source),
        transformer.default_pooling(config) if not pool.path else "mean")
    write_json(folder / folders[1] / "config.json", portable)
    for module, at in zip(rest, folders[2:], strict=True):
        if module.kind == "Dense":
            layer = layout.dense(module, source)
            write_json(folder / at / "config.json", layer)
            transformer.write_weights(source, module, folder / at / transformer.WEIGHTS, scratch)
            dim = layer["out_features"]
    transformer.write(source, first, config, folder, scratch)
    return {"dim": dim, "kind": "transformer", "max_seq_length": lengths[transformer.LENGTH]}
