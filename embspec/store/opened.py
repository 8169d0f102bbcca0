"""A project whose spec is remembered: all that the no-op looks at, without reading YAML."""
from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from embspec.store import memo, timings
from embspec.store.places import Places, find_spec, places, store_folder
from embspec.store.world import DiskWorld


class Opened(NamedTuple):
    """Where it lies, what the spec says, the lock's text, the world, and seconds of the last runs."""

    at: Places
    values: Mapping[str, Any]
    lock: str
    world: DiskWorld
    seconds: Mapping[str, float]


def opened(spec: str | None) -> Opened | None:
    """None where the spec has to be read again, or nothing was built yet."""
    at = places(find_spec(spec))
    kept = memo.load(at)
    if kept is None or not os.path.exists(at.lock):
        return None
    found = world(at)
    found.objects.looking = True  # what is corrupt is met again by the command, which says it
    with open(at.lock, encoding="utf-8") as file:
        return Opened(at, kept.values, file.read(), found, timings.load(at))


def world(
    at: Places, store: str | None = None, environ: Mapping[str, str] = os.environ, outside: bool = False
) -> DiskWorld:
    """The world of a project; in CI every byte is read again, because a restored cache may carry any time stamp."""
    return DiskWorld(at, store or store_folder(environ), reread=environ.get("CI") == "true", outside=outside)
