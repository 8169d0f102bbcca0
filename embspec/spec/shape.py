"""What the sections' types say, as plain facts: for messages, for paths, and for the list of all fields."""
from __future__ import annotations

import re
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from pydantic import Tag
from pydantic.fields import FieldInfo

from embspec.spec.types import Anchor, Hidden, Says, Section

PLAIN = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


class Shape(NamedTuple):
    """What one field can hold."""

    says: str = ""  # in words, where the type's own are not good enough
    hidden: bool = False
    anchor: Anchor | None = None
    nullable: bool = False
    choices: tuple[Any, ...] = ()
    plain: tuple[type, ...] = ()
    sections: tuple[tuple[str, type[Section]], ...] = ()  # by tag
    items: Any = None  # what a list holds
    entries: Any = None  # what a mapping of free keys holds

    def fields(self, tag: str = "") -> dict[str, Any]:
        """The keys it may have, with their types; of one variant where `tag` names it."""
        found: dict[str, Any] = {}
        for name, section in self.sections:
            if not tag or tag == name:
                found = {**hints(section), **found}
        return found

    def words(self) -> str:
        """What is expected here, in words."""
        said = self.says or self._parts()
        if not self.nullable:
            return said
        if not self.says and self.choices and not self.plain and not self.sections:
            return listed((*self.choices, None))
        return f"{said}, or null" if re.search(r",| or ", said) else f"{said} or null"

    def _parts(self) -> str:
        parts = [listed(self.choices)] if self.choices else []
        parts += [PLAIN[kind] for kind in self.plain if kind in PLAIN]
        parts += ["a mapping"] if self.sections or self.entries is not None else []
        if self.items is not None:
            inner = shape(self.items)
            parts.append("a list of mappings" if inner.sections else f"a list of {inner.words()}")
        return " or ".join(parts)


def listed(words: Any) -> str:
    """`a, b or c`."""
    *first, last = (spelled(word) for word in words)
    return f"{', '.join(first)} or {last}" if first else last


def spelled(value: Any) -> str:
    """A scalar as YAML writes it."""
    return (
        {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else str(value)
    )


@cache
def hints(section: type[Section]) -> dict[str, Any]:
    """The fields of a section with all that is annotated on them, in order."""
    found = get_type_hints(section, include_extras=True)
    return {name: found[name] for name in section.model_fields}


def info(section: type[Section], name: str) -> FieldInfo:
    """pydantic's record of a field: its default and description."""
    return section.model_fields[name]


def shape(annotation: Any, tag: str = "") -> Shape:
    """The facts of one annotation."""
    if annotation is Any or annotation is NoneType or annotation is None:
        return Shape(nullable=annotation is not Any)
    origin = get_origin(annotation)
    if origin is Annotated:
        return _annotated(annotation, tag)
    if origin in (Union, UnionType):
        return _union([shape(member) for member in get_args(annotation)])
    if origin is Literal:
        return Shape(choices=get_args(annotation))
    if origin is list:
        return Shape(items=get_args(annotation)[0])
    if origin is dict:
        return Shape(entries=get_args(annotation)[1])
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return Shape(sections=((tag, annotation),))
    return Shape(plain=(annotation,))


def _annotated(annotation: Any, tag: str) -> Shape:
    inner, *notes = get_args(annotation)
    tags = [note.tag for note in notes if isinstance(note, Tag)]
    found = shape(inner, tags[0] if tags else tag)
    for note in notes:
        if isinstance(note, Says):
            found = found._replace(says=note.words)
        if isinstance(note, Hidden):
            found = found._replace(hidden=True)
        if isinstance(note, Anchor):
            found = found._replace(anchor=note)
    return found


def _union(members: list[Shape]) -> Shape:
    says = [member.says for member in members if member.says]
    return Shape(
        says=says[0] if len(says) == 1 and len([m for m in members if m != Shape(nullable=True)]) == 1 else "",
        hidden=any(member.hidden for member in members),
        anchor=next((member.anchor for member in members if member.anchor is not None), None),
        nullable=any(member.nullable for member in members),
        choices=tuple(choice for member in members for choice in member.choices),
        plain=tuple(kind for member in members for kind in member.plain),
        sections=tuple(pair for member in members for pair in member.sections),
        items=next((member.items for member in members if member.items is not None), None),
        entries=next((member.entries for member in members if member.entries is not None), None),
    )


def below(found: Shape, part: str | int, tag: str = "") -> Any:
    """The type of a key or an item, None where there is none."""
    if isinstance(part, int):
        return found.items
    return found.fields(tag).get(part, found.entries)
