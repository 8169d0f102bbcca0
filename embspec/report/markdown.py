"""report.json as Markdown; no number is computed here."""
from __future__ import annotations

from collections.abc import Sequence

from embspec.measure.forms import Row, form
from embspec.measure.stats import ENOUGH_CLUSTERS, ENOUGH_QUERIES
from embspec.report import model
from embspec.report.cells import code, names, number, share, shares, span, split_parts, table, text

_SHARED = {
    "query": "ask what a training query asks",
    "document": "are about a document of a training query",
    "near_duplicate": "have a near-duplicate in training",
}
EXAMPLES = 3  # of documents, in a line
# The exit codes say the same; a person reads the page without them.
_STANDING = {
    "green": "No gate stops this build.",
    "red": "A gate failed or could not be computed: this build must not ship.",
    "inconclusive": "Nothing failed, but what is undecided stops this build.",
}


def render(report: Row) -> str:
    """The whole page: the verdict first, then what to make of it."""
    parts = [
        _title(report),
        *_verdict(report["verdict"]),
        *_care(report),
        *model.systems(report),
        *model.ships(report),
        *model.training(report),
        *_metrics("## Metrics", [m for m in report["metrics"] if m["slice"] is None]),
        *_metrics("## Slices", [m for m in report["metrics"] if m["slice"] is not None]),
        *_split(report["split"]),
        *_data(report),
        *_hardest(report["hardest"]),
    ]
    return "\n\n".join(parts) + "\n"


def _title(report: Row) -> str:
    title = f"# {text(report['name'] or 'Report')}" + (f" {text(report['version'])}" if report["version"] else "")
    return title + (f"\n\n{text(report['description'])}" if report["description"] else "")


def _verdict(verdict: Row | None) -> list[str]:
    if verdict is None:
        return ["## Verdict: none\n\nNothing was judged: there are no gates, or they were not built."]
    rows = [
        [code(g["gate"]), g["verdict"], number(g["value"]), span(g), str(g["n"]), number(g["detectable"]), _note(g)]
        for g in verdict["gates"]
    ]
    head = ["gate", "verdict", "value", "interval", "queries", "smallest detectable change", "note"]
    return [f"## Verdict: {verdict['verdict']}", _STANDING[verdict["verdict"]], table(head, rows)]


def _note(gate: Row) -> str:
    against = f"{number(gate['system'])} against {number(gate['ref'])}" if gate["ref"] is not None else ""
    chance = f"p = {gate['p']:.4f} by flipping signs" if gate["p"] is not None else ""
    needed = f"about {gate['needed']} more queries would settle it" if gate["needed"] else ""
    return "; ".join(part for part in (against, chance, gate["note"], needed) if part)


def _care(report: Row) -> list[str]:
    """What a reader must know before the numbers are believed."""
    lines = []
    for suite in report["suites"]:
        have = f"{suite['suite']} has {suite['queries']} queries in {suite['clusters']} clusters"
        if suite["narrow"]:
            lines.append(f"- {have}: under {ENOUGH_QUERIES} queries or {ENOUGH_CLUSTERS} clusters intervals are "
                         "narrower than they should be.")
        if suite["weak"]:
            lines.append(f"- The test set is weak, with no room for a better system to show: BM25 {_first(suite)}.")
    split = report["split"]
    if split and split["leaking"]:
        kinds = ", ".join(f"{n} {_SHARED[kind]}" for kind, n in split["shared"].items() if n)
        lines.append(f"- {split['leaking']} of {split['test']} test queries leak from training ({kinds}). "
                     f"The {split['disjoint']} others are the slice `disjoint`; a gate judges both together unless "
                     "it ends in `slice disjoint`.")
    lines += _cut_short(report["lengths"]) if report["lengths"] and report["lengths"]["over"] else []
    lines += model.care(report)
    return ["## With care", "\n".join(lines)] if lines else []


def _first(suite: Row) -> str:
    first = suite["bm25_first"]
    return f"ranks a right document first for {share(first['value'])}{shares(first)} of the queries of {suite['suite']}"


