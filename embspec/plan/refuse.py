"""What a spec writes that this version does not build yet: refused by name, never ignored."""
from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from embspec.plan.canonical import scalar
from embspec.plan.protocol import Stage


class Limits(NamedTuple):
    """The street's word on what it builds."""

    unkeyed: Collection[str]  # fields obeyed outside the stages
    fields: Mapping[str, tuple[Any, ...]]  # field or section -> the values that are built, none of them where empty
    requires: Mapping[str, str]  # section -> the other section without which it does nothing
    gate_metrics: Collection[str]
    gate_refused: Collection[str]  # words of a gate's line


def consumed(street: Sequence[Stage], limits: Limits, path: str) -> bool:
    """Whether some stage, or the plan, obeys this field."""
    return _obeyed(_patterns(street, limits), path)


def _patterns(street: Sequence[Stage], limits: Limits) -> set[tuple[str, ...]]:
    """What the stages and the plan obey, word by word; the rounds declare the same fields, so each is once."""
    named = {p.replace("{name}", "*") for stage in street for p in (*stage.params, *stage.unkeyed)}
    return {tuple(p.split(".")) for p in (*named, *limits.unkeyed)}


def _obeyed(patterns: Collection[tuple[str, ...]], path: str) -> bool:
    words = path.split(".")
    return any(_fits(words, pattern) for pattern in patterns)


def _fits(path: Sequence[str], pattern: Sequence[str]) -> bool:
    """A field, or the section around it; a star is one name, so that `pairs.*.path` is no path deeper down."""
    return len(path) >= len(pattern) and all(want in ("*", have) for want, have in zip(pattern, path, strict=False))


def refused(
    values: Mapping[str, Any], written: Collection[str], street: Sequence[Stage], limits: Limits
) -> list[tuple[str, str]]:
    """Each written field that is not built, at the highest name that is wholly so, with the reason."""
    patterns = _patterns(street, limits)
    leaves = {path: _obeyed(patterns, path) for path in values if not path.startswith("gates.")}
    found: dict[str, str] = {}
    for path in written:
        below = [obeyed for leaf, obeyed in leaves.items() if leaf == path or leaf.startswith(path + ".")]
        other = limits.requires.get(path.split(".")[0])
        if below and not any(below):
            found[path] = "this version of embspec does not build it yet"
        elif below and other and not any(p.startswith(f"{other}.") for p in values):
            found[path] = f"it does nothing without `{other}`, and the spec has none"
    tops = {p: text for p, text in found.items() if not any(p.startswith(other + ".") for other in found)}
    return sorted([*tops.items(), *_limited(values, written, limits), *_gates(written, limits)])


def _limited(values: Mapping[str, Any], written: Collection[str], limits: Limits) -> list[tuple[str, str]]:
    rows = []
    for path, value in values.items():
        built = next((v for p, v in limits.fields.items() if _fits(path.split("."), p.split("."))), None)
        others = [v for v in (value if isinstance(value, list) else [value]) if built is not None and v not in built]
        if others and path in written:
            shown, can = (", ".join(map(scalar, some)) for some in (others, built or ()))
            text = f"`{shown}` is not built yet by this version of embspec"
            rows.append((path, f"{text}; it builds {can}" if can else text))
    return rows


def _gates(written: Collection[str], limits: Limits) -> list[tuple[str, str]]:
    rows = []
    for path in written:
        words = path.removeprefix("gates.").split() if path.startswith("gates.") else []
        if words and words[0].split("@")[0] not in limits.gate_metrics:
            rows.append((path, f"`{words[0]}` cannot be measured yet by this version of embspec"))
        elif bad := [w for w in words[1:] if w.startswith("run:") or {*w.split("+")} & {*limits.gate_refused}]:
            rows.append((path, f"`{bad[0]}` in a gate needs what this version of embspec does not build yet"))
    return rows
