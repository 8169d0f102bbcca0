"""What pydantic found, said as a person would, at the place where it stands."""
from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from embspec.errors import Problem, Where
from embspec.measure.gate import number_text
from embspec.spec.fields import homes, near
from embspec.spec.sections import NAMED, VERSION, Spec
from embspec.spec.shape import Shape, below, info, shape, spelled
from embspec.spec.text import FLOAT, Node

MOST = 20  # problems shown; more would bury the first ones
BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
NOISE = re.compile(r"[_, ]")  # what people put between the digits of a number
SWITCHES = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


class Spot(NamedTuple):
    """Where an error lies: the nearest node that exists, its path, and what is expected there."""

    node: Node
    path: str
    found: Shape
    tag: str = ""  # the variant that was tried
    missing: str = ""  # a key the node lacks
    parent: Node | None = None


def problems(error: ValidationError, root: Node) -> list[Problem]:
    """All problems of one validation."""
    details = error.errors(include_url=False)
    found = [_problem(detail, root) for detail in [*details, *_behind(details, root)]]
    # A misspelt key is one mistake: that the right spelling is missing need not be said as well.
    meant = {(p.field.rpartition(".")[0], p.fix) for p in found if p.code == "spec.unknown-key"}
    return [p for p in found if p.code != "spec.missing" or _misspelt(p) not in meant]


def _behind(details: Sequence[Any], root: Node) -> list[Any]:
    """Conflicts between two fields that were not looked at because a third one beside them is wrong."""
    values = root.plain()
    for detail in details:
        _drop(values, [part for part in detail["loc"] if not (isinstance(part, str) and part.startswith("|"))])
    try:
        Spec.model_validate(values)
    except ValidationError as error:
        known = [detail["loc"] for detail in details]
        later = [detail for detail in error.errors(include_url=False) if detail["loc"] not in known]
        return [detail for detail in later if detail["type"] == "spec.conflict" and _both(detail, root)]
    return []


def _drop(value: Any, loc: Sequence[str | int]) -> None:
    """Removes the innermost key on the way to an error; what it held is at its default then."""
    holder: tuple[dict[Any, Any], Any] | None = None
    for part in loc:
        if isinstance(value, dict) and part in value:
            holder = (value, part)
            value = value[part]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return
    if holder is not None:
        holder[0].pop(holder[1])


def _both(detail: Any, root: Node) -> bool:
    node, context = _spot(detail["loc"], root).node, detail["ctx"]
    return _child(node, context["at"]) is not None and _child(node, context["also"]) is not None


def _misspelt(problem: Problem) -> tuple[str, str]:
    above, _, name = problem.field.rpartition(".")
    return above, f"did you mean `{name}`?"


def gathered(found: Sequence[Problem]) -> list[Problem]:
    """In the order of files and lines, each once, and no more than a person reads."""
    files = list(dict.fromkeys(problem.where.file for problem in found if problem.where))
    order = sorted(
        dict.fromkeys(found),
        key=lambda p: (files.index(p.where.file), p.where.line, p.where.column) if p.where else (-1, 0, 0),
    )
    if len(order) <= MOST:
        return order
    rest = len(order) - MOST
    return [
        *order[:MOST],
        Problem("spec.more", f"and {rest} more {'problem' if rest == 1 else 'problems'}", order[MOST].where),
    ]


def text_for_numbers(error: ValidationError, root: Node) -> bool:
    """Gives fields of text the letters that YAML took for a number; says whether there were any.

    `version: 3.10` and `revision: 1234567` mean their letters and nothing else.
    """
    changed = False
    for detail in error.errors(include_url=False):
        spot = _spot(detail["loc"], root)
        if detail["type"] != "string_type" or spot.missing or spot.parent is None or not spot.node.raw:
            continue
        if isinstance(spot.node.value, (int, float)) and not isinstance(spot.node.value, bool):
            holder = spot.parent.value
            for key, child in holder.items() if isinstance(holder, dict) else enumerate(holder):
                if child is spot.node:
                    holder[key] = child._replace(value=child.raw)
                    changed = True
                    break
    return changed


