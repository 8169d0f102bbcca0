"""What the locks of every project that used a store keep in it, and by whom."""
from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import partial

from embspec import git
from embspec.errors import fail
from embspec.stages.street import STREET
from embspec.store import gc, roots
from embspec.store.mark import Reach, Root
from embspec.store.objects import Objects
from embspec.store.places import Places, there

# The text is searched, not parsed: a lock with conflict markers, or of a newer embspec, keeps what it names.
_DIGEST = re.compile(r"(tree:? )?sha256:([0-9a-f]{64})")
_KEY = re.compile(r"^  key: ([0-9a-f]{32})$", re.MULTILINE)
_HEAD = b"# embspec.lock"
_ENDING = ".lock"


def collect(store: str, at: Places | None, days: float, now: bool, dry: bool) -> gc.Collected:
    """Free what nobody reaches; a project that is named counts from now on, wherever it was built."""
    there(store)
    if at and os.path.exists(at.lock):
        roots.register(store, at)
    unlocked = frozenset(stage.name for stage in STREET if not stage.locked)
    with Objects(store).scratch() as scratch:
        return gc.collect(store, partial(reach, store, scratch), gc.Wanted(days, now, dry, unlocked))


drop, kept = roots.drop, roots.kept


def keep(store: str, at: Places, name: str, revision: str) -> None:
    """Keep all that the lock of the work tree, or of a revision, names until the name is dropped."""
    if not revision and not os.path.exists(at.lock):
        raise fail("usage.no-lock", f"there is no lock `{at.shown(at.lock)}` to keep", fix="run `embspec build` first")
    if revision:
        data = git.show(revision, at.lock)
    else:
        with open(at.lock, "rb") as file:
            data = file.read()
    roots.keep(store, name, data.decode("utf-8", "replace"))


def reach(store: str, scratch: str) -> Reach:
    """Read every lock anew: of each project's work trees, branches, tags and stashes, and those kept by name."""
    found: dict[str, list[str]] = {}
    gone, seen = list[roots.Known](), set[str]()
    known = list(roots.projects(store))
    several = len({k.root for k in known}) > 1
    for each in known:
        if each.gone:
            gone.append(each)
            continue
        for by, data in _of(each, seen, scratch):
            if _HEAD in data[:1 << 12]:
                name = f"{each.root}: {by}" if several and not by.startswith("work tree ") else by
                found.setdefault(name, []).append(data.decode("utf-8", "replace"))
    for name, text in roots.kept(store).items():
        found[f"kept {name}"] = [text]
    return Reach([root(by, "\n".join(texts)) for by, texts in found.items()], gone)


def _of(each: roots.Known, seen: set[str], scratch: str) -> Iterator[git.Held]:
    """The lock itself, whatever git says of it, and once for each repository all that git has."""
    try:
        with open(each.lock, "rb") as file:
            yield git.Held(f"work tree {each.root}", file.read())
    except (FileNotFoundError, NotADirectoryError):
        pass  # not built yet, or the spec has another name by now
    except OSError as error:
        raise fail("nowhere.root", f"{each.lock} cannot be read ({error.strerror}): what it keeps is not known, "
                   "so nothing was removed", fix=f"correct its rights, or `embspec gc --drop {each.root}`") from None
    repository = git.common(each.root)
    if repository and repository not in seen:
        seen.add(repository)
        yield from git.everywhere(each.root, _ENDING, scratch)


def root(by: str, text: str) -> Root:
    """All that the text of a lock names."""
    named = [(bool(tree), digest) for tree, digest in _DIGEST.findall(text)]
    return Root(by, frozenset(d for _, d in named), frozenset(d for tree, d in named if tree),
                frozenset(_KEY.findall(text)))
