"""From scores and a gate to a verdict, and from verdicts to green or red."""
from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from embspec.measure.gate import Gate, bound_text, line
from embspec.measure.stats import (
    DIGITS,
    ENOUGH_CLUSTERS,
    ENOUGH_QUERIES,
    RESAMPLES,
    Floats,
    Interval,
    detectable,
    mean_interval,
    ratio_interval,
    sign_flip_p,
    too_narrow,
)

PASS, FAIL, INCONCLUSIVE, ERROR = "pass", "fail", "inconclusive", "error"
GREEN, RED = "green", "red"
_WORST_FIRST = (ERROR, FAIL, INCONCLUSIVE, PASS)


class Scores(NamedTuple):
    """Per-query scores of what is judged and of what it is compared with, over the same queries."""

    system: ArrayLike
    ref: ArrayLike | None
    clusters: ArrayLike  # number of each query's test document


class Verdict(NamedTuple):
    """What became of a gate; `value`, `low`, `high`, `bound` are a mean, a difference or a ratio, as the gate asks."""

    gate: str
    verdict: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    bound: float | None = None
    n: int = 0
    clusters: int = 0
    system: float | None = None  # the mean that is judged, and the mean it is compared with
    ref: float | None = None
    p: float | None = None  # of "the two are alike"
    needed: int | None = None  # about so many more queries would settle an inconclusive one
    detectable: float | None = None  # in points of the metric
    note: str = ""


def not_computed(gate: Gate, why: str) -> Verdict:
    """A metric that could not be computed: never a pass."""
    return Verdict(line(gate), ERROR, note=why)


def judge(gate: Gate, scores: Scores, *, resamples: int = RESAMPLES, seed: int = 0, note: str = "") -> Verdict:
    """Compares as the gate says; without a confidence the interval (95 %) is there to be seen, the value decides."""
    system = np.asarray(scores.system, np.float64)
    ref = None if scores.ref is None or gate.ref is None else np.asarray(scores.ref, np.float64)
    clusters = np.asarray(scores.clusters, np.int64)
    problem = _unusable(gate, system, ref)
    if problem:
        return not_computed(gate, problem)
    groups = len(np.unique(clusters))
    span = _interval(gate, system, ref, clusters, resamples, seed)
    if span is None:
        return not_computed(gate, f"{gate.ref} is 0 too often for a ratio")
    bound = _bound(gate)
    verdict = _decide(gate, span, bound, groups)
    notes = [note, *_notes(gate, verdict, span, bound, len(system), groups)]
    return Verdict(
        line(gate),
        verdict,
        *span,
        bound=bound,
        n=len(system),
        clusters=groups,
        system=_mean(system),
        ref=None if ref is None else _mean(ref),
        p=None if ref is None else sign_flip_p(system - ref, clusters, resamples=resamples, seed=seed),
        needed=_needed(span, bound, len(system)) if verdict == INCONCLUSIVE and groups > 1 else None,
        detectable=detectable(_variance(system, ref), len(system)),
        note="; ".join(part for part in notes if part),
    )


def judge_figure(gate: Gate, value: float | None, ref: float | None = None, *, note: str = "") -> Verdict:
    """The same for a figure of the whole model: a latency, a size, a gap."""
    if value is None or not math.isfinite(value):
        return not_computed(gate, f"{gate.metric} was not measured")
    if gate.ref is not None and (ref is None or not math.isfinite(ref)):
        return not_computed(gate, f"{gate.metric} of {gate.ref} was not measured")
    against = None if gate.ref is None else ref
    shown = value
    if against is not None:
        if gate.factor != 1 and against <= 0:
            return not_computed(gate, f"{gate.ref} is 0, which has no ratio")
        shown = value / against if gate.factor != 1 else value - against
    shown = round(shown, DIGITS) + 0.0
    bound = _bound(gate)
    verdict = PASS if _holds(gate, shown, bound) else FAIL
    return Verdict(line(gate), verdict, shown, bound=bound, system=value, ref=against, note=note)


def judge_slices(
    gate: Gate, slices: Mapping[str, Scores], *, resamples: int = RESAMPLES, seed: int = 0, note: str = ""
) -> Verdict:
    """The worst verdict among slices that have `min_queries`; the claim is about each of them."""
    least = gate.min_queries or 1
    judged = {
        name: judge(gate, scores, resamples=resamples, seed=seed)
        for name, scores in sorted(slices.items())
        if np.size(scores.system) >= least
    }
    small = len(slices) - len(judged)
    skipped = f"{small} of {len(slices)} slices have under {least} queries and are not judged" if small else ""
    if not slices:
        return not_computed(gate, f"there is no slice {gate.slice}")
    if not judged:
        return Verdict(line(gate), INCONCLUSIVE, bound=_bound(gate), note="; ".join(filter(None, [note, skipped])))
    name = min(judged, key=lambda name: (_WORST_FIRST.index(judged[name].verdict), _margin(gate, judged[name]), name))
    worst = judged[name]
    which = f"worst of {len(judged)} slices: {name}" if len(judged) > 1 else f"slice {name}"
    return worst._replace(note="; ".join(filter(None, [note, which, worst.note, skipped])))


