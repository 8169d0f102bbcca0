"""What keeps the objects of a store: the projects that built with it, and locks that were kept by name."""
from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from embspec.errors import EmbspecError, fail
from embspec.plan.canonical import short_hash
from embspec.store.aside import touch
from embspec.store.files import disk, replace
from embspec.store.leases import lease
from embspec.store.places import Places

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DAY_S = 86_400  # a project is not written down once more for each build
_PROJECT, _KEPT = ".json", ".lock"


class Known(NamedTuple):
    """A spec that was built with this store, and the file that says so."""

    file: str
    root: str
    lock: str

    @property
    def gone(self) -> bool:
        """Whether the project's folder is not there any more; one that may not be looked at is no such."""
        try:
            os.stat(self.root)
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError as error:
            raise fail("nowhere.root", f"the project {self.root} cannot be looked at ({error.strerror}): "
                       "what its locks keep is not known, so nothing was removed",
                       fix=f"run it as somebody who may, or `embspec gc --drop {self.root}`") from None
        return False


@contextmanager
def at_work(store: str, at: Places) -> Iterator[None]:
    """For as long as this lasts, and by its locks afterwards, no gc takes from the store what a project needs."""
    with lease(store):
        register(store, at)
        yield


def register(store: str, at: Places) -> None:
    """Remember a project before it builds, so that a gc from anywhere knows whose locks to read.

    What lies in the store's own scratch is gone when its command ends, and is safe by its lease until then.
    """
    if os.path.realpath(at.root).startswith(os.path.realpath(store) + os.sep):
        return
    path = os.path.join(_folder(store), short_hash({"lock": os.fsencode(at.lock).hex()}) + _PROJECT)
    try:
        if time.time() - os.stat(path).st_mtime > _DAY_S:
            touch(path)
        return
    except FileNotFoundError:
        pass  # its first build with this store
    try:
        text = json.dumps({"root": at.root, "lock": at.lock}).encode() + b"\n"
        replace(path, text, os.path.join(store, "tmp"))
    except EmbspecError as error:
        if error.problems[0].code != "disk.read-only":  # nothing can be removed from such a store either
            raise


def projects(store: str) -> Iterator[Known]:
    """Every project that built with this store."""
    for name in _names(store, _PROJECT):
        path = os.path.join(_folder(store), name)
        try:
            with open(path, "rb") as file:
                said = json.load(file)
            yield Known(path, str(said["root"]), str(said["lock"]))
        except FileNotFoundError:
            continue
        except (ValueError, TypeError, KeyError):
            raise fail("corrupt.root", f"{path} does not say which project it stands for, so nothing was removed",
                       fix="delete it; a build of the project writes it again") from None


def keep(store: str, name: str, text: str) -> None:
    """Keep all that a lock names until the name is dropped."""
    if not _NAME.fullmatch(name):
        raise fail("usage.name", f"`{name}` is no name to keep something by", fix="letters, digits, `.`, `_` and `-`")
    replace(os.path.join(_folder(store), name + _KEPT), text.encode())


def drop(store: str, name: str) -> None:
    """Let go of what a name kept, or of a project by its folder."""
    paths = [os.path.join(_folder(store), name + _KEPT)] if _NAME.fullmatch(name) else []
    paths += [known.file for known in projects(store) if known.root == os.path.abspath(name)]
    found = [path for path in paths if os.path.exists(path)]
    if not found:
        raise fail("usage.name", f"nothing is kept by the name `{name}`",
                   fix="kept are: " + (", ".join(kept(store)) or "none"))
    with disk(store):
        for path in found:
            os.unlink(path)


def kept(store: str) -> dict[str, str]:
    """The locks that were kept, by name."""
    found = {}
    for name in _names(store, _KEPT):
        with open(os.path.join(_folder(store), name), encoding="utf-8", errors="replace") as file:
            found[name.removesuffix(_KEPT)] = file.read()
    return found


def _folder(store: str) -> str:
    return os.path.join(store, "roots")


def _names(store: str, ending: str) -> list[str]:
    try:
        return sorted(n for n in os.listdir(_folder(store)) if n.endswith(ending) and not n.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
