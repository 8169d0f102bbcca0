"""Which measured rows a gate speaks of: the side that is judged, and the side it is held against."""
from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from embspec.measure.forms import BASE, FUSED, PLAIN, SHIPPED, SUITE, TUNED, Form
from embspec.measure.gate import Gate


class Sides(NamedTuple):
    """Both sides of a gate; `ref` is None where it is held against a number."""

    system: Form
    ref: Form | None
    note: str = ""


class Missing(LookupError):
    """A gate speaks of what was not measured; the text says what."""


def sides(gate: Gate, measured: Collection[Form], choice: Mapping[str, Any] | None) -> Sides:
    """What a gate compares, by the rule that what is gated is what ships."""
    suite = gate.suite or SUITE
    named = gate.dim is not None or gate.precision is not None
    if gate.system is None and not any(form.system in (SHIPPED, TUNED) for form in measured):
        raise Missing("the gate names no system, and nothing ships without a model")
    system = gate.system or (TUNED if named else SHIPPED)
    judged = _form(measured, suite, system, gate.dim, gate.precision)
    if named and judged.dim is None:
        raise Missing(f"{system} has neither dim nor precision")
    if gate.ref is None:
        return Sides(judged, None)
    if gate.ref in ("full", PLAIN):
        return Sides(judged, _other_form(gate.ref, judged, measured, choice))
    ref = BASE if gate.ref == "locked" else gate.ref
    note = "locked is base: no baseline is pinned" if gate.ref == "locked" else ""
    return Sides(judged, _form(measured, suite, ref, gate.dim, gate.precision), note)


def _form(measured: Collection[Form], suite: str, system: str, dim: int | None, precision: str | None) -> Form:
    """A system at this dim and precision, each of them at its best where it is None."""
    forms = [form for form in measured if (form.suite, form.system) == (suite, system)]
    sizes = [form.dim for form in forms if form.dim is not None]
    if not forms:
        raise Missing(f"{system} was not measured on {suite}")
    if system == SHIPPED or not sizes:
        return forms[0]  # it has one form, whatever a gate names
    wanted = Form(suite, system, dim or max(sizes), precision or PLAIN)
    if wanted not in forms:
        raise Missing(f"{wanted} was not measured")
    return wanted


def _other_form(ref: str, judged: Form, measured: Collection[Form], choice: Mapping[str, Any] | None) -> Form:
    """The judged system at full dim, or in float32, and otherwise as it is judged."""
    system = judged.system
    if system == SHIPPED:
        if choice is None:
            raise Missing(f"what ships has no {ref} form: nothing was chosen")
        system = TUNED if choice["fusion"]["method"] == "none" else FUSED
    if judged.dim is None:
        raise Missing(f"{system} has no {ref} form: it has neither dim nor precision")
    dim, precision = (None, judged.precision) if ref == "full" else (judged.dim, PLAIN)
    return _form(measured, judged.suite, system, dim, precision)
