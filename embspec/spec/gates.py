"""Gates of a spec: read, held against the rest of the spec, and what they need of the evaluation."""
from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from embspec.errors import Problem, Where
from embspec.measure.gate import Gate, GateError, from_mapping, line, parse_line
from embspec.measure.gate_words import FORMS, MEASURES, TEXTS
from embspec.measure.metrics import DEEP, split_name
from embspec.spec.fields import near
from embspec.spec.text import Node

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
    strategy = _mapping(_mapping(_mapping(tree).get("corpus")).get("chunking")).get("strategy")
    if strategy is not None and strategy.value != "none":
        suites["documents"] = ()  # implied, as `resolve` has it
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
            _held(gate, around, item.value if isinstance(item.value, str) else "")
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


def _held(gate: Gate, around: World, text: str) -> None:
    """Holds a gate against the rest of the spec; `text` is its line, where it is one."""
    if gate.metric in TEXTS:
        _held_of_texts(gate, around, text)
    suite = gate.suite or "domain"
    if suite not in around.suites:
        best = near(suite, around.suites)
        fix = f"did you mean `{best}`?" if best else f"there is {', '.join(sorted(around.suites))}"
        raise _misfit(f"eval.suites has no `{suite}`", fix, "suite", suite, text)
    outside = around.suites[suite]
    if outside and gate.metric not in outside:
        fix = f"leave `on {suite}` out, or judge what it gives"
        raise _misfit(f"{suite} gives {', '.join(outside)}, not {gate.metric}", fix, "suite", suite, text)
    givers = sorted(name for name, metrics in around.suites.items() if gate.metric in metrics)
    if givers and suite not in givers:
        fix = f"write `{gate.metric} on {givers[0]} …`"
        raise _misfit(f"{gate.metric} is measured on {givers[0]} alone", fix, "metric", gate.metric, text)
    for field, name in _systems(gate):
        run = name.split("+")[0].removeprefix("run:") if name.startswith("run:") else None
        if run is not None and run not in around.runs:
            best = near(run, around.runs)
            fix = f"did you mean `run:{best}`?" if best else f"add `{run}: FILE` there"
            raise _misfit(f"eval.runs has no `{run}`", fix, field, name, text)
    if not around.model and gate.metric not in MEASURES:
        _held_without_model(gate, text)


def _held_of_texts(gate: Gate, around: World, text: str) -> None:
    """A figure of the documents is the same whatever ranks them."""
    for key, field in (("relative_to", "ref"), *((name, name) for name in ("dim", "precision", "suite", "system"))):
        if getattr(gate, field) is not None:
            fix = f"hold it against a number: `{gate.metric} <= 0.02`"
            said = f"{gate.metric} is a figure of the documents, whatever ranks them"
            raise _misfit(said, fix, key, str(getattr(gate, field)), text)
    if not around.model:
        fix = "take the gate out, or add `model: {base: …}`"
        raise _misfit(f"{gate.metric} is of the model that reads the documents, and the spec has none", fix, "metric",
                      gate.metric, text)


def _held_without_model(gate: Gate, text: str) -> None:
    if gate.system is None:
        fix = f"write `{gate.metric} of bm25 …`"
        raise _misfit("without a model a gate names its system", fix, "metric", gate.metric, text)
    for field, name in _systems(gate):
        if name != "locked" and not name.startswith(FREE):
            fix = "hold it against a number, bm25, locked or run:NAME"
            raise _misfit(f"`{name}` needs a model, and the spec has none", fix, field, name, text)


def _systems(gate: Gate) -> list[tuple[str, str]]:
    """The keys of a gate that name a system, with what they name."""
    both = (("system", gate.system), ("relative_to", gate.ref))
    return [(field, name) for field, name in both if name is not None]


def _misfit(said: str, fix: str, key: str, word: str, text: str) -> GateError:
    at = text.find(word)
    return GateError(said, fix, key=key, at=at if at >= 0 else None)


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
        systems |= {name for _, name in _systems(gate) if name not in (*FORMS, "shipped")}
        systems |= {"base"} if gate.ref == "locked" else set()  # what it means until something was promoted
    return sorted(metrics), sorted(dims), sorted(precisions), sorted(systems)
