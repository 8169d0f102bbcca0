"""What reproductions found, kept beside the results they were about."""
from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from typing import NamedTuple

from embspec.plan.canonical import short_hash
from embspec.plan.values import Texts
from embspec.store.files import replace, unique

UNVERIFIED = "unverified"

_WHERE = {"same": "the same", "equivalent": "an equivalent", "different": "a different"}


class Again(NamedTuple):
    """One reproduction of one stage."""

    date: str  # the day, in UTC
    alike: str  # same, equivalent or different: the environment beside the one that the lock records
    equal: bool  # every byte
    within: bool  # where it is not equal: within the tolerance
    out: str  # which of the key's results it was compared with
    env: Texts  # where it was made


def _folder(store: str, key: str) -> str:
    return os.path.join(store, "again", key[:2], key)


def save(store: str, key: str, outs: Texts, alike: str, equal: bool, within: bool, env: Texts) -> None:
    """Remember one; each is a file of its own, so that no two writers meet."""
    today = time.strftime("%Y-%m-%d", time.gmtime())
    found = Again(today, alike, equal, within, short_hash(outs), dict(env))
    path, text = os.path.join(_folder(store, key), f"{unique()}.json"), json.dumps(found._asdict()).encode() + b"\n"
    replace(path, text, os.path.join(store, "tmp"))


def load(store: str, key: str, outs: Texts) -> list[Again]:
    """All that is known of one result, oldest first; what cannot be read proves nothing and is passed over."""
    folder, found = _folder(store, key), []
    try:
        names = sorted(n for n in os.listdir(folder) if n.endswith(".json") and not n.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    for name in names:
        try:
            with open(os.path.join(folder, name), "rb") as file:
                found.append(Again(**json.load(file)))
        except (OSError, ValueError, TypeError):
            continue
    return sorted((each for each in found if each.out == short_hash(outs)), key=lambda each: each.date)


def known(store: str, key: str, outs: Texts) -> str:
    """What reproductions showed of one result."""
    return said(load(store, key, outs))


def said(found: Sequence[Again]) -> str:
    """`exact ×3, last 2026-11-20`: what reproductions showed of a stage, and how often."""
    if not found:
        return UNVERIFIED
    exact = [each for each in found if each.equal]
    near = [each for each in found if not each.equal and each.within]
    far = [each for each in found if not each.equal and not each.within]
    parts = [f"exact ×{len(exact)}, last {exact[-1].date}"] if exact else []
    for word, some in (("within tolerance", near), ("differs", far)):
        if some:
            parts.append(f"{word} ×{len(some)} in {_WHERE[some[-1].alike]} environment, last {some[-1].date}")
    return "; ".join(parts)