def is_red(gate: Gate, verdict: str, risk: str = "standard") -> bool:
    """Whether a verdict stops a release; what a gate says of `on_inconclusive` itself goes before `risk`."""
    if verdict == INCONCLUSIVE:
        return (gate.on_inconclusive or ("fail" if risk == "high" else "warn")) == "fail"
    return verdict != PASS


def standing(verdicts: Iterable[tuple[Gate, str]], risk: str = "standard") -> str:
    """`green`, `red`, or `inconclusive` where nothing failed and the policy stops at what is undecided."""
    stopped = {verdict for gate, verdict in verdicts if is_red(gate, verdict, risk)}
    if stopped - {INCONCLUSIVE}:
        return RED
    return INCONCLUSIVE if stopped else GREEN


def _unusable(gate: Gate, system: Floats, ref: Floats | None) -> str:
    if not len(system):
        return "there are no queries to judge it on"
    if gate.ref is not None and ref is None:
        return f"{gate.metric} of {gate.ref} was not computed"
    if not all(np.isfinite(scores).all() for scores in (system, ref) if scores is not None):
        return "a score is not a number"
    return ""


def _interval(
    gate: Gate, system: Floats, ref: Floats | None, clusters: ArrayLike, resamples: int, seed: int
) -> Interval | None:
    confidence = gate.confidence or 95.0
    if ref is not None and gate.factor != 1:
        return ratio_interval(system, ref, clusters, confidence=confidence, resamples=resamples, seed=seed)
    values = system if ref is None else system - ref
    return mean_interval(
        values, clusters, confidence=confidence, resamples=resamples, seed=seed, differences=ref is not None
    )


def _bound(gate: Gate) -> float:
    if gate.ref is None:
        return gate.number or 0.0
    return gate.factor if gate.factor != 1 else gate.offset


def _holds(gate: Gate, value: float, bound: float) -> bool:
    """Compared at the width of the results: 0.85 - 0.80 is not under 0.05."""
    apart = round(value - bound, DIGITS)
    return apart >= 0 if gate.op == ">=" else apart <= 0


def _decide(gate: Gate, span: Interval, bound: float, groups: int) -> str:
    """With a confidence, the limit that could falsify the claim must hold; it fails when the other limit does too."""
    if gate.confidence is None:
        return PASS if _holds(gate, span.value, bound) else FAIL
    if groups < 2:
        return INCONCLUSIVE
    against, with_it = (span.low, span.high) if gate.op == ">=" else (span.high, span.low)
    if _holds(gate, against, bound):
        return PASS
    return INCONCLUSIVE if _holds(gate, with_it, bound) else FAIL


def _needed(span: Interval, bound: float, n: int) -> int | None:
    """Half-widths shrink with the root of n: how many more until the interval leaves the bound, to two digits."""
    half = span.value - span.low if span.value >= bound else span.high - span.value
    apart = abs(span.value - bound)
    if round(apart, DIGITS) == 0:
        return None
    more = max(1.0, n * (half / apart) ** 2 - n)
    step = int(10 ** max(0, math.floor(math.log10(more)) - 1))
    return math.ceil(more / step) * step


def _notes(gate: Gate, verdict: str, span: Interval, bound: float, n: int, groups: int) -> list[str]:
    notes = []
    if gate.confidence is not None and groups < 2:
        notes.append("all queries are about one document: no interval can be had")
    elif verdict == INCONCLUSIVE and round(span.value - bound, DIGITS) == 0:
        notes.append(f"it lies on the bound {bound_text(gate)} itself: more queries need not settle it")
    if too_narrow(n, groups):
        notes.append(
            f"{n} queries on {groups} documents: under {ENOUGH_QUERIES} queries or {ENOUGH_CLUSTERS} documents "
            "intervals are too narrow"
        )
    return notes


def _variance(system: Floats, ref: Floats | None) -> float:
    if ref is None:
        mean = math.fsum(system) / len(system)
        return math.fsum((score - mean) ** 2 for score in system) / len(system)
    return float(np.count_nonzero(system != ref)) / len(system)


def _margin(gate: Gate, verdict: Verdict) -> float:
    if verdict.value is None or verdict.bound is None:
        return -math.inf
    return (verdict.value - verdict.bound) * (1 if gate.op == ">=" else -1)


def _mean(values: Floats) -> float:
    return round(math.fsum(values) / len(values), DIGITS) + 0.0
