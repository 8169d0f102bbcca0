"""The words of the gate language: tables, and what is wrong with a name."""
from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection, Iterable
from typing import NamedTuple

from embspec.measure.metrics import ALIASES, MAX_K, METRICS

OPS = (">=", "<=")
PRECISIONS = ("float32", "int8", "binary")
POLICIES = ("warn", "fail")
SYSTEMS = ("base", "bm25", "hybrid", "tuned", "shipped")
ADDITIONS = ("bm25", "rerank", "filter")  # tuned+bm25, base+rerank, tuned+filter
FORMS = ("full", "float32", "locked")  # a ref that is the gate's own system in another form, or its past


class Measure(NamedTuple):
    """A figure of the whole model: there are no scores per query, hence no interval and no slice."""

    op: str  # the side of the mapping short form, `{artifact_mb: 450}`
    low: float
    high: float
    clocked: bool = False  # measured with a clock on a device, in batches


MEASURES: dict[str, Measure] = {
    "generalisation_gap": Measure("<=", -1, 1),
    "onnx_cosine": Measure(">=", -1, 1),
    "truncated_fraction": Measure("<=", 0, 1),
    "latency_p50_ms": Measure("<=", 0, math.inf, clocked=True),
    "latency_p95_ms": Measure("<=", 0, math.inf, clocked=True),
    "artifact_mb": Measure("<=", 0, math.inf),
}
TEXTS = ("truncated_fraction",)  # of these, figures of the documents, whatever ranks them
# The words of a line and their fields, in the order of the canonical line; the first five stand before the sign.
WORDS = {
    "dim": "dim",
    "precision": "precision",
    "on": "suite",
    "of": "system",
    "slice": "slice",
    "min_queries": "min_queries",
    "device": "device",
    "batch": "batch",
    "on_inconclusive": "on_inconclusive",
}
BEFORE = ("dim", "precision", "on", "of", "slice")
# The bounds a mapping may name: sign, and where the number goes; all but `number` stand against `relative_to`.
BOUNDS: dict[str, tuple[str, str]] = {
    "min": (">=", "number"),
    "max": ("<=", "number"),
    "min_gain": (">=", "gain"),
    "max_drop": (">=", "drop"),
    "min_retention": (">=", "factor"),
}
KEYS = ("metric", *WORDS.values(), "relative_to", *BOUNDS, "confidence")
WHOLE = ("dim", "min_queries", "batch")
CHOICES = {"precision": PRECISIONS, "on_inconclusive": POLICIES}
RUN = re.compile(r"run:\w+(?:[.-]\w+)*")
LINE_HELP = "a gate reads: metric [dim N] [on SUITE] [of SYSTEM] >= number, or ref + number, or ref * number [@95]"


class GateError(ValueError):
    """What is wrong with a gate, and what to write; `key` blames a mapping's key, `at` an offset in a line."""

    def __init__(self, text: str, fix: str = "", *, key: str = "", at: int | None = None) -> None:
        super().__init__(text)
        self.text, self.fix, self.key, self.at = text, fix, key, at


def either(words: Iterable[str]) -> str:
    """`a, b or c`."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def nearest(word: str, known: Iterable[str], tail: str = "") -> str:
    """`; did you mean X?` for the closest known spelling, else nothing."""
    close = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}{tail}?" if close else ""


def metric_problem(name: str) -> str | None:
    """What is wrong with the name of a ranking metric, None when nothing is."""
    word, at, k = name.partition("@")
    if word not in METRICS and word not in ALIASES:
        forms = [f"{known}@k" if metric.needs_k else f"{known}, {known}@k" for known, metric in METRICS.items()]
        return f"{name!r} is no metric{nearest(word, [*METRICS, *ALIASES], at + k)} (there are {', '.join(forms)})"
    if not at:
        return f"{name} needs a cut-off: {word}@10" if METRICS[ALIASES.get(word, word)].needs_k else None
    if not re.fullmatch(r"[1-9][0-9]{0,5}", k) or int(k) > MAX_K:
        return f"{name!r} needs a whole number from 1 to {MAX_K} after the @: {word}@10"
    return None


def gate_metric_problem(name: str, extra: Collection[str]) -> str | None:
    """The same for a gate, which also knows figures of the whole model and a suite's own metrics."""
    if name in MEASURES or name in extra:
        return None
    others = nearest(name, [*MEASURES, *extra])
    if others and "@" not in name and name not in METRICS and name not in ALIASES:
        return f"{name!r} is no metric{others}"
    return metric_problem(name)


def system_problem(name: str) -> str | None:
    """What is wrong with the name of a system (`tuned+bm25`, `run:vendor`), None when nothing is."""
    first, *added = name.split("+")
    if first not in SYSTEMS and not RUN.fullmatch(first):
        return f"{name!r} is no system{nearest(first, SYSTEMS)} (there are {', '.join(SYSTEMS)}, run:NAME)"
    wrong = [part for part in added if part not in ADDITIONS]
    if wrong:
        return f"{name!r}: nothing called {wrong[0]!r} can be added to a system{nearest(wrong[0], ADDITIONS)}"
    return None


def ref_problem(name: object) -> str | None:
    """What is wrong with what a gate compares with, None when nothing is."""
    known = [*SYSTEMS, *FORMS]
    if name in FORMS:
        return None
    first = name.split("+")[0] if isinstance(name, str) else ""
    if first not in SYSTEMS and not RUN.fullmatch(first):
        return f"{name!r} is nothing to compare with{nearest(first, known)} (there are {', '.join(known)}, run:NAME)"
    return system_problem(str(name))
