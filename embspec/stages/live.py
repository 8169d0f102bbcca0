"""Which live files the reading stages open."""
from __future__ import annotations

from collections.abc import Callable, Mapping

from embspec.plan.protocol import PROGRAM, Command, Params, is_address

Live = Callable[[Params], tuple[str, ...]]

# What stands between an address and its pin: no address of a spec has it.
PINNED = "#"

CONTEXT = "corpus.chunking.context.command"
CONTEXTS = "contexts"  # the pin of what that command answered

CROSS_ENCODER = "negatives.guard.cross_encoder"

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

# The package that reads a kind of document; what is not listed here is read without one.
PARSERS: Mapping[str, str] = {
    ".docx": "python-docx",
    ".htm": "selectolax",
    ".html": "selectolax",
    ".md": "ruamel.yaml",
    ".parquet": "pyarrow",
    ".pdf": "pypdfium2",
    ".rst": "docutils",
    ".yaml": "ruamel.yaml",
    ".yml": "ruamel.yaml",
}


def parsers(params: Params) -> tuple[str, ...]:
    """The packages that the endings in a corpus' globs ask for; a glob that names no ending asks for none."""
    asked = {PARSERS[end] for path in _documents(params) for end in PARSERS if path.lower().endswith(end)}
    return tuple(sorted(asked))


def base_files(params: Params) -> tuple[str, ...]:
    """The globs of a base: those of a model's folder, or the two files of a static table."""
    base = params.get("model.base")
    if base is None:
        files = (params.get("model.base.static.weights"), params.get("model.base.static.tokenizer"))
        return tuple(_literal(file) for file in files if file)
    return _model_files(base, base_revision(params))


def base_sticky(params: Params) -> bool:
    """A base from the hub is what was pinned, whatever the cache holds since."""
    base = params.get("model.base")
    return base is not None and _on_hub(base)


def base_revision(params: Params) -> str:
    """The commit that the pin holds, where it is of this very base and revision; else the branch, tag or commit."""
    return _pinned(params, params["model.base"], params.get("model.revision", "auto"))


def cross_encoder_files(params: Params) -> tuple[str, ...]:
    """The globs of the guard's cross-encoder."""
    model = params.get(CROSS_ENCODER)  # a lock that a hand was at may lack it
    return () if model is None else _model_files(model, cross_encoder_revision(params))


def cross_encoder_sticky(params: Params) -> bool:
    """A cross-encoder from the hub is what was pinned, as a base is."""
    return _on_hub(params[CROSS_ENCODER])


def cross_encoder_revision(params: Params) -> str:
    """The commit that the pin holds, where it is of this very model; else the main branch."""
    return _pinned(params, params[CROSS_ENCODER], "auto")


def given_files(params: Params) -> tuple[str, ...]:
    """The files of negatives that somebody else found; a path is one file, whatever letters it has."""
    return tuple(_fixed(params, path) if is_address(path) else _literal(path) for path in given_paths(params))


def given_paths(params: Params) -> dict[str, str]:
    """Each file that a miner names, with the field of the first that does."""
    fields = sorted(field for field in params if field.startswith("negatives.miners.") and field.endswith(".path"))
    return {params[field]: field for field in reversed(fields)}


def _model_files(name: str, revision: str) -> tuple[str, ...]:
    """The globs of a model's folder: here, in a package, or in the hub's cache."""
    if _on_hub(name):
        return tuple(f"hub:{name}@{revision}//{file}" for file in BASE_FILES)
    return tuple(f"{_literal(name.rstrip('/'))}/{file}" for file in BASE_FILES)


def _pinned(params: Params, name: str, revision: str) -> str:
    asked = "main" if revision == "auto" else str(revision)
    commit, _, of = str(params.get("pin.revision") or "").partition(" ")
    return commit if of == f"{name}@{revision}" else asked


def _on_hub(name: str) -> bool:
    return not (name.startswith("package:") or _is_path(name))


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


def addresses(live: Live) -> Live:
    """Of what a stage reads, the files that lie elsewhere: each has a pin of its own."""
    return lambda params: tuple(sorted({file.partition(PINNED)[0] for file in live(params) if is_address(file)}))


def _fixed(params: Params, file: str) -> str:
    """An address with what is pinned of it, where anything is."""
    pin = params.get(f"pin.{file}") if is_address(file) else None
    return f"{file}{PINNED}{pin}" if pin else file


def corpus_files(params: Params) -> tuple[str, ...]:
    """The globs of a corpus, and the files that the command of its contexts names."""
    return (*_documents(params), *program_files(context_command(params)))


def _documents(params: Params) -> tuple[str, ...]:
    """The globs of its documents; a folder is a BEIR folder."""
    paths = (f"{p.rstrip('/')}/corpus.jsonl" if _is_folder(p) else p for p in params["corpus.path"])
    return tuple(_fixed(params, path) for path in paths)


def corpus_pins(params: Params) -> tuple[str, ...]:
    """The files that lie elsewhere, and what a command has answered."""
    return (*addresses(corpus_files)(params), *((CONTEXTS,) if CONTEXT in params else ()))


def context_command(params: Params) -> Command | None:
    """The command that writes the contexts of chunks."""
    return _command(CONTEXT, params[CONTEXT]) if CONTEXT in params else None


def _command(field: str, text: str) -> Command:
    """A command as the spec's folder sees it; what stands before the mark is the folder of the file that names it."""
    import shlex  # only a spec that names a command pays for it

    folder, mark, rest = text.partition("//")
    anchored = bool(mark) and not folder.endswith(":")  # an address in a command has such a mark too
    return Command(field, folder if anchored else "", tuple(shlex.split(rest if anchored else text)))


def program_files(command: Command | None) -> tuple[str, ...]:
    """Each word of a command as the name of a file, and what an option is given: those that are there are inputs."""
    if command is None:
        return ()
    words = dict.fromkeys(word.partition("=")[2] if word.startswith("-") else word for word in command.words)
    folder = f"{command.folder}//" if command.folder else ""
    return tuple(f"{PROGRAM}{folder}{_literal(word)}" for word in words if word and not word.startswith(("/", "-"))
                 and "://" not in word)


def pairs_files(params: Params) -> tuple[str, ...]:
    """The files of a pair source; a folder is a BEIR folder, with the judgements of one published split."""
    path = params["pairs.path"]
    if path is None:  # what is made from the corpus opens no file
        return ()
    if params["pairs.format"] == "beir" or (params["pairs.format"] == "auto" and _is_folder(path)):
        folder = path.rstrip("/")
        files = (f"{folder}/queries.jsonl", f"{folder}/qrels/{params['pairs.qrels'] or '*'}.tsv")
        return tuple(_fixed(params, file) for file in files)
    return (_fixed(params, path),)
