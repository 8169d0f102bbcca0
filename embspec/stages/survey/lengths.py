"""How many tokens the model would have to read of each text, and which texts it reads only the beginning of."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import nsmallest
from pathlib import Path
from typing import Any

from embspec.plan.protocol import Desk, Progress
from embspec.stages.snapshot import blocks, documents, passage
from embspec.stages.tokens import Tokens

RECIPE = 1  # raised, together with that of the stage, when an equal text would be counted otherwise
EXAMPLES = 10
SHOWN = 3  # of the examples, in a warning
DIGITS = 6
WIDTH = 8  # bytes of a count that is kept

Measured = Mapping[str, Any]


def measured(path: Path, digests: Sequence[bytes], base: Path | None, desk: Desk) -> Measured:
    """How many texts are over the model's limit, the longest of them first; no limit where nothing is ever cut."""
    tokens = None if base is None else Tokens(base)
    if tokens is None or tokens.longest is None:
        return {"model": base is not None, "limit": None, "texts": len(digests), "truncated": 0, "fraction": 0.0,
                "longest": None, "examples": []}
    limit = tokens.longest
    counts = _counts(path, digests, tokens, desk)
    over = [(-count, at) for at, count in enumerate(counts) if count > limit]
    worst = {at: -count for count, at in nsmallest(EXAMPLES, over)}
    names = {at: one.id for at, one in enumerate(documents(path)) if at in worst} if worst else {}
    return {
        "model": True, "limit": limit, "texts": len(counts), "truncated": len(over),
        "fraction": round(len(over) / len(counts), DIGITS), "longest": max(counts),
        "examples": [{"id": names[at], "tokens": count} for at, count in worst.items()],
    }


def _counts(path: Path, digests: Sequence[bytes], tokens: Tokens, desk: Desk) -> list[int]:
    """The tokens of each text; one that was counted before, by the same tokenizer, is looked up."""
    import tokenizers

    digest = desk.digests.get("base/base")
    kept = None if digest is None else desk.rows(
        {"tokens": str(RECIPE), "base": digest, "tokenizers": str(tokenizers.__version__)}
    )
    counts: list[int] = []
    for block in blocks(map(passage, documents(path)), len):
        desk.tell(Progress("counting tokens", len(counts), len(digests)))
        names = digests[len(counts) : len(counts) + len(block)]
        known = kept.find(names) if kept else [None] * len(names)
        new = [at for at, row in enumerate(known) if row is None]
        fresh = dict(zip(new, tokens.counts([block[at] for at in new]), strict=True))
        if kept and new:
            kept.add([names[at] for at in new], [fresh[at].to_bytes(WIDTH, "little") for at in new])
        counts += [fresh[at] if row is None else int.from_bytes(row, "little") for at, row in enumerate(known)]
    return counts


def warn(found: Measured, most: float, desk: Desk) -> None:
    """Say so where more texts are cut short than the spec lets pass."""
    if found["fraction"] > most:
        some = ", ".join(f"{one['id']} ({one['tokens']})" for one in found["examples"][:SHOWN])
        desk.tell(Progress(
            f"{found['truncated']} of {found['texts']} documents are over the {found['limit']} tokens that the model "
            f"reads, and their ends are never found: {some}; cut them by `corpus.chunking`, or raise "
            "`model.max_seq_length`", found["truncated"], found["texts"]))


def stat(found: Measured) -> dict[str, Any]:
    """For the lock: nothing without a limit."""
    return {} if found["limit"] is None else {name: found[name] for name in ("limit", "truncated", "longest")}
