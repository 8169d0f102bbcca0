"""The model card as Markdown with the front matter that model hubs read; no number is computed here."""
from __future__ import annotations

import json
from collections.abc import Sequence

from embspec.measure.forms import TUNED, Row, form
from embspec.report.cells import code, figure, names, number, signed, span, split_parts, table, text
from embspec.report.model import fusion

_TAGS = ("sentence-transformers", "sentence-similarity", "feature-extraction", "embspec")
_SNIPPET = """\
from sentence_transformers import SentenceTransformer
model = SentenceTransformer("path/to/this/folder")
scores = model.similarity(model.encode_query(["a question"]), model.encode_document(["a text"]))"""
_VERDICTS = {
    "green": "It passed its gates.",
    "red": "It did **not** pass its gates and must not serve.",
    "inconclusive": "Nothing failed, but what is undecided keeps it from serving.",
}


def render(card: Row) -> str:
    """The whole card."""
    parts = [
        _front(card),
        _title(card),
        *_use(card),
        *_verdict(card["verdict"]),
        *_figures(card),
        *_dims(card),
        *_data(card),
        *_limits(card),
        "Made by embspec from the lock beside its spec, which has the digest of everything that went in.",
    ]
    return "\n\n".join(parts) + "\n"


def _front(card: Row) -> str:
    """Words of people are written as JSON, which YAML reads whatever they hold."""
    lines = ["library_name: sentence-transformers", "pipeline_tag: sentence-similarity"]
    if card["base"]["hub"]:
        lines.append(f"base_model: {json.dumps(card['base']['hub'])}")
    if card["name"]:
        lines.append(f"model_name: {json.dumps(card['name'], ensure_ascii=False)}")
    return "\n".join(["---", *lines, "tags:", *(f"- {tag}" for tag in _TAGS), "---"])


def _title(card: Row) -> str:
    name = text(card["name"] or "Embedding model") + (f" {text(card['version'])}" if card["version"] else "")
    base = card["base"]
    what = code(base["name"]) + (f" at revision {code(base['revision'])}" if base["revision"] else "")
    what += f" with the tokenizer {code(base['tokenizer'])}" if base["tokenizer"] else ""
    said = f"{text(card['description'])}\n\n" if card["description"] else ""
    return (f"# {name}\n\n{said}An embedding model for retrieval, tuned from {what} on one corpus and the questions "
            "that are asked of it.")


def _use(card: Row) -> list[str]:
    model = card["model"]
    lines = [f"- vectors are compared by {model['similarity'] or 'cosine'}"]
    for side, prompt in model["prompts"].items():
        lines.append(f"- before a {side} the model puts {code(prompt)}" if prompt
                     else f"- a {side} is read as it is, without a prompt")
    lines.append("- texts are read whole" if model["max_seq_length"] is None
                 else f"- of a text the first {model['max_seq_length']} tokens are read")
    return ["## Use", f"```python\n{_SNIPPET}\n```", "\n".join(lines),
            "Title and text of a document are joined by a blank before they are encoded."]


def _verdict(verdict: Row | None) -> list[str]:
    if verdict is None:
        return ["## Verdict\n\nNothing was judged: its spec has no gates."]
    rows = [[code(gate["gate"]), gate["verdict"], number(gate["value"]), span(gate), str(gate["n"])]
            for gate in verdict["gates"]]
    return [f"## Verdict: {verdict['verdict']}", _VERDICTS[verdict["verdict"]],
            table(["gate", "verdict", "value", "interval", "queries"], rows)]


def _figures(card: Row) -> list[str]:
    """Each system at its best form, and what ships as it ships."""
    rows, tests = card["metrics"], card["tests"]
    if not rows:
        return []
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    cells = {(form(row), row["metric"]): figure(row) for row in rows}
    lines = [[*names(each), *(cells[each, metric] for metric in metrics)] for each in dict.fromkeys(map(form, rows))]
    gains, honest = ([f"{row['metric']} {signed(row)}" for row in card[part] if row["system"] == TUNED]
                     for part in ("compared", "disjoint"))
    said = [f"Tuned against base, question by question: {', '.join(gains)}."] if gains else []
    if honest:
        said.append(f"On the {card['split']['disjoint']} of them that share nothing with training: "
                    f"{', '.join(honest)}.")
    return ["## Figures", f"On {tests['queries']} frozen test queries about {tests['clusters']} documents, with 95 % "
            "intervals:", table(["system", "dim", "precision", *metrics], lines), *said]


def _dims(card: Row) -> list[str]:
    """Which columns may be left out, and what was chosen to serve."""
    ships = card["ships"]
    lines = [f"What ships: {ships['dim']} dims in {ships['precision']}, ranked by {fusion(ships['fusion'])}."]
    kept = card["retention"]
    if not kept:
        return ["## Dimensions", *lines]
    metrics = list(dict.fromkeys(row["metric"] for row in kept))
    cells = {(row["dim"], row["metric"]): figure(row) for row in kept}
    rows: Sequence[Sequence[str]] = [
        [str(dim), *(cells[dim, metric] for metric in metrics)] for dim in dict.fromkeys(row["dim"] for row in kept)
    ]
    lines.append("The first columns of a vector may serve alone, at length 1 again. What they keep of the full "
                 "vector's figures:")
    return ["## Dimensions", *lines, table(["dim", *metrics], rows)]


def _data(card: Row) -> list[str]:
    """Counts, never texts: what a model was made from may not leave where it was made."""
    split = card["split"]
    leaks = (f"{split['leaking']} of {split['test']} test queries leak from training" if split["leaking"]
             else "no test query leaks from training")
    said = (f"{card['documents']} documents in the snapshot; {card['negatives']} hard negatives for the training "
            f"queries; {leaks}.")
    settings = [[code(name), code(_value(value))] for name, value in card["settings"].items()]
    return ["## Data", said, split_parts(split), "## Training", table(["setting", "value"], settings)]


def _value(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else json.dumps(value).strip('"')


def _limits(card: Row) -> list[str]:
    tests = card["tests"]
    lines = ["- What the figures say holds for this corpus and questions like these; other subjects and languages were "
             "not measured.",
             "- Vectors of this model cannot be compared with those of its base or of any other build."]
    if card["model"]["max_seq_length"] is not None:
        lines.append(f"- What stands behind the first {card['model']['max_seq_length']} tokens of a text is not read.")
    if tests["narrow"]:
        lines.append(f"- {tests['queries']} queries about {tests['clusters']} documents are few: the intervals are "
                     "narrower than they should be.")
    return ["## Limits", "\n".join(lines)]
