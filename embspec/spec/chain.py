"""The files of a spec: what `extends` names, read and laid over one another."""
from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import NamedTuple

from embspec.errors import EmbspecError, Problem, Where, fail
from embspec.spec import paths, text
from embspec.spec.fields import fits, near, near_path
from embspec.spec.paths import Ground
from embspec.spec.sections import NAMED, VERSION
from embspec.spec.text import Node

DEEPEST = 20  # files in one chain; a longer one is a mistake


class Layer(NamedTuple):
    """One file of the chain."""

    path: str  # absolute
    shown: str  # as messages name it
    tree: Node
    digest: str  # of its bytes as they were read

    @property
    def folder(self) -> str:
        """The folder its paths are relative to."""
        return os.path.dirname(self.path)


def shown(path: str) -> str:
    """A path as a person at this prompt would write it."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def layers(path: str, ground: Ground) -> list[Layer]:
    """The spec and what it extends, the spec itself first."""
    chain = [_read(os.path.abspath(path), None)]
    while True:
        last = chain[-1]
        link = last.tree.value.get("extends")
        if link is None or link.value is None:
            return chain
        target = _target(link, last, ground)
        if target in [layer.path for layer in chain]:
            names = [layer.shown for layer in chain] + [shown(target)]
            raise fail("spec.cycle", f"`extends` runs in a circle: {' -> '.join(names)}", link.at, "break the circle")
        if len(chain) == DEEPEST:
            raise fail("spec.cycle", f"more than {DEEPEST} specs extend one another", link.at, "shorten the chain")
        chain.append(_read(target, link.at))


def _target(link: Node, layer: Layer, ground: Ground) -> str:
    if not isinstance(link.value, str) or not link.value:
        raise fail(
            "spec.extends",
            "`extends` expects the path of one other spec",
            link.at,
            "for several, let each extend the next",
            field="extends",
        )
    if paths.is_address(link.value):
        raise fail(
            "spec.extends",
            "`extends` reads files, not addresses",
            link.at,
            "copy the spec into the project",
            field="extends",
        )
    wrong = paths.problem(link.value, layer.folder, ground, link.at, "extends")
    if wrong is not None:
        raise EmbspecError(wrong)
    return os.path.normpath(os.path.join(layer.folder, link.value))


def _read(path: str, asked: Where | None) -> Layer:
    name = shown(path)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        raise _missing(path, asked) from None
    except IsADirectoryError:
        raise fail("spec.unreadable", f"`{name}` is a folder, not a spec", asked, _candidates(path)) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise fail("spec.unreadable", f"`{name}` cannot be read: {reason}", asked) from None
    tree = text.parse(text.decode(data, name), name)
    if not isinstance(tree.value, dict):
        raise fail(
            "spec.not-a-mapping",
            "a spec is a mapping of sections, and this is not one",
            tree.at,
            "begin with `embspec: 1`, then `corpus:`",
        )
    _version(tree)
    return Layer(path, name, tree, hashlib.sha256(data).hexdigest())


def _missing(path: str, asked: Where | None) -> EmbspecError:
    what = "the spec that is extended does not exist" if asked else "there is no such spec"
    return fail("spec.not-found", f"{what}: {shown(path)}", asked, _candidates(path))


def _candidates(path: str) -> str:
    """The specs that may have been meant: those in the folder, the nearest spelling first."""
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith((".yaml", ".yml")))
    except OSError:
        return f"there is no folder {shown(folder)}"
    best = near(os.path.basename(path), names)
    found = [best, *(name for name in names if name != best)] if best else names
    listed = ", ".join(shown(os.path.join(folder, name)) for name in found[:5])
    return f"did you mean {listed}?" if listed else f"there is no spec in {shown(folder) or '.'}"


def _version(tree: Node) -> None:
    node = tree.value.get("embspec")
    if node is None:
        return
    value = node.value
    if isinstance(value, int) and not isinstance(value, bool) and value > VERSION:
        raise fail(
            "spec.version",
            f"this spec is written for `embspec: {value}`, and this version reads {VERSION}",
            node.at,
            "install a newer embspec",
            field="embspec",
        )
    if value != VERSION or isinstance(value, (bool, float)):
        raise fail(
            "spec.version",
            f"`embspec` is the version of the spec's vocabulary, not `{node.raw or 'a mapping'}`",
            node.at,
            f"write `embspec: {VERSION}`",
            field="embspec",
        )


def merged(chain: Sequence[Layer]) -> tuple[Node, list[Problem]]:
    """The chain as one tree, the main spec on top, and what is wrong with how it is put together."""
    problems = [problem for layer in chain for path in NAMED for problem in doubles(layer.tree, path)]
    tree = chain[-1].tree
    if "unset" in tree.value:
        problems.append(
            Problem(
                "spec.unset",
                "`unset` needs a spec to build on",
                tree.value["unset"].key,
                "add `extends`, or remove it",
                "unset",
            )
        )
    for layer in reversed(chain[:-1]):
        names, wrong = _unset(layer.tree.value.get("unset"))
        problems += wrong
        for name in names:
            tree = without(tree, name.split("."))
        tree = _over(tree, layer.tree, "")
    return tree, problems


def _unset(node: Node | None) -> tuple[list[str], list[Problem]]:
    if node is None or node.value is None:
        return [], []
    if not isinstance(node.value, list):
        return [], [
            Problem(
                "spec.unset", "`unset` expects a list of fields", node.at, "write `unset: [loss.matryoshka]`", "unset"
            )
        ]
    names: list[str] = []
    problems: list[Problem] = []
    for item in node.value:
        if not isinstance(item.value, str) or not fits(item.value):
            best = near_path(item.value) if isinstance(item.value, str) else ""
            given = f"`{item.raw}`" if item.raw else "a mapping or list"
            fix = f"did you mean `{best}`?" if best else "write a field's path, such as loss.matryoshka"
            problems.append(
                Problem("spec.unset", f"`unset` expects fields of a spec, found {given}", item.at, fix, "unset")
            )
        else:
            names.append(item.value)
    return names, problems


def without(tree: Node, parts: Sequence[str]) -> Node:
    """The tree without one field or named item; a tree that lacks it stays as it is."""
    head, rest = parts[0], parts[1:]
    if isinstance(tree.value, dict) and head in tree.value:
        kept = {key: child for key, child in tree.value.items() if key != head}
        return tree._replace(value={**tree.value, head: without(tree.value[head], rest)} if rest else kept)
    if isinstance(tree.value, list):
        changed = [item if name_of(item) != head else (without(item, rest) if rest else None) for item in tree.value]
        return tree._replace(value=[item for item in changed if item is not None])
    return tree


def name_of(item: Node) -> str | None:
    """The name of an item of a list, where it has one."""
    name = item.value.get("name") if isinstance(item.value, dict) else None
    return name.raw if name is not None and isinstance(name.value, (str, int, float)) else None


def doubles(tree: Node, path: str) -> list[Problem]:
    """Items of a named list that share a name: the second would overwrite the first."""
    node: Node | None = tree
    for part in path.split("."):
        node = node.value.get(part) if node is not None and isinstance(node.value, dict) else None
    first: dict[str, Where] = {}
    problems: list[Problem] = []
    for item in node.value if node is not None and isinstance(node.value, list) else []:
        name = name_of(item)
        if name is not None and name in first:
            problems.append(
                Problem(
                    "spec.duplicate-name",
                    f"`{path}` has `{name}` already, at {first[name]}",
                    item.value["name"].at,
                    "give each its own name",
                    f"{path}.{name}.name",
                )
            )
        elif name is not None:
            first[name] = item.value["name"].at
    return problems


def _over(base: Node, child: Node, path: str) -> Node:
    if isinstance(base.value, dict) and isinstance(child.value, dict):
        entries = dict(base.value)
        for key, node in child.value.items():
            inner = f"{path}.{key}" if path else key
            entries[key] = _over(entries[key], node, inner) if key in entries else node
        return child._replace(value=entries)
    if path in NAMED and isinstance(base.value, list) and isinstance(child.value, list):
        items = list(base.value)
        at = {name_of(item): n for n, item in enumerate(items) if name_of(item) is not None}
        for node in child.value:
            name = name_of(node)
            if name is not None and name in at:
                items[at[name]] = _over(items[at[name]], node, f"{path}.{name}")
            else:
                items.append(node)
        return child._replace(value=items)
    return child
