"""`out/NAME`: the last green build, the newest report, and beside them what a red build made."""
from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from embspec.plan.plan import Plan, targets
from embspec.plan.values import digest_of
from embspec.store.files import disk, exchange
from embspec.store.objects import EMPTY_TREE
from embspec.store.world import CANDIDATE, DiskWorld, top_of

Members = Mapping[str, str]
"""Path under `out/NAME` to digest, of all that is exchanged as one."""


def publish(plan: Plan, world: DiskWorld) -> None:
    """Bring every settled artefact to its place; what stands there stays until the new one is whole."""
    stamps = world.stamps()
    before = dict(stamps)
    for top, members in _groups(plan).items():
        if stamps.get(top) != {"members": members, "files": world.files(top)}:
            _bring(world, top, members)
            stamps[top] = {"members": members, "files": world.files(top)}
    for top in _gone(plan, stamps):
        with disk(world.at.out):
            _remove(os.path.join(world.at.out, top))
        del stamps[top]
    if plan.judged and plan.green:
        with disk(world.at.out):
            shutil.rmtree(os.path.join(world.at.out, CANDIDATE), ignore_errors=True)
    if stamps != before:
        world.stamp(stamps)


def repair(world: DiskWorld) -> None:
    """Undo what a killed publishing left, before a build that may end otherwise."""
    for top in world.stamps():
        _mend(os.path.join(world.at.out, top))


def _gone(plan: Plan, stamps: Mapping[str, object]) -> list[str]:
    """What was published and belongs to this build no more: an older candidate, what the spec has no stage for."""
    if not plan.judged:
        return []
    tops = {top_of(path) for step in plan.steps for path in step.node.out.values()}
    now = _groups(plan)
    return [top for top in stamps if top not in now and (top.startswith(f"{CANDIDATE}/") or top not in tops)]


def _mend(target: str) -> tuple[str, str]:
    """The old folder comes back where the new one had not yet taken its place; both places beside it are free."""
    fresh, old = f"{target}.new", f"{target}.old"
    with disk(target):
        if os.path.lexists(old) and not os.path.lexists(target):
            os.rename(old, target)
        for path in (fresh, old):
            _remove(path)
    return fresh, old


def _groups(plan: Plan) -> Mapping[str, Members]:
    """What lies in one folder goes there at one moment: a model never stands beside another model's card."""
    groups: dict[str, dict[str, str]] = {}
    for path, _, digest in targets(plan.steps, plan.verdict, plan.judged):
        groups.setdefault(top_of(path), {})[path] = digest
    return groups


def _bring(world: DiskWorld, top: str, members: Members) -> None:
    """A file by one rename; a folder whole beside the old one, then exchanged."""
    target = os.path.join(world.at.out, top)
    if top in members and not members[top].startswith("tree "):
        if os.path.isdir(target):
            _remove(target)
        world.objects.copy(digest_of(members[top]), target)
        return
    fresh, old = _mend(target)
    for path, digest in sorted(members.items()):
        if digest_of(digest) != EMPTY_TREE:
            world.objects.copy(digest_of(digest), fresh + path.removeprefix(top))
    with disk(target):
        os.makedirs(fresh, exist_ok=True)  # nothing is in it yet where all its members are empty
        if os.path.lexists(target) and not exchange(fresh, target):
            os.rename(target, old)
        if not os.path.lexists(target):
            os.rename(fresh, target)
        for path in (fresh, old):
            _remove(path)


def _remove(path: str) -> None:
    """A folder, or the file that a user put where a folder belongs."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    elif os.path.lexists(path):
        os.unlink(path)
