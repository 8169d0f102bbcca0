"""A BEIR folder: the texts of its queries, and the judgements of one published split."""
from __future__ import annotations

from collections.abc import Iterator, Sequence

from embspec.errors import Where
from embspec.plan.protocol import Tree
from embspec.stages.pairs.asked import Asked, Judgement, asked, plain_rows
from embspec.stages.pairs.fields import Fields, grade
from embspec.stages.reading import Problems, count, identifier, json_rows, lacks_field, lines, pick, some


def read_beir(tree: Tree, names: Sequence[str], fields: Fields, problems: Problems) -> Iterator[Asked]:
    """A BEIR folder: texts from queries.jsonl, judgements from one table under qrels/."""
    texts = [name for name in names if name.rpartition("/")[2] == "queries.jsonl"]
    tables = [name for name in names if name not in texts]
    if not texts:
        problems.add("input.missing", "this BEIR folder has no queries.jsonl", field=fields.spec("path"))
    if len(tables) != 1 and (tables or not fields.qrels):
        text = f"which judgements? there are {some(tables)}" if tables else "which judgements?"
        fix = "name a table under qrels/, without its ending, as `qrels`"
        problems.add("input.qrels", text, None, fix, fields.spec("qrels"))
    elif not tables:
        fix = "name a table that is under qrels/, without its ending"
        text = f"this BEIR folder has no qrels/{fields.qrels}.tsv"
        problems.add("input.missing", text, None, fix, fields.spec("qrels"))
    if len(texts) > 1:
        text, fix = f"several BEIR folders: {some(texts)}", "name one folder; each is a source of its own"
        problems.add("input.qrels", text, None, fix, fields.spec("path"))
    if len(texts) != 1 or len(tables) != 1:
        return
    judged: dict[str, list[Judgement]] = {}
    for query, judgement in _qrels(tree, tables[0], problems):
        judged.setdefault(query, []).append(judgement)
    yield from _beir_queries(tree, texts[0], judged, fields, problems)
    for query, rest in sorted(judged.items(), key=lambda item: item[1][0].where):
        text = f"the query {query!r} is not in {texts[0]}"
        problems.add("input.unknown-query", text, rest[0].where, "add the query, or take its judgements out")


def _beir_queries(
    tree: Tree, name: str, judged: dict[str, list[Judgement]], fields: Fields, problems: Problems
) -> Iterator[Asked]:
    """The queries that have judgements, each taken out of `judged`; the others belong to another table."""
    met: dict[str, int] = {}
    for row in plain_rows(json_rows(tree, name, problems), fields):
        given = pick(row, fields.id)
        if given is None:
            lacks_field(fields.id, row.values, row.where, problems)
            continue
        query = identifier(given, row.where, problems)
        if query is None:
            continue
        if query in met:
            text = f"the id {query!r} is that of {Where(name, met[query])} too"
            problems.add("input.duplicate", text, row.where, "give each query an id of its own")
            continue
        met[query] = row.where.line
        if query in judged:
            found = asked(row, fields, judged.pop(query), problems)
            if found is not None:
                yield found


def _qrels(tree: Tree, name: str, problems: Problems) -> Iterator[tuple[str, Judgement]]:
    """Query and judgement of each row of a table with tabs; a first row without a number is its header."""
    for number, line in enumerate(lines(tree, name, problems), 1):
        cells = line.rstrip("\n").split("\t")
        if line.isspace() or (number == 1 and len(cells) == 3 and not any(sign.isdigit() for sign in cells[2])):
            continue
        where = Where(name, number)
        if len(cells) != 3:
            text = f"{count(len(cells), 'cell')} where three are expected: query-id, corpus-id and score"
            problems.add("input.row", text, where, "separate them by tabs")
            continue
        query = identifier(cells[0], where, problems, "query-id")
        document = identifier(cells[1], where, problems, "corpus-id")
        graded = grade(cells[2], where, problems)
        if query is not None and document is not None and graded is not None:
            yield query, Judgement(document, graded, where)
