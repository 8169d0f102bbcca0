"""Pairs: formats, merging, problems, and bytes that depend on nothing but the pairs."""
from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.errors import Problem
from embspec.plan.protocol import Made
from embspec.stages.pairs.fields import grade
from embspec.stages.pairs.make import make
from embspec.stages.reading import Problems, Where
from tests.support.trees import MemoryTree, brief, problems, run

PARAMS: dict[str, Any] = {"name": "gold", "pairs.path": "data/**", "pairs.format": "auto", "pairs.qrels": None}
DOCUMENTS = ("a", "b", "c", "7", "é.md")
Files = dict[str, "str | bytes"]


def spec(**params: Any) -> dict[str, Any]:
    """Parameters with some of them set, underscores for dots."""
    return {**PARAMS, **{"pairs." + name.replace("__", "."): value for name, value in params.items()}}


def needs(folder: Path, files: Files) -> dict[str, Any]:
    """A tree of files, and a snapshot with a few documents."""
    folder.mkdir(parents=True, exist_ok=True)
    documents = folder / "documents.jsonl"
    rows = ({"id": key, "title": "", "text": f"text of {key}", "document": None, "metadata": {}} for key in DOCUMENTS)
    documents.write_text(jsonl(*rows), "utf-8")
    tree = MemoryTree({f"data/{name}": data for name, data in files.items()})
    return {"live": tree, "snapshot/documents.jsonl": documents}


def written(folder: Path, files: Files, **params: Any) -> tuple[Made, list[dict[str, Any]]]:
    """What the make says, and the queries it writes."""
    made, out = run(make, folder, spec(**params), needs(folder, files))
    return made, [json.loads(line) for line in (out / "pairs.jsonl").read_text("utf-8").split("\n")[:-1]]


def faults(folder: Path, files: Files, **params: Any) -> tuple[Problem, ...]:
    """The problems that a source gives; no artefact is left behind."""
    found = problems(make, folder, spec(**params), needs(folder, files))
    assert not list((folder / "out").iterdir())
    return found


