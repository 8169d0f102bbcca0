"""Where the files of a base come from: a folder, an installed package, the hub's cache, or two files of a table."""
from __future__ import annotations

import json
import posixpath
import shutil
from collections.abc import Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, NamedTuple

from embspec.errors import EmbspecError, Where, fail
from embspec.plan.protocol import Params, Tree
from embspec.stages.live import base_revision

FIELD = "model.base"
HUB = "hub/"
PACKAGE = "package:"
LFS = b"version https://git-lfs"


class Source(NamedTuple):
    """The files of a base by their path inside it."""

    tree: Tree
    names: Mapping[str, str]
    shown: str
    revision: str | None = None  # the commit, where it comes from the hub
    field: str = FIELD  # of the spec, which names it

    def has(self, path: str) -> bool:
        """Whether the base has this file."""
        return path in self.names

    def copy(self, path: str, target: Path) -> None:
        """Its bytes, as they are."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with self.tree.open(self.names[path]) as file, open(target, "wb") as out:
            shutil.copyfileobj(file, out, 1 << 20)

    def json(self, path: str) -> Any:
        """What a JSON file of it says; an empty mapping where it has none of that name."""
        if not self.has(path):
            return {}
        with self.tree.open(self.names[path]) as file:
            data = file.read()
        try:
            return json.loads(data)
        except ValueError as error:
            pointer = data.startswith(LFS)
            text = "this is a pointer of git-lfs, not the file" if pointer else f"not JSON: {error}"
            raise fail("input.json", text, Where(self.names[path]),
                       "run `git lfs pull`" if pointer else "restore the file") from None

    def settings(self, path: str) -> dict[str, Any]:
        """A JSON file that holds one object."""
        value = self.json(path)
        if not isinstance(value, dict):
            raise fail("input.type", "expected an object", Where(self.names[path]), "restore the file")
        return value

    def wrong(self, code: str, text: str, fix: str, path: str = "", field: str = "") -> EmbspecError:
        """An error about this model, with the file that shows it."""
        if path in self.names:
            return fail(code, text, Where(self.names[path]), fix)
        return fail(code, f"{self.shown}: {text}", None, fix, field or self.field)


def opened(params: Params, tree: Tree) -> Source:
    """The files of the base that the spec names; none at all is an error that says how to get them."""
    base = params.get(FIELD)
    names = sorted(tree.names())
    return _table(params, tree, names) if base is None else folder(base, base_revision(params), tree, FIELD)


def folder(model: str, revision: str, tree: Tree, field: str) -> Source:
    """The files of a model that a field of the spec names, wherever it comes from."""
    names = sorted(tree.names())
    if not names:
        raise _nothing(model, revision, field)
    if names[0].startswith(HUB):
        commit = names[0].split("/")[1]
        return Source(tree, _inside(names, f"{HUB}{commit}"), model, commit, field)
    return Source(tree, _inside(names, root(model)), model, None, field)


def root(base: str) -> str:
    """The folder as its files' names in the tree begin."""
    if base.startswith(PACKAGE):
        name, _, folder = base.removeprefix(PACKAGE).partition("/")
        return f"{PACKAGE}{name}/{posixpath.normpath(folder) if folder else ''}".rstrip("/")
    return posixpath.normpath(base.rpartition("//")[2])


def _inside(names: list[str], place: str) -> dict[str, str]:
    head = "" if place == "." else place.rstrip("/") + "/"
    return {name.removeprefix(head): name for name in names if name.startswith(head)}


def _table(params: Params, tree: Tree, names: list[str]) -> Source:
    """The two files of a static table, under the names they have in a model's folder."""
    found = {}
    for part, inner in (("weights", "model.safetensors"), ("tokenizer", "tokenizer.json")):
        path = params[f"model.base.static.{part}"]
        name = root(path)
        if name not in names:
            raise _no_file(path, f"model.base.static.{part}")
        found[inner] = name
    return Source(tree, found, params["model.base.static.weights"])


def _no_file(path: str, field: str) -> EmbspecError:
    if path.startswith(PACKAGE):
        return _not_in_package(path, "such file", field)
    return fail("input.missing", f"there is no file `{path}`", None, "correct the path", field)


def _nothing(base: str, revision: str, field: str) -> EmbspecError:
    if base.startswith(PACKAGE):
        return _not_in_package(base, "model in that folder", field)
    if base.rpartition("//")[2].startswith((".", "/", "~")):
        return fail("input.missing", f"there is no model in `{base}`", None,
                    "name a folder that holds `modules.json` or `config.json`, with its weights beside it", field)
    asked = "" if revision == "main" else f" --revision {revision}"
    return fail("nowhere.base", f"{base} at {revision} is not in the hub's cache here", None,
                f"download it once with `hf download {base}{asked}`, "
                "or name a folder (./…) or package:NAME/FOLDER instead", field)


def _not_in_package(path: str, what: str, field: str) -> EmbspecError:
    name = path.removeprefix(PACKAGE).split("/")[0]
    if name.isidentifier() and PathFinder.find_spec(name):
        return fail("input.missing", f"the package {name} has no {what}: `{path}`", None, "correct the path", field)
    return fail("nowhere.package", f"the package {name} is not installed", None,
                f"install it: `pip install {name.replace('_', '-')}`", field)
