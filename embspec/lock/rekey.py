"""A lock of an older key scheme under today's: the same blocks, and the keys that say so now."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from embspec.plan import keys
from embspec.plan.keys import Ingredients, key
from embspec.plan.nodes import Node
from embspec.plan.plan import Recipes
from embspec.plan.then import defined, said
from embspec.plan.values import Block

DEFINITION = "definition"


class Rekeyed(NamedTuple):
    """The blocks; of those that moved the old key and what today's is made of, and what became of the others."""

    blocks: Mapping[str, Block]
    moved: Mapping[str, tuple[str, Ingredients]]
    already: tuple[str, ...]
    wrong: tuple[str, ...]  # right under no scheme that is known


def rekey(nodes: Sequence[Node], blocks: Mapping[str, Block], recipes: Recipes) -> Rekeyed:
    """Each block by what the lock alone says of it; one that has no key yet is left to the next build."""
    by_name = {node.name: node for node in nodes}
    found, moved = dict(blocks), dict[str, tuple[str, Ingredients]]()
    already, wrong = list[str](), list[str]()
    for name, block in blocks.items():
        node = by_name.get(name)
        then, named = _hashed(node, blocks, recipes) if node else (block.key, None)
        if not then:
            continue
        if named is not None and key(named) == then:
            already.append(name)
        elif named is not None and any(older(named) == then for older in keys.OLDER.values()):
            moved[name] = (then, named)
            fresh = {"pin": {**block.pin, DEFINITION: key(named)}} if not block.key else {"key": key(named)}
            found[name] = block._replace(**fresh)
        else:
            wrong.append(name)
    return Rekeyed(found, moved, tuple(already), tuple(wrong))


def _hashed(node: Node, blocks: Mapping[str, Block], recipes: Recipes) -> tuple[str, Ingredients | None]:
    """The key of a block, or of the parameters that a snapshot was taken with, and what was hashed for it."""
    block, follow = blocks[node.name], node.stage.follow
    if follow:
        return block.pin.get(DEFINITION, ""), defined(blocks.get(follow.stage, Block()).params, recipes)
    return block.key, said(node, blocks, recipes)
