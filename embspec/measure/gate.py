"""The gate language: a line or a mapping becomes one `Gate`, and every gate has one canonical line."""
from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from embspec.measure.gate_words import (
    BEFORE,
    BOUNDS,
    CHOICES,
    FORMS,
    KEYS,
    LINE_HELP,
    MEASURES,
    OPS,
    SYSTEMS,
    WHOLE,
    WORDS,
    GateError,
    Measure,
    either,
    gate_metric_problem,
    metric_problem,
    nearest,
    ref_problem,
    system_problem,
)
from embspec.measure.metrics import full_name

__all__ = [
    "Gate",
    "GateError",
    "bound_text",
    "from_mapping",
    "line",
    "metric_problem",
    "number_text",
    "parse_line",
    "system_problem",
]

_METRIC = re.compile(r"[^\s<>=!≤≥]+")
_WORD = re.compile(r"[A-Za-z_]\w*")
_VALUE = re.compile(r'[^\s<>@"]+')
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_SIGN = re.compile(r"[<>=!≤≥]+")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_SYSTEM = re.compile(r"(?:run:\w+(?:[.-]\w+)*|[A-Za-z]\w*)(?:\+[A-Za-z]\w*)*")
_CHANGE = re.compile(r"[*+-]")


class Gate(NamedTuple):
    """One claim about a model: `metric op number`, or `metric op ref * factor + offset`.

    `system`, `dim` and `precision` None mean what ships. `confidence` is in percent; None compares point estimates.
    """

    metric: str
    op: str
    number: float | None = None
    ref: str | None = None
    offset: float = 0.0
    factor: float = 1.0
    confidence: float | None = None
    dim: int | None = None
    precision: str | None = None
    suite: str | None = None
    system: str | None = None
    slice: str | None = None
    min_queries: int | None = None
    device: str | None = None
    batch: int | None = None
    on_inconclusive: str | None = None


def parse_line(text: str, *, extra: Collection[str] = (), ops: Collection[str] = OPS) -> Gate:
    """A gate from its line; `extra` are metrics that suites with their own scorer give, `ops` the signs allowed."""
    reader = _Reader(text)
    try:
        values: dict[str, Any] = {"metric": reader.need(_METRIC, "a metric such as recall@10")}
        _read_words(reader, values)
        values["op"] = _read_sign(reader, ops)
        _read_bound(reader, values)
        _read_words(reader, values)
        if reader.left():
            fix = f"after the bound may stand @95, {either(word for word in WORDS if word not in BEFORE)}"
            raise GateError(f"{reader.left()!r} is left over", fix, at=reader.at)
        return _checked(values, extra)
    except GateError as error:
        if error.at is None:
            error.at = reader.places.get(error.key, 0)
        raise


def from_mapping(mapping: Mapping[str, Any], *, extra: Collection[str] = ()) -> Gate:
    """A gate from a mapping such as `{metric: recall@10, relative_to: base, max_drop: 0.02, confidence: 0.95}`."""
    given = {str(key): value for key, value in mapping.items() if value is not None}
    short = [key for key in given if key not in KEYS and gate_metric_problem(key, extra) is None]
    for key in given:
        if key not in KEYS and key not in short:
            fix = f"a gate may have {', '.join(KEYS)}"
            raise GateError(f"{key!r} is no key of a gate{nearest(key, [*KEYS, *MEASURES])}", fix, key=key)
    bounds = [key for key in given if key in BOUNDS or key in short]
    if len(bounds) != 1:
        what = f"{' and '.join(bounds)} are two bounds" if bounds else "the gate has no bound"
        fix = f"a gate has exactly one of {either(BOUNDS)}, or is short, such as recall@10: 0.8"
        raise GateError(what, fix, key=bounds[1] if bounds else "")
    if short and "metric" in given:
        raise GateError(f"{short[0]} and metric both name the metric", "leave one of them out", key=short[0])
    if not short and "metric" not in given:
        raise GateError("the gate names no metric", "add metric: recall@10", key=bounds[0])
    values: dict[str, Any] = {field: given[field] for field in ("metric", *WORDS.values()) if field in given}
    _mapping_bound(bounds[0], given, values)
    if "confidence" in given:
        values["confidence"] = _percent(given["confidence"], share=True)
    return _checked(values, extra)


def line(gate: Gate) -> str:
    """The canonical line: `parse_line(line(gate)) == gate`."""
    words = {word: getattr(gate, field) for word, field in WORDS.items()}
    shown = {word: f"{word} {_shown(value)}" for word, value in words.items() if value is not None}
    before = [text for word, text in shown.items() if word in BEFORE]
    after = [text for word, text in shown.items() if word not in BEFORE]
    sure = [] if gate.confidence is None else [f"@{number_text(gate.confidence)}"]
    return " ".join([gate.metric, *before, gate.op, bound_text(gate), *sure, *after])


