"""How long each stage took here, for `plan`; state that may be deleted, in no key, digest or lock."""
from __future__ import annotations

import json
import os
from collections.abc import Mapping

from embspec.store.files import keep
from embspec.store.places import Places


def load(at: Places) -> dict[str, float]:
    """Seconds of the last run of each stage."""
    try:
        with open(_path(at), "rb") as file:
            return {str(name): float(seconds) for name, seconds in json.load(file).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def save(at: Places, seconds: Mapping[str, float]) -> None:
    """Remember the stages that ran."""
    if seconds:
        keep(_path(at), json.dumps({**load(at), **seconds}, sort_keys=True).encode())


def _path(at: Places) -> str:
    return os.path.join(at.state, f"{at.name}.seconds")
