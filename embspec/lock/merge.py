"""Two sides of a lock: told apart in a conflict, and merged block by block where nothing but the locks is known."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from embspec.errors import EmbspecError, Where, fail
from embspec.lock.text import RESTORE, Lock, check_known, read
from embspec.plan.values import Block

_START, _BASE, _MIDDLE, _END = "<<<<<<<", "|||||||", "=======", ">>>>>>>"
_NEXT = {_START: ("",), _BASE: (_START,), _MIDDLE: (_START, _BASE), _END: (_MIDDLE,)}

T = TypeVar("T")


class Sides(NamedTuple):
    """What a merge starts from; an empty base where the two have none in common, or it is not known."""

    ours: Lock
    base: Lock
    theirs: Lock


class Texts(NamedTuple):
    """The same as texts; an empty one is that of a side which has no lock."""

    ours: str
    base: str
    theirs: str


def apart(text: str, file: str) -> Texts | None:
    """The sides of a text with conflict markers, each with what stands outside of them; None where there are none."""
    lines: dict[str, list[str]] = {_START: [], _BASE: [], _MIDDLE: []}
    part, conflicts, bases = "", 0, 0
    number = 0
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
        mark = line[:7] if line[:7] in _NEXT and line[7:8].strip() == "" else ""
        if mark:
            if part not in _NEXT[mark]:
                raise _unpaired(file, number)
            conflicts, bases = conflicts + (mark == _START), bases + (mark == _BASE)
            part = "" if mark == _END else mark
        else:
            for side in [part] if part else lines:
                lines[side].append(line)
    if part:
        raise _unpaired(file, number)
    ours, base, theirs = ("\n".join([*lines[mark], ""]) for mark in (_START, _BASE, _MIDDLE))
    return Texts(ours, base if bases == conflicts else "", theirs) if conflicts else None


def _unpaired(file: str, line: int) -> EmbspecError:
    return fail("lock.conflict", "the conflict markers of the lock do not belong together", Where(file, line), RESTORE)


def sides(texts: Texts, names: Sequence[str]) -> Sides:
    """The sides as values; a base that cannot be read, as one that was itself a conflict, is an empty one."""
    ours, theirs = (_side(text, name) for text, name in ((texts.ours, names[0]), (texts.theirs, names[1])))
    try:
        base = _side(texts.base, "")
    except EmbspecError:
        base = Lock()
    return Sides(ours, base, theirs)


def _side(text: str, name: str) -> Lock:
    lock = read(text, name) if text.strip() else Lock()
    check_known(lock)
    return lock


def moved(base: T, ours: T, theirs: T) -> tuple[T, ...]:
    """What one side changed, or both alike: one value; else both, ours first."""
    if ours == theirs or theirs == base:
        return (ours,)
    return (theirs,) if ours == base else (ours, theirs)


def pins(base: Block, ours: Block, theirs: Block, names: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Each pin by itself; named are those that both sides moved otherwise: ours stays."""
    found, both = {}, []
    for name in names:
        first, *other = moved(base.pin.get(name), ours.pin.get(name), theirs.pin.get(name))
        both += [name] if other else []
        if first is not None:
            found[name] = first
    return found, both


def blockwise(given: Sides) -> Lock:
    """Three-way by block alone, as long as nobody knows the merged spec: what is wrong in it, its keys will tell."""
    names = list(dict.fromkeys([*given.ours.blocks, *given.theirs.blocks]))
    found = {}
    for name in names:
        three = [lock.blocks.get(name) for lock in (given.base, given.ours, given.theirs)]
        block, *other = moved(*three)
        old, ours, theirs = (b or Block() for b in three)
        if block is not None and other and (ours.key or theirs.key):  # else no key would tell of pins that are mixed
            settled, _ = pins(old, ours, theirs, dict.fromkeys([*ours.pin, *theirs.pin]))
            block = block._replace(pin=settled)
        if block is not None:
            found[name] = block
    return Lock(found, {**given.theirs.envs, **given.ours.envs})
