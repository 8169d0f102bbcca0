"""What test and train share."""
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from embspec.errors import Problem
from embspec.stages.split.graph import Near
from embspec.stages.split.rows import PARTS, Documents, Query, owners, where

KINDS = {
    "query": "the text of a training query",
    "document": "a positive document with train",
    "near_duplicate": "a near-duplicate text or positive document with train",
}
EXAMPLES = 3

Name = tuple[str, str]
Leaks = Mapping[str, Mapping[int, int]]
"""Kind -> a test query -> a training query that it leaks to, by position."""


def find(queries: Sequence[Query], parts: Sequence[str], documents: Documents, near: Near) -> Leaks:
    """Every test query that shares a text, a document or a near-duplicate with a training query."""
    heads, alike = _classes(near)
    trained: dict[Name, int] = {}
    similar: dict[Name, dict[str, int]] = {}
    for at, query in enumerate(queries):
        if parts[at] == "train":
            for name in _shared(query, documents):
                trained.setdefault(name, at)
            for name, thing in _texts(query, documents):
                similar.setdefault(heads.get(name, name), {}).setdefault(thing, at)
    found: dict[str, dict[int, int]] = {kind: {} for kind in KINDS}
    for at in (at for at, part in enumerate(parts) if part == "test"):
        shared = _shared(queries[at], documents)
        for name in shared:
            if name in trained:
                found[name[0]].setdefault(at, trained[name])
        own = {thing for _, thing in shared}
        for name, _ in _texts(queries[at], documents):
            head = heads.get(name, name)
            for other in (head, *alike.get(head, ())):
                # The same text or document is a leak of its own kind.
                hit = next((hit for thing, hit in similar.get(other, {}).items() if thing not in own), None)
                if hit is not None:
                    found["near_duplicate"].setdefault(at, hit)
    return found


def leaking(leaks: Leaks) -> set[int]:
    """The test queries that leak in any way."""
    return {at for found in leaks.values() for at in found}


def problems(leaks: Leaks, queries: Sequence[Query], tests: int) -> list[Problem]:
    """One error per kind of leak, with counts and examples."""
    fix = "split by document (`by: document`), or have the leaking part scored apart (`on_leak: report`)"
    errors = []
    for kind, found in leaks.items():
        if not found:
            continue
        examples = [
            f"\n  {queries[at].source} {queries[at].id!r} and {queries[other].source} {queries[other].id!r}"
            for at, other in list(found.items())[:EXAMPLES]
        ]
        more = f"\n  and {len(found) - EXAMPLES} more" if len(found) > EXAMPLES else ""
        verb = "shares" if len(found) == 1 else "share"
        text = f"{len(found)} of {tests} test queries {verb} {KINDS[kind]}:{''.join(examples)}{more}"
        errors.append(Problem("input.leak", text, where(queries[next(iter(found))]), fix, "split.by"))
    return errors


def write(path: Path, leaks: Leaks, queries: Sequence[Query], tests: int, stat: Mapping[str, int]) -> None:
    """The artefact that says what each part got and who leaks to whom."""
    bad = len(leaking(leaks))
    parts = {part: {word: stat[f"{part}.{word}"] for word in ("queries", "documents")} for part in reversed(PARTS)}
    kinds = {
        kind: [
            {
                "test": queries[at].id,
                "source": queries[at].source,
                "train": queries[other].id,
                "train_source": queries[other].source,
            }
            for at, other in found.items()
        ]
        for kind, found in leaks.items()
    }
    facts = {name: number for name, number in stat.items() if "." not in name}
    text = {"parts": parts, **facts, "test": tests, "leaking": bad, "disjoint": tests - bad, "shared": kinds}
    path.write_text(json.dumps(text, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _shared(query: Query, documents: Documents) -> list[Name]:
    return [("query", query.text), *(("document", name) for name in owners(query, documents))]


def _texts(query: Query, documents: Documents) -> list[tuple[Name, str]]:
    """The texts of a query, as near-duplicates know them, each with what it is a text of."""
    positives = [(("document", one), documents.owner[one]) for one in query.positives]
    return [(("query", query.text), query.text), *positives]


def _classes(near: Near) -> tuple[dict[Name, Name], dict[Name, list[Name]]]:
    """Text -> the first of those equal to it, and such a first -> those like it."""
    edges = [(("query", one), ("query", other), value) for one, other, value in near.queries]
    edges += [(("document", one), ("document", other), value) for one, other, value in near.documents]
    heads: dict[Name, Name] = {}

    def head(name: Name) -> Name:
        while name in heads:
            name = heads[name]
        return name

    for one, other, value in edges:
        low, high = sorted((head(one), head(other)))
        if value == 1.0 and low != high:
            heads[high] = low
    alike: dict[Name, list[Name]] = {}
    for one, other, value in edges:
        if value < 1.0:
            alike.setdefault(head(one), []).append(head(other))
            alike.setdefault(head(other), []).append(head(one))
    return {name: head(name) for name in heads}, alike
