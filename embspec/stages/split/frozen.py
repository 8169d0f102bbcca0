"""The list of test queries that may grow and never shrink by itself."""
from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from embspec.errors import Problem, fail
from embspec.stages.split.rows import SHOWN, Documents, Query

ACCEPT = "bring them back, or take the new test set as it is: `embspec build --accept-test-change`"


class Frozen(NamedTuple):
    """The list that is kept, and the members (queries by position) that came after it."""

    path: Path
    grown: frozenset[int]


def member(query: Query, documents: Documents) -> str:
    """What a test query is to the list: its normalised text, and the documents or the places in them that answer it.

    Which texts these fell into when the documents were cut is none of it: another way of cutting changes no test.
    """
    placed = {id for id, _, _ in query.places}
    found: set[tuple[str, ...] | tuple[str, int, int]] = {
        (documents.owner[one],) for one in query.positives if one not in placed
    }
    for id, start, end in query.places:
        owner = documents.owner[id]
        found.add((owner, start, end) if (start, end) != (0, documents.ends[owner]) else (owner,))
    said = [one[0] if len(one) == 1 else one for one in sorted(found, key=lambda one: (one[0], *one[1:]))]
    return json.dumps([query.text, said], ensure_ascii=False, separators=(",", ":"))


def freeze(
    members: Mapping[int, str], fresh: Path, pin: str | None, old: Path | None
) -> tuple[Frozen, set[str]]:
    """Write the list of now, compare it with the pinned one, and return what is kept and which members are lost."""
    text = "".join(f"{line}\n" for line in sorted(set(members.values()))).encode()
    fresh.write_bytes(text)
    if pin is None or pin.split()[0] == "sha256:" + hashlib.sha256(text).hexdigest():
        return Frozen(fresh, frozenset()), set()
    if old is None:
        raise fail(
            "nowhere.frozen-list",
            f"the test set differs from the frozen one ({pin}), and that list is nowhere to be found",
            fix="fetch it from the store of the machine that built it, or `embspec build --accept-test-change`",
            field="split.freeze",
        )
    then = held(old)
    grown = frozenset(at for at, line in members.items() if line not in then)
    return Frozen(old, grown), then - set(members.values())


def held(old: Path | None) -> set[str]:
    """The members of a list that is at hand."""
    return set() if old is None else set(old.read_text(encoding="utf-8").split("\n")[:-1])


def lost(gone: set[str], total: int, queries: Sequence[Query], parts: Sequence[str], documents: Documents) -> Problem:
    """One error that names the lost members and says what became of each."""
    now: dict[str, list[int]] = {}
    for at, query in enumerate(queries):
        now.setdefault(query.text, []).append(at)
    shown = []
    for line in sorted(gone)[:SHOWN]:
        text = json.loads(line)[0]
        fates = sorted({_fate(line, queries[at], parts[at], documents) for at in now.get(text, [])})
        shown.append(f"\n  {text!r}: {', '.join(fates) or 'in no source'}")
    if len(gone) > SHOWN:
        shown.append(f"\n  and {len(gone) - SHOWN} more")
    count = f"{len(gone)} of the frozen test queries {'is' if len(gone) == 1 else 'are'} lost ({total} in test now):"
    return Problem("input.frozen-lost", count + "".join(shown), fix=ACCEPT, field="split.freeze")


def _fate(line: str, query: Query, part: str, documents: Documents) -> str:
    if member(query, documents) != line:
        return f"other positives in {query.source}"
    return f"in {part} now" if part else f"in no part now ({query.source})"
