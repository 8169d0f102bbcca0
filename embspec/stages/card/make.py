"""The model's own card, from artefacts alone: no time, no host, no sentence of the data."""
from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from embspec.measure.forms import BASE, BM25, PLAIN, SHIPPED, SUITE, TUNED, Form, Row, best, grouped
from embspec.measure.stats import too_narrow
from embspec.measure.table import How, differences, means, retention, sliced
from embspec.plan.protocol import Desk, Made, Params, Progress
from embspec.report.card import render
from embspec.stages.snapshot import count, rows

SHOWN = (BASE, BM25, TUNED, SHIPPED)
SETTINGS = ("model.method", "loss.", "train.")  # the parameters that say how it was trained
_HUB = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write `README.md`."""
    desk.tell(Progress("writing the model card"))
    how = How(params["eval.statistics.cluster"], params["eval.statistics.resamples"], params["seed"])
    measured = {form: some for form, some in grouped(rows(needs["evaluate/scores"])).items() if form.suite == SUITE}
    card = {
        "name": params["name"],
        "version": params["version"],
        "description": params["description"],
        "base": _base(params),
        "model": _model(needs["train/model"]),
        "verdict": _json(needs["gates/verdict.json"]) if "gates/verdict.json" in needs else None,
        "metrics": _metrics(measured, how),
        "compared": [row for row in differences(measured, SUITE, how) if row["against"] == BASE],
        "disjoint": _disjoint(measured, how),
        "retention": [row for row in retention(measured, SUITE, TUNED, how) if row["precision"] == PLAIN],
        "tests": _tests(measured, how),
        "ships": _json(needs["choose/choice.json"]),
        "documents": count(needs["snapshot/manifest"]),
        "split": _json(needs["split/leaks.json"]),
        "negatives": next(rows(needs["negatives/ledger.jsonl"]))["summary"]["negatives"],
        "settings": {path: params[path] for path in sorted(params) if path.startswith(SETTINGS)},
    }
    (out / "README.md").write_text(render(card), encoding="utf-8")
    return Made(counts={"rows": len(card["metrics"])})


def _base(params: Params) -> dict[str, Any]:
    """What was tuned; a folder or file is known by its last name: where it lies is nobody else's business."""
    base: str | None = params.get("model.base")
    if base is None:
        names = [_shown(params[f"model.base.static.{part}"]) for part in ("weights", "tokenizer")]
        return {"hub": None, "name": names[0], "tokenizer": names[1], "revision": None}
    on_hub = _HUB.fullmatch(base) is not None
    revision = params["model.revision"] if on_hub and params["model.revision"] != "auto" else None
    return {"hub": base if on_hub else None, "name": _shown(base), "tokenizer": None, "revision": revision}


def _shown(base: str) -> str:
    known = base.startswith("package:") or _HUB.fullmatch(base)
    return base if known else base.rstrip("/").rpartition("/")[2]


def _model(folder: Path) -> dict[str, Any]:
    """What the folder says of itself."""
    said = _json(folder / "config_sentence_transformers.json")
    limits = folder / "sentence_bert_config.json"
    length = _json(limits)["max_seq_length"] if limits.exists() else None
    return {"prompts": said["prompts"], "similarity": said["similarity_fn_name"], "max_seq_length": length}


def _metrics(measured: Mapping[Form, Sequence[Row]], how: How) -> list[dict[str, Any]]:
    """The systems that a reader weighs, each at its best form."""
    chosen = [form for name in SHOWN if (form := best(measured, SUITE, name))]
    return [row for row in means({form: measured[form] for form in chosen}, how) if row["slice"] is None]


def _disjoint(measured: Mapping[Form, Sequence[Row]], how: How) -> list[dict[str, Any]]:
    """The gain where nothing leaks, of a test set that does."""
    if not sliced(measured, "leaking"):
        return []
    return [row for row in differences(sliced(measured, "disjoint"), SUITE, how) if row["against"] == BASE]


def _tests(measured: Mapping[Form, Sequence[Row]], how: How) -> dict[str, Any]:
    """On how many questions about how many documents all figures rest."""
    some = next(iter(measured.values()), [])
    clusters = len(set(how.labels(some)))
    return {"queries": len(some), "clusters": clusters, "narrow": too_narrow(len(some), clusters)}


def _json(path: Path) -> Any:
    return json.loads(path.read_bytes())
