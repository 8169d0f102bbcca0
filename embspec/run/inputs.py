"""Where the files that a stage once read may still be: git, the work tree, the store."""
from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import IO, NamedTuple

from embspec import git
from embspec.plan.nodes import Node
from embspec.plan.pins import TREE, files_of
from embspec.plan.protocol import is_address
from embspec.plan.values import Block, digest_of
from embspec.store.live import anchored, path_of, selected, tree_pin
from embspec.store.objects import Objects, entries, file_digest
from embspec.store.world import DiskWorld

MOST = 200
"""How many revisions are looked at; for a snapshot as many that touched the lock before them."""


class Input(NamedTuple):
    """One file: where it belongs on the disk, what it holds, and how to get at it."""

    path: str
    sha256: str
    size: int
    open: Callable[[], IO[bytes]]
    back: str = ""  # the command that brings it back to its place


class Source(NamedTuple):
    """One place to look: its name for people, and the files there by their names in the tree."""

    name: str
    files: Callable[[], Mapping[str, Input]]


class Inputs:
    """All the places of one project, in the order they are looked at."""

    def __init__(self, home: DiskWorld, revision: str, blobs: git.Blobs | None) -> None:
        self._home, self._revision, self._blobs = home, revision, blobs
        self._known: dict[str, tuple[str, int]] = {}  # what a blob holds is hashed once

    def sources(self, globs: Sequence[str], block: Block) -> Iterator[Source]:
        """The revision before the work tree, the store behind both, and last whatever git has ever had."""
        live = Source("the work tree", partial(self._live, globs))
        past = [Source(self._revision or "HEAD", partial(self._past, self._revision or "HEAD", globs))]
        yield from [*past, live] if self._revision else [live, *past]
        yield Source("the store", partial(self._kept, globs, block))
        folder = self._home.at.folder
        older = git.touching(folder, [anchored(glob) for glob in globs], MOST) if self._blobs else []
        yield from (Source("any older revision", partial(self._past, revision, globs)) for revision in older)

    def _live(self, globs: Sequence[str]) -> dict[str, Input]:
        return {f.name: Input(f.path, *file_digest(f.path), partial(_open, f.path))
                for f in self._home.find(globs)}

    def _past(self, revision: str, globs: Sequence[str]) -> dict[str, Input]:
        at = self._home.at
        repository = git.top(at.root)
        if self._blobs is None or not repository:
            return {}
        tree = git.tree(revision, repository)
        names = selected(at.folder, globs, tree, os.path.dirname(at.out))
        held = git.linked(tree, names.values(), self._blobs)
        return {name: self._blob(path, held[path], self._blobs) for name, path in names.items() if path in held}

    def _blob(self, path: str, blob: str, blobs: git.Blobs) -> Input:
        if blob not in self._known:
            with blobs.open(blob) as file:
                data = hashlib.sha256()
                while chunk := file.read(1 << 20):
                    data.update(chunk)
                self._known[blob] = data.hexdigest(), file.tell()
        back = f"{_command('git', 'cat-file', 'blob', blob)} > {_command(os.path.relpath(path))}"
        return Input(path, *self._known[blob], partial(blobs.open, blob), back)

    def _kept(self, globs: Sequence[str], block: Block) -> dict[str, Input]:
        """The pin names a listing, and the listing the files, of a stage that keeps what it reads."""
        objects, folder = self._home.objects, self._home.at.folder
        text = objects.text(digest_of(block.pin.get(TREE, "")).split(" ")[0])
        if text is None:
            return {}
        found = {}
        for name, digest, size in entries(text.encode()):
            for glob in globs:
                path = path_of(folder, glob, name)
                if path and objects.has(f"sha256:{digest}"):
                    back = _command("install", "-m", "644", objects.path(f"sha256:{digest}"), os.path.relpath(path))
                    found[name] = Input(path, digest, size, partial(_verified, objects, f"sha256:{digest}"), back)
        return found


def committed(
    nodes: Sequence[Node], blocks: Mapping[str, Block], home: DiskWorld, revision: str
) -> dict[str, Block]:
    """The lock's blocks as a build at a revision reads them: files that were committed otherwise are not pinned."""
    found = dict(blocks)
    with home.objects.scratch() as scratch, git.Blobs(home.at.folder, scratch) as blobs:
        inputs = Inputs(home, revision, blobs)
        for node in nodes:
            block = blocks.get(node.name, Block())
            if node.stage.live is None or TREE not in block.pin:
                continue
            globs = files_of(node, block.pin)
            files = next(inputs.sources([glob for glob in globs if not is_address(glob)], block)).files()
            afar = [(f.name, f.pinned, f.size) for f in home.find([glob for glob in globs if is_address(glob)])]
            rows = sorted([*afar, *((name, f.sha256, f.size) for name, f in files.items())])
            if files and tree_pin(rows) != block.pin[TREE]:
                found[node.name] = block._replace(pin={k: pin for k, pin in block.pin.items() if k != TREE})
    return found


def _command(*words: str) -> str:
    return " ".join(map(shlex.quote, words))


def _open(path: str) -> IO[bytes]:
    return open(path, "rb")


def _verified(objects: Objects, digest: str) -> IO[bytes]:
    return open(objects.verified(digest), "rb")
