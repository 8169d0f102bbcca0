"""The spec as it was last resolved, remembered for the exact bytes of its files and of the code that read them."""
from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import embspec
from embspec.errors import Where, fail
from embspec.store.files import keep
from embspec.store.places import Places

# What spec/ rests on beside its own files.
BESIDE = (
    "stages/street.py", "stages/limits.py", "measure/gate.py", "measure/gate_words.py", "measure/metrics.py",
)


class Resolved(NamedTuple):
    """What a spec says: flat values, and where each was written."""

    values: Mapping[str, Any]
    written: Mapping[str, Where]
    files: tuple[str, ...]


def load(at: Places) -> Resolved | None:
    """The remembered values, or None where any byte they rest on is another."""
    try:
        with open(_path(at), "rb") as file:
            kept = json.load(file)
    except (OSError, ValueError):
        return None
    if isinstance(kept, dict):
        _check_owner(at, os.path.normpath(os.path.join(at.root, str(kept.get("spec", "")))))
    if not isinstance(kept, dict) or kept.get("code") != _code():
        return None  # of another version, in a form of its own
    files = tuple(os.path.normpath(os.path.join(at.folder, f)) for f in kept["files"])
    if any(_digest(f) != digest for f, digest in zip(files, kept["digests"], strict=True)):
        return None
    shown = [os.path.relpath(f) for f in files]
    written = {p: Where(shown[i], line, column) for p, (i, line, column) in kept["written"].items()}
    return Resolved(kept["values"], written, files)


def save(at: Places, spec: Resolved, digests: Sequence[str]) -> None:
    """Remember a spec that may be built, for the bytes that it was read from: they may be others by now."""
    shown = {os.path.relpath(f): i for i, f in enumerate(spec.files)}
    kept = {
        "spec": os.path.relpath(at.spec, at.root),
        "code": _code(),
        "digests": list(digests),
        "files": [os.path.relpath(f, at.folder) for f in spec.files],
        "values": dict(spec.values),
        "written": {p: (shown[os.path.relpath(w.file)], w.line, w.column) for p, w in spec.written.items()},
    }
    keep(_path(at), json.dumps(kept).encode())


def _check_owner(at: Places, owner: str) -> None:
    """Specs of one stem in two folders would take turns in `out/NAME`; one that was moved is no such pair."""
    if owner != at.spec and os.path.isfile(owner):
        raise fail("spec.same-stem", f"`{at.shown(owner)}` and `{at.shown(at.spec)}` would share out/{at.name}",
                   fix="rename one of them")


def _path(at: Places) -> str:
    return os.path.join(at.state, f"{at.name}.spec.cache")


def _digest(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return "missing"


def _code() -> str:
    """Version, and size and mtime of the code that turns a spec's text into values."""
    package = os.path.dirname(embspec.__file__)
    paths = [os.path.join(package, *file.split("/")) for file in BESIDE]
    paths += [e.path for e in sorted(os.scandir(os.path.join(package, "spec")), key=lambda e: e.name)
              if e.name.endswith(".py")]
    stats = [os.stat(p) for p in paths]
    return " ".join([embspec.__version__, *(f"{s.st_size}.{s.st_mtime_ns}" for s in stats)])
