"""The lock's past in git, as `log`, `status` and `bisect` ask for it."""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from embspec.decide import bisect, history
from embspec.decide.bisect import Found
from embspec.decide.hand import Hand
from embspec.decide.history import Declared, Past
from embspec.errors import EmbspecError
from embspec.lock.text import Lock
from embspec.store.world import DiskWorld

EVERY = ("HEAD", "--branches", "--remotes", "--tags")  # not `--all`: what a stash holds is nobody's history
ENOUGH = 500  # files of git that `status` reads to find out whether they are what a lock pins


class Chronicle(NamedTuple):
    """One project's past; `measured` builds a commit apart, as far as the evaluation."""

    world: DiskWorld
    declared: Declared
    measured: Callable[[str], tuple[Lock, bool]]

    def log(self, most: int = 20, every: bool = False) -> list[Past]:
        """The commits that changed the lock, newest first, and where the model of each can be brought back from."""
        pool = history.entries(self.world.at.lock, *(EVERY if every else []))
        return history.past(pool[:most], pool, self.declared, Hand(self.world))

    def models(self, present: Lock, most: int = 5) -> tuple[list[Past], int]:
        """The newest models but the present one, as far as that is known at once, and how many there are in all."""
        try:
            pool = history.entries(self.world.at.lock)
        except EmbspecError:
            return [], 0  # no git, or no repository
        found = history.models(pool, present)
        return history.past(found[:most], pool, self.declared, Hand(self.world, ENOUGH)), len(found)

    def bisect(self, metric: str, good: str = "", bad: str = "HEAD") -> Found:
        """The commit that lost a metric and the fields it changed; what no lock says is built in a folder apart."""
        return bisect.search(self.world.at, metric, (good, bad), self.declared, self.measured,
                             self.world.objects.text)
