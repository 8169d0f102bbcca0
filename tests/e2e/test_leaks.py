"""A published split that leaks: refused with counts and examples, or scored in two parts where the spec says so."""
from __future__ import annotations

import json
from pathlib import Path

from tests.support.command import embspec
from tests.support.harbour import SPEC

ASKED = """\
pairs:
  - {name: old, path: train.jsonl, trust: curated, roles: [train]}
  - {name: check, path: validation.jsonl, trust: curated, roles: [validation]}
  - {name: gold, path: test.jsonl, trust: gold, roles: [test]}
split: {by: given, min_queries: {test: 9, validation: 3}}
gates:
  - recall@10 of bm25 >= 0.5
  - recall@10 of bm25 >= 0.5 slice disjoint
"""


def publish() -> None:
    """Cut the questions by hand: of nine test questions three are about documents that were trained on."""
    rows = [json.loads(line) for line in Path("specs/gold.jsonl").read_text(encoding="utf-8").splitlines()]
    first = list({row["positive"]: row for row in rows}.values())  # one question about each document
    about = [row["positive"] for row in first[:3]]
    again = [{"query": f"tell me all about number {n}", "positive": name} for n, name in enumerate(about)]
    parts = {"test": [*again, *first[12:18]], "validation": first[9:12], "train": first[:9]}
    for part, some in parts.items():
        Path(f"specs/{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some), encoding="utf-8")
    text = SPEC.read_text(encoding="utf-8")
    SPEC.write_text(text[: text.index("pairs:")] + ASKED, encoding="utf-8")


def test_a_published_split_that_leaks(harbour: Path) -> None:
    """`check` and `build` refuse it at the split of the spec; reported, each part has its figures and can be gated."""
    publish()
    for command in ("check", "build"):
        said = embspec(command, "--json")
        assert (said.exit, said.codes) == (3, ["input.leak"])
        (error,) = said.json["errors"]
        assert (error["file"], error["line"]) == (str(SPEC), 9)
        assert error["text"].startswith("3 of 9 test queries share a positive document with train:\n  gold '")
        assert "on_leak: report" in error["fix"]
    SPEC.write_text(SPEC.read_text(encoding="utf-8").replace("by: given", "by: given, on_leak: report"))
    assert embspec("check", "-q").exit == 0
    built = embspec("build", "--json")
    assert {gate["gate"]: gate["n"] for gate in built.json["gates"]} == {
        "recall@10 of bm25 >= 0.5": 9, "recall@10 of bm25 slice disjoint >= 0.5": 6}
    report = json.loads(Path("out/harbour/report/report.json").read_text(encoding="utf-8"))
    assert report["split"]["shared"] == {"query": 0, "document": 3, "near_duplicate": 0}
    parts = {row["slice"]: row["n"] for row in report["metrics"] if row["metric"] == "ndcg@10"}
    assert parts == {None: 9, "leaking": 3, "disjoint": 6}
    page = Path("out/harbour/report/report.md").read_text(encoding="utf-8")
    assert "3 of 9 test queries leak from training (3 are about a document of a training query)" in page
