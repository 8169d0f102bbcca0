"""Rows of scores into the figures of a page: means, paired differences, what smaller forms keep."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from embspec.measure.forms import BASE, BM25, FUSED, PLAIN, SHIPPED, TUNED, Form, Row, best
from embspec.measure.stats import Interval, cluster_numbers, mean_intervals, ratio_intervals, sign_flip_p

# What a reader compares, each at its best form: the gain of tuning, and the gain of fusion over tuned alone.
PAIRS = ((TUNED, BASE), (TUNED, BM25), (FUSED, TUNED), (SHIPPED, BASE))

Grouped = Mapping[Form, Sequence[Row]]


class How(NamedTuple):
    """How intervals are computed."""

    cluster: str  # document | query: what is drawn together
    resamples: int
    seed: int

    def label(self, row: Row) -> str:
        """What this row is drawn together with."""
        return str(row["cluster" if self.cluster == "document" else "query"])

    def labels(self, rows: Sequence[Row]) -> list[str]:
        """The same of many."""
        return [self.label(row) for row in rows]


def sliced(measured: Grouped, name: str) -> Grouped:
    """The rows of one slice, of the forms that have any."""
    found = {form: [row for row in rows if name in row["slices"]] for form, rows in measured.items()}
    return {form: rows for form, rows in found.items() if rows}


def means(measured: Grouped, how: How) -> list[dict[str, Any]]:
    """One row for each form and metric: in each suite the whole of every form first, then the slices."""
    slices: dict[tuple[str, str], list[tuple[Form, list[Row]]]] = {}
    for form, rows in measured.items():
        names = dict.fromkeys(name for row in rows for name in row["slices"])
        for name in ("", *names):
            some = [row for row in rows if not name or name in row["slices"]]
            slices.setdefault((form.suite, name), []).append((form, some))
    return [
        {**form._asdict(), "slice": name or None, **figure}
        for (_, name), parts in sorted(slices.items(), key=lambda item: item[0])
        for form, figures in _means(parts, how) for figure in figures
    ]


def _means(parts: Sequence[tuple[Form, Sequence[Row]]], how: How) -> list[tuple[Form, list[dict[str, Any]]]]:
    """Each form's metrics with limits; forms over the same queries are drawn together, which gives the same limits."""
    alike: dict[tuple[str, ...], list[tuple[Form, Sequence[Row]]]] = {}
    for form, rows in parts:
        alike.setdefault(tuple(str(row["query"]) for row in rows), []).append((form, rows))
    found: dict[Form, list[dict[str, Any]]] = {}
    for some in alike.values():
        names = [(form, metric) for form, rows in some for metric in rows[0]["scores"]]
        columns = [[row["scores"][metric] for row in rows] for _, rows in some for metric in rows[0]["scores"]]
        for (form, metric), span in zip(names, spans(columns, some[0][1], how), strict=True):
            found.setdefault(form, []).append({"metric": metric, **span, "n": len(some[0][1])})
    return [(form, found[form]) for form, _ in parts]


def spans(columns: Sequence[Sequence[float]], rows: Sequence[Row], how: How) -> list[dict[str, float | None]]:
    """The mean of each column with its limits, which one cluster alone cannot give."""
    clusters = cluster_numbers(how.labels(rows))
    found = mean_intervals(columns, clusters, resamples=how.resamples, seed=how.seed)
    return [_span(span, len(set(clusters.tolist())) < 2) for span in found]


def differences(measured: Grouped, suite: str, how: How) -> list[dict[str, Any]]:
    """For each pair that was measured on the same queries, and each metric, the paired difference."""
    found = []
    for system, against in PAIRS:
        one, other = best(measured, suite, system), best(measured, suite, against)
        if one and other and _queries(measured[one]) == _queries(measured[other]):
            found += _differences(one, other, measured, how)
    return found


def _differences(one: Form, other: Form, measured: Grouped, how: How) -> list[dict[str, Any]]:
    pairs = list(zip(measured[one], measured[other], strict=True))
    clusters = cluster_numbers(how.labels(measured[one]))
    metrics = [metric for metric in pairs[0][0]["scores"] if metric in pairs[0][1]["scores"]]
    columns = [[a["scores"][metric] - b["scores"][metric] for a, b in pairs] for metric in metrics]
    limits = mean_intervals(columns, clusters, resamples=how.resamples, seed=how.seed, differences=True)
    lone = len(set(clusters.tolist())) < 2
    return [
        {
            "suite": one.suite, "system": one.system, "against": other.system, "metric": metric,
            **_span(span, lone),
            "p": sign_flip_p(gains, clusters, resamples=how.resamples, seed=how.seed),
            "won": sum(gain > 0 for gain in gains), "lost": sum(gain < 0 for gain in gains), "n": len(pairs),
        }
        for metric, gains, span in zip(metrics, columns, limits, strict=True)
    ]


def retention(measured: Grouped, suite: str, system: str, how: How) -> list[dict[str, Any]]:
    """The share of its best form that every other form of a system keeps, as a ratio of means with its limits."""
    full = best(measured, suite, system)
    others = [form for form in measured if (form.suite, form.system) == (suite, system) and form != full]
    if full is None or full.precision != PLAIN or not others:
        return []
    others = [form for form in others if _queries(measured[form]) == _queries(measured[full])]
    metrics = list(measured[full][0]["scores"])
    names = [(form, metric) for form in others for metric in metrics]
    pairs = [(_column(measured[form], metric), _column(measured[full], metric)) for form, metric in names]
    clusters = cluster_numbers(how.labels(measured[full]))
    found = ratio_intervals(pairs, clusters, resamples=how.resamples, seed=how.seed) if pairs else []
    lone = len(set(clusters.tolist())) < 2
    return [
        {**form._asdict(), "metric": metric, **_span(span, lone), "n": len(measured[full])}
        for (form, metric), span in zip(names, found, strict=True)
    ]


def _column(rows: Sequence[Row], metric: str) -> list[float]:
    return [row["scores"][metric] for row in rows]


def _queries(rows: Sequence[Row]) -> list[str]:
    return [row["query"] for row in rows]


def _span(span: Interval | None, lone: bool) -> dict[str, float | None]:
    """A figure with its limits; no figure where a ratio is over nothing."""
    if span is None:
        return {"value": None, "low": None, "high": None}
    return {"value": span.value, "low": None if lone else span.low, "high": None if lone else span.high}