def jsonl(*rows: dict[str, Any]) -> str:
    """Rows as lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def test_golden_bytes(tmp_path: Path) -> None:
    """The artefact to the byte: fixed order of keys, queries and positives by id, what a row says and no more."""
    files: Files = {
        "x.jsonl": jsonl(
            {"query": " Wo? ", "positive": "a", "weight": 2, "session": 5, "group": "g", "note": "not ours"},
            {"id": "q1", "query": "who", "positives": [{"id": "c", "grade": 2}, {"id": 7}, "b"], "role": "admin",
             "filter": {"z": [1, True], "a": "x"}},
        ),
        "y.csv": "query,positive,id\nwas,b,q0\n",
    }
    tree = needs(tmp_path, files)
    made, out = run(make, tmp_path, spec(), tree)
    assert (out / "pairs.jsonl").read_text("utf-8") == (
        '{"id":"128576daf2a0cf6ded4d48a4ee9feff0","query":"Wo?","positives":[{"id":"a","grade":1}],'
        '"group":"g","session":"5","weight":2.0,"source":"gold"}\n'
        '{"id":"q0","query":"was","positives":[{"id":"b","grade":1}],"source":"gold"}\n'
        '{"id":"q1","query":"who","positives":[{"id":"7","grade":1},{"id":"b","grade":1},{"id":"c","grade":2}],'
        '"filter":{"a":"x","z":[1,true]},"role":"admin","source":"gold"}\n'
    )
    assert made.stat == {"queries": 3, "judgements": 5, "merged": 0, "not_relevant": 0}
    assert made.counts == {"files_read": 2, "rows": 3}
    assert sorted(tree["live"].opened) == sorted(tree["live"].names())


def test_id_is_a_digest_of_the_words(tmp_path: Path) -> None:
    """Without an id of its own a query has the digest of its text, spaces and Unicode form aside."""
    _, rows = written(tmp_path, {"x.jsonl": jsonl({"query": "de\u0301but  du\nmot", "positive": "a"})})
    assert rows[0]["id"] == xxhash.xxh3_128_hexdigest("début du mot".encode())
    assert rows[0]["query"] == "début  du\nmot"


def test_order_of_files_and_lines_is_nothing(tmp_path: Path) -> None:
    """The same pairs in other files, lines and orders give the same bytes."""
    rows: list[dict[str, Any]] = [{"query": f"q {n % 20}", "positive": DOCUMENTS[n % 3]} for n in range(30)]
    rows += [{"query": "q  3", "positive": "7", "group": "g"}, {"query": "q 5", "positive": "7", "id": "five"}]
    seen = set()
    for seed in range(5):
        random.Random(seed).shuffle(rows)
        files: Files = {f"{seed + start}.jsonl": jsonl(*rows[start::3]) for start in range(3)}
        _, out = run(make, tmp_path / str(seed), spec(), needs(tmp_path / str(seed), files))
        seen.add((out / "pairs.jsonl").read_bytes())
    assert len(seen) == 1


def test_the_same_question_twice_is_one_query(tmp_path: Path) -> None:
    """Rows of one question are merged, whatever their spaces and ids; the smallest id stays, and the count is told."""
    files: Files = {
        "x.jsonl": jsonl(
            {"query": "who is it", "positive": "a", "id": "q9"},
            {"query": "who  is it ", "positive": ["b", "a"]},
            {"query": "who is it", "positive": "c", "id": "q2", "group": "g"},
            {"query": "Who is it", "positive": "a"},
        )
    }
    made, rows = written(tmp_path, files)
    merged = next(row for row in rows if row["id"] == "q2")
    assert merged["query"] == "who  is it" and merged["group"] == "g"
    assert [one["id"] for one in merged["positives"]] == ["a", "b", "c"]
    assert made.stat["queries"] == 2 and made.stat["merged"] == 2


@pytest.mark.parametrize(
    ("times", "newest"),
    [
        (["2026-03-01", "2026-02-28"], "2026-03-01"),
        ([1772323200, 999999999], "1772323200"),
        (["2026-03-01T00:30:00+02:00", "2026-02-28T23:00:00Z"], "2026-02-28T23:00:00Z"),
        (["2025-12-31", 1772323200], "1772323200"),
        (["soon", "2025-12-31"], "2025-12-31"),
    ],
)
def test_a_question_is_as_new_as_its_last_time(times: list[Any], newest: str, tmp_path: Path) -> None:
    """Times are compared as times, in whatever form each row has its own."""
    rows = [{"query": "q", "positive": "a", "asked": when} for when in times]
    needed = needs(tmp_path, {"x.jsonl": jsonl(*rows)})
    _, out = run(make, tmp_path, {**PARAMS, "split.time_column": "asked"}, needed)
    assert json.loads((out / "pairs.jsonl").read_text())["time"] == newest


def test_another_filter_or_role_is_another_query(tmp_path: Path) -> None:
    """The same words asked under another filter or role are a query of their own, with an id of its own."""
    files: Files = {
        "x.jsonl": jsonl(
            {"query": "who", "positive": "a"},
            {"query": "who", "positive": "b", "filter": {"x": 1, "y": 2}},
            {"query": "who", "positive": "c", "filter": {"y": 2, "x": 1}},
            {"query": "who", "positive": "a", "role": "admin"},
        )
    }
    made, rows = written(tmp_path, files)
    assert len({row["id"] for row in rows}) == 3 and made.stat["merged"] == 1


def test_names_of_fields(tmp_path: Path) -> None:
    """The spec's names of fields are taken instead of ours: an FAQ table is a csv with other names."""
    files: Files = {"faq.csv": "question,chunk_id,answer,filter\nwhy?,a,because,\nhow?,b,so,\"{\"\"d\"\": 1}\"\n"}
    _, rows = written(tmp_path, files, fields__query="question", fields__positive="chunk_id")
    assert {row["query"]: row.get("filter") for row in rows} == {"why?": None, "how?": {"d": 1}}


def test_csv_rows_merge_and_carry_grades(tmp_path: Path) -> None:
    """A table has one positive in each row; an id with a semicolon in it is one id."""
    files: Files = {"x.tsv": "query\tpositive\tgrade\tweight\nq\ta\t2\t0.5\nq\tb\t\t0.5\n"}
    made, rows = written(tmp_path, files)
    assert rows[0]["positives"] == [{"id": "a", "grade": 2}, {"id": "b", "grade": 1}]
    assert rows[0]["weight"] == 0.5 and made.stat["merged"] == 1
    found = faults(tmp_path / "2", {"x.csv": "query,positive\nq,a;b\n"})
    assert brief(found) == [("input.dangling", "data/x.csv:2")]


def test_grade_nought_is_dropped_and_counted(tmp_path: Path) -> None:
    """A document judged not relevant is like one without judgement; how many there were is told."""
    row = {"query": "q", "positives": [{"id": "a", "grade": 1.0}, {"id": "b", "grade": 0}, {"id": "gone", "grade": -2}]}
    made, rows = written(tmp_path, {"x.jsonl": jsonl(row)})
    assert rows[0]["positives"] == [{"id": "a", "grade": 1}]
    assert made.stat["judgements"] == 1 and made.stat["not_relevant"] == 2


