"""SciFact, where it is at hand: the published figure of BM25, and the published split refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from embspec import Project
from embspec.errors import INVALID, EmbspecError

SPEC = """\
embspec: 1
corpus: {path: data/scifact}
pairs:
  - {name: train, path: data/scifact, format: beir, qrels: train, trust: curated, roles: [train]}
  - {name: dev, path: data/scifact, format: beir, qrels: dev, trust: curated, roles: [validation]}
  - {name: test, path: data/scifact, format: beir, qrels: test, trust: gold, roles: [test]}
split: {by: given, on_leak: ON_LEAK, min_queries: {validation: 50}}
eval:
  bm25: {tokenizer: words, stem: false}
gates:
  - ndcg@10 of bm25 >= 0.657
  - ndcg@10 of bm25 <= 0.667
"""


def scifact(data: Path, folder: Path, on_leak: str) -> Project:
    """A project with the data beside its spec."""
    shutil.copytree(data / "scifact", folder / "specs" / "data" / "scifact")
    spec = folder / "specs" / "scifact.yaml"
    spec.write_text(SPEC.replace("ON_LEAK", on_leak), encoding="utf-8")
    return Project(str(spec))


def test_the_published_split_is_refused(bench_data: Path, tmp_path: Path) -> None:
    """184 of the 300 test claims share a positive with train: an error with the counts, at the split of the spec."""
    project = scifact(bench_data, tmp_path, "error")
    with pytest.raises(EmbspecError) as caught:
        project.build()
    assert caught.value.exit == INVALID
    assert {problem.code for problem in caught.value.problems} == {"input.leak"}
    assert any("184 of 300 test queries share a positive document with train" in str(p) for p in caught.value.problems)
    assert "evaluate" not in project.lock.lock.blocks


def test_bm25_has_its_published_figure(bench_data: Path, tmp_path: Path) -> None:
    """nDCG@10 of BM25 by whole words is 66.2 ± 0.5, and the leaking part is scored apart; by stems it is 67.9."""
    project = scifact(bench_data, tmp_path, "report")
    outcome = project.build()
    assert 0.657 <= project.lock.metrics["ndcg@10 bm25"] <= 0.667
    assert project.lock.verdict == "green"
    assert outcome.lock.blocks["evaluate"].stat["bm25"].endswith(" n=300")
    report = json.loads((tmp_path / "out" / "scifact" / "report" / "report.json").read_text(encoding="utf-8"))
    parts = {m["slice"]: m["n"] for m in report["metrics"] if m["metric"] == "ndcg@10"}
    assert parts[None] == parts["leaking"] + parts["disjoint"] == 300
    assert report["split"]["shared"]["document"] == 184
    spec = tmp_path / "specs" / "scifact.yaml"
    spec.write_text(spec.read_text(encoding="utf-8").replace("stem: false", "stem: true"), encoding="utf-8")
    stemmed = Project(str(spec))
    stemmed.build()
    assert stemmed.lock.lock.blocks["lexical"].stat == {"tokenizer": "words", "language": "english", "stem": "true"}
    assert 0.674 <= stemmed.lock.metrics["ndcg@10 bm25"] <= 0.684
