"""A resolved spec as flat values: one plain value under each full path, in the order of the schema."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from embspec.errors import Where
from embspec.spec import paths
from embspec.spec.paths import Ground
from embspec.spec.sections import NAMED, WORDING, Spec
from embspec.spec.text import Node
from embspec.spec.types import CommandText, PathText, Section

Scalar = str | int | float | bool | None


def flatten(spec: Spec, gates: Iterable[str]) -> dict[str, Any]:
    """Every value of the spec; paths are still `PathText`."""
    values: dict[str, Any] = {}
    for name in type(spec).model_fields:
        if name == "gates":
            # Sorted like all that is known by name: equal specs have equal values, byte for byte.
            lines = sorted(gates)
            values.update({f"gates.{line}": "on" for line in lines})
            if not lines:
                values["gates"] = []
        elif name not in WORDING:
            values.update(_leaves(name, getattr(spec, name)))
    return values


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Section):
        for name in type(value).model_fields:
            if name != "name" or path.rpartition(".")[0] not in NAMED:
                yield from _leaves(f"{path}.{name}", getattr(value, name))
    elif isinstance(value, dict):
        for key in sorted(value):
            yield from _leaves(f"{path}.{key}", value[key])
    elif isinstance(value, (list, tuple)) and any(isinstance(item, Section) for item in value):
        named = sorted(value, key=lambda item: item.name) if path in NAMED else list(value)
        for n, item in enumerate(named, 1):
            yield from _leaves(f"{path}.{item.name if path in NAMED else n}", item)
    else:
        yield path, list(value) if isinstance(value, tuple) else value


def named(tree: Node) -> dict[str, Node]:
    """Every node of the tree by its flat path, sections and items included."""
    found: dict[str, Node] = {}
    _name(tree, "", found)
    return found


def _name(node: Node, path: str, found: dict[str, Node]) -> None:
    if path:
        found[path] = node
    if path == "gates":  # known by their lines
        return
    if isinstance(node.value, dict):
        for key, child in node.value.items():
            if path or key not in WORDING:
                _name(child, f"{path}.{key}" if path else key, found)
    elif isinstance(node.value, list):
        for n, item in enumerate(node.value, 1):
            name = item.value.get("name") if isinstance(item.value, dict) and path in NAMED else None
            _name(item, f"{path}.{name.raw if name is not None else n}", found)


def written(values: Mapping[str, Any], nodes: Mapping[str, Node], gates: Mapping[str, Where]) -> dict[str, Where]:
    """Where each leaf and each section above one was written, for those that were."""
    known: dict[str, None] = {}
    for path in values:
        parts = path.split(".") if not path.startswith("gates.") else ["gates"]
        known.update(dict.fromkeys(".".join(parts[:end]) for end in range(1, len(parts) + 1)))
    found = {path: nodes[path].key for path in known if path in nodes}
    return {**found, **{f"gates.{line}": where for line, where in gates.items()}}


def settled(
    values: Mapping[str, Any], nodes: Mapping[str, Node], folders: Mapping[str, str], ground: Ground
) -> dict[str, Any]:
    """The values with every path anchored at the main spec's folder."""
    done: dict[str, Any] = {}
    for field, value in values.items():
        many = isinstance(value, list)
        node = _nearest(field, nodes)
        texts: list[Any] = []
        for n, item in enumerate(value if many else [value]):
            if isinstance(item, PathText):
                folder = folders.get(_file(node, n), ground.folder)
                anchor = paths.prefixed if isinstance(item, CommandText) else paths.anchored
                texts.append(anchor(str(item), folder, ground))
            else:
                texts.append(item)
        done[field] = texts if many else texts[0]
    return done


def _nearest(path: str, nodes: Mapping[str, Node]) -> Node | None:
    while path and path not in nodes:
        path = path.rpartition(".")[0]
    return nodes.get(path)


def _file(node: Node | None, n: int) -> str:
    if node is None:
        return ""
    items = node.value if isinstance(node.value, list) else []
    return str((items[n] if n < len(items) else node).at.file)
