"""Gates of a spec: read, held against the rest of the spec, and what they need of the evaluation."""
from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from embspec.errors import Problem, Where
from embspec.measure.gate import Gate, GateError, from_mapping, line, parse_line
from embspec.measure.gate_words import FORMS, MEASURES
from embspec.measure.metrics import split_name
from embspec.spec.fields import near
from embspec.spec.text import Node

DEEP = 100  # ranks that stored runs hold: metrics down to here are computed from them
FREE = ("bm25", "run:")  # systems that need no model


class Gates(NamedTuple):
    """The gates of a spec by their canonical line, and where each stands."""

    gates: Mapping[str, Gate]
    places: Mapping[str, Where]
    problems: tuple[Problem, ...]


class World(NamedTuple):
    """What of the rest of the spec a gate can name, as far as it can be read."""

    suites: Mapping[str, tuple[str, ...]]  # by name, with the metrics of an outside scorer
    runs: tuple[str, ...]
    model: bool


def world(tree: Node) -> World:
    """What gates can name, taken from the tree: the rest of the spec may be wrong too."""
    evaluation = _mapping(_mapping(tree).get("eval"))
    suites: dict[str, tuple[str, ...]] = {"domain": ()}
    for name, node in _mapping(evaluation.get("suites")).items():
        metrics = _mapping(node).get("metrics")
        items = metrics.value if metrics is not None and isinstance(metrics.value, list) else []
        suites[name] = tuple(item.value for item in items if isinstance(item.value, str))
    model = _mapping(tree).get("model")
    return World(suites, tuple(_mapping(evaluation.get("runs"))), model is not None and model.value is not None)


def _mapping(node: Node | None) -> dict[str, Node]:
    return node.value if node is not None and isinstance(node.value, dict) else {}


def read(node: Node | None, around: World) -> Gates:
    """Every gate of the list; one that cannot be read is a problem."""
    gates: dict[str, Gate] = {}
    places: dict[str, Where] = {}
    problems: list[Problem] = []
    for item in node.value if node is not None and isinstance(node.value, list) else []:
        if not item.value or not isinstance(item.value, (str, dict)):
            continue  # its type is wrong, which the sections say
        try:
            gate = _gate(item, around)
            _held(gate, around)
        except GateError as error:
            problems.append(_problem(error, item))
            continue
        text = line(gate)
        if text in gates:
            problems.append(
                Problem(
                    "spec.duplicate",
                    f"`{text}` is a gate already, at {places[text]}",
                    item.at,
                    "keep one of the two",
                    "gates",
                )
            )
        else:
            gates[text], places[text] = gate, item.at
    return Gates(gates, places, tuple(problems))


def _gate(item: Node, around: World) -> Gate:
    extra = sorted({metric for metrics in around.suites.values() for metric in metrics})
    return (
        from_mapping(item.plain(), extra=extra) if isinstance(item.value, dict) else parse_line(item.value, extra=extra)
    )


def _problem(error: GateError, item: Node) -> Problem:
    where = item.at
    if isinstance(item.value, dict) and error.key in item.value:
        where = item.value[error.key].key
    elif isinstance(item.value, str) and where.column and "\n" not in item.raw:
        where = where._replace(column=where.column + item.shift + (error.at or 0))
    text = f"gate `{item.value}`: {error.text}" if isinstance(item.value, str) else f"this gate: {error.text}"
    return Problem("spec.gate", text, where, error.fix, "gates")


def _held(gate: Gate, around: World) -> None:
    """Holds a gate against the rest of the spec."""
    suite = gate.suite or "domain"
    if suite not in around.suites:
        best = near(suite, around.suites)
        known = f"there is {', '.join(sorted(around.suites))}"
        raise GateError(f"eval.suites has no `{suite}`", f"did you mean `{best}`?" if best else known, key="suite")
    outside = around.suites[suite]
    if outside and gate.metric not in outside:
        raise GateError(
            f"{suite} gives {', '.join(outside)}, not {gate.metric}",
            "leave the suite out, or judge its metric",
            key="suite",
        )
    givers = sorted(name for name, metrics in around.suites.items() if gate.metric in metrics)
    if givers and suite not in givers:
        raise GateError(
            f"{gate.metric} is measured on {givers[0]} alone", f"write `{gate.metric} on {givers[0]} …`", key="metric"
        )
    for field, name in (("system", gate.system), ("relative_to", gate.ref)):
        run = name.split("+")[0].removeprefix("run:") if name is not None and name.startswith("run:") else None
        if run is not None and run not in around.runs:
            best = near(run, around.runs)
            raise GateError(
                f"eval.runs has no `{run}`",
                f"did you mean `{best}`?" if best else f"add `{run}: FILE` there",
                key=field,
            )
    if not around.model:
        _held_without_model(gate)


def _held_without_model(gate: Gate) -> None:
    if gate.metric in MEASURES:
        return
    if gate.system is None:
        raise GateError("without a model a gate names its system", "write `of bm25` after the metric", key="metric")
    for field, name in (("system", gate.system), ("relative_to", gate.ref)):
        if name is not None and name != "locked" and not name.startswith(FREE):
            raise GateError(
                f"`{name}` needs a model, and the spec has none",
                "hold it against a number, locked or run:NAME",
                key=field,
            )


def needs(gates: Mapping[str, Gate]) -> tuple[list[str], list[int], list[str], list[str]]:
    """The metrics, dims, precisions and systems that gates ask of the evaluation, sorted."""
    metrics: set[str] = set()
    dims: set[int] = set()
    precisions: set[str] = set()
    systems: set[str] = set()
    for gate in gates.values():
        k = None if gate.metric in MEASURES else split_name(gate.metric)[1]
        metrics |= {gate.metric} if k is not None and k > DEEP else set()
        dims |= {gate.dim} if gate.dim is not None else set()
        precisions |= {gate.precision} if gate.precision is not None else set()
        precisions |= {"float32"} if gate.ref == "float32" else set()
        systems |= {name for name in (gate.system, gate.ref) if name is not None and name not in (*FORMS, "shipped")}
    return sorted(metrics), sorted(dims), sorted(precisions), sorted(systems)
