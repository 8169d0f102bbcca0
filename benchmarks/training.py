"""Training the same batches with the same loss, beside the plain sentence-transformers trainer.

    python benchmarks/training.py [--data medquad_small] [--rows 128] [--rounds 5] [--only CASE]

Processes take turns. Timed is the training from loaded model and rows in memory to the last step, with tokenizing,
without imports and without checkpoints, on both sides. The texts are those of the data, of mixed length; negatives are
BM25's. Ours runs texts in groups of like length and a document that several rows of a batch name once.
"""
from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from clock import machine, own_peak, save, table
from data import folder as data_folder
from mining import BASES, SETTINGS, Desk

NEGATIVES, MINI, SEED = 3, 32, 42


class Case(NamedTuple):
    """One line of the table: base, loss, rows of a batch, how many times more rows than asked, what must hold.

    The plain loss keeps a whole batch in memory: with 16 rows the plain trainer takes 8 GB.
    """

    base: str
    loss: str
    batch: int
    times: int
    must: float | None


CASES: Mapping[str, Case] = {
    "plain": Case("MiniLM", "MultipleNegativesRankingLoss", 16, 1, 1.3),
    "cached": Case("MiniLM", "CachedMultipleNegativesRankingLoss", 64, 1, 1.1),
    "static": Case("static", "MultipleNegativesRankingLoss", 64, 16, None),
}