def _spot(loc: Sequence[str | int], root: Node) -> Spot:
    spot = Spot(root, "", Shape(sections=(("", Spec),)))
    for part in loc:
        if isinstance(part, str) and part.startswith("|"):
            spot = spot._replace(tag=part)
            continue
        node, value = spot.node, spot.node.value
        annotation = below(spot.found, part, spot.tag)
        found = Shape() if annotation is None else shape(annotation)
        if isinstance(part, int):
            if not isinstance(value, list) or part >= len(value):
                return spot._replace(found=found) if isinstance(value, str) else spot
            spot = Spot(value[part], f"{spot.path}.{_item(spot.path, value[part], part)}", found, parent=node)
        else:
            path = f"{spot.path}.{part}" if spot.path else part
            if not isinstance(value, dict) or part not in value:
                return spot._replace(missing=part)
            spot = Spot(value[part], path, found, parent=node)
    return spot


def _item(path: str, node: Node, n: int) -> str:
    name = node.value.get("name") if isinstance(node.value, dict) else None
    return name.raw if path in NAMED and name is not None and name.raw else str(n + 1)


def _problem(detail: Any, root: Node) -> Problem:
    kind, loc, context = detail["type"], detail["loc"], detail.get("ctx") or {}
    if kind == "extra_forbidden":
        return _unknown(str(loc[-1]), _spot(loc[:-1], root))
    spot = _spot(loc, root)
    if kind.startswith("spec."):
        return _own(kind, context, spot)
    if kind == "missing":
        return _missing(spot)
    label, at = f"`{spot.path}`", spot.node.at
    if kind in BOUNDS:
        bound, words = BOUNDS[kind]
        limit = number_text(context[bound])
        return Problem("spec.range", f"{label} has to be {words} {limit}, not {spot.node.raw}", at, "", spot.path)
    if kind == "finite_number":
        return Problem("spec.range", f"{label} has to be a finite number", at, "", spot.path)
    if kind in ("too_short", "string_too_short"):
        return Problem("spec.type", f"{label} is empty", at, f"it expects {spot.found.words()}", spot.path)
    if kind == "literal_error" and isinstance(spot.node.value, str) and not spot.found.hidden:
        return _choice(spot)
    return Problem(
        "spec.type", f"{label} expects {spot.found.words()}, found {_found(spot)}", at, _remedy(spot), spot.path
    )


def _own(code: str, context: Any, spot: Spot) -> Problem:
    """A problem that one of our validators found; both places are told where it needs two fields to be wrong."""
    at, also = context["at"], context["also"]
    first, second = _child(spot.node, at), _child(spot.node, also)
    text, field = context["text"], spot.path
    if first is not None and second is not None:
        text += f" (`{also}` is at {second.key})"
    if first is not None and not at.isdigit():
        field = f"{spot.path}.{at}"
    blamed = first or second
    where = blamed.key if blamed is not None else (spot.node.key if at else spot.node.at)
    return Problem(code, text, where, context["fix"], field)


def _child(node: Node, name: str) -> Node | None:
    if isinstance(node.value, dict):
        found: Node | None = node.value.get(name)
        return found
    return node.value[int(name)] if name.isdigit() and isinstance(node.value, list) else None


def _missing(spot: Spot) -> Problem:
    name = spot.missing
    sections = [section for tag, section in spot.found.sections if spot.tag in ("", tag)]
    about = info(sections[0], name).description
    if spot.path:
        # Where variants want different keys, naming one of them would be a guess.
        free = len(spot.found.sections) > 1 and not all(
            name in section.model_fields for _, section in spot.found.sections
        )
        fix = f"it expects {spot.found.words()}" if free else f"add `{name}:` ({about})"
        return Problem("spec.missing", f"`{spot.path}` has no `{name}`", spot.node.key, fix, f"{spot.path}.{name}")
    fix = f"add `embspec: {VERSION}` as the first line" if name == "embspec" else f"add `{name}:` ({about})"
    return Problem("spec.missing", f"the spec has no `{name}`", Where(spot.node.at.file, 1, 1), fix, name)