def _metrics(title: str, metrics: Sequence[Row]) -> list[str]:
    if not metrics:
        return []
    sliced = metrics[0]["slice"] is not None
    sized = any(m["dim"] is not None for m in metrics)  # words alone have neither dim nor precision
    head = ["suite", *(["slice"] if sliced else []), "system", *(["dim", "precision"] if sized else []), "metric",
            "value", "95 % interval", "queries"]
    rows = [
        [m["suite"], *([m["slice"]] if sliced else []), *names(form(m))[: 3 if sized else 1], m["metric"],
         number(m["value"]), span(m), str(m["n"])]
        for m in metrics
    ]
    return [title, table(head, rows)]


def _split(split: Row | None) -> list[str]:
    if split is None:
        return []
    lines = [f"- no test query leaks from training ({split['test']} looked at)"] if not split["leaking"] else []
    if split["held_out"]:
        lines.append(f"- {split['held_out']} training queries are held out: they hang together with other parts")
    if split["unused"]:
        lines.append(f"- {split['unused']} queries that may not train are unused")
    if split["near_duplicate_groups"]:
        lines.append(f"- {split['near_duplicate_groups']} groups of near-duplicates were kept together")
    if split["dropped_edges"]:
        lines.append(f"- {split['dropped_edges']} near-duplicates were told apart, else one group would hold over half")
    lines.append(f"- the largest group that hangs together has {split['largest_component']} queries")
    return ["## Split", split_parts(split), "\n".join(lines)]


def _data(report: Row) -> list[str]:
    lines = [f"- {report['documents']} documents in the snapshot"]
    tokenizer = report["tokenizer"]
    if tokenizer:
        tried = ", ".join(f"{name} {number(value)}" for name, value in tokenizer["tried"].items())
        chosen = f", chosen by {tokenizer['metric']} on {tokenizer['queries']} validation queries: {tried}"
        spoken = f" ({tokenizer['language']}{', stemmed' * tokenizer['stem']})" if "language" in tokenizer else ""
        lines.append(f"- BM25 reads words by `{tokenizer['tokenizer']}`{spoken}" + (chosen if tried else ""))
    if report["lengths"] and not report["lengths"]["over"]:
        lines += _cut_short(report["lengths"])
    lines += _twice(report["duplicates"] or {})
    lines += [f"- BM25 {_first(suite)}" for suite in report["suites"] if suite["bm25_first"] and not suite["weak"]]
    return ["## Data", "\n".join(lines)]


def _cut_short(found: Row) -> list[str]:
    """How much of the documents the model never reads."""
    if found["limit"] is None:
        return ["- the model reads documents of any length"]
    some = ", ".join(f"{code(one['id'])} ({one['tokens']})" for one in found["examples"][:EXAMPLES])
    return [f"- {found['truncated']} of {found['texts']} documents ({share(found['fraction'])}) are over the "
            f"{found['limit']} tokens that the model reads" + (f", and their ends are never found: {some}" if some else
            f"; the longest has {found['longest']}")]


def _twice(found: Row) -> list[str]:
    """Documents that are one another."""
    lines = []
    for kind, said in (("exact", "equal texts"), ("near", "texts that are nearly equal")):
        group = found.get(kind)
        if group and group["documents"]:
            first = "; ".join(", ".join(map(code, names[:EXAMPLES])) for names in group["first"])
            many = "1 group" if group["groups"] == 1 else f"{group['groups']} groups"
            lines.append(f"- {group['documents']} documents in {many} of {said}, such as {first}")
    return lines


def _hardest(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    lines = []
    for row in rows:
        right = ", ".join(map(code, row["positives"]))
        place = f"at rank {row['rank']}" if row["rank"] else f"not among the {row['depth']} that were ranked"
        instead = f"; first stands {code(row['first'])}" if row["first"] else ""
        lines.append(f"- {text(row['query'])}\n  {right}: {place}, {row['metric']} {number(row['value'])}{instead}")
    return [f"## Hardest queries for {rows[0]['system']}", "\n".join(lines)]
