"""What of the past is at hand on this machine: bytes in the store, files here, kept, or in git."""
from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence

from embspec import git
from embspec.decide.history import Patience
from embspec.errors import EmbspecError
from embspec.plan.protocol import is_address
from embspec.store.live import anchored, selected, tree_pin
from embspec.store.objects import CHUNK, entries
from embspec.store.remote import pin_of
from embspec.store.world import DiskWorld

MOST = 200  # revisions that are looked at for files which neither the commit nor this machine has

Globs = tuple[str, ...]


class Hand:
    """Looks without laying anything out; what git's bytes hash to is found out once.

    `enough` is how many files of git may be read for that.
    """

    def __init__(self, world: DiskWorld, enough: int | None = None) -> None:
        self._world, self._enough = world, enough
        self._top: str | None = None
        self._held: dict[tuple[str, Globs], Mapping[str, str]] = {}
        self._blobs: dict[str, tuple[str, int]] = {}
        self._found: dict[tuple[Globs, str, str], bool] = {}

    def has(self, digest: str) -> bool:
        """Whether the store has these bytes."""
        return self._world.has(digest)

    def files(self, globs: Sequence[str], pin: str, commit: str, kept: bool) -> bool:
        """Whether the files that a stage read are there as they were: here, `kept` in the store, or in git."""
        asked = tuple(globs), pin, commit
        if asked not in self._found:
            self._found[asked] = self._here(globs) == pin or (kept and self._kept(pin)) or self._past(*asked)
        return self._found[asked]

    def _here(self, globs: Sequence[str]) -> str:
        if self._afar(globs) is None:
            return ""
        try:
            return self._world.live(globs)
        except EmbspecError:
            return ""  # files that no build could read today are not those of then

    def _afar(self, globs: Sequence[str]) -> list[tuple[str, str, int]] | None:
        """Name, digest and size of each file that was fetched; None where one is not here: nobody is asked for it."""
        pins = {glob.partition("#")[0]: pin_of(glob) for glob in globs if is_address(glob)}
        if not all(pin and self.has(pin.digest) for pin in pins.values()):
            return None
        return [(address, pin.sha256, pin.size) for address, pin in pins.items() if pin]

    def _kept(self, pin: str) -> bool:
        """The listing of what was read, and each file that it names."""
        text = self._world.objects.text(pin.split(" ")[0])
        return text is not None and all(self.has(f"sha256:{digest}") for _, digest, _ in entries(text.encode()))

    def _past(self, globs: Globs, pin: str, commit: str) -> bool:
        """The commit itself, then any that touched such files."""
        folder = self._world.at.folder
        with self._world.objects.scratch() as scratch, git.Blobs(folder, scratch) as blobs:
            if self._in_git(globs, pin, commit, blobs):
                return True
            if self._enough is not None:
                raise Patience
            others = git.touching(folder, [anchored(glob) for glob in globs], MOST)
            return any(self._in_git(globs, pin, other, blobs) for other in others)

    def _in_git(self, globs: Globs, pin: str, commit: str, blobs: git.Blobs) -> bool:
        held, afar = self._matching(commit, globs, blobs), self._afar(globs)
        if afar is None or f" {len(held) + len(afar)} " not in pin:
            return False  # another count, whatever they hold: nothing has to be read for that
        if self._enough is not None and len(self._blobs) + len(held) > self._enough:
            raise Patience
        return tree_pin(sorted([*afar, *((name, *self._digest(blob, blobs)) for name, blob in held.items())])) == pin

    def _matching(self, commit: str, globs: Globs, blobs: git.Blobs) -> Mapping[str, str]:
        """The blob of each file that the globs match at a commit."""
        at = self._world.at
        if self._top is None:
            self._top = git.top(at.folder)
        if (commit, globs) not in self._held:
            files = git.tree(commit, self._top)
            names = selected(at.folder, globs, files, os.path.dirname(at.out))
            held = git.linked(files, names.values(), blobs)
            self._held[commit, globs] = {name: held[path] for name, path in names.items() if path in held}
        return self._held[commit, globs]

    def _digest(self, blob: str, blobs: git.Blobs) -> tuple[str, int]:
        if blob not in self._blobs:
            digest, size = hashlib.sha256(), 0
            with blobs.open(blob) as file:
                while chunk := file.read(CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
            self._blobs[blob] = digest.hexdigest(), size
        return self._blobs[blob]
