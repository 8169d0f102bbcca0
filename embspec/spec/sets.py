"""`--set a.b=v`: one value laid over the spec, addressed by the path the lock shows."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from embspec.errors import EmbspecError, Problem, Where
from embspec.spec.chain import name_of
from embspec.spec.fields import default_of, fits, near, near_path
from embspec.spec.sections import NAMED, WORDING, Spec
from embspec.spec.shape import Shape, below, shape
from embspec.spec.text import Node, parse_value
from embspec.spec.types import Section

SECRET = ("api_key", "url", "base_url")


def apply(tree: Node, sets: Sequence[str]) -> tuple[Node, list[Problem]]:
    """The tree with every `--set` laid over it, in order, and what is wrong with them."""
    problems: list[Problem] = []
    for written in sets:
        try:
            tree = _apply(tree, written)
        except EmbspecError as error:
            problems += error.problems
    return tree, problems


def _apply(tree: Node, written: str) -> Node:
    path, sign, value = written.partition("=")
    path = path.strip()
    # Of an address or key only the field is repeated: its value may be a secret.
    hidden = path.split(".")[-1] in SECRET or any(word in value for word in (*SECRET, "://"))
    where = Where(f"--set {path}=…" if hidden else f"--set {written}")
    if not sign or not path:
        raise _wrong(where, "`--set` expects FIELD=VALUE", "write --set split.test=0.2")
    if path in WORDING or path == "embspec" or path.startswith("gates."):
        fix = "set `gates` as a whole" if path.startswith("gates.") else "write it into the spec"
        raise _wrong(where, f"`{path}` cannot be set from outside", fix)
    if not fits(path):
        best = near_path(path)
        raise _wrong(where, f"`{path}` is no field of a spec", f"did you mean `{best}`?" if best else "")
    return _put(tree, path.split("."), parse_value(value, where), where, "", Spec)


def _wrong(where: Where, text: str, fix: str) -> EmbspecError:
    return EmbspecError(Problem("spec.set", text, where, fix))


def _put(
    tree: Node, parts: Sequence[str], value: Node, where: Where, above: str, section: type[Section] | None
) -> Node:
    """Lays `value` at `parts` below a mapping; lists that are not written yet begin with their defaults."""
    head, rest = parts[0], parts[1:]
    entries = dict(tree.value) if isinstance(tree.value, dict) else {}
    path = f"{above}.{head}" if above else head
    if not rest:
        entries[head] = value._replace(key=where)
        return tree._replace(value=entries)
    found = _field(section, head)
    child = entries.get(head)
    if found is not None and found.items is not None:
        if child is None and section is not None:
            child = _node(default_of(section, head), where)
        entries[head] = _put_item(child or _node([], where), rest, value, where, path, found)
    else:
        child = child if child is not None and isinstance(child.value, dict) else _node({}, where)
        entries[head] = _put(child, rest, value, where, path, _section(found, child))
    return tree._replace(value=entries)


def _put_item(node: Node, parts: Sequence[str], value: Node, where: Where, path: str, found: Shape) -> Node:
    items = list(node.value) if isinstance(node.value, list) else []
    if path in NAMED:
        names = [name_of(item) or "" for item in items]
        if parts[0] not in names:
            best = near(parts[0], names)
            fix = f"did you mean `{best}`?" if best else f"there is {', '.join(names) or 'none'}"
            raise _wrong(where, f"`{path}` has no `{parts[0]}`", fix)
        at = names.index(parts[0])
    else:
        if not parts[0].isdigit() or not 1 <= int(parts[0]) <= len(items):
            raise _wrong(where, f"`{path}` has no item `{parts[0]}`", f"items are counted from 1 to {len(items)}")
        at = int(parts[0]) - 1
    inner = shape(found.items)
    section = _section(inner, items[at])
    items[at] = _put(items[at], parts[1:], value, where, f"{path}.{parts[0]}", section) if parts[1:] else value
    return node._replace(value=items)


def _field(section: type[Section] | None, name: str) -> Shape | None:
    annotation = None if section is None else below(Shape(sections=(("", section),)), name)
    return None if annotation is None else shape(annotation)


def _section(found: Shape | None, child: Node) -> type[Section] | None:
    """The variant that has the keys already written; the first where none says more."""
    if found is None or not found.sections:
        return None
    keys = set(child.value) if isinstance(child.value, dict) else set()
    return max((section for _, section in found.sections), key=lambda section: len(keys & set(section.model_fields)))


def _node(value: Any, where: Where) -> Node:
    if isinstance(value, dict):
        return Node({key: _node(item, where) for key, item in value.items()}, where, where)
    if isinstance(value, list):
        return Node([_node(item, where) for item in value], where, where)
    return Node(value, where, where, "" if value is None else str(value))
