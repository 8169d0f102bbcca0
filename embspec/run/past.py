"""Brings a pinned snapshot back from git: reads the documents of older revisions until the pinned bytes come out."""
from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import IO

import xxhash

from embspec import git
from embspec.errors import EmbspecError, Problem
from embspec.plan.plan import Plan, Step
from embspec.plan.protocol import Progress
from embspec.plan.values import digest_of
from embspec.run.desk import Given, seed_of
from embspec.run.task import Task, work
from embspec.store.live import anchored, selected
from embspec.store.objects import file_digest
from embspec.store.world import DiskWorld

MOST = 200
"""How many revisions are looked at, and how many that touched the lock before them."""


class GitTree:
    """Files of a revision as a reading stage sees them."""

    def __init__(self, found: Mapping[str, str], blobs: git.Blobs) -> None:
        self._found, self._blobs = found, blobs

    def names(self) -> Sequence[str]:
        """The files that match, by name."""
        return sorted(self._found)

    def open(self, name: str) -> IO[bytes]:
        """A stream over one of them."""
        return self._blobs.open(self._found[name])


def recover(now: Plan, world: DiskWorld, tell: Callable[[str, str], None]) -> None:
    """Put what the plan calls lost back into the store, or say where it was looked for."""
    steps = {step.node.name: step for step in now.steps}
    looked: dict[str, str] = {}
    for name in dict.fromkeys(role.rsplit("/", 1)[0] for role, _ in now.lost):
        follow = steps[name].node.stage.follow
        if follow:
            looked[name] = _search(steps[name], steps[follow.stage], world, partial(tell, name))
    if any(looked.get(role.rsplit("/", 1)[0], "not a snapshot") for role, _ in now.lost):
        raise _nowhere(now, looked)


def _nowhere(now: Plan, looked: Mapping[str, str]) -> EmbspecError:
    """Bytes that the lock names, that nobody has, and that no stage can make again."""
    return EmbspecError(*(
        Problem("nowhere.artefact", f"{role} ({digest}) is not in the store, the live files make another, and "
                + looked.get(role.rsplit("/", 1)[0], "no older files do"),
                fix="bring back the files it was made from, or `embspec build --retrain` to move to the live ones")
        for role, digest in now.lost))


def _search(pinned: Step, source: Step, world: DiskWorld, tell: Callable[[str], None]) -> str:
    """Empty where it was found; else what was looked at, in words."""
    folder = world.at.folder
    root = git.top(folder)
    live = source.node.stage.live
    if not root or not live or source.node.stage.needs(source.node.params, []):
        return "there is no git history here to read older ones from"
    globs = live(source.node.typed)
    revisions = _revisions(pinned, world, [anchored(glob) for glob in globs])
    tell(f"not in the store, looking in {len(revisions)} revisions of git")
    wanted = {artefact: digest_of(text) for artefact, text in pinned.out.items()}
    with world.objects.scratch() as scratch, git.Blobs(folder, scratch) as blobs:
        tried = set[bytes]()
        for number, revision in enumerate(revisions):
            files = git.tree(revision, root)
            names = selected(folder, globs, files, os.path.dirname(world.at.out))
            held = git.linked(files, names.values(), blobs)
            found = {name: held[path] for name, path in names.items() if path in held}
            same = xxhash.xxh3_128_digest(repr(sorted(found.items())).encode())
            if found and same not in tried and _fits(source, found, blobs, wanted, world, f"{scratch}/{number}"):
                tell(f"read from revision {revision[:12]}")
                return ""
            tried.add(same)
    cut = ", whose history was cut off when it was cloned (`git fetch --unshallow` brings it)"
    return (f"no revision of git does ({len(revisions)} looked at, {len(tried)} of them with other documents)"
            + (cut if git.shallow(folder) else ""))


def _revisions(pinned: Step, world: DiskWorld, globs: Sequence[str]) -> list[str]:
    """Where the lock's own line came or went, then wherever a document changed, newest first."""
    lines = [re.escape(digest_of(text).rpartition(":")[2]) for text in pinned.out.values()]
    named = [revision for line in lines for revision in git.changes(world.at.lock, line, MOST)]
    return list(dict.fromkeys([*named, *git.touching(world.at.folder, globs, MOST)]))[:MOST]


def _fits(
    source: Step, found: Mapping[str, str], blobs: git.Blobs, wanted: Mapping[str, str], world: DiskWorld, folder: str
) -> bool:
    """Run the stage over these files; where it makes the wanted bytes, every one of them, the store gets them."""
    node, out, scratch = source.node, os.path.join(folder, "out"), os.path.join(folder, "scratch")
    for path in (out, scratch):
        os.makedirs(path)
    given = Given(seed_of(node.typed, node.name), {}, world.objects.store, {})
    task = Task(node.name, node.stage.make, node.typed, {}, out, scratch, given, (), "", 0, "")
    try:
        work(task, _silent, GitTree(found, blobs))
    except Exception:
        return False  # documents that could not be read then, for whatever reason, make no snapshot now
    paths = {artefact: os.path.join(out, artefact) for artefact in wanted}
    if any(f"sha256:{file_digest(path)[0]}" != wanted[artefact] for artefact, path in paths.items()):
        return False
    for path in paths.values():
        world.objects.adopt(path)
    return True


def _silent(event: Progress) -> None:
    return None
