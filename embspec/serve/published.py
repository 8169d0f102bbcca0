"""What a question to the published index is answered from."""
from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from embspec.errors import fail
from embspec.plan.values import Block, digest_of
from embspec.serve.manifest import model_digest
from embspec.store.world import DiskWorld


class Published(NamedTuple):
    """Folders by role, and the digest of each artefact that is opened; the base beside the model is the lock's."""

    folders: Mapping[str, str]
    digests: Mapping[str, str]


def published(blocks: Mapping[str, Block], world: DiskWorld) -> Published:
    """The index and its model as they lie under `out/`; an error where one of them, or the base, is nowhere."""
    at = world.at
    folders = {"index/index": os.path.join(at.out, "index"), "train/model": os.path.join(at.out, "model")}
    gone = [path for path in folders.values() if not os.path.isdir(path)]
    if gone or "base" not in blocks:
        raise fail("nowhere.index", f"there is no index to ask: {at.shown((gone or [at.out])[0])} is not there",
                   fix="run `embspec build`; a spec without a model has none")
    base = digest_of(blocks["base"].out.get("base", ""))
    if not world.has(base):
        raise fail("nowhere.object", f"the base ({base}) is not in the store",
                   fix="run `embspec build --refresh base`: it is made again")
    return Published(folders, {"train/model": model_digest(folders["train/model"]), "base/base": base})
