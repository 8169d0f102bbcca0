"""What changed between the locks of two commits, as far as it can have moved a metric."""
from __future__ import annotations

from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import NamedTuple

from embspec.lock.diff import StageDiff, diff
from embspec.lock.text import Lock
from embspec.plan.keys import Reason
from embspec.plan.pins import TREE
from embspec.plan.values import Block, Texts, digest_of
from embspec.plan.words import moved

SNAPSHOT = "snapshot"
_LATER = ("gates", "index")  # stages that no metric stands on

Text = Callable[[str], str | None]


class Changes(NamedTuple):
    """Fields of the spec, documents added, removed and changed, files, what runs found, and the environment."""

    fields: tuple[Reason, ...]
    documents: tuple[int, int, int] | None
    files: tuple[Reason, ...]
    pins: tuple[Reason, ...]
    environment: tuple[Reason, ...]


def changes(before: Lock, after: Lock, text: Text, introduced: Texts = MappingProxyType({})) -> Changes:
    """By the locks; which documents and files they were, where the store has the lists."""
    stages = [stage for stage in diff(before, after, introduced) if stage.name not in _LATER]
    fields = list(dict.fromkeys(reason for stage in stages for reason in _fields(stage)))
    documents, snapshot = _documents(before, after, text)
    files = [reason for stage in stages for reason in _files(stage, text)]
    pins = [Reason(f"{stage.name} pin {r.field}", r.then, r.now) for stage in stages if stage.state == "changed"
            and stage.name != SNAPSHOT for r in stage.pins if r.field != TREE]
    same = not fields and not documents and not snapshot and not files
    return Changes(tuple(fields), documents, tuple(files), (*snapshot, *pins),
                   tuple(_environment(stages, before, after)) if same else ())


def _fields(stage: StageDiff) -> Iterable[Reason]:
    """A recipe is the stage's own, a field is named alike by all that read it."""
    if stage.state != "changed":
        yield Reason(f"stage {stage.name}", *((None, "new") if stage.state == "added" else ("there", None)))
        return
    for reason in stage.params:
        own = reason.field == "recipe" or reason.field.startswith("uses ")
        yield reason._replace(field=f"{stage.name} {reason.field}") if own else reason


def _documents(before: Lock, after: Lock, text: Text) -> tuple[tuple[int, int, int] | None, tuple[Reason, ...]]:
    """How many documents the snapshot has otherwise; that it has, where nobody has the lists any more."""
    then, now = (lock.blocks.get(SNAPSHOT, Block()).pin.get("manifest", "") for lock in (before, after))
    if then == now or not then or not now:
        return None, ()
    old, new = text(digest_of(then)), text(digest_of(now))
    if old is None or new is None:
        return None, (Reason(f"{SNAPSHOT} pin manifest", then, now),)
    return moved(old, new), ()


def _files(stage: StageDiff, text: Text) -> Iterable[Reason]:
    """The files that a stage read otherwise, by name where the store has both lists."""
    for reason in stage.pins:
        if reason.field != TREE or stage.state != "changed":
            continue
        then, now = (_listed(pin, text) for pin in (reason.then, reason.now))
        if then is None or now is None:
            yield Reason(f"{stage.name} files", reason.then, reason.now)
            continue
        for name in sorted(n for n in then.keys() | now.keys() if then.get(n) != now.get(n)):
            yield Reason(f"{stage.name} file {name}", then.get(name), now.get(name))


def _listed(pin: str | None, text: Text) -> dict[str, str] | None:
    """The digest of each file that a pin stands for; None where its list is not at hand."""
    rows = text(pin.split(" ")[0]) if pin else None
    if rows is None:
        return None
    cells = (row.split(" ", 2) for row in rows.split("\n")[:-1])
    return {name: f"sha256:{digest}" for digest, _, name in cells}


def _environment(stages: Iterable[StageDiff], before: Lock, after: Lock) -> Iterable[Reason]:
    """Where nothing was asked otherwise and other bytes came out: what they were built with."""
    found = dict[Reason, None]()
    for stage in stages:
        blocks = [lock.blocks.get(stage.name, Block()) for lock in (before, after)]
        then, now = (lock.envs.get(block.env, {}) for lock, block in zip((before, after), blocks, strict=True))
        if stage.outs:
            found |= dict.fromkeys(Reason(name, then.get(name), now.get(name)) for name in sorted({**then, **now})
                                   if then.get(name) != now.get(name))
    return found
