"""Paths of a spec that match some files of a folder and no others."""
from __future__ import annotations

import re
from collections.abc import Sequence

from embspec.stages.reading import ending
from embspec.store.live import selected

_UP = re.compile(r"(\.\./)*")
MOST = 12  # paths that a person reads in a spec


def covering(wanted: Sequence[str], there: Sequence[str]) -> list[str]:
    """The fewest paths and globs that match all of these files, and none of the others that are there."""
    if len(wanted) < 2:
        return [literal(name) for name in wanted]
    up = _UP.match(wanted[0])
    if up and up[0]:  # the way up to a folder beside the spec's
        inner = [name.removeprefix(up[0]) for name in there if name.startswith(up[0])]
        return [up[0] + path for path in covering([name.removeprefix(up[0]) for name in wanted], inner)]
    found: list[str] = []
    for end in sorted({_end(name) for name in wanted}):
        ours = [name for name in wanted if _end(name) == end]
        others = sorted({name for name in there if _end(name) == end} - set(ours))
        found += _by_name(ours, others) if others and len(ours) > 1 else [_all(ours, _common(ours), end)]
    return sorted(found)


def literal(name: str) -> str:
    """A file's path as one that is no glob, whatever letters it has."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def matched(glob: str, names: Sequence[str]) -> set[str]:
    """Which of these files a glob of the spec takes, by the rule that builds go by."""
    up = _UP.match(glob)
    head = up[0] if up else ""
    found = selected("/", [glob[len(head):]], ["/" + name[len(head):] for name in names if name.startswith(head)])
    return {head + name for name in found}


def _by_name(ours: list[str], others: list[str]) -> list[str]:
    """By what the files are called, else folder by folder."""
    folder = _common(ours)
    walked = _walk(ours, [name for name in others if name.startswith(folder)], folder)
    stems = [name.rpartition("/")[2].removesuffix(_end(name)) for name in ours]
    first, last = _begin(stems), _begin([stem[::-1] for stem in stems])[::-1]
    deep = "**/" if any("/" in name[len(folder):] for name in ours) else ""
    calls = [literal(first)] if len(set(stems)) == 1 else [f"{literal(first)}*", f"*{literal(last)}"]
    for called in calls if len(walked) > 1 else ():
        path = f"{literal(folder)}{deep}{called}{_end(ours[0])}"
        if len(called) > 2 and matched(path, [*ours, *others]) == set(ours):
            return [path]
    return walked


def _begin(words: list[str]) -> str:
    """What all of them begin with: what the first and the last in order do."""
    low, high = min(words), max(words)
    same = next((at for at, (one, other) in enumerate(zip(low, high, strict=False)) if one != other), len(low))
    return low[:same]


def _walk(ours: list[str], others: list[str], folder: str) -> list[str]:
    """A folder: all by one glob where nothing else is in it, else its own files and each folder below."""
    if not others:
        return [_all(ours, folder, _end(ours[0]))]
    here, below = _parted(ours, folder)
    strange, further = _parted(others, folder)
    found = [f"{literal(folder)}*{_end(here[0])}"] if len(here) > 1 and not strange else [literal(n) for n in here]
    for inner in sorted(below):
        found += _walk(below[inner], further.get(inner, []), f"{folder}{inner}/")
    return found


def _parted(names: list[str], folder: str) -> tuple[list[str], dict[str, list[str]]]:
    """The files of a folder itself, and those of each folder in it."""
    here: list[str] = []
    below: dict[str, list[str]] = {}
    for name in names:
        if name.startswith(folder):
            inner, mark, _ = name[len(folder):].partition("/")
            (below.setdefault(inner, []) if mark else here).append(name)
    return here, below


def _all(names: list[str], folder: str, end: str) -> str:
    if len(names) == 1:
        return literal(names[0])
    deep = any("/" in name[len(folder):] for name in names)
    return literal(folder) + ("**/" if deep else "") + "*" + end


def _common(names: list[str]) -> str:
    """The deepest folder that holds them all, with its slash; empty where that is the spec's own."""
    parts = [name.split("/")[:-1] for name in names]
    same: list[str] = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        same.append(level[0])
    return "".join(part + "/" for part in same)


def _end(name: str) -> str:
    """The ending as it is written: globs know small letters from large."""
    return name[len(name) - len(ending(name)):]