def test_path_ids_in_another_unicode_form(tmp_path: Path) -> None:
    """A positive that names a file in decomposed Unicode, as some systems list it, is found."""
    _, rows = written(tmp_path, {"x.jsonl": jsonl({"query": "q", "positive": ["e\u0301.md", "é.md"]})})
    assert rows[0]["positives"] == [{"id": "é.md", "grade": 1}]


BEIR: Files = {
    "set/queries.jsonl": jsonl({"_id": "1", "text": "one"}, {"id": 2, "text": "two", "role": "x"}, {"_id": "3"}),
    "set/qrels/test.tsv": "query-id\tcorpus-id\tscore\n1\ta\t1\n1\tb\t0\n2\tc\t2\n2\ta\t1\n",
}


def test_beir_folder(tmp_path: Path) -> None:
    """Texts of queries.jsonl and one table of judgements; queries without judgements belong to other tables."""
    made, rows = written(tmp_path, BEIR, path="data/set", qrels="test")
    assert [(row["id"], row["query"], row["positives"]) for row in rows] == [
        ("1", "one", [{"id": "a", "grade": 1}]),
        ("2", "two", [{"id": "a", "grade": 1}, {"id": "c", "grade": 2}]),
    ]
    assert made.stat == {"queries": 2, "judgements": 3, "merged": 0, "not_relevant": 1}
    assert made.counts == {"files_read": 2, "rows": 2}


def test_judgements_without_header_or_with_windows_line_ends(tmp_path: Path) -> None:
    """The header may be missing, and line ends may be Windows'."""
    expected = written(tmp_path / "1", BEIR, path="data/set", qrels="test")[1]
    bare = str(BEIR["set/qrels/test.tsv"]).partition("\n")[2]
    for number, table in enumerate((bare, bare.replace("\n", "\r\n"), bare.replace("\t1\n", "\t1.0\n") + "\n")):
        files = {**BEIR, "set/qrels/test.tsv": table}
        assert written(tmp_path / f"b{number}", files, path="data/set", qrels="test")[1] == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"set/qrels/test.tsv": "1\ta\t1\n9\ta\t1\n9\tb\t1\n"}, [("input.unknown-query", "data/set/qrels/test.tsv:2")]),
        ({"set/qrels/test.tsv": "1\ta\t1\n1 b 1\n"}, [("input.row", "data/set/qrels/test.tsv:2")]),
        ({"set/qrels/test.tsv": "1\ta\t1\n2\tb\tyes\n"}, [("input.grade", "data/set/qrels/test.tsv:2")]),
        ({"set/qrels/test.tsv": "1\ta\t1\n\tb\t1\n"}, [("input.id", "data/set/qrels/test.tsv:2")]),
        ({"set/qrels/test.tsv": "1\ta\t0\n"}, [("input.no-positive", "data/set/queries.jsonl:1")]),
        ({"set/qrels/test.tsv": "1\ta\t1\n1\tx\t1\n"}, [("input.dangling", "data/set/qrels/test.tsv:2")]),
        ({"set/qrels/test.tsv": "1\ta\t1\n1\ta\t2\n"}, [("input.conflict", "data/set/qrels/test.tsv:2")]),
        ({"set/qrels/test.tsv": "query-id\tcorpus-id\tscore\n"}, [("input.empty", "pairs.gold.path")]),
        ({"set/qrels/dev.tsv": "1\ta\t1\n"}, [("input.qrels", "pairs.gold.qrels")]),
        (
            {"set/queries.jsonl": '{"_id": "1", "text": "x"}\n{"_id": "1", "text": "y"}\n{"_id": "2", "text": "z"}\n'},
            [("input.duplicate", "data/set/queries.jsonl:2")],
        ),
        (
            {"set/queries.jsonl": '{"_id": "1", "text": ""}\n{"_id": "2"}\n{"text": "z"}\n'},
            [
                ("input.empty-query", "data/set/queries.jsonl:1"),
                ("input.field", "data/set/queries.jsonl:2"),
                ("input.field", "data/set/queries.jsonl:3"),
            ],
        ),
    ],
)
def test_problems_of_a_beir_folder(files: Files, expected: list[tuple[str, str]], tmp_path: Path) -> None:
    """What is wrong with a BEIR folder is told by code and place."""
    assert brief(faults(tmp_path, {**BEIR, **files}, path="data/set", qrels="test")) == expected


