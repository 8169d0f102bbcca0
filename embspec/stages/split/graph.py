"""Queries and documents as one graph; what hangs together is never cut apart."""
from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from embspec.retrieval.duplicates import near_groups
from embspec.stages.split.rows import GROUP, QUERY, Documents, Query, owners

Pairs = list[tuple[str, str, float]]


class Near(NamedTuple):
    """Near-duplicates with their similarity: positives by id, questions by normalised text.

    Equal texts (1.0) are linked to the first of them alone, and only that one to what is like them.
    """

    documents: Pairs
    queries: Pairs


class Graph(NamedTuple):
    """Edges between numbered nodes; only those of near-duplicates may be given up."""

    size: int
    firm: list[tuple[int, int]]
    loose: list[tuple[float, int, int]]
    at: list[int]  # the node of each query


def near_texts(queries: Sequence[Query], documents: Documents, threshold: float) -> Near:
    """Near-duplicates among the positives and among the questions.

    Documents that no query names are left out: a footer that every page repeats would tie all of them together,
    although nothing is trained or tested on it.
    """
    names = sorted(documents.texts)
    texts = sorted({query.text for query in queries})
    return Near(
        _alike(names, [documents.texts[name] for name in names], threshold),
        _alike(texts, texts, threshold),
    )


def _alike(names: Sequence[str], texts: Sequence[str], threshold: float) -> Pairs:
    found = near_groups(texts, threshold)
    equal = [(names[copies[0]], names[other], 1.0) for copies in found.copies for other in copies[1:]]
    return equal + [(names[one], names[other], value) for one, other, value in found.links]


def build(queries: Sequence[Query], documents: Documents, near: Near, by: str) -> Graph:
    """The graph of these queries; chunks of one parent are one node, and so is a group where groups are what is split.

    By query, documents tie nothing together: the leaks that this makes are counted like any others.
    """
    nodes: dict[tuple[str, ...], int] = {}

    def node(*name: str) -> int:
        return nodes.setdefault(name, len(nodes))

    at = [node("query", query.text) for query in queries]
    firm = []
    for query, own in zip(queries, at, strict=True):
        firm += [(own, node("document", name)) for name in owners(query, documents) if by != QUERY]
        if by == GROUP and query.group:
            firm.append((own, node("group", query.group)))
        if query.session:
            firm.append((own, node("session", query.source, query.session)))
    loose = []
    for kind, pairs in (("document", () if by == QUERY else near.documents), ("query", near.queries)):
        for one, other, value in pairs:
            ends = [(kind, documents.owner[name] if kind == "document" else name) for name in (one, other)]
            if ends[0] != ends[1]:
                loose.append((value, node(*ends[0]), node(*ends[1])))
    return Graph(len(nodes), firm, sorted(loose), at)


def components(graph: Graph, dropped: float) -> list[int]:
    """The component of each query, where near-duplicates up to the similarity `dropped` do not count."""
    kept = [(one, other) for value, one, other in graph.loose if value > dropped]
    return [_find(up, own) for up in [_join(graph.size, graph.firm, kept)] for own in graph.at]


def weakest_to_drop(graph: Graph) -> float:
    """The similarity up to which near-duplicates are given up so that no component holds over half of the queries.

    0.0 where that is not needed, and where it would not help: then nothing is to be gained for the leak.
    """
    levels = sorted({value for value, _, _ in graph.loose})
    if not levels or not _too_big(graph, 0.0) or _too_big(graph, levels[-1]):
        return 0.0
    return levels[bisect_left(levels, True, key=lambda level: not _too_big(graph, level))]


def largest(graph: Graph, dropped: float) -> int:
    """How many different questions the largest component holds."""
    members = {(root, own) for root, own in zip(components(graph, dropped), graph.at, strict=True)}
    return max(Counter(root for root, _ in members).values(), default=0)


def groups(graph: Graph) -> int:
    """How many groups of near-duplicates there are."""
    up = _join(graph.size, [(one, other) for _, one, other in graph.loose])
    return len({_find(up, one) for _, one, _ in graph.loose})


def _too_big(graph: Graph, dropped: float) -> bool:
    return 2 * largest(graph, dropped) > len(set(graph.at))


def _join(size: int, *edges: Iterable[tuple[int, int]]) -> list[int]:
    up = list(range(size))
    for some in edges:
        for one, other in some:
            low, high = sorted((_find(up, one), _find(up, other)))
            up[high] = low
    return up


def _find(up: list[int], node: int) -> int:
    while up[node] != node:
        up[node] = up[up[node]]
        node = up[node]
    return node
