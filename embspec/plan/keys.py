"""Key and reason from one value: the named ingredients of a stage."""
from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from embspec.plan.canonical import short_hash

Ingredients = Mapping[str, str]
"""Name to canonical text; hashed for the key, compared for the reason."""

SCHEME = "1"

# Each older scheme, and the key that it made of what today's ingredients name: a lock of it is known by that.
OLDER: Mapping[str, Callable[[Ingredients], str]] = {}

# Enough of a digest to tell two apart; the whole of it is in the lock.
_DIGEST = re.compile(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}")


class Reason(NamedTuple):
    """One ingredient that differs; `None` where it was, or is, not there."""

    field: str
    then: str | None
    now: str | None

    def __str__(self) -> str:
        return f"{self.field}: {_show(self.then)} → {_show(self.now)}"


def _show(text: str | None) -> str:
    if text is None:
        return "(none)"
    text = _DIGEST.sub(r"\1…", text)
    return text if len(text) <= 60 else text[:57] + "…"


def ingredients(
    stage: str,
    recipe: str,
    uses: Mapping[str, str],
    params: Mapping[str, str],
    pins: Mapping[str, str],
    needs: Mapping[str, str],
    introduced: Mapping[str, str],
) -> Ingredients:
    """All that can change a stage's bytes; a field at the value it was introduced with is left out."""
    named = {"scheme": SCHEME, "stage": stage, "recipe": recipe}
    named |= {f"uses {name}": number for name, number in uses.items()}
    named |= {path: text for path, text in params.items() if introduced.get(path) != text}
    named |= {f"pin {name}": text for name, text in pins.items()}
    named |= {f"needs {role}": digest for role, digest in needs.items()}
    return named


def key(named: Ingredients) -> str:
    """The key of a stage."""
    return short_hash(named)


def why(then: Ingredients, now: Ingredients) -> tuple[Reason, ...]:
    """Every ingredient that differs, in order of name; empty exactly when the keys are equal."""
    fields = sorted(then.keys() | now.keys())
    return tuple(Reason(f, then.get(f), now.get(f)) for f in fields if then.get(f) != now.get(f))