def test_parts_of_a_beir_folder_that_are_missing(tmp_path: Path) -> None:
    """Queries or table missing, or no word which table: told at the field of the spec."""
    texts = {"set/queries.jsonl": BEIR["set/queries.jsonl"]}
    table = {"set/qrels/test.tsv": BEIR["set/qrels/test.tsv"]}
    found = faults(tmp_path, texts, path="data/set/", qrels="tset")
    assert brief(found) == [("input.missing", "pairs.gold.qrels")] and "qrels/tset.tsv" in found[0].text
    assert brief(faults(tmp_path, table, path="data/set/", qrels="test")) == [("input.missing", "pairs.gold.path")]
    assert brief(faults(tmp_path, texts, path="data/set/")) == [("input.qrels", "pairs.gold.qrels")]


def test_judgements_of_one_folder_are_not_of_anothers_queries(tmp_path: Path) -> None:
    """A pattern that meets two BEIR folders is refused: ids are those of their own folder."""
    files: Files = {**BEIR, "other/queries.jsonl": BEIR["set/queries.jsonl"]}
    found = faults(tmp_path, files, path="data/*", qrels="test", format="beir")
    assert brief(found) == [("input.qrels", "pairs.gold.path")] and "data/other/queries.jsonl" in found[0].text


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ('{"query": "q" "positive": "a"}', "input.json"),
        ('{"qurey": "q", "positive": "a"}', "input.field"),
        ('{"query": "q", "postive": "a"}', "input.field"),
        ('{"query": " ", "positive": "a"}', "input.empty-query"),
        ('{"query": 5, "positive": "a"}', "input.type"),
        ('{"query": "\\ud83d", "positive": "a"}', "input.encoding"),
        ('{"query": "q", "positive": []}', "input.no-positive"),
        ('{"query": "q", "positives": []}', "input.no-positive"),
        ('{"query": "q", "positives": [{"id": "a", "grade": 0}]}', "input.no-positive"),
        ('{"query": "q", "positives": "a"}', "input.type"),
        ('{"query": "q", "positives": [{"grade": 1}]}', "input.field"),
        ('{"query": "q", "positive": "a", "positives": ["b"]}', "input.conflict"),
        ('{"query": "q", "positive": ""}', "input.id"),
        ('{"query": "q", "positive": [["a"]]}', "input.id"),
        ('{"query": "q", "positive": "a", "id": "x\\ny"}', "input.id"),
        ('{"query": "q", "positive": "a", "id": true}', "input.id"),
        ('{"query": "q", "positives": [{"id": "a", "grade": 0.5}]}', "input.grade"),
        ('{"query": "q", "positives": [{"id": "a", "grade": 31}]}', "input.grade"),
        ('{"query": "q", "positives": [{"id": "a", "grade": true}]}', "input.grade"),
        ('{"query": "q", "positive": "a", "weight": 0}', "input.type"),
        ('{"query": "q", "positive": "a", "weight": "heavy"}', "input.type"),
        ('{"query": "q", "positive": "a", "weight": 1' + "0" * 400 + "}", "input.type"),
        ('{"query": "q", "positive": "a", "filter": "dept"}', "input.type"),
        ('{"query": "q", "positive": "a", "filter": {"a": {"b": 1}}}', "input.type"),
        ('{"query": "q", "positive": "a", "role": ["x"]}', "input.type"),
        ('{"query": "q", "quote": "the words"}', "input.quote"),
        ('{"query": "q", "quote": ""}', "input.field"),
        ('{"query": "q", "quote": ["text of a", 5]}', "input.type"),
        ('{"query": "q", "positive": "a", "quote": "other words"}', "input.quote"),
        ('{"query": "q", "positive": ["a", "b"], "quote": "text of"}', "input.conflict"),
        ('{"query": "q", "positive": "z", "quote": "text of"}', "input.dangling"),
        ('{"query": "q", "span": [1, 2]}', "input.span"),
        ('{"query": "q", "span": "a#5-4"}', "input.span"),
        ('{"query": "q", "span": "a#0-10"}', "input.span"),
        ('{"query": "q", "span": "z#0-10"}', "input.dangling"),
        ('{"query": "q", "span": {"document": "a", "start": 1}}', "input.field"),
        ('{"query": "q", "span": "a#0-4", "positive": "a"}', "input.conflict"),
        ('{"query": "q", "positive": "nowhere"}', "input.dangling"),
    ],
)
def test_each_problem_of_a_row_has_code_and_line(row: str, code: str, tmp_path: Path) -> None:
    """What is wrong with a row is told by code, with file and line."""
    found = faults(tmp_path, {"x.jsonl": jsonl({"query": "fine", "positive": "a"}) + row})
    assert [problem.code for problem in found] == [code]
    assert found[0].where is not None and found[0].where[:2] == ("data/x.jsonl", 2)


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    """A query in another encoding is told with line and column."""
    found = faults(tmp_path, {"x.csv": "query,positive\ncafé,a\n".encode("latin-1")})
    assert brief(found) == [("input.encoding", "data/x.csv:2:4")]


