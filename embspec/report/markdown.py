"""report.json as Markdown; no number is computed here."""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def render(report: Mapping[str, Any]) -> str:
    """The whole page."""
    parts = [f"# {report['name'] or 'Report'}" + (f" {report['version']}" if report["version"] else "")]
    if report["description"]:
        parts.append(str(report["description"]))
    parts += [*_verdict(report["verdict"]), *_metrics(report["metrics"]), *_data(report), *_hardest(report["hardest"])]
    return "\n\n".join(parts) + "\n"


def _verdict(verdict: Mapping[str, Any] | None) -> list[str]:
    if verdict is None:
        return ["No gates: nothing was judged."]
    rows = [
        [f"`{g['gate']}`", g["verdict"], _number(g["value"]), _span(g), str(g["n"]), _number(g["detectable"]), _note(g)]
        for g in verdict["gates"]
    ]
    head = ["gate", "verdict", "value", "95 % interval", "queries", "detectable", "note"]
    return [f"## Verdict: {verdict['verdict']}", table(head, rows)]


def _note(gate: Mapping[str, Any]) -> str:
    needed = f"about {gate['needed']} more queries would settle it" if gate["needed"] else ""
    return "; ".join(part for part in (gate["note"], needed) if part)


def _metrics(metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    if not metrics:
        return []
    rows = [
        [m["suite"] + (f", {m['slice']}" if m["slice"] else ""), m["system"], m["metric"], _number(m["value"]), _span(m),
         str(m["n"])]
        for m in metrics
    ]
    return ["## Metrics", table(["suite", "system", "metric", "value", "95 % interval", "queries"], rows)]


def _data(report: Mapping[str, Any]) -> list[str]:
    lines = [f"- {report['documents']} documents in the snapshot"]
    tokenizer, leaks = report["tokenizer"], report["leaks"]
    if tokenizer:
        tried = ", ".join(f"{name} {_number(value)}" for name, value in tokenizer["tried"].items())
        lines.append(f"- BM25 reads words by `{tokenizer['tokenizer']}`"
                     + (f", chosen on validation by {tokenizer['metric']}: {tried}" if tried else ""))
    if leaks and leaks["leaking"]:
        lines.append(f"- {leaks['leaking']} of {leaks['test']} test queries leak from training")
    return ["## Data", "\n".join(lines)]


def _hardest(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    lines = [f"- {row['query']} → {', '.join(f'`{p}`' for p in row['positives'])}" for row in rows]
    return ["## Hardest questions", "\n".join(lines)] if lines else []


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _span(row: Mapping[str, Any]) -> str:
    return "" if row["low"] is None else f"[{_number(row['low'])}, {_number(row['high'])}]"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