def _unknown(name: str, spot: Spot) -> Problem:
    """A key that is not known here: a variant's that was not chosen, the nearest spelling, or its home elsewhere."""
    holder = spot.node.value
    key, path = holder[name].key, f"{spot.path}.{name}" if spot.path else name
    place = f"in `{spot.path}`" if spot.path else "in a spec"
    here = list(spot.found.fields(spot.tag))
    if name not in here and name in spot.found.fields():
        chosen = [f"`{word}: {holder[word].raw}`" for word in ("kind", "strategy") if word in holder]
        beside = chosen[0] if chosen else " and ".join(f"`{word}`" for word in holder if word != name)
        return Problem(
            "spec.unknown-key",
            f"`{name}` does not go with {beside or 'the default'} {place}",
            key,
            _apart(spot, key),
            path,
        )
    best = near(name, [word for word in here if word not in holder]) or near(name, here)
    homes_of = [home for home in homes().get(name, ()) if home != path]
    further = near(name, homes())
    if best:
        fix = f"did you mean `{best}`?"
    elif homes_of:
        above = homes_of[0].rpartition(".")[0]
        fix = f"it belongs under `{above}`" if above else "it belongs at the top of the spec"
    elif further:
        fix = f"did you mean `{homes()[further][0]}`?"
    else:
        fix = f"known here: {', '.join(here)}" if 0 < len(here) <= 12 else ""
    return Problem("spec.unknown-key", f"`{name}` is not known {place}", key, fix, path)


def _apart(spot: Spot, key: Where) -> str:
    # Two files of a chain chose two variants, and their keys were merged.
    others = [node.key for node in spot.node.value.values() if node.key.file != key.file]
    if others and others[0].file.startswith("--set"):
        return f"set the whole of it: --set '{spot.path}={{…}}'"
    if others:
        return f"{others[0]} chose another variant: write `unset: [{spot.path}]` there to begin anew"
    return "remove it"


def _choice(spot: Spot) -> Problem:
    best = near(spot.node.value, [choice for choice in spot.found.choices if isinstance(choice, str)])
    text = f"`{spot.path}` expects {spot.found.words()}, not `{spot.node.raw}`"
    return Problem("spec.choice", text, spot.node.at, f"did you mean `{best}`?" if best else "", spot.path)


def _found(spot: Spot) -> str:
    value = spot.node.value
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if spot.found.hidden:
        return "something else"
    if isinstance(value, str):
        return f'the text "{value if len(value) <= 40 else value[:39] + "…"}"'
    return f"`{spelled(value)}`" if isinstance(value, bool) else f"the number {spot.node.raw}"


def _remedy(spot: Spot) -> str:
    value, found = spot.node.value, spot.found
    words = found.words()
    if isinstance(value, dict) and spot.path in NAMED:
        return "write a list: `- name: …` begins each item"
    if isinstance(value, str) and "number" in words and FLOAT.fullmatch(NOISE.sub("", value)):
        return "remove the quotes" if spot.node.shift else f"write {NOISE.sub('', value)}"
    if isinstance(value, str) and "true or false" in words and value.lower() in SWITCHES:
        return f"write {SWITCHES[value.lower()]}"
    if found.items is not None and spot.node.raw and not shape(found.items).sections and not isinstance(value, bool):
        return f"write [{spot.node.raw}]"
    if isinstance(value, bool) and found.plain == (str,):
        return "put it in quotes"
    if found.sections and not isinstance(value, (dict, list)) and len(found.sections) == 1 and value is not None:
        keys = list(found.fields())
        return f"its keys are {', '.join(keys[:6])}{' …' if len(keys) > 6 else ''}"
    if value is None:
        return "write its keys below it, or remove it" if found.sections else "write a value, or remove it"
    return ""
