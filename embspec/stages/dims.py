"""The dimensions at which a model may serve."""
from __future__ import annotations

from collections.abc import Sequence

from embspec.errors import fail
from embspec.plan.protocol import Params

LEAST = 64  # `auto` halves no further


def dims(full: int, wanted: Sequence[int] | str | None, field: str = "loss.matryoshka.dims") -> list[int]:
    """The dimensions asked for, largest first: `auto` is full, half, a quarter … down to 64, nothing is full alone."""
    if wanted is None:
        return [full]
    if isinstance(wanted, str):
        found = [full]
        while found[-1] // 2 >= LEAST:
            found.append(found[-1] // 2)
        return found
    for dim in wanted:
        if dim > full:
            raise fail("spec.range", f"{dim} dimensions are asked for, the model has {full}",
                       fix=f"use {full} or fewer", field=field)
    return sorted(set(wanted), reverse=True)


def measured(full: int, params: Params) -> list[int]:
    """The dimensions at which the spec wants a model measured, the full one first."""
    wanted = params["eval.dims"]
    listed: list[int | str] = [wanted] if isinstance(wanted, str) else list(wanted)
    found = dims(full, [dim for dim in listed if not isinstance(dim, str)], "eval.dims")
    found += dims(full, params.get("loss.matryoshka.dims")) if "auto" in listed else []
    return sorted({full, *found}, reverse=True)


def shippable(full: int, params: Params) -> list[int]:
    """The dimensions among which `index.truncate_dim` can choose, largest first; one where it is a number or null."""
    if "index.truncate_dim" in params:  # else it is a bound, below that name
        wanted = params["index.truncate_dim"]
        return dims(full, None if wanted is None else [wanted], "index.truncate_dim")
    # A model trained without `loss.matryoshka` can be cut as well: validation says what that costs.
    return sorted({full, *dims(full, params.get("loss.matryoshka.dims") or "auto")}, reverse=True)
