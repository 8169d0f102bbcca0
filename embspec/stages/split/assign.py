"""Which part a component goes to: a hash of its documents against two thresholds."""
from __future__ import annotations

from collections.abc import Collection, Sequence
from math import inf
from typing import NamedTuple

import xxhash

from embspec.stages.split import times
from embspec.stages.split.rows import GROUP, PARTS, QUERY, TIME, TRUST, Documents, Query, owners


class Shares(NamedTuple):
    """Parts of the most trusted queries."""

    test: float
    validation: float


class Thresholds(NamedTuple):
    """Below the first a component is test, below the second validation; None is not chosen yet."""

    test: float | None = None
    validation: float | None = None


class Component(NamedTuple):
    """What decides on a component."""

    test: float = inf  # smallest hash among the documents of the most trusted queries that may enter test
    tests: int = 0  # and how many queries those are
    validation: float = inf
    validations: int = 0
    floor: str = "train"  # where sources that may not train put it at least


def fraction(seed: int, document: str) -> float:
    """A number in [0, 1) that only the seed and the document decide."""
    return (xxhash.xxh3_64_intdigest(f"{seed}\0split\0{document}".encode()) >> 11) / 2.0**53


def most_trusted(queries: Sequence[Query], part: str) -> set[int]:
    """The positions of the most trusted queries that may enter a part."""
    ranks = {at: TRUST.index(query.trust) for at, query in enumerate(queries) if part in query.roles}
    best = min(ranks.values(), default=None)
    return {at for at, rank in ranks.items() if rank == best}


def order(query: Query, documents: Documents, seed: int, by: str) -> float:
    """Where a query stands in [0, 1): the lowest are tested, and what hangs together is as low as its lowest."""
    if by == TIME:
        return times.order(query.time)
    names = owners(query, documents)
    if by == QUERY:
        names = [query.text]
    elif by == GROUP and query.group:
        names = [f"group\0{query.group}"]
    return min((fraction(seed, name) for name in names), default=inf)


def survey(
    queries: Sequence[Query], documents: Documents, roots: Sequence[int], seed: int, by: str,
    held: Collection[int] = (),
) -> dict[int, Component]:
    """Each component with what decides on it; `held` are the queries that are in test whatever their hashes say."""
    tests, validations = (most_trusted(queries, part) for part in ("test", "validation"))
    found: dict[int, Component] = {}
    for at, (query, root) in enumerate(zip(queries, roots, strict=True)):
        one = found.get(root, Component())
        low = order(query, documents, seed, by) if at in tests or at in validations else inf
        if at in tests:
            one = one._replace(test=min(one.test, low), tests=one.tests + 1)
        if at in validations:
            one = one._replace(validation=min(one.validation, low), validations=one.validations + 1)
        found[root] = one._replace(floor=_further(one.floor, "test" if at in held else _floor(query)))
    return found


def choose(
    queries: Sequence[Query], survey: dict[int, Component], shares: Shares, pinned: Thresholds
) -> Thresholds:
    """Thresholds that meet the shares, as near as whole components allow; pinned ones stay as they are."""
    test, validation = pinned
    if test is None:
        wanted = sum(_test_share(queries[at].roles, shares) for at in most_trusted(queries, "test"))
        test = _cut([(one.test, one.tests) for one in survey.values() if one.tests], wanted)
    if validation is None:
        wanted = sum(_validation_share(queries[at].roles, shares) for at in most_trusted(queries, "validation"))
        rest = [one for one in survey.values() if one.validations and part_of(one, Thresholds(test, 0.0)) != "test"]
        validation = _cut([(one.validation, one.validations) for one in rest], wanted)
    return Thresholds(test, validation)


def part_of(one: Component, limits: Thresholds) -> str:
    """The part of a component; a union of two is never further from test than either."""
    if one.floor == "test" or one.test < (limits.test or 0.0):
        return "test"
    if one.floor == "validation" or one.validation < (limits.validation or 0.0):
        return "validation"
    return "train"


def _floor(query: Query) -> str:
    """A query that may not train has to be of use where it may: in validation, else in test."""
    if "train" in query.roles or not query.roles:
        return "train"
    return "validation" if "validation" in query.roles else "test"


def _further(one: str, other: str) -> str:
    return PARTS[min(PARTS.index(one), PARTS.index(other))]


def _test_share(roles: Sequence[str], shares: Shares) -> float:
    if "train" in roles:
        return shares.test
    if "validation" in roles:
        return shares.test / (shares.test + shares.validation) if sum(shares) else 1.0
    return 1.0


def _validation_share(roles: Sequence[str], shares: Shares) -> float:
    if "train" in roles:
        return shares.validation
    return 1.0 - _test_share(roles, shares) if "test" in roles else 1.0


def _cut(sizes: Sequence[tuple[float, int]], wanted: float) -> float:
    """Where to cut components, in the order of their hashes, so that those below hold about `wanted` queries.

    At least one is below where any are wanted; the cut is the first hash that is not.
    """
    ordered = sorted(sizes)
    if not ordered or wanted <= 0:
        return 0.0
    best, below, total = 0, 0, 0
    for count, (u, size) in enumerate(ordered, start=1):
        total += size
        if count < len(ordered) and ordered[count][0] == u:
            continue  # what happened at one time is not cut apart
        if not best or abs(total - wanted) < abs(below - wanted):
            best, below = count, total
    return ordered[best][0] if best < len(ordered) else 1.0
