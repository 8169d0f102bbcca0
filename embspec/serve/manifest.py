"""An index's manifest, and the digest of a model folder: what ties one to the other."""
from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from embspec.errors import EmbspecError, Where, fail
from embspec.store.objects import file_digest, listing

MANIFEST = "manifest.json"
RETRIEVAL = "retrieval.json"

# What lies in a published model folder beside the model itself: other forms of it, and words about it.
BESIDE_FILES = ("README.md", "golden.safetensors")
BESIDE_FOLDERS = ("onnx",)


class Shard(NamedTuple):
    """A file of an index, by its path in the folder."""

    file: str
    sha256: str
    rows: int


class Manifest(NamedTuple):
    """What an index says of itself; equal `reindex` in two of them means that equal rows have equal vectors."""

    model: str
    corpus: str
    recipe: int
    prompts: Mapping[str, str]
    dim: int
    precision: str
    rows: int
    shards: tuple[Shard, ...]
    reindex: str


def manifest(folder: str) -> Manifest:
    """The manifest of an index folder."""
    found = document(folder, MANIFEST)
    try:
        shards = tuple(Shard(str(s["file"]), str(s["sha256"]), int(s["rows"])) for s in found["shards"])
        values = {name: found[name] for name in Manifest._fields if name not in ("rows", "shards")}
        return Manifest(**values, rows=found["count"], shards=shards)
    except (KeyError, TypeError, ValueError) as error:
        raise _broken(os.path.join(folder, MANIFEST), f"it lacks {error}") from error


def document(folder: str, name: str) -> dict[str, Any]:
    """One of the JSON files of an index folder."""
    path = os.path.join(folder, name)
    try:
        with open(path, "rb") as file:
            found = json.loads(file.read())
    except FileNotFoundError:
        raise fail("input.manifest", f"{folder} is no index: it has no {name}",
                   fix="give the folder that `embspec build` wrote, such as out/NAME/index") from None
    except (OSError, ValueError) as error:
        raise _broken(path, str(error)) from error
    if not isinstance(found, dict):
        raise _broken(path, "it is not a JSON object")
    return found


def model_digest(folder: str) -> str:
    """The digest of the model in a folder, as lock and manifest have it; what lies beside it does not count."""
    rows = [(path, *file_digest(os.path.join(folder, path))) for path in files(folder) if not beside(path)]
    if not any(name == "modules.json" for name, _, _ in rows):
        raise fail("input.model", f"{folder} is no model folder: it has no modules.json",
                   fix="give the folder that `embspec build` wrote, such as out/NAME/model")
    return f"tree sha256:{hashlib.sha256(listing(rows)).hexdigest()}"


def beside(path: str) -> bool:
    """Whether a file of a published model folder is no part of the model itself."""
    return path in BESIDE_FILES or path.startswith(tuple(f"{folder}/" for folder in BESIDE_FOLDERS))


def files(folder: str) -> Iterator[str]:
    """Every file below a folder, but for names that begin with a dot: downloads and file managers leave them."""
    for at, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield os.path.relpath(os.path.join(at, name), folder).replace(os.sep, "/")


def short(digest: str) -> str:
    """A digest as a person reads it."""
    return digest.removeprefix("tree ")[:19] + "…"


def _broken(path: str, why: str) -> EmbspecError:
    return fail("input.manifest", f"cannot be read as part of an index: {why}", Where(path),
                "run `embspec build`: it is written anew")
