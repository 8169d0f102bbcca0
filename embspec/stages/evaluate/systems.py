"""What can be measured: every system by name, and the forms it has."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from embspec.errors import fail
from embspec.measure.forms import FUSED, PLAIN, SHIPPED, TUNED
from embspec.plan.protocol import Params

Choice = Mapping[str, Any]
"""`choice.json`: what ships."""

Form = tuple[int | None, str | None]
"""Dim and precision; words alone have neither."""

WORDS: Form = (None, None)
BASE, MODEL = ROLES = ("base/base", "train/model")  # the artefacts that are models


class System(NamedTuple):
    """A way to rank: whose vectors, and how words are put to them."""

    vectors: str | None  # the artefact with the model; None is words alone
    fusion: Callable[[Choice], Mapping[str, Any]]


def _alone(choice: Choice) -> Mapping[str, Any]:
    return {"method": "none"}


def _plain_rrf(choice: Choice) -> Mapping[str, Any]:
    """A baseline is what anybody gets without tuning anything."""
    return {"method": "rrf", "k": 60}


def _fused(choice: Choice) -> Mapping[str, Any]:
    found: Mapping[str, Any] = choice["fused"]
    return found


def _served(choice: Choice) -> Mapping[str, Any]:
    found: Mapping[str, Any] = choice["fusion"]
    return found


SYSTEMS: Mapping[str, System] = {
    "base": System(BASE, _alone),
    "bm25": System(None, _alone),
    "hybrid": System(BASE, _plain_rrf),
    "base+bm25": System(BASE, _plain_rrf),  # the same under its long name
    TUNED: System(MODEL, _alone),
    FUSED: System(MODEL, _fused),
    SHIPPED: System(MODEL, _served),
}


def asked(params: Params, choice: Choice | None) -> list[str]:
    """The systems to measure in the order of the spec; with a model also what ships, last, and what it is cut from."""
    names = list(params["eval.systems"])
    for name in names:
        if name not in SYSTEMS:
            raise fail("spec.not-built", f"the system `{name}` is not built yet by this version of embspec",
                       fix=f"it builds {', '.join(SYSTEMS)}", field="eval.systems")
        if choice is None and SYSTEMS[name].vectors:
            raise fail("spec.conflict", f"the system `{name}` needs a model, and the spec has none",
                       fix="take it out, or add `model: {base: …}`", field="eval.systems")
    if choice is None:
        return names
    # Retention is of the tuned model, and a gate may hold what ships against itself in another form.
    source = [TUNED] if choice["fusion"]["method"] == "none" else [TUNED, FUSED]
    return [*(n for n in names if n != SHIPPED), *(n for n in source if n not in names), SHIPPED]


def forms(name: str, dims: Sequence[int], precisions: Sequence[str], choice: Choice) -> list[Form]:
    """Every form of a system, its best first."""
    if SYSTEMS[name].vectors is None:
        return [WORDS]
    if name == SHIPPED:
        return [(choice["dim"], choice["precision"])]
    found: list[Form] = [(dim, precision) for precision in precisions for dim in dims]
    if SYSTEMS[name].vectors == MODEL:
        # What ships, with one thing of it undone: a gate may hold it against itself at full dim, or in float32.
        found += [(dims[0], choice["precision"]), (choice["dim"], PLAIN)]
    return list(dict.fromkeys(found))


def precisions(params: Params) -> list[str]:
    """What the spec lists, float32 first: everything else is held against it."""
    return [PLAIN, *(p for p in params["eval.precisions"] if p != PLAIN)]