def bound_text(gate: Gate) -> str:
    """The right side of the sign: `0.8`, `base`, `base - 0.02`, `float32 * 0.98`."""
    if gate.ref is None:
        return number_text(gate.number or 0.0)
    if gate.factor != 1:
        return f"{gate.ref} * {number_text(gate.factor)}"
    if gate.offset:
        return f"{gate.ref} {'+' if gate.offset > 0 else '-'} {number_text(abs(gate.offset))}"
    return gate.ref


def number_text(value: float) -> str:
    """The shortest text of a number: `0.10` and `.1` are both `0.1`, `1.0` is `1`."""
    text = repr(float(value))
    return text[:-2] if text.endswith(".0") else text


class _Reader:
    """A line and how far it is read; blanks before a token are skipped."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.places: dict[str, int] = {}  # where each field was written

    def take(self, pattern: re.Pattern[str]) -> str | None:
        self._skip()
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return match.group() if match else None

    def need(self, pattern: re.Pattern[str], what: str) -> str:
        token = self.take(pattern)
        if token is None:
            found = f"found {self.left()!r}" if self.left() else "the gate ends"
            raise GateError(f"expected {what}, {found}", LINE_HELP, at=self.at)
        return token

    def place(self, *fields: str) -> int:
        self._skip()
        self.places.update(dict.fromkeys(fields, self.at))
        return self.at

    def left(self) -> str:
        self._skip()
        return self.text[self.at :].rstrip()

    def _skip(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1


def _read_words(reader: _Reader, values: dict[str, Any]) -> None:
    """`dim 256`, `on ood`, `@95` … until something else comes."""
    while reader.left():
        start = reader.place()
        word = reader.take(re.compile("@")) or reader.take(_WORD)
        if word is None:
            return
        if word != "@" and word not in WORDS:
            raise GateError(f"{word!r} is no word of a gate{nearest(word, WORDS)}", LINE_HELP, at=start)
        field = "confidence" if word == "@" else WORDS[word]
        if field in values:
            raise GateError(f"{word} stands here twice", "say it once", at=start)
        reader.places[field] = start
        if word == "@":
            values[field] = _percent(reader.need(_NUMBER, "a percentage after @, such as @95"))
        else:
            values[field] = _read_value(reader, field)


def _read_value(reader: _Reader, field: str) -> Any:
    start = reader.place()
    quoted = reader.take(_QUOTED)
    if quoted:
        try:
            return json.loads(quoted)
        except ValueError as error:
            raise GateError(f"{quoted} is no JSON string", "write it as JSON does", at=start) from error
    text = reader.need(_VALUE, f"a value for {field}")
    return int(text) if field in WHOLE and re.fullmatch(r"[0-9]{1,9}", text) else text


def _read_sign(reader: _Reader, ops: Collection[str]) -> str:
    start = reader.place()
    sign = reader.need(_SIGN, either(ops))
    if sign not in ops:
        likely = [op for op in ops if op[0] == (">" if ">" in sign or "≥" in sign else "<")]
        raise GateError(f"{sign!r} is no sign of a gate", f"write {either(likely or ops)}", at=start)
    return sign


def _read_bound(reader: _Reader, values: dict[str, Any]) -> None:
    """A number, or a ref with what is added to it or multiplied by it."""
    reader.place("number", "ref")
    number = reader.take(_NUMBER)
    if number:
        values["number"] = _whole_text(reader, number)
        return
    ref = values["ref"] = reader.need(_SYSTEM, f"a number or one of {either([*SYSTEMS, *FORMS, 'run:NAME'])}")
    problem = ref_problem(ref)
    if problem:
        raise GateError(problem, "after the sign stands a number, or a ref: base + 0.05, float32 * 0.98", key="ref")
    sign = reader.take(_CHANGE)
    if sign:
        reader.place("offset", "factor")
        amount = _whole_text(reader, reader.need(_NUMBER, f"a number after {ref} {sign}"))
        values["factor" if sign == "*" else "offset"] = -amount if sign == "-" else amount


def _whole_text(reader: _Reader, text: str) -> float:
    """The number, which is never a percentage: `80%` and `0.8` beside each other would be one slip away."""
    if reader.take(re.compile("%")):
        share = number_text(float(Decimal(text) / 100))
        raise GateError(f"{text}% is a percentage", f"write {share}", at=reader.at - 1)
    return _amount(text, "the bound")


def _amount(value: Any, key: str) -> float:
    """A finite number out of text or YAML."""
    try:
        amount = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        amount = math.nan
    if not math.isfinite(amount):
        raise GateError(f"{key} needs a number, not {value!r}", "write one such as 0.05", key=key)
    return amount


def _percent(value: Any, *, share: bool = False) -> float:
    """`@95`, and in a mapping 0.95 or 95, as 95.0."""
    amount = _amount(value, "confidence")
    if share and 0 < amount < 1:
        amount = float(Decimal(repr(amount)) * 100)
    if not 50 <= amount < 100:
        text = f"a confidence of {number_text(amount)} is not between 50 and 100 percent"
        raise GateError(text, "write @95, or confidence: 0.95 in a mapping", key="confidence")
    return amount


def _mapping_bound(key: str, given: Mapping[str, Any], values: dict[str, Any]) -> None:
    """Puts the bound of a mapping where a line would put it."""
    amount = _amount(given[key], key)
    if key not in BOUNDS:
        values["metric"] = key
    values["op"], kind = BOUNDS.get(key) or (MEASURES[key].op if key in MEASURES else ">=", "number")
    if (kind != "number") != ("relative_to" in given):
        text = f"{key} needs relative_to" if kind != "number" else f"relative_to does not go with {key}"
        raise GateError(text, "relative_to: base goes with min_gain, max_drop or min_retention", key=key)
    if kind == "number":
        values["number"] = amount
        return
    if amount < 0:
        raise GateError(f"{key} is negative", "max_drop: 0.02 allows a loss, min_gain: 0.02 asks for a gain", key=key)
    problem = ref_problem(given["relative_to"])
    if problem:
        raise GateError(problem, "name the system that it is compared with", key="relative_to")
    values["ref"] = given["relative_to"]
    values["factor" if kind == "factor" else "offset"] = -amount if kind == "drop" else amount


def _checked(values: Mapping[str, Any], extra: Collection[str]) -> Gate:
    """One `Gate` out of fields that were read, all rules about them held."""
    metric = values["metric"]
    if not isinstance(metric, str):
        raise GateError(f"metric needs a name, not {metric!r}", "write one such as recall@10", key="metric")
    problem = gate_metric_problem(metric, extra)
    if problem:
        raise GateError(problem, f"of the whole model there are {either(MEASURES)}", key="metric")
    for field in WORDS.values():
        if field in values:
            _check_field(field, values[field])
    # -0.0 and 0.0 are one value; what ships is what a gate without a system is judged on.
    fields: dict[str, Any] = {key: value + 0.0 if isinstance(value, float) else value for key, value in values.items()}
    fields["metric"] = metric if metric in MEASURES or metric in extra else full_name(metric)
    if fields.get("system") == "shipped":
        del fields["system"]
    gate = Gate(**fields)
    _check_numbers(gate)
    _check_measure(gate)
    return gate


def _check_field(field: str, value: Any) -> None:
    if field in WHOLE:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise GateError(f"{field} needs a whole number from 1, not {value!r}", f"write {field} 256", key=field)
    elif not isinstance(value, str) or not value:
        fix = "write a word, in quotes where it looks like a number"
        raise GateError(f"{field} needs a name, not {value!r}", fix, key=field)
    elif field in CHOICES and value not in CHOICES[field]:
        text = f"{field} {value!r} is unknown{nearest(value, CHOICES[field])}"
        raise GateError(text, f"it is one of {either(CHOICES[field])}", key=field)
    elif field == "system" and (problem := system_problem(value)):
        raise GateError(problem, "it names the system that is judged; left out it is what ships", key=field)


def _check_numbers(gate: Gate) -> None:
    """Bounds that no model can meet, or every model meets, are slips of the pen (80 for 0.80)."""
    measure = MEASURES.get(gate.metric, Measure(">=", 0, 1))
    if gate.number is not None and not measure.low <= gate.number <= measure.high:
        high = "" if math.isinf(measure.high) else f" and at most {number_text(measure.high)}"
        text = f"{gate.metric} is at least {number_text(measure.low)}{high}"
        raise GateError(text, _hundredth(gate.number), key="number")
    if abs(gate.offset) > measure.high - measure.low:
        text = f"no two values of {gate.metric} are {number_text(abs(gate.offset))} apart"
        raise GateError(text, _hundredth(abs(gate.offset)), key="offset")
    if gate.factor <= 0:
        raise GateError("a ref is multiplied by a number over 0", "write one such as 0.98", key="factor")


def _hundredth(value: float) -> str:
    if 1 < value <= 100:
        return f"write {number_text(float(Decimal(repr(value)) / 100))} for {number_text(value)} of a hundred"
    return "write a number that it can take"


def _check_measure(gate: Gate) -> None:
    measure = MEASURES.get(gate.metric)
    for field in ("confidence", "slice"):
        if measure and getattr(gate, field) is not None:
            text = f"{gate.metric} is one figure of the whole model, without scores per query"
            raise GateError(text, f"leave {'the confidence' if field == 'confidence' else field} out", key=field)
    for field in ("device", "batch"):
        if not (measure and measure.clocked) and getattr(gate, field) is not None:
            text = f"{field} says how latency is measured, not {gate.metric}"
            raise GateError(text, f"leave {field} out", key=field)
    if gate.min_queries is not None and gate.slice is None:
        raise GateError("min_queries says which slices are too small to judge", "add slice any", key="min_queries")


def _shown(value: Any) -> str:
    if isinstance(value, int):
        return str(value)
    return value if _VALUE.fullmatch(value) else json.dumps(value, ensure_ascii=False)
