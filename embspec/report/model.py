"""The sections of a page that only a build with a model has; no number is computed here."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from embspec.measure.forms import SUITE, Form, Row, best, form
from embspec.report.cells import code, figure, names, number, share, signed, table

_FUSION = {
    "none": "the model alone",
    "rrf": "the model and BM25 by reciprocal rank (k {k})",
    "weighted": "{weight} of the model's score and the rest BM25's",
}
_PARTS = {"leaking": "share something with training", "disjoint": "share nothing with it"}
_MEANS = {("tuned+bm25", "tuned"): " (the gain of fusion)"}
_REFUSED = {
    "positive": "known answers",
    "duplicate": "copies of an answer",
    "sibling": "from the document of an answer",
    "near_duplicate": "near-duplicates of an answer",
    "test_document": "answers of questions held out",
    "relative_margin": "within the relative margin of an answer's score",
    "absolute_margin": "within the absolute margin of an answer's score",
    "max_score": "over the highest score allowed",
    "cross_encoder": "answers too, by the cross-encoder",
    "copy": "copies of another negative",
}
_BARS = "▁▂▃▄▅▆▇█"  # the highest bin of a row is full, an empty one a dot


def systems(report: Row) -> list[str]:
    """Every system at its best form, then what tuning and fusion are worth, question by question."""
    if report["ships"] is None:
        return []
    parts = ["## Systems"]
    whole = [row for row in report["metrics"] if row["slice"] is None]
    for suite in dict.fromkeys(row["suite"] for row in whole):
        parts += [_on(suite), _at_best([row for row in whole if row["suite"] == suite])]
        parts += _differences([row for row in report["compared"] if row["suite"] == suite and row["slice"] is None],
                              "Paired differences, with their 95 % intervals:")
        parts += _apart([row for row in report["compared"] if row["suite"] == suite])
    named = [row for row in report["compared"] if row["slice"] == "identifiers"]
    parts += _differences(named, f"On the {report['identifiers']} test queries that name an identifier (a word with an "
                                 "underscore, or with a digit beside a letter):")
    return [part for part in parts if part]


def _apart(rows: Sequence[Row]) -> list[str]:
    """The same of both parts of a test set that leaks: what was learned by heart, and what was learned."""
    parts = []
    for name, said in _PARTS.items():
        some = [row for row in rows if row["slice"] == name]
        parts += _differences(some, f"On the {some[0]['n']} test queries that {said} (`{name}`):") if some else []
    return parts


def _on(suite: str) -> str:
    return "" if suite == SUITE else f"On {suite}:"


def _at_best(rows: Sequence[Row]) -> str:
    """One line a system: its figures in float32 at full dim, what ships as it ships."""
    suite = rows[0]["suite"]
    forms = {form(row): None for row in rows}
    chosen = [best(forms, suite, system) for system in dict.fromkeys(each.system for each in forms)]
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    values = {(form(row), row["metric"]): number(row["value"]) for row in rows}
    lines = [[*names(each), *(values.get((each, metric), "") for metric in metrics)] for each in chosen if each]
    return table(["system", "dim", "precision", *metrics], lines)


def _differences(rows: Sequence[Row], title: str) -> list[str]:
    if not rows:
        return []
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    lines: dict[str, dict[str, str]] = {}
    for row in rows:
        pair = f"{row['system']} − {row['against']}{_MEANS.get((row['system'], row['against']), '')}"
        lines.setdefault(pair, {})[row["metric"]] = signed(row)
    return [title, table(["difference", *metrics],
                         [[pair, *(cells.get(metric, "") for metric in metrics)] for pair, cells in lines.items()])]


def ships(report: Row) -> list[str]:
    """What an index serves, and what that was chosen over."""
    choice, tried = report["ships"], report["tried"]
    if choice is None:
        return []
    lines = [f"- {choice['dim']} dims in {choice['precision']}, compared by {choice['similarity']}",
             f"- ranked by {fusion(choice['fusion'])}"]
    if tried and tried["dim"]["tried"]:
        dims = tried["dim"]
        values = ", ".join(f"{dim}: {number(value)}" for dim, value in dims["tried"].items())
        lines.append(f"- the smallest dim that keeps {share(dims['min_retention'])} of {dims['metric']} on "
                     f"{tried['queries']} validation queries ({values})")
    if tried and tried["queries"]:
        values = ", ".join(f"{_short(row)} {number(row['value'])}" for row in tried["fusion"]["tried"])
        lines.append(f"- {tried['fusion']['metric']} of each way on {tried['queries']} validation queries: {values}")
    parts = ["## What ships", "\n".join(lines)]
    return parts + _retention(report["retention"])


def fusion(method: Mapping[str, Any]) -> str:
    """A method of fusion in words."""
    return _FUSION[method["method"]].format(**method)


def _short(method: Row) -> str:
    return " ".join(str(value) for name, value in method.items() if name in ("method", "k", "weight"))


def _retention(rows: Sequence[Row]) -> list[str]:
    """What each further form keeps of the best one's figures."""
    if not rows:
        return []
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    cells: dict[Form, dict[str, str]] = {}
    for row in rows:
        cells.setdefault(form(row), {})[row["metric"]] = figure(row)
    several = len({each.suite for each in cells}) > 1
    lines = [[*([each.suite] if several else []), *names(each), *(some.get(metric, "") for metric in metrics)]
             for each, some in cells.items()]
    head = [*(["suite"] if several else []), "system", "dim", "precision", *metrics]
    return ["What smaller forms keep of the full one in float32, as a share, with 95 % intervals:", table(head, lines)]


