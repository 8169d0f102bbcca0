"""A small project of fixed bytes: documents, two sources of pairs, a spec with gates."""

from __future__ import annotations

import json
from pathlib import Path

WORDS = [
    a + b
    for a in ("ka", "lo", "mi", "nu", "pe", "ra", "so", "ti")
    for b in ("bar", "den", "fil", "gor", "hal", "jin", "kem", "lop")
]
COUNT = 30
SPEC = """embspec: 1
name: mini
corpus:
  path: [docs/*.md, more.jsonl]
  metadata: [kind]
pairs:
  - {name: gold, path: gold.jsonl, trust: gold, roles: [test, validation]}
  - {name: faq, path: faq.csv, format: csv, trust: curated, fields: {query: question, positive: page}}
split:
  test: 0.5
  validation: 0.3
  min_queries: {test: 3, validation: 3}
eval:
  metrics: [recall@5, mrr@10, ndcg@10]
  statistics: {resamples: 200}
gates:
  - recall@5 of bm25 >= 0.5
  - ndcg@10 of bm25 >= 0.3 @95
"""


def words(number: int) -> list[str]:
    """The text of a document, without chance and without a library's idea of it."""
    return [WORDS[(number * 5 + j * j * 3 + j) % 64] for j in range(18)]


def document(number: int) -> str:
    """A page of Markdown."""
    return f"---\nkind: page\n---\n# Page {number} {WORDS[number]}\n\n{' '.join(words(number))}\n"


def project(folder: Path, spec: str = SPEC) -> Path:
    """Write the project; the spec's path."""
    specs = folder / "specs"
    (specs / "docs").mkdir(parents=True)
    (folder / ".git").mkdir()
    for number in range(COUNT):
        (specs / "docs" / f"p{number:02}.md").write_text(document(number), encoding="utf-8")
    rows = [{"id": f"m{n}", "title": f"Möre {n}", "text": " ".join(words(n + 31)), "kind": "row"} for n in range(4)]
    rows.append({"id": "m4", "title": "Again", "text": " ".join(words(3)), "kind": None})
    (specs / "more.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")
    gold = [{"query": " ".join(words(n)[1::5]), "positive": f"docs/p{n:02}.md"} for n in range(24)]
    (specs / "gold.jsonl").write_text("".join(json.dumps(r) + "\n" for r in gold), encoding="utf-8")
    faq = "".join(f"{' '.join(words(n)[2::6])},docs/p{n:02}.md\n" for n in range(20, COUNT))
    (specs / "faq.csv").write_text("question,page\n" + faq, encoding="utf-8")
    (specs / "mini.yaml").write_text(spec, encoding="utf-8")
    return specs / "mini.yaml"