def prepare(root: Path, data: Path, most: int) -> int:
    """Write both bases and the examples; how many there are."""
    from embspec.retrieval.bm25 import BM25
    from embspec.retrieval.tokenize import tokenizer
    from embspec.stages.base.make import make
    from embspec.stages.live import base_files
    from embspec.store.live import LiveTree, find

    for base, where in BASES.items():
        params = {**SETTINGS, **where}
        out = root / base
        out.mkdir()
        make(params, {"live": LiveTree(find(str(root), base_files(params)))}, out, Desk(root / "scratch"))
    texts = {row["id"]: f"{row.get('title') or ''} {row['text']}".strip() for row in _rows(data / "corpus.jsonl")}
    asked = {row["id"]: row["text"] for row in _rows(data / "queries.jsonl")}
    lines = (data / "qrels" / "train.tsv").read_text(encoding="utf-8").splitlines()[1:]
    right: dict[str, str] = {}
    for query, document, _ in (line.split("\t") for line in lines):
        right.setdefault(query, document)
    tokenize = tokenizer({"tokenizer": "words"})
    words = BM25(list(texts), (tokenize(text) for text in texts.values()), k1=1.2, b=0.75)
    with open(root / "examples.jsonl", "w", encoding="utf-8") as file:
        chosen = sorted(right)[:: max(1, len(right) // most)][:most]
        for query in chosen:
            wrong = [id for id, _ in words.search(tokenize(asked[query]), NEGATIVES + 1) if id != right[query]]
            file.write(json.dumps({
                "id": query, "query": asked[query], "cluster": right[query],
                "positives": [{"id": right[query], "text": texts[right[query]]}],
                "negatives": [{"id": id, "text": texts[id]} for id in wrong[:NEGATIVES]],
            }) + "\n")
    return len(chosen)


def ours(case: Case, root: Path, count: int) -> tuple[int, float]:
    """The stage's own training; steps and seconds."""
    from embspec.stages.train import loop, losses
    from embspec.stages.train.collate import Material
    from embspec.stages.train.model import load
    from embspec.stages.train.texts import Texts

    examples, planned = _lesson(case, root, count)
    model = load(root / case.base / "base")
    start = time.perf_counter()
    material = Material(examples, planned, Texts(model, examples.queries, None), Texts(model, examples.documents, None))
    wish = losses.Wish(case.loss, 20.0, MINI, ("query_to_doc",), None, (), None, -1)
    how = loop.Wish(2e-5, 0.1, "linear", 0.0, None, False)
    done = loop.train(model, losses.build(model, wish), material, how, None, (), Desk(root / "scratch"))
    return done.steps, time.perf_counter() - start


def theirs(case: Case, root: Path, count: int) -> tuple[int, float]:
    """The plain trainer over the same batches; steps and seconds."""
    from datasets import Dataset  # type: ignore[import-untyped]
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer import losses

    from embspec.stages.train.collate import Planned

    examples, planned = _lesson(case, root, count)

    class Plain(SentenceTransformerTrainer):
        def get_batch_sampler(self, *args: Any, **kwargs: Any) -> Planned:
            return Planned(planned)

        def add_model_card_callback(self, *args: Any, **kwargs: Any) -> None:
            pass

    model = SentenceTransformer(str(root / case.base / "base"), device="cpu")
    columns = {"anchor": [examples.queries[row.query] for row in examples.rows],
               "positive": [examples.documents[row.positive] for row in examples.rows]}
    columns |= {f"negative_{n}": [examples.documents[row.negatives[n]] for row in examples.rows]
                for n in range(NEGATIVES)}
    more = {"mini_batch_size": MINI} if case.loss.startswith("Cached") else {}
    start = time.perf_counter()
    args = SentenceTransformerTrainingArguments(
        output_dir=str(root / "trainer"), max_steps=len(planned), learning_rate=2e-5, warmup_steps=0.1, use_cpu=True,
        disable_tqdm=True, report_to="none", save_strategy="no", logging_strategy="no", dataloader_pin_memory=False)
    trainer = Plain(model, args, train_dataset=Dataset.from_dict(columns),
                    loss=getattr(losses, case.loss)(model, **more))
    trainer.train()
    return trainer.state.global_step, time.perf_counter() - start


def _lesson(case: Case, root: Path, count: int) -> tuple[Any, list[list[int]]]:
    from embspec.stages.train import batches, examples

    path = root / f"first-{count}-{os.getpid()}.jsonl"
    lines = (root / "examples.jsonl").read_text(encoding="utf-8").split("\n")[:count]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    found = examples.read(path)
    return found, batches.plan(found.rows, case.batch, 1.0, SEED)


def _rows(path: Path) -> list[dict[str, Any]]:
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def side(name: str, case: Case, root: Path, count: int, threads: int) -> None:
    """One process of the comparison."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(SEED)
    steps, seconds = (ours if name == "ours" else theirs)(case, root, count)
    print(json.dumps({"steps": steps, "seconds": seconds, "mb": own_peak()}))


def measure(case: str, root: str, count: int, given: argparse.Namespace) -> Mapping[str, Any]:
    """Both sides in turns; medians."""
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_WAIT_POLICY": "PASSIVE"}
    took: dict[str, list[Mapping[str, Any]]] = {"ours": [], "theirs": []}
    for _ in range(given.rounds):
        for name, runs in took.items():
            command = [sys.executable, __file__, "--side", name, "--only", case, "--root", root, "--rows", str(count),
                       "--threads", str(given.threads)]
            said = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
            runs.append(json.loads(said.splitlines()[-1]))
    middle = {name: {key: round(median(run[key] for run in runs), 2) for key in ("seconds", "mb")}
              for name, runs in took.items()}
    return {"case": case, **CASES[case]._asdict(), "rows": count, "steps": took["ours"][0]["steps"], **middle,
            "ratio": round(middle["theirs"]["seconds"] / middle["ours"]["seconds"], 2)}


def shown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table that is printed."""
    head = ("", "rows", "batch", "steps", "embspec", "plain trainer", "ratio", "peak", "peak", "must be", "")
    return table(head, [
        (f"{row['base']}, {row['case']}", str(row["rows"]), str(row["batch"]), str(row["steps"]),
         f"{row['ours']['seconds']:.1f} s", f"{row['theirs']['seconds']:.1f} s", f"{row['ratio']:.2f}",
         f"{row['ours']['mb']:.0f} MB", f"{row['theirs']['mb']:.0f} MB",
         f">= {row['must']}" if row["must"] else "",
         "" if not row["must"] else "met" if row["ratio"] >= row["must"] else "MISSED")
        for row in rows
    ])


def main() -> None:
    """Measure, print one table, write results/training.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="medquad_small")
    parser.add_argument("--rows", type=int, default=128, help="training rows; a static table gets more")
    parser.add_argument("--rounds", type=int, default=5, help="turns")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", choices=CASES, help="one line of the table")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        return side(given.side, CASES[given.only], given.root, given.rows, given.threads)
    with tempfile.TemporaryDirectory(prefix="embspec-training-") as root:
        have = prepare(Path(root), data_folder(given.data), given.rows * max(case.times for case in CASES.values()))
        names = [given.only] if given.only else list(CASES)
        rows = [measure(name, root, min(have, given.rows * CASES[name].times), given) for name in names]
    print(f"{given.data}, {NEGATIVES} negatives, {given.threads} threads; medians of "
          f"{given.rounds} processes that take turns\n{machine()}")
    print(shown(rows))
    if not given.only:
        save("training", {"machine": machine(), "data": given.data, "threads": given.threads,
                          "rounds": given.rounds, "rows": rows})
    return None


if __name__ == "__main__":
    main()
