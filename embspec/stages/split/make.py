"""The work of `split`: read, join what belongs together, cut by hash, check, write."""
from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from embspec.errors import EmbspecError, Problem, fail
from embspec.plan.protocol import Desk, Made, Params, Progress
from embspec.stages.split import assign, frozen, graph, leaks, rows, times, write
from embspec.stages.split.rows import GIVEN, GROUP, PARTS, QUERY, TIME, Documents, Query


class Wish(NamedTuple):
    """What the spec and the pins ask for."""

    seed: int
    by: str
    on_leak: str
    near: float
    shares: assign.Shares
    freeze: bool
    least: Mapping[str, int]
    sources: tuple[rows.Source, ...]
    limits: assign.Thresholds
    dropped: float | None
    frozen: str | None
    terms: str
    sticky: bool  # whether the frozen test stays where it is, whatever no longer ties it to what put it there


class Placed(NamedTuple):
    """Where each query goes ("" is nowhere), and by which rule."""

    parts: list[str]
    limits: assign.Thresholds
    dropped: float
    facts: dict[str, int]

    def at(self, part: str) -> list[int]:
        """The positions of the queries in a part."""
        return [at for at, own in enumerate(self.parts) if own == part]


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write train, validation, test, pool and leaks; refuse what leaks, shrinks or is too small."""
    wish = _wish(params, needs)
    queries = rows.read_queries(wish.sources)
    _suits(wish.by, queries, params, desk)
    documents = rows.read_documents(needs["snapshot/documents.jsonl"], queries)
    desk.tell(Progress(f"near-duplicates among {len(documents.texts)} documents"))
    near = graph.near_texts(queries, documents, wish.near)
    documents.texts.clear()
    placed = _place(queries, documents, near, wish, frozen.held(needs.get("pin.test") if wish.sticky else None))
    found = leaks.find(queries, placed.parts, documents, near)
    tests = placed.at("test")
    members = {at: frozen.member(queries[at], documents) for at in tests}
    pin = wish.frozen if wish.freeze else None
    kept, gone = frozen.freeze(members, desk.scratch / "test.list", pin, needs.get("pin.test"))
    problems = [frozen.lost(gone, len(tests), queries, placed.parts, documents)] if gone else []
    if wish.by == GIVEN and wish.on_leak == "error":
        problems += leaks.problems(found, queries, len(tests))
    problems += _too_few(queries, placed, wish)
    if problems:
        raise EmbspecError(*problems)
    _write(out, queries, documents, placed, _marks(tests, wish, kept, found))
    positives = {one for at in placed.at("validation") for one in queries[at].positives}
    write.write_pool(out / "pool.jsonl", positives, documents, needs["snapshot/documents.jsonl"], wish.seed)
    stat = _stat(queries, placed, documents, len(kept.grown), len(leaks.leaking(found)))
    after = {f"{part}.after": times.said(limit) for part, limit in zip(PARTS, placed.limits, strict=False)
             if wish.by == TIME and limit}
    leaks.write(out / "leaks.json", found, queries, len(tests), stat)
    return Made(
        stat={**stat, **after},
        pins=_pins(placed, wish),
        counts={"rows": len(queries)},
        keep={"test": kept.path},
    )


def _suits(by: str, queries: Sequence[Query], params: Params, desk: Desk) -> None:
    """Refuse a way of splitting that the rows say nothing about; say what is wrong with the one by query."""
    if by == TIME:
        deciding = assign.most_trusted(queries, "test") | assign.most_trusted(queries, "validation")
        times.check([queries[at] for at in sorted(deciding)], params["split.time_column"])
    if by == GROUP and not any(query.group for query in queries):
        raise fail("input.field", "no query has a group, and groups are what is split",
                   fix="name the field under `fields: {group: …}` of a source, or split by document", field="split.by")
    if by == QUERY:
        desk.tell(Progress("split by query: a document may be trained on and tested with, so that the figures are "
                           "those of documents that were seen; `by: document` is honest"))


def _wish(params: Params, needs: Mapping[str, Any]) -> Wish:
    shares = assign.Shares(params["split.test"], params["split.validation"])
    sources = _sources(params, needs)
    terms = _terms(params, sources)
    names = ("threshold.test", "threshold.validation", "dropped")
    pinned = [_number(name, params.get(f"pin.{name}")) for name in names]
    # They are kept for the terms they were chosen under: new shares in the spec are a wish for new thresholds, and
    # the first gold after a split of curated pairs must not be cut where those were.
    if params.get("pin.terms") not in (None, terms):
        pinned = [None, None, None]
    test, validation, dropped = pinned
    return Wish(
        seed=params["seed"],
        by=params["split.by"],
        on_leak=params["split.on_leak"],
        near=params["split.near_duplicate_threshold"],
        shares=shares,
        freeze=params["split.freeze"],
        least={part: params[f"split.min_queries.{part}"] for part in ("test", "validation")},
        sources=sources,
        limits=assign.Thresholds(test, validation),
        dropped=dropped,
        frozen=params.get("pin.test"),
        terms=terms,
        sticky=params["split.freeze"] and test is not None,
    )


def _number(name: str, text: str | None) -> float | None:
    """A pinned number; anything else is the work of a hand."""
    if text in (None, "null"):
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise fail("lock.pin", f"the lock pins {name} of split as `{text}`, and that is no number",
                   fix=f"restore the lock from git, or take it anew: embspec lock --upgrade split.{name}")
    return value


def _terms(params: Params, sources: Sequence[rows.Source]) -> str:
    said = [params["split.by"], f"seed {params['seed']}"]
    for part in ("test", "validation"):
        may = [source for source in sources if part in source.roles]
        trust = min((source.trust for source in may), key=rows.TRUST.index, default="none")
        train = all("train" in source.roles for source in may if source.trust == trust)
        said.append(f"{part} {params[f'split.{part}']!r} of {trust}{' that may train' if may and train else ''}")
    return ", ".join(said)


def _sources(params: Params, needs: Mapping[str, Any]) -> tuple[rows.Source, ...]:
    names = sorted(role.split("/")[0] for role in needs if role.startswith("pairs."))
    return tuple(
        rows.Source(
            name.removeprefix("pairs."),
            params[f"{name}.trust"],
            tuple(part for part in PARTS if part in params[f"{name}.roles"]),
            needs[f"{name}/pairs.jsonl"],
        )
        for name in names
    )


def _place(
    queries: Sequence[Query], documents: Documents, near: graph.Near, wish: Wish, old: Collection[str]
) -> Placed:
    """By document all queries are placed by hash; by given only those that the roles leave open.

    What was frozen by the same terms stays in test: two texts that were alike need not be so when cut otherwise.
    """
    undecided = [at for at, query in enumerate(queries) if wish.by != GIVEN or len(query.roles) > 1]
    chosen = [queries[at] for at in undecided]
    net = graph.build(chosen, documents, near, wish.by)
    dropped = graph.weakest_to_drop(net) if wish.dropped is None else wish.dropped
    roots = graph.components(net, dropped)
    held = {at for at, query in enumerate(chosen) if old and frozen.member(query, documents) in old}
    survey = assign.survey(chosen, documents, roots, wish.seed, wish.by, held)
    limits = assign.choose(chosen, survey, wish.shares, wish.limits)
    parts = [query.roles[0] if query.roles else "" for query in queries]
    for at, root in zip(undecided, roots, strict=True):
        part = assign.part_of(survey[root], limits)
        parts[at] = part if part in queries[at].roles else ""
    whole = net if wish.by != GIVEN else graph.build(queries, documents, near, wish.by)
    left = [query.roles for query, part in zip(queries, parts, strict=True) if not part]
    facts = {
        "held_out": sum("train" in roles for roles in left),
        "unused": sum("train" not in roles for roles in left),
        "near_duplicate_groups": graph.groups(whole),
        "dropped_edges": sum(value <= dropped for value, _, _ in net.loose),
        "largest_component": graph.largest(whole, dropped),
    }
    return Placed(parts, limits, dropped, facts)


def _too_few(queries: Sequence[Query], placed: Placed, wish: Wish) -> list[Problem]:
    """A part below its minimum, or nothing left to train on, is refused with the counts."""
    count = Counter(placed.parts)
    have = ", ".join(f"{part} {count[part]}" for part in reversed(PARTS))
    facts = placed.facts
    have += f", held out {facts['held_out']}, unused {facts['unused']}; "
    have += f"the largest group that hangs together has {facts['largest_component']} questions"
    problems = []
    for part, least in wish.least.items():
        if count[part] >= least:
            continue
        may = sum(part in query.roles for query in queries)
        text = f"{part} gets {count[part]} queries, and {least} are asked for; {may} may enter it ({have})"
        fix = f"add queries that may enter {part}, or lower split.min_queries.{part} to {count[part]}"
        problems.append(Problem("input.too-few", text, None, fix, f"split.min_queries.{part}"))
    may = sum("train" in query.roles for query in queries)
    if may and not count["train"]:
        text = f"nothing is left to train on: all {may} training queries hang together with test or validation ({have})"
        fix = "add training queries about other documents, or take the role `train` away where nothing is to be trained"
        problems.append(Problem("input.too-few", text, None, fix, "split.by"))
    return problems


def _marks(tests: Sequence[int], wish: Wish, kept: frozen.Frozen, found: leaks.Leaks) -> write.Marks:
    bad = leaks.leaking(found)
    marks: dict[int, dict[str, bool]] = {at: {} for at in tests}
    for at in tests:
        if wish.freeze:
            marks[at]["grown"] = at in kept.grown
        if bad or wish.on_leak == "report":
            marks[at]["leaking"] = at in bad
    return marks


def _write(
    out: Path, queries: Sequence[Query], documents: Documents, placed: Placed, marks: write.Marks
) -> None:
    for part in PARTS:
        write.write_part(out / f"{part}.jsonl", placed.at(part), queries, documents, marks)


def _stat(
    queries: Sequence[Query], placed: Placed, documents: Documents, grown: int, leaking: int
) -> dict[str, int]:
    stat = {}
    for part in reversed(PARTS):
        members = [queries[at] for at in placed.at(part)]
        stat[f"{part}.queries"] = len(members)
        stat[f"{part}.documents"] = len({name for query in members for name in rows.owners(query, documents)})
        if part == "test":
            stat["test.clusters"] = len({rows.cluster(query, documents) for query in members})
            stat["test.grown"] = grown
            stat["test.leaking"] = leaking
    return stat | placed.facts


def _pins(placed: Placed, wish: Wish) -> dict[str, float | str | None]:
    return {
        "threshold.test": placed.limits.test,
        "threshold.validation": placed.limits.validation,
        "dropped": placed.dropped,
        "terms": wish.terms,
    }
