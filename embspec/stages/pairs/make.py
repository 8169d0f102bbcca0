"""One source of pairs: its queries with the documents of the snapshot that answer them."""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from embspec.plan.protocol import Desk, Made, Params, Progress, Tree
from embspec.stages.pairs.asked import Asked, Judgement
from embspec.stages.pairs.documents import ACCESS
from embspec.stages.pairs.fields import EXTRAS, Fields
from embspec.stages.pairs.headings import headings
from embspec.stages.pairs.merge import Query, merge
from embspec.stages.pairs.readers import read
from embspec.stages.pairs.resolve import Found, resolve
from embspec.stages.reading import Problems, check_found, count, line, listed, matches, some

NOT_FOUND = (
    "paths count from the folder of the spec that names them; a path to a folder is read as BEIR's: "
    "FOLDER/queries.jsonl and FOLDER/qrels/NAME.tsv"
)
PARTS = ("train", "validation", "test")  # such a role says where a query goes, and not who asks it


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write `pairs.jsonl`: a query in each line, in the order of ids."""
    tree: Tree = needs["live"]
    names = sorted(tree.names())
    documents: Path = needs["snapshot/documents.jsonl"]
    problems = Problems()
    desk.tell(Progress(f"reading the pairs of {params['name']}"))
    if params.get("pairs.from"):
        rows: Sequence[Asked] = headings(documents, f"pairs.{params['name']}.from", problems)
    else:
        rows = _read(params, tree, names, problems)
    resolved, found = resolve(rows, documents, f"pairs.{params['name']}", problems)
    merged = merge(resolved, problems)
    _check_seen(merged.queries, found, problems)
    problems.stop()
    source = str(params["name"])
    with open(out / "pairs.jsonl", "wb") as file:
        file.writelines(_line(query, source) for query in merged.queries)
    judged = [one for query in merged.queries for one in query.positives]
    stat = {
        "queries": len(merged.queries),
        "judgements": len(judged),
        "merged": merged.merged,
        "not_relevant": merged.not_relevant,
        **_anchored(judged),
    }
    return Made(stat=stat, counts={"files_read": len(names), "rows": len(rows)})


def _read(params: Params, tree: Tree, names: Sequence[str], problems: Problems) -> list[Asked]:
    """The rows of the source's files."""
    paths = listed(params["pairs.path"])
    form = _format(params, paths, names)
    fields = Fields(params, form, problems)
    if not paths:
        text = "this version makes pairs of files and of headings alone"
        problems.add("input.unsupported", text, None, "take the source out of the spec", f"pairs.{fields.source}")
        return []
    check_found(paths, names, fields.spec("path"), problems, NOT_FOUND)
    rows = list(read(tree, names, form, fields, problems))
    if rows:
        fields.check(problems)
    elif not problems.shown:
        text = f"no pair in {names[0] if len(names) == 1 else count(len(names), 'file')}"
        problems.add("input.empty", text, None, "add pairs, or take the source out of the spec", fields.spec("path"))
    return rows


def _format(params: Params, paths: Sequence[str], names: Sequence[str]) -> str:
    """The format as the spec says it; `auto` takes a path that is a folder for a BEIR folder."""
    form = str(params.get("pairs.format") or "auto")
    is_folder = bool(names) and not any(matches(path, name) for path in paths for name in names)
    return "beir" if form == "auto" and is_folder else form


def _check_seen(queries: Iterable[Query], found: Found, problems: Problems) -> None:
    """A positive that whoever asks may not see is a fault of the data: no system could ever find it rightly."""
    asked = [(one.where, one.document, query.extras["role"]) for query in queries
             if query.extras.get("role", PARTS[0]) not in PARTS for one in query.positives]
    for where, document, role in sorted(asked):
        roles = found.access.get(document)
        if roles is not None and role not in roles:
            text = f"{document!r} may not be seen by {role!r}, who asks this; its `{ACCESS}` is {some(roles)}"
            fix = f"correct the role of the query, its positive, or the document's `{ACCESS}`"
            problems.add("input.not-visible", text, where, fix)


def _anchored(judged: Iterable[Judgement]) -> dict[str, int]:
    """How many judgements are a place in a document, where there are any."""
    places = sum(one.start >= 0 for one in judged)
    return {"places": places} if places else {}


def _line(query: Query, source: str) -> bytes:
    """A query as a line of the artefact; places of files stay out, so that moved lines and files move nothing after."""
    row = {
        "id": query.id,
        "query": query.query,
        "positives": [_positive(one) for one in query.positives],
        **{role: query.extras[role] for role in EXTRAS if role in query.extras},
        "source": source,
    }
    return line(row)


def _positive(one: Judgement) -> dict[str, Any]:
    """A judgement; the characters of the document that it is about, where it was made of these: all where several."""
    anchor = {"start": one.start, "end": one.end} if one.start >= 0 else {}
    several = {"places": one.places} if one.places else {}
    return {"id": one.document, "grade": one.grade, **anchor, **several}
