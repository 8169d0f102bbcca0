"""The corpus: formats, problems, and bytes that depend on nothing but the documents."""
from __future__ import annotations

import json
import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import xxhash

from embspec.errors import Problem
from embspec.stages import reading
from embspec.stages.corpus.make import make
from tests.support.trees import MemoryTree, brief, problems, run

PARAMS: dict[str, Any] = {
    "corpus.path": ["**/*"],
    "corpus.fields.id": None,
    "corpus.fields.text": None,
    "corpus.fields.title": None,
    "corpus.fields.document": None,
    "corpus.metadata": [],
    "corpus.normalize": "nfc",
}
Files = dict[str, "str | bytes"]


def built(folder: Path, files: Files, **params: Any) -> list[dict[str, Any]]:
    """The documents that a tree gives."""
    _, out = run(make, folder, spec(**params), {"live": MemoryTree(files)})
    return [json.loads(line) for line in (out / "documents.jsonl").read_text("utf-8").split("\n")[:-1]]


def faults(folder: Path, files: Files, **params: Any) -> tuple[Problem, ...]:
    """The problems that a tree gives; no artefact is left behind."""
    found = problems(make, folder, spec(**params), {"live": MemoryTree(files)})
    assert not list((folder / "out").iterdir())
    return found


def spec(**params: Any) -> dict[str, Any]:
    """Parameters with some of them set, underscores for dots."""
    return {**PARAMS, **{"corpus." + name.replace("__", "."): value for name, value in params.items()}}


def jsonl(*rows: dict[str, Any]) -> str:
    """Rows as lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def test_golden_bytes(tmp_path: Path) -> None:
    """Both artefacts to the byte: fixed order of keys, order of ids by code point, declared metadata alone."""
    tree = MemoryTree(
        {
            "b.jsonl": '{"text": "zwei", "_id": "b", "lang": "de", "other": 1}\n'
            '{"id": 10, "title": "Ten", "text": "x"}',
            "a.csv": 'id,title,text,lang\nB,"T, t",one,en\n',
            "docs/é.md": "---\nlang: [fr, en]\n---\n# Début\n\nTexte.\n",
        }
    )
    made, out = run(make, tmp_path, spec(metadata=["lang"]), {"live": tree})
    assert (out / "documents.jsonl").read_text("utf-8") == (
        '{"id":"10","title":"Ten","text":"x","document":null,"metadata":{}}\n'
        '{"id":"B","title":"T, t","text":"one","document":null,"metadata":{"lang":"en"}}\n'
        '{"id":"b","title":"","text":"zwei","document":null,"metadata":{"lang":"de"}}\n'
        '{"id":"docs/é.md","title":"Début","text":"# Début\\n\\nTexte.","document":null,'
        '"metadata":{"lang":["fr","en"]}}\n'
    )
    assert (out / "manifest").read_text("utf-8") == (
        "10\t90dd68724b64c4ad391e8ea88552e567\n"
        "B\tc6d0a7bf2910cf10e19ba82c53eca5c2\n"
        "b\tc2522c4bfb1862c5020ad209e2bf7647\n"
        "docs/é.md\t9466c2afc1204d094ecfcdf3206edbc4\n"
    )
    assert made.stat == {"documents": 4}
    assert made.counts == {"files_read": 3, "rows": 4}
    assert sorted(tree.opened) == sorted(tree.names())


def test_manifest_digest_is_of_title_and_text(tmp_path: Path) -> None:
    """The second column is xxh3_128 of title, a zero byte and text: metadata do not move it."""
    tree = MemoryTree({"a.jsonl": jsonl({"id": "a", "title": "T", "text": "x"})})
    _, out = run(make, tmp_path, spec(), {"live": tree})
    assert (out / "manifest").read_text() == f"a\t{xxhash.xxh3_128_hexdigest(b'T' + bytes(1) + b'x')}\n"


def test_order_of_files_and_lines_is_nothing(tmp_path: Path) -> None:
    """The same documents in other files, lines and orders of names give the same bytes."""
    rows = [{"_id": f"d{n}", "title": f"t{n}", "text": f"text {n} é"} for n in range(40)]
    seen = set()
    for seed in range(5):
        random.Random(seed).shuffle(rows)
        files = {f"{name}.jsonl": jsonl(*rows[start::3]) for name, start in (("c", 0), ("a", 1), ("b", 2))}
        _, out = run(make, tmp_path / str(seed), spec(), {"live": MemoryTree(files)})
        seen.add((out / "documents.jsonl").read_bytes() + (out / "manifest").read_bytes())
    assert len(seen) == 1


def test_names_of_fields(tmp_path: Path) -> None:
    """The spec's names of fields are taken instead of ours, in jsonl and in csv."""
    names = {"fields__id": "key", "fields__text": "body", "fields__title": "head", "fields__document": "parent"}
    row = {"key": "k1", "body": "b", "head": "h", "parent": 7, "id": "no", "text": "no", "title": "no"}
    files: Files = {"a.jsonl": jsonl(row, {"key": "k2", "body": "b"}), "b.tsv": "key\tbody\thead\tparent\nk3\tb\t\t\n"}
    assert built(tmp_path, files, **names) == [
        {"id": "k1", "title": "h", "text": "b", "document": "7", "metadata": {}},
        {"id": "k2", "title": "", "text": "b", "document": None, "metadata": {}},
        {"id": "k3", "title": "", "text": "b", "document": None, "metadata": {}},
    ]