def test_dangling_positives_are_told_all_at_once(tmp_path: Path) -> None:
    """Each positive that the snapshot lacks is told with its line, the nearest id, and the way to move the snapshot."""
    rows = [{"query": f"q{n}", "positive": ["a", f"lost{n}"]} for n in range(24)]
    found = faults(tmp_path, {"x.jsonl": jsonl({"query": "q", "positive": "é.mb"}, *rows)})
    assert brief(found)[:20] == [("input.dangling", f"data/x.jsonl:{n + 1}") for n in range(20)]
    assert found[20].code == "input.more" and "5 more" in found[20].text
    assert "did you mean 'é.md'?" in found[0].fix and "--retrain" in found[0].fix
    assert "'lost3'" in found[4].text and "did you mean" not in found[4].fix


def test_contradictions_name_both_places(tmp_path: Path) -> None:
    """An id of two queries, two grades for one document, two groups for one query: told with both places."""
    files: Files = {
        "x.jsonl": jsonl(
            {"id": "q", "query": "one", "positive": "a", "group": "g"},
            {"id": "q", "query": "two", "positive": "a"},
            {"query": "one", "positive": "a", "grade": 2},
            {"query": "one", "positive": "b", "group": "h"},
        )
    }
    found = faults(tmp_path, files)
    assert brief(found) == [
        ("input.duplicate", "data/x.jsonl:2"),
        ("input.conflict", "data/x.jsonl:3"),
        ("input.conflict", "data/x.jsonl:4"),
    ]
    assert all("data/x.jsonl:1" in problem.text for problem in found)


def test_names_in_the_spec_that_cannot_be(tmp_path: Path) -> None:
    """A field that no row has, and one that pairs do not know: told at the spec's field."""
    files: Files = {"x.jsonl": jsonl({"query": "q", "positive": "a", "grp": 1})}
    found = faults(tmp_path, files, fields__group="gruop", fields__positve="positive")
    assert [(problem.code, problem.field) for problem in found] == [
        ("input.field", "pairs.gold.fields.positve"),
        ("input.field", "pairs.gold.fields.group"),
    ]
    assert "did you mean 'positive'" in found[0].fix


def test_no_pairs(tmp_path: Path) -> None:
    """No file, an empty file, and a file of another kind: each is told."""
    assert brief(faults(tmp_path, {}, path="data/x.jsonl")) == [("input.missing", "pairs.gold.path")]
    assert brief(faults(tmp_path, {"x.jsonl": "\n"})) == [("input.empty", "pairs.gold.path")]
    assert brief(faults(tmp_path, {"x.parquet": "PAR1"})) == [("input.format", "data/x.parquet")]


def test_format_outranks_the_ending(tmp_path: Path) -> None:
    """A format that the spec names is taken whatever the file is called."""
    _, rows = written(tmp_path, {"x.txt": "query,positive\nq,a\n"}, format="csv")
    assert [row["query"] for row in rows] == ["q"]


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.one_of(st.integers(), st.floats(), st.text(max_size=6), st.booleans(), st.none()))
def test_a_grade_is_a_number_or_a_problem(value: Any) -> None:
    """Whatever stands where a grade should gives a whole number from 0 to 30, or one problem; never a traceback."""
    collected = Problems()
    found = grade(value, Where("a", 1), collected)
    assert (found is None) == (len(collected.shown) == 1)
    assert found is None or 0 <= found <= 30


def test_real_set(tmp_path: Path) -> None:
    """SciFact's 300 test claims are read as published."""
    folder = os.environ.get("EMBSPEC_BENCH_DATA")
    if not folder:
        pytest.skip("EMBSPEC_BENCH_DATA is unset")
    at = Path(folder) / "scifact"
    files: Files = {f"scifact/{name}": (at / name).read_bytes() for name in ("queries.jsonl", "qrels/test.tsv")}
    given = needs(tmp_path, files)
    given["snapshot/documents.jsonl"].write_bytes((at / "corpus.jsonl").read_bytes())
    made, _ = run(make, tmp_path, spec(path="data/scifact", qrels="test"), given)
    assert made.stat == {"queries": 300, "judgements": 339, "merged": 0, "not_relevant": 0}
