"""Which live files the reading stages open."""
from __future__ import annotations

from embspec.plan.protocol import Params

# A base is exactly what is used of it, for each file is part of a pin; cards, Python and other forms of the same
# weights stand beside these and are not.
BASE_FILES: tuple[str, ...] = (
    "modules.json",
    "config.json",
    "config_sentence_transformers.json",
    "sentence_*_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*-of-*.safetensors",
    "[0-9]*_*/*.json",
    "[0-9]*_*/*.txt",
    "[0-9]*_*/*.model",
    "[0-9]*_*/*.safetensors",
)


def base_files(params: Params) -> tuple[str, ...]:
    """The globs of a base: those of a model's folder, or the two files of a static table."""
    base = params.get("model.base")
    if base is None:
        files = (params.get("model.base.static.weights"), params.get("model.base.static.tokenizer"))
        return tuple(_literal(file) for file in files if file)
    if base.startswith("package:") or _is_path(base):
        return tuple(f"{_literal(base.rstrip('/'))}/{file}" for file in BASE_FILES)
    return tuple(f"hub:{base}@{base_revision(params)}//{file}" for file in BASE_FILES)


def base_sticky(params: Params) -> bool:
    """A base from the hub is what was pinned, whatever the cache holds since."""
    base = params.get("model.base")
    return base is not None and not base.startswith("package:") and not _is_path(base)


def base_revision(params: Params) -> str:
    """The commit that the pin holds, where it is of this very base and revision; else the branch, tag or commit."""
    revision = params.get("model.revision", "auto")
    asked = "main" if revision == "auto" else str(revision)
    commit, _, of = str(params.get("pin.revision") or "").partition(" ")
    return commit if of == f"{params['model.base']}@{revision}" else asked


def _is_path(base: str) -> bool:
    """Whether a base is a folder here: it begins with a dot or a slash, behind the folder of the file that names it."""
    return base.rpartition("//")[2].startswith((".", "/", "~"))


def _literal(path: str) -> str:
    """A path that is no pattern, whatever letters it has."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in path)


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