def test_metadata(tmp_path: Path) -> None:
    """Declared metadata alone, sorted, from the row or from its `metadata` mapping; empty ones are left out."""
    files: Files = {
        "a.jsonl": jsonl(
            {"id": "1", "text": "x", "metadata": {"b": [1, "é"], "c": 1}, "a": True},
            {"id": "2", "text": "x", "b": 0.5, "metadata": {"b": 2}, "a": None},
            {"id": "3", "text": "x", "b": "", "metadata": None},
        )
    }
    found = built(tmp_path, files, metadata=["b", "a"])
    assert [document["metadata"] for document in found] == [{"a": True, "b": [1, "é"]}, {"b": 0.5}, {}]
    assert list(found[0]["metadata"]) == ["a", "b"]


def test_normalising(tmp_path: Path) -> None:
    """Composed Unicode by default, as written with `none`; the id of a file is composed either way."""
    files: Files = {"e\u0301.md": "# E\u0301\n", "a.jsonl": jsonl({"id": "e\u0301", "text": "e\u0301"})}
    found = built(tmp_path, files)
    assert [(d["id"], d["title"], d["text"]) for d in found] == [("e\u0301", "", "é"), ("é.md", "É", "# É")]
    found = built(tmp_path, files, normalize="none")
    assert [d["text"] for d in found] == ["e\u0301", "# E\u0301"]


def test_beir_folder(tmp_path: Path) -> None:
    """A path to a folder is BEIR's: its corpus.jsonl, ids under `_id`."""
    files: Files = {"data/set/corpus.jsonl": jsonl({"_id": "MED-1", "title": "T", "text": "x", "metadata": {}})}
    assert [d["id"] for d in built(tmp_path, files, path=["data/set"])] == ["MED-1"]


def test_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    """A checkout with other line ends, or an editor that adds a byte order mark, leaves the bytes as they are."""
    text = "---\ntitle: A\n---\n\n# B\n\ntext\n"
    plain = built(tmp_path / "1", {"a.md": text})
    other = built(tmp_path / "2", {"a.md": b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()})
    assert plain == other == [{"id": "a.md", "title": "A", "text": "# B\n\ntext", "document": None, "metadata": {}}]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a.jsonl": '{"id": "1", "text": "x"}\n{"id": "2" "text": "x"}\n'}, [("input.json", "a.jsonl:2:12")]),
        ({"a.jsonl": b'{"id": "1", "text": "x\xff"}\n'}, [("input.encoding", "a.jsonl:1:23")]),
        ({"a.md": b"caf\xe9"}, [("input.encoding", "a.md")]),
        ({"a.jsonl": '{"id": "1", "txet": "x"}\n'}, [("input.field", "a.jsonl:1")]),
        ({"a.jsonl": '{"text": "x"}\n'}, [("input.field", "a.jsonl:1")]),
        ({"a.csv": "id;text\n1;x\n"}, [("input.delimiter", "a.csv:1")]),
        ({"a.csv": "id,text\n1\n"}, [("input.row", "a.csv:2")]),
        ({"a.jsonl": '{"id": "1", "text": " \\n"}\n'}, [("input.empty-text", "a.jsonl:1")]),
        ({"a.csv": "id,text\n1,\n"}, [("input.empty-text", "a.csv:2")]),
        ({"a.md": "---\ntitle: only\n---\n"}, [("input.empty-text", "a.md")]),
        ({"a.jsonl": '{"id": "1", "text": 5}\n'}, [("input.type", "a.jsonl:1")]),
        ({"a.jsonl": '{"id": "1", "text": "x", "title": []}\n'}, [("input.type", "a.jsonl:1")]),
        ({"a.jsonl": '{"id": "a\\tb", "text": "x"}\n'}, [("input.id", "a.jsonl:1")]),
        ({"a.jsonl": '{"id": "a\\ud800", "text": "x"}\n'}, [("input.id", "a.jsonl:1")]),
        ({"a.jsonl": '{"id": " ", "text": "x"}\n'}, [("input.id", "a.jsonl:1")]),
        ({"a.jsonl": '{"id": 1.5, "text": "x"}\n'}, [("input.id", "a.jsonl:1")]),
        ({"a.jsonl": '{"id": "1", "text": "\\ud800"}\n'}, [("input.encoding", "a.jsonl:1")]),
        ({"a.png": b"\x89PNG", "b.jsonl": '{"id": "1", "text": "x"}'}, [("input.format", "a.png")]),
        ({"a.jsonl": "\n", "b.jsonl": ""}, [("input.empty", "corpus.path")]),
        ({"a.md": "---\ntitle: [\n---\ntext\n"}, [("input.front-matter", "a.md:3:1")]),
        ({"a.md": "---\ntitle: {a: b}\n---\ntext\n"}, [("input.type", "a.md")]),
    ],
)
def test_each_problem_has_code_and_place(files: Files, expected: list[tuple[str, str]], tmp_path: Path) -> None:
    """What is wrong is told by code, with file, line and where possible column."""
    assert brief(faults(tmp_path, files)) == expected


