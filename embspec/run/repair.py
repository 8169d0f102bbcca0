"""`fsck`: what of a store is bad is brought back from what is at hand, or built again as the lock has it."""
from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from typing import IO, NamedTuple

from embspec import git
from embspec.errors import EmbspecError
from embspec.plan.nodes import Node
from embspec.plan.pins import TREE
from embspec.plan.values import Block, Texts, Wish, digest_of
from embspec.run.build import Event
from embspec.run.inputs import Inputs
from embspec.store import fsck
from embspec.store.environment import listing as packages_of
from embspec.store.fsck import OBJECT, Bad
from embspec.store.live import tree_pin
from embspec.store.objects import Objects, entries, file_digest, listing
from embspec.store.places import there
from embspec.store.world import DiskWorld

Read = Callable[[int, int], None]

NO_STAGE = "nothing here makes it again"


class Side(NamedTuple):
    """A spec of the project: its world and stages, what its lock says, and how its missing bytes are built."""

    name: str
    world: DiskWorld
    nodes: Sequence[Node]
    blocks: Mapping[str, Block]
    build: Callable[[Wish, bool], object]  # in the project, to what its lock says; or in a folder apart
    pages: Callable[[], Mapping[str, Texts]]  # what stages without a block made, by stage and artefact


class Hear(NamedTuple):
    """Who is told how far it has come: files read of all, what was found, and what a build does."""

    read: Read
    said: Callable[[str], None]
    built: Callable[[Event], None]


class Checked(NamedTuple):
    """What was read, what was bad, how each of it came back, and why not where it did not."""

    store: str
    counts: Mapping[str, int]
    bytes: int
    bad: list[Bad]
    repaired: dict[str, str]  # sha256 of an object -> where it came from
    lost: dict[str, str]  # sha256 of an object -> why it is not back


def check(
    store: str, specs: Sequence[str], opened: Callable[[str], Side], run: bool, hear: Hear
) -> Checked:
    """Read the whole store, then repair. Records and vectors are made again where somebody needs them."""
    there(store)
    objects = Objects(store)
    looked = fsck.look(store, hear.read)
    for each in looked.bad:
        aside = "" if each.stays else "; it was set aside"
        hear.said(f"{each.kind} {each.name}: other bytes than its name says{aside}")
    sides = list(_sides(specs, opened, hear.said))
    stays = {b.name for b in looked.bad if b.kind == OBJECT and b.stays}
    known = {digest for side in sides for digest in _named(side, objects)}
    lack = _Lack(objects, [b.name for b in looked.bad if b.kind == OBJECT and not b.stays])
    lack.wanted |= known & set(fsck.missed(store))  # an earlier command met it, or an earlier fsck had no luck
    said = dict.fromkeys(sorted(lack.wanted), NO_STAGE)
    for side in sides:
        _fetch(side, lack, hear.said)
    for side in sides if run else ():
        said |= _build(side, lack, hear.said)
    if not run:
        said = dict.fromkeys(said, "left out: --no-run")
    lost = {name: said[name] for name in sorted(lack.wanted)}
    lost |= {name: f"delete {objects.path(name)}: it cannot be moved" for name in sorted(stays)}
    return Checked(store, looked.counts, looked.bytes, looked.bad, lack.found, lost)


def _sides(specs: Sequence[str], opened: Callable[[str], Side], say: Callable[[str], None]) -> Iterator[Side]:
    for spec in specs:
        try:
            yield opened(spec)
        except EmbspecError as error:  # one that is half edited keeps nobody from the others
            say(f"{os.path.relpath(spec)} is left out: {error.problems[0]}")


class _Lack:
    """What is to be found, and what was."""

    def __init__(self, objects: Objects, names: Sequence[str]) -> None:
        self.objects = objects
        self.wanted = set(names)
        self.found: dict[str, str] = {}

    def offer(self, name: str, where: str, open_: Callable[[], IO[bytes]]) -> None:
        """Take these bytes, if they are wanted and really those."""
        if name not in self.wanted:
            return
        with self.objects.scratch() as folder:
            path = os.path.join(folder, "bytes")
            with open_() as source, open(path, "wb") as out:
                shutil.copyfileobj(source, out)
            self.objects.adopt(path)
        self.settle(where)

    def put(self, data: bytes, where: str) -> None:
        """The same with bytes at hand."""
        if hashlib.sha256(data).hexdigest() in self.wanted:
            self.objects.put(data)
            self.settle(where)

    def settle(self, where: str) -> None:
        """Cross out what is there by now."""
        back = {name for name in self.wanted if self.objects.has(f"sha256:{name}")}
        self.found |= dict.fromkeys(sorted(back), where)
        self.wanted -= back


def _named(side: Side, objects: Objects) -> Iterator[str]:
    """The sha256 of all that a spec's lock names, files of trees and of what stages read included."""
    for block in side.blocks.values():
        for name, text in (*block.out.items(), *block.pin.items()):
            if text.startswith("tree "):
                yield from _hexes(digest_of(text), objects)
            elif text.startswith("sha256:"):
                yield from _hexes(f"{'tree ' if name == TREE else ''}{text.split(' ')[0]}", objects)


