"""Every field of the spec by its path, with what it holds and what it means."""
from __future__ import annotations

import difflib
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from pydantic.fields import FieldInfo

from embspec.spec.sections import NAMED, Spec
from embspec.spec.shape import Shape, hints, info, shape
from embspec.spec.types import Section


class Field(NamedTuple):
    """One field: `pairs.{name}.path`, `negatives.miners.{n}.kind`, `train.args.{key}`, `gates.{line}`."""

    path: str
    kind: str  # what it holds, in words
    default: Any  # a plain value; REQUIRED where it has none
    choices: tuple[Any, ...]
    text: str


REQUIRED = "(required)"


@cache
def fields() -> tuple[Field, ...]:
    """Every leaf of the spec in its order; a section that may be null is a leaf too."""
    found: dict[str, Field] = {}
    for field in _section(Spec, ""):
        known = found.get(field.path)
        if known is not None:  # the same key in another variant: the first says most, the others add choices
            choices = (*known.choices, *(c for c in field.choices if c not in known.choices))
            field = known._replace(choices=choices)
        found[field.path] = field
    return tuple(found.values())


def _section(section: type[Section], above: str) -> Iterator[Field]:
    for name, annotation in hints(section).items():
        if name == "name" and above.endswith(".{name}."):
            continue  # it is the path itself
        yield from _field(above + name, shape(annotation), info(section, name))


def _field(path: str, found: Shape, record: FieldInfo) -> Iterator[Field]:
    default = _default(record)
    text = record.description or ""
    inner = shape(found.items) if found.items is not None else None
    if path == "gates":
        yield Field("gates.{line}", "a gate such as `recall@10 >= 0.8`", REQUIRED, (), text)
    elif found.entries is not None:
        held = shape(found.entries)
        yield from _variants(f"{path}.{{key}}", held)
        if not held.sections:
            yield Field(f"{path}.{{key}}", held.words() or "a plain value", REQUIRED, held.choices, text)
    elif inner is not None and inner.sections and not inner.plain:
        yield from _variants(f"{path}.{{{'name' if path in NAMED else 'n'}}}", inner)
    else:
        if not found.sections or found.nullable or found.plain or found.choices:
            choices = found.choices or (inner.choices if inner is not None else ())
            yield Field(path, found.words(), default, (*choices, None) if choices and found.nullable else choices, text)
        yield from _variants(path, found)


def _variants(path: str, found: Shape) -> Iterator[Field]:
    for _, section in found.sections:
        yield from _section(section, path + ".")


def _default(record: FieldInfo) -> Any:
    return REQUIRED if record.is_required() else plain(record.get_default(call_default_factory=True))


def plain(value: Any) -> Any:
    """A value of the sections as somebody would have written it."""
    if isinstance(value, Section):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def default_of(section: type[Section], name: str) -> Any:
    """The plain default of one field, None where it has none."""
    default = _default(info(section, name))
    return None if default is REQUIRED else default


def fits(path: str) -> bool:
    """Is there such a field or section, whatever the names and numbers in it?"""
    return any(_match(pattern, tuple(path.split("."))) for pattern in patterns())


@cache
def patterns() -> tuple[tuple[str, ...], ...]:
    """The parts of every field's path."""
    return tuple(tuple(field.path.split(".")) for field in fields())


def _match(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    if len(parts) > len(pattern):
        return False
    return all(want.startswith("{") or want == have for want, have in zip(pattern, parts, strict=False))


@cache
def homes() -> dict[str, tuple[str, ...]]:
    """The last word of each field and section -> where it is at home, nearest the top first."""
    found: dict[str, dict[str, None]] = {}
    for parts in patterns():
        for end in range(1, len(parts) + 1):
            if not parts[end - 1].startswith("{"):
                path = ".".join(part if not part.startswith("{") else "NAME" for part in parts[:end])
                found.setdefault(parts[end - 1], {})[path] = None
    return {word: tuple(sorted(paths, key=lambda path: path.count("."))) for word, paths in found.items()}


def near(word: str, known: Any) -> str:
    """The nearest right spelling, or nothing."""
    folded = {str(name).lower().replace("-", "_"): str(name) for name in known}
    found = difflib.get_close_matches(word.lower().replace("-", "_"), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else ""


def near_path(path: str) -> str:
    """The nearest right path to a field or section, names and numbers kept as they were."""
    parts = tuple(path.split("."))
    best, score = "", 0.72
    for pattern in patterns():
        for end in range(1, len(pattern) + 1):
            if end != len(parts):
                continue
            filled = ".".join(h if w.startswith("{") else w for w, h in zip(pattern, parts, strict=False))
            likeness = difflib.SequenceMatcher(None, filled, path).ratio()
            if likeness > score:
                best, score = filled, likeness
    if not best and parts[-1] in homes():
        return homes()[parts[-1]][0]
    return best
