"""The lock's own upkeep: what a person asks of it beside a build."""
from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from embspec.errors import EmbspecError, Problem, fail
from embspec.lock.rekey import Rekeyed, rekey
from embspec.lock.text import FORMAT, Lock, check_known
from embspec.lock.upgrade import LAYOUT, Upgrade, asked, upgrades, without
from embspec.plan.keys import key
from embspec.plan.nodes import Node
from embspec.plan.plan import Plan, Recipes, plan
from embspec.plan.values import Wish
from embspec.run import locked
from embspec.run.mend import environments
from embspec.run.merge import Merged, resolve
from embspec.store import records
from embspec.store.world import DiskWorld


class Upkeep(NamedTuple):
    """A spec's stages, and where its lock lies; nothing here runs a stage."""

    nodes: Sequence[Node]
    recipes: Recipes
    world: DiskWorld

    def merge(self) -> Merged | None:
        """Merge the lock's two sides; None where there is no conflict, and then environments it lacks are put back."""
        with self._alone():
            merged = resolve(self.nodes, self.recipes, self.world)
            if merged is None:
                lock = locked.load(self.world.at)
                if envs := environments(lock, self.world.records):
                    self._save(lock._replace(envs={**lock.envs, **envs}))
            return merged

    def rekey(self) -> Rekeyed:
        """Give today's keys to blocks of an older scheme, and to their records; raise where a key is of no scheme."""
        with self._alone():
            lock = self._lock()
            found = rekey(self.nodes, lock.blocks, self.recipes)
            for old, named in found.moved.values():
                for record in self.world.records(old):
                    fresh = record._replace(ingredients=named)
                    records.save(self.world.objects.store, key(named), fresh)
            if found.moved:
                self._save(lock._replace(blocks=found.blocks))
        if found.wrong:
            said = [Problem("lock-stale.key", f"{name}: its key is right under no scheme that this embspec knows")
                    for name in found.wrong]
            fix = "`embspec plan` says why; `embspec build` makes it anew. The other blocks have today's keys"
            raise EmbspecError(*said[:-1], said[-1]._replace(fix=fix))
        return found

    def upgrades(self) -> list[Upgrade]:
        """What the lock keeps until it is asked for anew."""
        blocks = self._lock().blocks
        return upgrades(self._plan(), blocks, self.world.settled)

    def upgrade(self, field: str) -> Plan | None:
        """Take a field's pins out of the lock; what the next build then does, or None where nothing newer is known."""
        with self._alone():
            lock, found = self._lock(), self.upgrades()
            chosen = asked(found, field)
            if not chosen:
                raise self._no_such(field, found)
            newer = [one for one in chosen if one.newer]
            if not newer:
                return None
            check_known(lock)
            self._save(lock._replace(blocks=without(lock.blocks, self.nodes, newer)))
        return self._plan()

    def _no_such(self, field: str, found: Sequence[Upgrade]) -> EmbspecError:
        said = {f: value for node in self.nodes for f, value in node.settles.items()}
        if field in said and said[field] != "auto":
            return fail("usage.field", f"the spec says what {field} is ({said[field]})", fix="change it there")
        names = ", ".join(dict.fromkeys(one.field for one in found if one.field != LAYOUT))
        if field == LAYOUT:
            return fail("usage.field", f"the lock has format {FORMAT}, the newest")
        return fail("usage.field", f"the lock keeps nothing that is called `{field}`",
                    fix=f"what it keeps: {names}" if names else "nothing is built yet: run `embspec build`")

    def _plan(self) -> Plan:
        return plan(self.nodes, self._lock().blocks, self.world, Wish(publish=False), self.recipes)

    def _lock(self) -> Lock:
        return locked.load(self.world.at)

    def _save(self, lock: Lock) -> None:
        locked.put(self.world.at, [node.name for node in self.nodes], lock)

    def _alone(self) -> AbstractContextManager[None]:
        at = self.world.at
        return locked.held(os.path.join(at.state, f"{at.name}.build.flock"), 60.0, lambda: None)
