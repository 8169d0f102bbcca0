"""From a spec file to flat plain values: everything a person wrote, and everything that follows from it."""
from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from embspec.errors import EmbspecError, Problem, Where
from embspec.spec import chain, flat, gates, sets
from embspec.spec.chain import Layer
from embspec.spec.flat import Scalar
from embspec.spec.paths import Ground
from embspec.spec.problems import gathered, problems, text_for_numbers
from embspec.spec.refs import dangling, strays
from embspec.spec.resolve import resolved
from embspec.spec.sections import WORDING, Spec
from embspec.spec.text import Node


class Loaded(NamedTuple):
    """A spec as the rest of embspec sees it; the parts are plain JSON values."""

    values: dict[str, Scalar | list[Scalar]]  # by full path, defaults included, in the order of the schema
    written: dict[str, Where]  # where each leaf or section was written, for those that were
    files: tuple[str, ...]  # the spec and what it extends, absolute
    digests: tuple[str, ...]  # sha256 of their bytes as they were read: an edit since then is another spec


def load(path: str, sets: Sequence[str] = (), *, root: str, allow_outside: bool = False) -> Loaded:
    """Reads a spec with what it extends; raises all that is wrong with it at once."""
    ground = Ground(os.path.dirname(os.path.abspath(path)), os.path.abspath(root), allow_outside)
    layers = chain.layers(path, ground)
    tree, wrong = _tree(layers, sets)
    found = gates.read(tree.value.get("gates"), gates.world(tree))
    spec, invalid = _validated(tree)
    folders = {layer.shown: layer.folder for layer in layers}
    wrong += [*invalid, *found.problems, *dangling(tree), *strays(tree, folders, ground)]
    if spec is None or wrong:
        raise EmbspecError(*gathered(wrong))
    nodes = flat.named(tree)
    values = flat.flatten(resolved(spec, found.gates), found.gates)
    settled: dict[str, Any] = flat.settled(values, nodes, folders, ground)
    written = flat.written(settled, nodes, found.places)
    return Loaded(settled, written, tuple(layer.path for layer in layers), tuple(layer.digest for layer in layers))


def _tree(layers: Sequence[Layer], written: Sequence[str]) -> tuple[Node, list[Problem]]:
    merged, wrong = chain.merged(layers)
    tree, unset = sets.apply(merged, written)
    entries = {key: node for key, node in tree.value.items() if key not in WORDING}
    return tree._replace(value=entries), [*wrong, *unset]


def _validated(tree: Node) -> tuple[Spec | None, list[Problem]]:
    try:
        return Spec.model_validate(tree.plain()), []
    except ValidationError as error:
        if not text_for_numbers(error, tree):
            return None, problems(error, tree)
    try:
        return Spec.model_validate(tree.plain()), []
    except ValidationError as error:
        return None, problems(error, tree)
