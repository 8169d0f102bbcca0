"""A model or index folder against its manifest and the lock: every file hashed, all that is wrong at once."""
from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from typing import NamedTuple

from embspec.errors import EmbspecError, Problem, Where, fail
from embspec.plan.plan import GREEN, VERDICT
from embspec.plan.protocol import last_round
from embspec.plan.values import Block, digest_of
from embspec.serve.fetch import tree_files
from embspec.serve.manifest import BESIDE_FILES, MANIFEST, beside, files, manifest, short
from embspec.store.objects import Objects, file_digest, listing

Blocks = Mapping[str, Block]
Rows = dict[str, tuple[str, int]]  # path in the folder -> sha256, size

MODEL, EXPORT, INDEX, GATES = "train/model", "export", "index", "gates"
CARD = "README.md"


class Verified(NamedTuple):
    """A folder that is what the lock says, and what the lock does not cover."""

    kind: str
    folder: str
    files: int
    digest: str
    notes: tuple[str, ...]


class _Looked(NamedTuple):
    """What was found in a folder so far."""

    digest: str
    wrong: dict[str, str]  # path -> what is wrong with it
    notes: list[str]


def verify(folder: str, blocks: Blocks, objects: Objects) -> Verified:
    """Raise with every file that is not what the lock names; say what was checked otherwise."""
    if not os.path.isdir(folder):
        raise fail("usage.folder", f"there is no folder `{folder}`", fix="name a model or index folder")
    rows = {path: _found(os.path.join(folder, path)) for path in files(folder)}
    kind = next((kind for kind, mark in (("model", "modules.json"), ("index", MANIFEST), ("onnx", "model.onnx"))
                 if mark in rows), "")
    if not kind:
        raise fail("usage.folder", f"`{folder}` is neither a model nor an index",
                   fix="a model has `modules.json`, an index `manifest.json`, an ONNX folder `model.onnx`")
    looked = KINDS[kind](folder, rows, blocks, objects)
    if looked.wrong:
        problems = [Problem("corrupt.file" if path else "corrupt.folder", text, Where(os.path.join(folder, path)))
                    for path, text in sorted(looked.wrong.items())]
        last = problems[-1]._replace(fix="bring it again: `embspec get`, or `embspec build` for out/")
        raise EmbspecError(*problems[:-1], last)
    return Verified(kind, folder, len(rows), looked.digest, tuple(looked.notes))


def _model(folder: str, rows: Rows, blocks: Blocks, objects: Objects) -> _Looked:
    """The model's own tree, and of what may lie beside it what the lock names."""
    more = {path for path in rows if beside(path)}
    core = {path: row for path, row in rows.items() if path not in more}
    digest = _model_of(blocks)
    wrong = _tree(core, digest, objects, "")
    notes = []
    for path in sorted(more - {CARD}):
        if not path.startswith("onnx/"):
            wrong |= _file(path, rows[path][0], blocks.get(EXPORT, Block()).out.get(path))
    lacks = "is not there, and the lock names it"
    wrong |= {path: lacks for path in blocks.get(EXPORT, Block()).out if path in BESIDE_FILES and path not in rows}
    onnx = {path.removeprefix("onnx/"): rows[path] for path in more if path.startswith("onnx/")}
    if onnx:
        text = blocks.get(EXPORT, Block()).out.get("onnx")
        wrong |= _tree(onnx, digest_of(text), objects, "onnx/") if text else {
            f"onnx/{path}": "is not part of what the lock names" for path in onnx}
    if CARD in rows:
        notes.append(f"{CARD} is written from the lock's artefacts and is not in the lock itself")
    return _Looked(digest, wrong, notes)


def _onnx(folder: str, rows: Rows, blocks: Blocks, objects: Objects) -> _Looked:
    digest = _named(blocks, EXPORT, "onnx")
    return _Looked(digest, _tree(rows, digest, objects, ""), [])


def _index(folder: str, rows: Rows, blocks: Blocks, objects: Objects) -> _Looked:
    """The index's own tree, its shards as its manifest has them, and the model that made it."""
    digest, model = _named(blocks, INDEX, "index"), _model_of(blocks)
    wrong = _tree(rows, digest, objects, "")
    try:
        said = manifest(folder)
    except EmbspecError as error:
        wrong.setdefault(MANIFEST, error.problems[0].text)
        return _Looked(digest, wrong, [])
    for shard in said.shards:
        if shard.file not in rows:
            wrong.setdefault(shard.file, "is missing: the manifest names it")
        elif rows[shard.file][0] != shard.sha256.removeprefix("sha256:"):
            wrong[shard.file] = "has other bytes than the manifest says"
    notes = []
    if _hex(said.model) != _hex(model):
        text = f"made by the model {short(said.model)}, the lock's model is {short(model)}"
        verdict = blocks.get(GATES, Block()).stat.get(VERDICT, GREEN)
        if wrong or verdict == GREEN:
            wrong[MANIFEST] = f"this index was {text}: vectors of two models cannot be compared"
        else:  # the lock itself keeps the index of the last green build until its gates are green again
            notes.append(f"it is the last green build's, {text}, whose verdict is {verdict}")
    return _Looked(digest, wrong, notes)


KINDS: Mapping[str, Callable[[str, Rows, Blocks, Objects], _Looked]] = {"model": _model, "index": _index, "onnx": _onnx}


def _model_of(blocks: Blocks) -> str:
    stage, _, artefact = last_round(MODEL, blocks).rpartition("/")
    return _named(blocks, stage, artefact)


def _named(blocks: Blocks, stage: str, artefact: str) -> str:
    text = blocks.get(stage, Block()).out.get(artefact)
    if text is None:
        raise fail("usage.not-in-lock", f"the lock names no `{stage}/{artefact}` to compare with",
                   fix="build first, or name the revision whose lock has it: `embspec verify DIR REV`")
    return digest_of(text)


def _found(path: str) -> tuple[str, int]:
    return file_digest(path) if os.path.isfile(path) else ("", 0)


def _tree(rows: Rows, digest: str, objects: Objects, head: str) -> dict[str, str]:
    """What is wrong with the files of a tree; the lock alone is enough where nothing is."""
    made = hashlib.sha256(listing([(path, *row) for path, row in rows.items()])).hexdigest()
    if _hex(digest) == made:
        return {}
    known = tree_files(objects, digest)
    if known is None:
        return {head: f"its files make the tree sha256:{made[:12]}…, the lock names {short(digest)}; "
                      "the list of its files is not in the store, so which of them differ cannot be said"}
    wrong = {head + path: "is missing" for path in known.keys() - rows.keys()}
    wrong |= {head + path: "is not part of what the lock names" for path in rows.keys() - known.keys()}
    for path in known.keys() & rows.keys():
        if rows[path][0] != known[path].sha256:
            wrong[head + path] = f"has other bytes than the lock names (sha256 {rows[path][0][:12]}…, " \
                                 f"not {known[path].sha256[:12]}…)"
    return wrong


def _file(path: str, sha256: str, text: str | None) -> dict[str, str]:
    if text is None:
        return {path: "is not part of what the lock names"}
    return {} if _hex(digest_of(text)) == sha256 else {path: "has other bytes than the lock names"}


def _hex(digest: str) -> str:
    return digest.rpartition(":")[2]
