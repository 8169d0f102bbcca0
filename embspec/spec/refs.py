"""Names in one part of a spec that another part has to know."""
from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping

from embspec.errors import Problem
from embspec.spec import paths
from embspec.spec.chain import name_of
from embspec.spec.fields import near
from embspec.spec.gates import FREE, world
from embspec.spec.paths import Ground
from embspec.spec.sections import Spec
from embspec.spec.shape import Shape, below, shape
from embspec.spec.text import Node
from embspec.spec.types import CommandText, PathText


def dangling(tree: Node) -> list[Problem]:
    """Names that lead nowhere; read from the tree, so that other errors do not hide them."""
    return [*_styles(tree), *_systems(tree)]


def _child(node: Node | None, *keys: str) -> Node | None:
    for key in keys:
        node = node.value.get(key) if node is not None and isinstance(node.value, dict) else None
    return node


def _items(node: Node | None) -> list[Node]:
    return node.value if node is not None and isinstance(node.value, list) else []


def _styles(tree: Node) -> list[Problem]:
    sources = _items(_child(tree, "pairs"))
    names = [name for name in map(name_of, sources) if name is not None]
    found: list[Problem] = []
    for source in sources:
        node = _child(source, "generate", "style_examples")
        if node is None or not isinstance(node.value, str) or (node.value in names and node.value != name_of(source)):
            continue
        best = near(node.value, [name for name in names if name != name_of(source)])
        found.append(
            Problem(
                "spec.reference",
                f"style_examples names no other source of pairs: `{node.value}`",
                node.at,
                f"did you mean `{best}`?" if best else "name a source whose questions people wrote",
                f"pairs.{name_of(source)}.generate.style_examples",
            )
        )
    return found


def _systems(tree: Node) -> list[Problem]:
    around = world(tree)
    found: list[Problem] = []
    for node in _items(_child(tree, "eval", "systems")):
        first = str(node.value).split("+")[0]
        if first.startswith("run:") and first.removeprefix("run:") not in around.runs:
            best = near(first.removeprefix("run:"), around.runs)
            found.append(
                Problem(
                    "spec.reference",
                    f"eval.runs has no `{first.removeprefix('run:')}`",
                    node.at,
                    f"did you mean `run:{best}`?" if best else "add it to eval.runs",
                    "eval.systems",
                )
            )
        elif not around.model and first in ("base", "tuned", "hybrid") and not first.startswith(FREE):
            found.append(
                Problem(
                    "spec.conflict",
                    f"`{node.value}` needs a model, and the spec has none",
                    node.at,
                    "add `model:`, or leave it out",
                    "eval.systems",
                )
            )
    return found


def strays(tree: Node, folders: Mapping[str, str], ground: Ground) -> list[Problem]:
    """Paths that leave the project."""
    found: list[Problem] = []
    for field, node, turned in _anchored(tree, Shape(sections=(("", Spec),)), ""):
        folder = folders.get(node.at.file, ground.folder)
        for text in _paths(turned):
            wrong = paths.problem(text, folder, ground, node.at, field)
            found += [wrong] if wrong is not None else []
    return found


def _paths(text: str) -> list[str]:
    """A text that is a path; of a command the words that could lead out of here: a program may lie anywhere."""
    if not isinstance(text, CommandText):
        return [text]
    try:
        words = shlex.split(text)
    except ValueError:
        return []  # which is said of the command
    found = [word.partition("=")[2] if word.startswith("-") else word for word in words]
    return [word for word in found if word and not (os.path.isabs(word) or paths.is_address(word))]


def _anchored(node: Node, found: Shape, path: str) -> Iterator[tuple[str, Node, str]]:
    """Every text of the tree that is a path, by what the schema says of its field."""
    if isinstance(node.value, dict):
        for key, child in node.value.items():
            annotation = below(found, key)
            if annotation is not None:
                yield from _anchored(child, shape(annotation), f"{path}.{key}" if path else key)
    elif isinstance(node.value, list) and found.items is not None:
        for n, item in enumerate(node.value, 1):
            yield from _anchored(item, shape(found.items), f"{path}.{name_of(item) or n}")
    elif isinstance(node.value, str):
        anchor = found.anchor or (shape(found.items).anchor if found.items is not None else None)
        text = anchor.turn(node.value) if anchor is not None else node.value
        if isinstance(text, PathText):
            yield path, node, text
