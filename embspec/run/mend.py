"""Lines of the lock that a record in the store can bring back, where a merge or a hand spoilt them."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from embspec.errors import EmbspecError
from embspec.lock.text import Lock
from embspec.plan.values import Block, Record
from embspec.store.environment import env_id


def environments(lock: Lock, records: Callable[[str], Sequence[Record]]) -> dict[str, Mapping[str, str]]:
    """The missing environment blocks, as far as the store has the records of the results that name them."""
    found = {}
    for block in (lock.blocks[name] for name in lock.dangling):
        for record in _of(block, records):
            if env_id(record.env) == block.env:
                found[block.env] = record.env
    return found


def figures(blocks: Mapping[str, Block], records: Callable[[str], Sequence[Record]]) -> dict[str, Block]:
    """The blocks with the figures that their records have: no key covers those, so a hand could change them."""
    return {
        name: block._replace(stat=found[0].stat) if block.key and (found := _of(block, records)) else block
        for name, block in blocks.items()
    }


def _of(block: Block, records: Callable[[str], Sequence[Record]]) -> list[Record]:
    try:
        return [record for record in records(block.key) if record.out == block.out]
    except EmbspecError:
        return []  # a record that cannot be read is said where a stage needs it, not for a line that informs
