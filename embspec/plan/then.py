"""What the lock alone says its blocks were built from: the `then` of every reason."""
from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from embspec.plan.keys import Ingredients, ingredients, key
from embspec.plan.values import Block, Texts, digest_of

if TYPE_CHECKING:
    from embspec.plan.nodes import Node
    from embspec.plan.plan import Recipes


def locked_ingredients(node: Node, blocks: Mapping[str, Block], recipes: Recipes) -> Ingredients | None:
    """What the lock alone says the block was built from; None where that does not hash to the block's key."""
    named = said(node, blocks, recipes)
    return named if named is not None and key(named) == blocks[node.name].key else None


def said(node: Node, blocks: Mapping[str, Block], recipes: Recipes) -> Ingredients | None:
    """The ingredients that a block and those before it name, whatever its key; None where one of them is not there."""
    block = blocks.get(node.name)
    if block is None or not block.key:
        return None
    roles = node.stage.needs(block.params, list(blocks))
    needs = {}
    for role in roles:
        stage, artefact = role.rsplit("/", 1)
        outs = _outs(blocks, stage)
        if artefact not in outs:
            return None
        needs[role] = digest_of(outs[artefact])
    return ingredients(node.name, block.recipe, block.uses, block.params, block.pin, needs, recipes.introduced)


def _outs(blocks: Mapping[str, Block], stage: str) -> Texts:
    """The artefacts a block names: its outs, or for a follower its pins."""
    block = blocks.get(stage, Block())
    return block.out or block.pin


def definition(params: Texts, recipes: Recipes) -> str:
    """The key of a followed stage's parameters: what a snapshot was taken with."""
    return key(defined(params, recipes))


def defined(params: Texts, recipes: Recipes) -> Ingredients:
    """What that key is made of; a field at the value it was introduced with is left out here too."""
    return {path: text for path, text in params.items() if recipes.introduced.get(path) != text}
