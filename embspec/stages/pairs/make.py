"""One source of pairs: its queries with the documents of the snapshot that answer them."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from embspec.plan.protocol import Desk, Made, Params, Progress, Tree
from embspec.stages.pairs.fields import EXTRAS, Fields
from embspec.stages.pairs.merge import Query, merge
from embspec.stages.pairs.readers import Asked, Judgement, read
from embspec.stages.reading import Problems, check_found, count, line, listed, matches, nfc

EXAMPLES = 5
NOT_FOUND = (
    "paths count from the folder of the spec that names them; a path to a folder is read as BEIR's: "
    "FOLDER/queries.jsonl and FOLDER/qrels/NAME.tsv"
)


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write `pairs.jsonl`: a query in each line, in the order of ids."""
    tree: Tree = needs["live"]
    names = sorted(tree.names())
    paths = listed(params["pairs.path"])
    form = _format(params, paths, names)
    problems = Problems()
    fields = Fields(params, form, problems)
    check_found(paths, names, fields.spec("path"), problems, NOT_FOUND)
    desk.tell(Progress(f"reading the pairs of {fields.source}"))
    known = _ids(needs["snapshot/manifest"])
    rows = [_spelt(asked, known) for asked in read(tree, names, form, fields, problems)]
    if rows:
        fields.check(problems)
    elif not problems.shown:
        text = f"no pair in {count(len(names), 'file')}"
        problems.add("input.empty", text, None, "add pairs, or take the source out of the spec", fields.spec("path"))
    merged = merge(rows, problems)
    judgements = [judgement for query in merged.queries for judgement in query.positives]
    _check_there(judgements, known, fields, problems)
    problems.stop()
    with open(out / "pairs.jsonl", "wb") as file:
        file.writelines(_line(query, fields.source) for query in merged.queries)
    stat = {
        "queries": len(merged.queries),
        "judgements": len(judgements),
        "merged": merged.merged,
        "not_relevant": merged.not_relevant,
    }
    return Made(stat=stat, counts={"files_read": len(names), "rows": len(rows)})


def _format(params: Params, paths: Sequence[str], names: Sequence[str]) -> str:
    """The format as the spec says it; `auto` takes a path that is a folder for a BEIR folder."""
    form = str(params.get("pairs.format") or "auto")
    is_folder = bool(names) and not any(matches(path, name) for path in paths for name in names)
    return "beir" if form == "auto" and is_folder else form


def _ids(manifest: Path) -> set[str]:
    """The ids of the snapshot's documents."""
    with open(manifest, encoding="utf-8", newline="\n") as file:
        return {line.partition("\t")[0] for line in file}


def _spelt(asked: Asked, known: set[str]) -> Asked:
    """A row with its documents spelt as the snapshot spells them: the id of a file is its path in composed Unicode."""
    if all(one.document in known for one in asked.judgements):
        return asked
    spelt = [one if one.document in known else one._replace(document=nfc(one.document)) for one in asked.judgements]
    return asked._replace(judgements=spelt)


def _check_there(judgements: Sequence[Judgement], known: set[str], fields: Fields, problems: Problems) -> None:
    """A positive that the snapshot lacks is a problem: such a query could not be scored, or not fairly."""
    lost = sorted((one for one in judgements if one.document not in known), key=lambda one: one.where)
    if not lost:
        return
    examples = ", ".join(f"{one.document!r} ({one.where})" for one in lost[:EXAMPLES])
    rest = f" and {len(lost) - EXAMPLES} more" if len(lost) > EXAMPLES else ""
    text = f"of {count(len(judgements), 'positive')} the snapshot of the corpus lacks {len(lost)}: {examples}{rest}"
    fix = (
        "correct the ids; pairs see the snapshot, not the live documents: "
        "`embspec build --retrain` moves it to those"
    )
    problems.add("input.dangling", text, lost[0].where, fix, fields.spec("path"))


def _line(query: Query, source: str) -> bytes:
    """A query as a line of the artefact; places stay out of it, so that moved lines and files move nothing after."""
    row = {
        "id": query.id,
        "query": query.query,
        "positives": [{"id": one.document, "grade": one.grade} for one in query.positives],
        **{role: query.extras[role] for role in EXTRAS if role in query.extras},
        "source": source,
    }
    return line(row)
