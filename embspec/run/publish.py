"""`out/NAME`: the last green build, the newest report, and beside them what a red build made."""
from __future__ import annotations

import os
import shutil

from embspec.plan.plan import Plan, targets
from embspec.plan.values import digest_of
from embspec.store.files import disk
from embspec.store.world import DiskWorld, stat_tree


def publish(plan: Plan, world: DiskWorld) -> None:
    """Bring every settled artefact to its place; what stands there stays until the new one is whole."""
    stamps = world.stamps()
    before = dict(stamps)
    for path, _, digest in targets(plan.steps, plan.verdict, plan.judged):
        if world.published(path, digest):
            continue
        target = os.path.join(world.at.out, path)
        _bring(world, digest_of(digest), target)
        stamps[path] = {"digest": digest, "files": stat_tree(target)}
    if plan.green and plan.judged:
        with disk(world.at.out):
            shutil.rmtree(os.path.join(world.at.out, "candidate"), ignore_errors=True)
        stamps = {path: stamp for path, stamp in stamps.items() if not path.startswith("candidate/")}
    if stamps != before:
        world.stamp(stamps)


def _bring(world: DiskWorld, digest: str, target: str) -> None:
    """A file by one rename; a folder beside the old one, then exchanged."""
    if not digest.startswith("tree "):
        world.objects.copy(digest, target)
        return
    fresh, old = f"{target}.new", f"{target}.old"
    for path in (fresh, old):
        shutil.rmtree(path, ignore_errors=True)
    world.objects.copy(digest, fresh)
    with disk(target):
        if os.path.exists(target):
            os.rename(target, old)
        os.rename(fresh, target)
        shutil.rmtree(old, ignore_errors=True)
