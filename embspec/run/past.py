"""Brings a pinned snapshot back from git: reads the documents of older revisions until the pinned bytes come out."""
from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import IO, NamedTuple

import xxhash

from embspec import git
from embspec.errors import EmbspecError, Problem
from embspec.lock.text import read
from embspec.plan.plan import RUN, Plan, Step
from embspec.plan.protocol import Progress, is_address
from embspec.plan.values import Block, digest_of
from embspec.run.desk import Given, seed_of
from embspec.run.inputs import MOST
from embspec.run.stage import PIN, fetch, pinned_bytes
from embspec.run.task import Task, work
from embspec.store.live import anchored, selected
from embspec.store.objects import file_digest
from embspec.store.world import DiskWorld


class Beside(NamedTuple):
    """What the documents' stage opens beside the files of a revision, by role and by address: where each lies."""

    needs: Mapping[str, str]
    fetched: Mapping[str, str]


class GitTree:
    """Files of a revision as a reading stage sees them, and those that were fetched."""

    def __init__(self, found: Mapping[str, str], blobs: git.Blobs, fetched: Mapping[str, str]) -> None:
        self._found, self._blobs, self._fetched = found, blobs, fetched

    def names(self) -> Sequence[str]:
        """The files that match, by name."""
        return sorted([*self._found, *self._fetched])

    def open(self, name: str) -> IO[bytes]:
        """A stream over one of them."""
        return open(self._fetched[name], "rb") if name in self._fetched else self._blobs.open(self._found[name])

    def digest(self, name: str) -> str:
        """Unknown: git names its blobs by another hash."""
        return ""


def awaited(now: Plan) -> bool:
    """Whether something is made first that the documents of what is lost are read with, as the base that counts."""
    steps = {step.node.name: step for step in now.steps}
    follows = (steps[role.rsplit("/", 1)[0]].node.stage.follow for role, _ in now.lost)
    sources = [steps[follow.stage].node for follow in follows if follow]
    names = {role.rsplit("/", 1)[0] for node in sources for role in node.stage.needs(node.params, list(steps))}
    return any(step.state == RUN and step.node.name in names for step in now.work)


def recover(now: Plan, world: DiskWorld, tell: Callable[[str, str], None]) -> None:
    """Put what the plan calls lost back into the store, or say where it was looked for."""
    steps = {step.node.name: step for step in now.steps}
    looked: dict[str, str] = {}
    for name in dict.fromkeys(role.rsplit("/", 1)[0] for role, _ in now.lost):
        follow = steps[name].node.stage.follow
        if follow:
            looked[name] = _search(steps[name], steps[follow.stage], steps, world, partial(tell, name))
    if any(looked.get(role.rsplit("/", 1)[0], "not a snapshot") for role, _ in now.lost):
        raise _nowhere(now, looked)


def _nowhere(now: Plan, looked: Mapping[str, str]) -> EmbspecError:
    """Bytes that the lock names, that nobody has, and that no stage can make again."""
    return EmbspecError(*(
        Problem("nowhere.artefact", f"{role} ({digest}) is not in the store, the live files make another, and "
                + looked.get(role.rsplit("/", 1)[0], "no older files do"),
                fix="bring back the files it was made from, or `embspec build --retrain` to move to the live ones")
        for role, digest in now.lost))


def _search(
    pinned: Step, source: Step, steps: Mapping[str, Step], world: DiskWorld, tell: Callable[[str], None]
) -> str:
    """Empty where it was found; else what was looked at, in words."""
    folder = world.at.folder
    root = git.top(folder)
    live = source.node.stage.live
    if not root or not live:
        return "there is no git history here to read older ones from"
    globs = [glob for glob in live(source.node.typed) if not is_address(glob)]
    named = _named(pinned, world)
    revisions = list(dict.fromkeys([*named, *_touching(world, globs)]))[:MOST]
    tell(f"not in the store, looking in {len(revisions)} revisions of git")
    wanted = {artefact: digest_of(text) for artefact, text in pinned.out.items()}
    with world.objects.scratch() as scratch, git.Blobs(folder, scratch) as blobs:
        tried = set[bytes]()
        then = _then(pinned, source, named, blobs, world)
        ways, lacking = _ways(then, source, steps, world, f"{scratch}/needs")
        for number, revision in enumerate(revisions):
            files = git.tree(revision, root)
            names = selected(folder, globs, files, os.path.dirname(world.at.out))
            held = git.linked(files, names.values(), blobs)
            found = {name: held[path] for name, path in names.items() if path in held}
            same = xxhash.xxh3_128_digest(repr(sorted(found.items())).encode())
            for way, beside in enumerate([] if same in tried else ways):
                tree = GitTree(found, blobs, beside.fetched)
                place = f"{scratch}/{number}-{way}"
                if tree.names() and _fits(source, tree, beside.needs, wanted, world, place):
                    tell(f"read from revision {revision[:12]}")
                    return ""
            tried.add(same)
    if not ways:
        return lacking
    cut = ", whose history was cut off when it was cloned (`git fetch --unshallow` brings it)"
    return (f"no revision of git does ({len(revisions)} looked at, {len(tried)} of them with other documents)"
            + (cut if git.shallow(folder) else "") + _older(then, source))