def test_duplicate_ids_name_both_places(tmp_path: Path) -> None:
    """An id that two documents have is told at the second, naming the first."""
    files: Files = {"a.jsonl": jsonl({"id": "x", "text": "1"}), "b.csv": "id,text\ny,2\nx,3\n"}
    found = faults(tmp_path, files)
    assert brief(found) == [("input.duplicate", "b.csv:3")]
    assert "a.jsonl:1" in found[0].text
    found = faults(tmp_path / "md", {"e\u0301.md": "x", "é.md": "y"})
    assert brief(found) == [("input.duplicate", "é.md")]


def test_no_file(tmp_path: Path) -> None:
    """A path that no file matches is told, also where other paths have files."""
    found = faults(tmp_path, {}, path=["docs/**/*.md"])
    assert brief(found) == [("input.missing", "corpus.path")]
    files: Files = {"a.jsonl": jsonl({"id": "x", "text": "1"})}
    found = faults(tmp_path, files, path=["a.jsonl", "../base//more/*.jsonl"])
    assert brief(found) == [("input.missing", "corpus.path")]
    assert "more/*.jsonl" in found[0].text


def test_misspelt_names_in_the_spec(tmp_path: Path) -> None:
    """A field that the spec names and no document has is a problem with the nearest name that is there."""
    files: Files = {"a.jsonl": jsonl({"id": "x", "text": "1", "language": "en", "source_id": "s"})}
    found = faults(tmp_path, files, metadata=["langauge"], fields__document="source")
    assert [(problem.code, problem.field) for problem in found] == [
        ("input.field", "corpus.metadata"),
        ("input.field", "corpus.fields.document"),
    ]
    assert "did you mean 'language'" in found[0].fix


def test_all_problems_at_once(tmp_path: Path) -> None:
    """Problems of several files are told together, twenty one by one and the rest as a number."""
    files: Files = {"a.jsonl": "{}\n" * 6, "b.jsonl": "[]\n" * 15, "c.md": b"\xff"}
    found = faults(tmp_path, files)
    assert len(found) == 21 and found[-1].code == "input.more"
    assert {problem.code for problem in found} == {"input.field", "input.json", "input.more"}


def test_long_file_and_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line, or a Markdown file, over the limit is refused."""
    monkeypatch.setattr(reading, "LIMIT", 100)
    files: Files = {"a.jsonl": jsonl({"id": "1", "text": "x" * 100}), "b.md": "x" * 101}
    assert brief(faults(tmp_path, files)) == [("input.too-long", "a.jsonl:1"), ("input.too-long", "b.md")]


def test_texts_are_not_held_in_memory(tmp_path: Path) -> None:
    """Memory grows with the number of documents, not with their texts."""
    tree = MemoryTree({"a.jsonl": jsonl(*({"id": f"d{n}", "text": "word " * 4000} for n in range(500)))})
    tracemalloc.start()
    try:
        run(make, tmp_path, spec(), {"live": tree})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < len(tree.files["a.jsonl"]) / 5
