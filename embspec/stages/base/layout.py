"""The portable layout: what every version from 5.2 to 6.2 of sentence-transformers loads, and to the same vectors."""
from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from embspec.stages.base.source import Source
from embspec.stages.engines import MODES, modes

CARD = "config_sentence_transformers.json"
PORTABLE = "sentence_transformers.models."
VERSION = {"sentence_transformers": "5.0.0"}  # of a version that every reader is newer than, so that none warns
KINDS = ("Transformer", "Pooling", "Dense", "Normalize", "StaticEmbedding")
ORDERS = re.compile(r"Transformer Pooling( Dense)*( Normalize)?|StaticEmbedding( Normalize)?")
OTHER = "take another model, or one that was saved without it"


class Module(NamedTuple):
    """One part of a model, and the folder it lies in."""

    kind: str
    path: str = ""

    def at(self, name: str) -> str:
        """The path of one of its files."""
        return f"{self.path}/{name}" if self.path else name


def write_json(path: Path, value: Any) -> None:
    """JSON that is the same bytes every time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def modules(source: Source) -> list[Module]:
    """The parts of a model in order; a folder of plain transformers gets the pooling it would be loaded with."""
    if not source.has("modules.json"):
        if not source.has("config.json"):
            raise source.wrong("input.missing", "neither `modules.json` nor `config.json` is there",
                               "name the folder that holds the model")
        return [Module("Transformer"), Module("Pooling")]
    rows = source.json("modules.json")
    if not isinstance(rows, list) or not all(isinstance(r, dict) and {"type", "path"} <= r.keys() for r in rows):
        raise source.wrong("input.type", "expected a list of modules, each with `type` and `path`", "restore the file",
                           "modules.json")
    found = [_module(row, source) for row in sorted(rows, key=lambda row: row.get("idx", 0))]
    said = " ".join(module.kind for module in found)
    if not ORDERS.fullmatch(said):
        raise source.wrong("input.model", f"the modules {said} in this order are not built yet", OTHER, "modules.json")
    return found


def _module(row: Mapping[str, Any], source: Source) -> Module:
    kind = str(row["type"])
    name = kind.rpartition(".")[2]
    if not kind.startswith("sentence_transformers."):
        raise source.wrong("input.model", f"the module `{kind}` is Python code that comes with the model, "
                           "which this version of embspec does not run", OTHER, "modules.json")
    if name not in KINDS or row.get("kwargs"):
        what = f"keyword arguments of the module `{name}`" if row.get("kwargs") else f"the module `{name}`"
        raise source.wrong("input.model", f"{what} cannot be read yet; built are {', '.join(KINDS)}", OTHER,
                           "modules.json")
    return Module(name, str(row["path"]).strip("./"))


def write_modules(kinds: Sequence[str], out: Path) -> list[str]:
    """`modules.json` in old names; the folder of each module."""
    folders = ["" if kind == "Transformer" else f"{at}_{kind}" for at, kind in enumerate(kinds)]
    write_json(out / "modules.json", [
        {"idx": at, "name": str(at), "path": folder, "type": PORTABLE + kind}
        for at, (kind, folder) in enumerate(zip(kinds, folders, strict=True))
    ])
    return folders


def pooling(config: Mapping[str, Any], width: int, default: str) -> tuple[dict[str, Any], int]:
    """The pooling in old names, and how wide its vectors are."""
    said = config.get("pooling_mode")
    said = (modes(config) or [default]) if said is None else said
    chosen = [said] if isinstance(said, str) else list(said)
    width = config.get("word_embedding_dimension") or config.get("embedding_dimension") or width
    asked = {key: mode in chosen for mode, key in MODES.items()}
    portable = {"word_embedding_dimension": width, **asked, "include_prompt": config.get("include_prompt", True)}
    return portable, width * len(chosen)


def dense(module: Module, source: Source) -> dict[str, Any]:
    """A dense layer in old names."""
    path = module.at("config.json")
    config = source.settings(path)
    activation = config.get("activation_function", "torch.nn.modules.activation.Tanh")
    through = {config.get(key) or "sentence_embedding" for key in ("module_input_name", "module_output_name")}
    if config.get("use_residual") or through != {"sentence_embedding"} or not activation.startswith("torch."):
        raise source.wrong("input.model", "this dense layer does what older versions cannot say", OTHER, path)
    return {"in_features": config["in_features"], "out_features": config["out_features"],
            "bias": config.get("bias", True), "activation_function": activation}


def settings(params: Mapping[str, Any], source: Source) -> dict[str, Any]:
    """Prompts and similarity: what the spec says, else the model's own as it would use them itself."""
    own = source.settings(CARD)
    kind = own.get("model_type") or "SentenceTransformer"
    if kind != "SentenceTransformer":
        raise source.wrong("input.model", f"this is a {kind}, which gives no single vector of a text", OTHER, CARD)
    similarity = params["model.similarity_fn_name"] or own.get("similarity_fn_name") or "cosine"
    if similarity not in ("cosine", "dot"):
        raise source.wrong("input.model", f"the model compares vectors by {similarity}, which is not built yet",
                           "write `similarity_fn_name: cosine` or `dot`", field="model.similarity_fn_name")
    return {
        "__version__": VERSION,
        "prompts": _prompts(params, own.get("prompts") or {}, own.get("default_prompt_name")),
        "default_prompt_name": None,
        "similarity_fn_name": similarity,
    }


def _prompts(params: Mapping[str, Any], own: Mapping[str, str | None], default: str | None) -> dict[str, str]:
    """One prompt a side; a model's documents are `document`, `passage` or `corpus`, whichever it has first."""
    found = {}
    for side, names in (("query", ("query",)), ("document", ("document", "passage", "corpus"))):
        said = params[f"model.prompts.{side}"]
        written = (own[name] for name in (*names, default) if name and own.get(name) is not None)
        found[side] = str(said) if said is not None else next(written, None) or ""
    return found