def _named(pinned: Step, world: DiskWorld) -> list[str]:
    """Where the lock's own line came or went, newest first."""
    lines = [re.escape(digest_of(text).rpartition(":")[2]) for text in pinned.out.values()]
    return list(dict.fromkeys(revision for line in lines for revision in git.changes(world.at.lock, line, MOST)))


def _touching(world: DiskWorld, globs: Sequence[str]) -> list[str]:
    """Wherever a document changed, newest first; where all lie elsewhere, none did."""
    return git.touching(world.at.folder, [anchored(glob) for glob in globs], MOST) if globs else []


def _then(
    pinned: Step, source: Step, revisions: Sequence[str], blobs: git.Blobs, world: DiskWorld
) -> list[Mapping[str, Block]]:
    """What these locks say, where documents made what is lost: what was read with them is as it was pinned then."""
    found: list[Mapping[str, Block]] = []
    name = os.path.relpath(world.at.lock, world.at.folder)
    for revision in revisions:
        file = blobs.find(f"{revision}:./{name}")
        try:
            blocks = read(file.read().decode(), name).blocks if file else {}
        except (UnicodeDecodeError, EmbspecError):
            continue  # a lock that nobody can read says nothing
        made = blocks.get(source.node.name, Block()).out
        if all(made.get(artefact) == text for artefact, text in pinned.out.items()):
            found.append(blocks)
    return found


def _older(then: Sequence[Mapping[str, Block]], source: Step) -> str:
    """What is said where the documents were made by another recipe, which only the embspec that had it has."""
    name, now = source.node.name, str(source.node.stage.recipe)
    other = next((blocks[name].recipe for blocks in then if blocks[name].recipe != now), "")
    return f"; {name} was built by recipe {other} then, this embspec has {now}" if other else ""


def _ways(
    then: Sequence[Mapping[str, Block]], source: Step, steps: Mapping[str, Step], world: DiskWorld, folder: str
) -> tuple[list[Beside], str]:
    """What documents may have been read with, each once, as locks of then had it or as today's has; else what lacks."""
    pins = [blocks[source.node.name].pin for blocks in then] or [source.pin]
    outs = then or [{}]
    found: dict[str, Beside] = {}
    lacking = ""
    for number, (pin, blocks) in enumerate(zip(pins, outs, strict=True)):
        needs = _needs(source, blocks, steps, world) | pinned_bytes(source.node, pin, world)
        elsewhere = {name: pin.get(name, "") for name in source.node.pins if is_address(name)}
        if (same := repr((needs, elsewhere))) in found:
            continue
        try:
            found[same] = _beside(source, needs, elsewhere, world, os.path.join(folder, str(number)))
        except EmbspecError as error:
            if not error.problems[0].code.startswith("nowhere."):
                raise
            lacking = error.problems[0].text
    command = source.node.stage.asks(source.node.typed)
    if command and not any(role.startswith(PIN) for beside in found.values() for role in beside.needs):
        return [], f"what `{' '.join(command.words)}` answered about the older documents is not there"
    return list(found.values()), lacking


def _needs(
    source: Step, blocks: Mapping[str, Block], steps: Mapping[str, Step], world: DiskWorld
) -> dict[str, str]:
    """The digests of what the documents' stage opens, by role: those of then where they are still here."""
    node, found = source.node, {}
    for role in node.stage.needs(node.params, list(steps)):
        name, artefact = role.rsplit("/", 1)
        then = digest_of(blocks.get(name, Block()).out.get(artefact, ""))
        found[role] = then if then and world.has(then) else digest_of(steps[name].out[artefact])
    return found


def _beside(
    source: Step, needs: Mapping[str, str], elsewhere: Mapping[str, str], world: DiskWorld, folder: str
) -> Beside:
    """Where all of it lies; what lies elsewhere may be fetched for it, and has to be what is pinned."""
    fetched = fetch(source.node, elsewhere, world, _silent)
    paths = {role: world.objects.lay(digest, os.path.join(folder, str(number))) if digest.startswith("tree ")
             else world.objects.verified(digest) for number, (role, digest) in enumerate(needs.items())}
    return Beside(paths, {name: world.objects.path(digest_of(pin)) for name, pin in fetched.items()})


def _fits(
    source: Step, tree: GitTree, needs: Mapping[str, str], wanted: Mapping[str, str], world: DiskWorld, folder: str
) -> bool:
    """Run the stage over these files; where it makes the wanted bytes, every one of them, the store gets them."""
    node, out, scratch = source.node, os.path.join(folder, "out"), os.path.join(folder, "scratch")
    for path in (out, scratch):
        os.makedirs(path)
    given = Given(seed_of(node.typed, node.name), {}, world.objects.store, {})
    task = Task(node.name, node.stage.make, node.typed, needs, out, scratch, given, (), "", 0, "")
    try:
        work(task, _silent, tree)
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