def _hexes(digest: str, objects: Objects) -> set[str]:
    """The sha256 of an artefact, and of the files of a tree as far as its list is here."""
    text = objects.text(digest) if digest.startswith("tree ") else None
    return {digest.rpartition(":")[2], *(each for _, each, _ in entries((text or "").encode()))}


def _fetch(side: Side, lack: _Lack, say: Callable[[str], None]) -> None:
    """From `out/`, from the files that stages read, and from what is installed here."""
    if lack.wanted:
        _published(side.world, lack)
    for node in side.nodes if lack.wanted else ():
        lack.put(packages_of(node.packages), "the installed packages")
        if node.stage.live and TREE in side.blocks.get(node.name, Block()).pin:
            try:
                _inputs(side, node, lack)
            except EmbspecError as error:  # no git here, or files that nobody may read: the rest may be found
                say(f"the files of {node.name} were not all looked at: {error.problems[0].text}")


def _published(world: DiskWorld, lack: _Lack) -> None:
    """Files of `out/NAME`, and the lists of the folders in it."""
    digests = {}
    for at, _, names in os.walk(world.at.out):
        for name in names:
            path = os.path.join(at, name)
            digests[os.path.relpath(path, world.at.out)] = found, _ = file_digest(path)
            lack.offer(found, world.at.shown(path), partial(_bytes, path))
    for stamp in world.stamps().values():
        members = stamp.get("members", {}) if isinstance(stamp, dict) else {}
        for member, text in members.items():
            if text.startswith("tree ") and digest_of(text).rpartition(":")[2] in lack.wanted:
                inner = [other for other in members if other.startswith(f"{member}/")]
                rows = [(path[len(member) + 1:], *digest) for path, digest in digests.items()
                        if path.startswith(f"{member}/") and not any(f"{path}/".startswith(f"{i}/") for i in inner)]
                lack.put(listing(rows), world.at.shown(os.path.join(world.at.out, member)))


def _bytes(path: str) -> IO[bytes]:
    return open(path, "rb")


def _inputs(side: Side, node: Node, lack: _Lack) -> None:
    """The files that a stage read, and their list, wherever they still lie as the lock pins them."""
    pin = side.blocks[node.name].pin[TREE]
    name = pin.split(" ")[0].rpartition(":")[2]
    if not lack.wanted & ({name} | _hexes(f"tree sha256:{name}", lack.objects)):
        return
    assert node.stage.live
    folder = side.world.at.folder
    with lack.objects.scratch() as scratch, (
            git.Blobs(folder, scratch) if git.top(folder) else nullcontext()) as blobs:
        for source in Inputs(side.world, "", blobs).sources(node.stage.live(node.typed), side.blocks[node.name]):
            files = source.files()
            rows = [(path, file.sha256, file.size) for path, file in files.items()]
            if tree_pin(rows) == pin:
                lack.put(listing(rows), source.name)
            for file in files.values():
                lack.offer(file.sha256, source.name, file.open)
            if not lack.wanted & ({name} | _hexes(f"tree sha256:{name}", lack.objects)):
                return


def _roles(side: Side) -> dict[str, str]:
    """Every artefact of a spec by its role; of a stage that follows another its pins are that."""
    outs: dict[str, Texts] = {name: block.out if block.key else block.pin for name, block in side.blocks.items()}
    with suppress(EmbspecError):  # what the lock names is known all the same
        outs |= side.pages()
    return {f"{name}/{artefact}": text for name, texts in outs.items() for artefact, text in texts.items()}


def _build(side: Side, lack: _Lack, say: Callable[[str], None]) -> dict[str, str]:
    """Run the stages whose artefacts the lock names and the store lacks; why not, where that failed."""
    roles, asked = set[str](), set[str]()
    if not lack.wanted:
        return {}
    for role, text in _roles(side).items():
        if found := _hexes(digest_of(text), lack.objects) & lack.wanted if "sha256:" in text else set():
            roles.add(role)
            asked |= found
    pins = {name: {text.split(" ")[0].rpartition(":")[2] for text in block.pin.values()} & lack.wanted
            for name, block in side.blocks.items() if block.key}
    again = frozenset(name for name, found in pins.items() if found)
    asked |= {digest for found in pins.values() for digest in found}
    if not roles | again:
        return {}
    say(f"{side.name}: building {', '.join(sorted(roles | again))} again")
    reason = ""
    # Apart lie the inputs as they are pinned, and what differs there changes no lock: what only a run pins comes so.
    for wish, apart in ((Wish(bring=frozenset(roles)), False), (Wish(bring=frozenset(roles), refresh=again), True)):
        if asked & lack.wanted and (roles or apart):
            try:
                side.build(wish._replace(publish=False), apart)
            except EmbspecError as error:
                reason = reason or str(error.problems[0].text)
            lack.settle(f"built again by {side.name}")
    return dict.fromkeys(asked & lack.wanted, reason or "built again, it has other bytes")