def training(report: Row) -> list[str]:
    """Steps and loss, and what the negatives were."""
    found, mined = report["training"], report["negatives"]
    lines = []
    if found and found["curve"]:
        curve = " → ".join(number(point["loss"]) for point in found["curve"])
        lines.append(f"- {found['steps']} steps; mean loss along them: {curve}")
    if mined and not mined["negatives"]:
        lines.append("- no negatives were mined: the other rows of a batch stood for them")
    elif mined:
        lines.append(f"- {mined['negatives']} negatives for {mined['rows']} training queries"
                     + (f", {mined['short']} of which found fewer than were wished" if mined["short"] else "")
                     + (f"; {mined['dropped']} queries with too few were dropped" if mined["dropped"] else ""))
    if mined and mined["refused"]:
        why = ", ".join(f"{count} {_REFUSED.get(name, name)}" for name, count in mined["refused"].items())
        lines.append(f"- refused as negatives: {why}")
    if mined and mined["negatives"]:
        lines.append(f"- about {share(mined['false_negatives'])} of the negatives kept may be answers; the model that "
                     f"mined already ranks the answers over all of them for {share(mined['easy'])} of the queries")
    return ["## Training", "\n".join([*lines, *_miners(mined)]), *_scores(mined)] if lines else []


def _miners(mined: Row | None) -> list[str]:
    """What each miner was asked for, and which queries none of them had anything for."""
    if not mined or not mined["miners"]:
        return []
    lines = [f"- {name} found {has['found']} negatives of {has['wanted']}" for name, has in mined["miners"].items()]
    bare = mined["without"]
    if bare["queries"]:
        more = ", …" if bare["queries"] > len(bare["first"]) else ""
        lines.append(f"- {bare['queries']} queries have no negative: {', '.join(map(code, bare['first']))}{more}")
    return lines


def _scores(mined: Row | None) -> list[str]:
    """How the scores of answers and of negatives lie, one bar a bin."""
    found = mined and mined["scores"]
    if not found or not sum(found["negatives"]):
        return []
    rows = [f"{name:<9} {_bars(found[key])}" for name, key in (("answers", "positives"), ("negatives", "negatives"))]
    return [f"Their scores by the model that they were mined with, from {found['low']:g} to {found['high']:g}:",
            "\n".join(["```text", *rows, "```"])]


def _bars(counts: Sequence[int]) -> str:
    most = max(counts)
    return "".join(_BARS[count * (len(_BARS) - 1) // most] if count else "·" for count in counts)


def care(report: Row) -> list[str]:
    """What about the model must be known before its numbers are believed."""
    mined = report["negatives"]
    if mined and mined["too_easy"]:
        return [f"- The negatives are too easy: the model that mined already ranks the answers over them for "
                f"{share(mined['easy'])} of the training queries."]
    return []
