"""Where everything lies: the project, its lock, its state, the store."""
from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from embspec.errors import EmbspecError, Problem, fail

SPEC_ENDINGS = (".yaml", ".yml")


class Places(NamedTuple):
    """Absolute paths of one spec."""

    spec: str
    root: str  # the project: nearest folder with .git, else the parent of specs/, else the spec's folder
    name: str  # the stem of the spec file

    @property
    def folder(self) -> str:
        """The folder that the spec's paths are relative to."""
        return os.path.dirname(self.spec)

    @property
    def lock(self) -> str:
        """The lock, beside the spec."""
        return os.path.join(self.folder, self.name + ".lock")

    @property
    def out(self) -> str:
        """The materialised artefacts."""
        return os.path.join(self.root, "out", self.name)

    @property
    def state(self) -> str:
        """What may be deleted at any time."""
        return os.path.join(self.root, ".embspec")

    def shown(self, path: str) -> str:
        """A path as a person in the project would type it."""
        return os.path.relpath(path)


def find_spec(given: str | None, folder: str = ".") -> str:
    """The spec a command is about: as given, `embspec.yaml`, or the only one under `specs/`."""
    if given:
        if not os.path.isfile(given):
            raise fail("spec.missing", f"there is no spec `{given}`", fix=_candidates(folder))
        return os.path.abspath(given)
    found = candidates(folder)
    if len(found) == 1 or found[:1] == [os.path.join(folder, "embspec.yaml")]:
        return os.path.abspath(found[0])
    if not found:
        raise fail("usage.no-spec", "no spec here: neither `embspec.yaml` nor a .yaml file under `specs/`",
                   fix="name one with --spec FILE")
    raise fail("usage.which-spec", "there are several specs", fix=_candidates(folder))


def candidates(folder: str) -> list[str]:
    """The specs that may be left out on the command line, in order of name."""
    found = [os.path.join(folder, "embspec.yaml")] if os.path.isfile(os.path.join(folder, "embspec.yaml")) else []
    specs = os.path.join(folder, "specs")
    if os.path.isdir(specs):
        found += [os.path.join(specs, n) for n in sorted(os.listdir(specs)) if n.endswith(SPEC_ENDINGS)]
    return found


def _candidates(folder: str) -> str:
    found = [os.path.relpath(p, folder) for p in candidates(folder)]
    return "name one of: " + ", ".join(found) if found else "name one with --spec FILE"


def places(spec: str) -> Places:
    """The places of a spec; two specs of one folder with the same stem would share a lock, so that is refused."""
    spec = os.path.abspath(spec)
    folder, file = os.path.split(spec)
    name = os.path.splitext(file)[0]
    for ending in SPEC_ENDINGS:
        other = os.path.join(folder, name + ending)
        if other != spec and os.path.exists(other):
            raise EmbspecError(Problem("spec.same-stem", f"`{file}` and `{name}{ending}` would share one lock",
                                       fix="rename one of them"))
    return Places(spec, _root(folder), name)


def _root(folder: str) -> str:
    at = folder
    while True:
        if os.path.exists(os.path.join(at, ".git")):
            return at
        parent = os.path.dirname(at)
        if parent == at:
            break
        at = parent
    return os.path.dirname(folder) if os.path.basename(folder) == "specs" else folder


def store_folder(environ: Mapping[str, str]) -> str:
    """`$EMBSPEC_STORE`, else the cache folder of the user."""
    given = environ.get("EMBSPEC_STORE")
    return os.path.abspath(given) if given else os.path.join(os.path.expanduser("~"), ".cache", "embspec", "v1")


def there(store: str) -> None:
    """Refuse a folder that is not there: of a name that was mistyped nobody may hear that all is well in it."""
    if not os.path.isdir(store):
        raise fail("usage.no-store", f"there is no store at {store}", fix="set EMBSPEC_STORE to the folder of one")
