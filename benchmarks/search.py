"""Exact search over vectors on disk: the best 100 of a million for a thousand queries, and of 200,000 for 10,000.

    python benchmarks/search.py [--faiss PYTHON] [--rounds 3]

Whole processes take turns over the same file of random vectors of length 1, 384 columns, float32. Ours is
`retrieval/knn.py`, which maps the file; torch and numpy are the loops that one writes by hand, chunk by chunk, with no
more of the file in memory; faiss is `IndexFlatIP` of another interpreter's faiss-cpu, which holds all vectors. Of some
queries every product is made again in float64 and sorted: what share of those documents each side found.
"""
from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

DIM, K, SEED = 384, 100, 7
BLOCK, CHECKED = 1 << 14, 20
LIMIT = 3000  # MB that ours may take, whatever the file takes


class Case(NamedTuple):
    """How many documents and queries, and how often it is measured."""

    documents: int
    queries: int
    often: bool


CASES = (Case(1_000_000, 1_000, True), Case(200_000, 10_000, False))


def write(path: Path, rows: int, seed: int) -> None:
    """Random directions, a block at a time."""
    draw = np.random.default_rng(seed)
    with open(path, "wb") as file:
        for start in range(0, rows, BLOCK):
            made = draw.standard_normal((min(BLOCK, rows - start), DIM), dtype=np.float32)
            file.write((made / np.linalg.norm(made, axis=1)[:, None]).astype(np.float32).tobytes())


def read(path: Path) -> Vectors:
    """All of a file in memory."""
    return np.fromfile(path, np.float32).reshape(-1, DIM)


def blocks(path: Path) -> Iterator[Vectors]:
    """A file, a block at a time."""
    with open(path, "rb") as file:
        while len(found := np.fromfile(file, np.float32, BLOCK * DIM)):
            yield found.reshape(-1, DIM)


def ours(root: Path) -> NDArray[np.int64]:
    """As a stage does it, by ids."""
    from embspec.retrieval import knn
    from embspec.retrieval.propose import Place

    documents = np.memmap(root / "documents", np.float32, "r").reshape(-1, DIM)
    ids = [f"{number:07d}" for number in range(len(documents))]
    found = knn.top(read(root / "queries"), documents, ids, K, place=Place(threads=os.cpu_count() or 1))
    return np.array([[int(id) for id, _ in hits] for hits in found])


def by_torch(root: Path) -> NDArray[np.int64]:
    """A running top-k over chunks."""
    import torch

    queries = torch.from_numpy(read(root / "queries"))
    best, at = torch.empty((len(queries), 0)), torch.empty((len(queries), 0), dtype=torch.int64)
    first = 0
    for block in blocks(root / "documents"):
        chunk, scores, places = torch.from_numpy(block), [], []
        for start in range(0, len(queries), 512):
            found = (queries[start : start + 512] @ chunk.T).topk(min(K, len(chunk)), dim=1)
            scores.append(found.values)
            places.append(found.indices + first)
        scored, placed = torch.cat([best, torch.cat(scores)], 1), torch.cat([at, torch.cat(places)], 1)
        best, order = scored.topk(K, dim=1)
        at = placed.gather(1, order)
        first += len(block)
    return np.asarray(at.numpy())


def by_numpy(root: Path) -> NDArray[np.int64]:
    """The same without torch."""
    queries = read(root / "queries")
    best, at = np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
    first = 0
    for block in blocks(root / "documents"):
        scores, places = [], []
        for start in range(0, len(queries), 512):
            made = queries[start : start + 512] @ block.T
            some = np.argpartition(made, -K, axis=1)[:, -K:]
            scores.append(np.take_along_axis(made, some, 1))
            places.append(some + first)
        scored, placed = np.hstack([best, np.vstack(scores)]), np.hstack([at, np.vstack(places)])
        order = np.argsort(-scored, axis=1)[:, :K]
        best, at = np.take_along_axis(scored, order, 1), np.take_along_axis(placed, order, 1)
        first += len(block)
    return at


def by_faiss(root: Path) -> NDArray[np.int64]:
    """Exact search of faiss."""
    import faiss

    index = faiss.IndexFlatIP(DIM)
    for block in blocks(root / "documents"):
        index.add(block)
    return np.asarray(index.search(read(root / "queries"), K)[1])


SIDES: Mapping[str, tuple[str, Callable[[Path], NDArray[np.int64]]]] = {
    "ours": ("embspec", ours),
    "torch": ("torch in chunks, by hand", by_torch),
    "numpy": ("numpy in chunks, by hand", by_numpy),
    "faiss": ("faiss IndexFlatIP", by_faiss),
}


def side(name: str, root: Path) -> None:
    """One process of the comparison: what it found, and what the search took without the imports before it."""
    if name == "right":
        np.save(root / "right.npy", right(root))
        return print("searched by right")
    if name == "ours":
        import embspec.retrieval.knn  # noqa: F401
    elif name == "torch":
        import torch  # noqa: F401
    elif name == "faiss":
        import faiss  # noqa: F401

    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    found = SIDES[name][1](root)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    np.save(root / f"{name}.npy", found)
    (root / f"{name}.json").write_text(json.dumps({"seconds": seconds, "cpu": cpu, "mb": after.ru_maxrss / 1024}))
    return print(f"searched by {name}")


def right(root: Path) -> NDArray[np.int64]:
    """The best for the first queries: all products in float64, by rounded score and then by number."""
    queries = read(root / "queries")[:CHECKED].astype(np.float64)
    scores = np.hstack([queries @ block.astype(np.float64).T for block in blocks(root / "documents")])
    return np.argsort(-np.round(scores, 6), axis=1, kind="stable")[:, :K]


def measured(case: Case, rounds: int, python: str) -> dict[str, Any]:
    """Both files, each side in turn, and how much of what is right each found."""
    from clock import Command, once

    names = [name for name in SIDES if name != "faiss" or python]
    with tempfile.TemporaryDirectory(prefix="embspec-search-") as name:
        root = Path(name)
        write(root / "documents", case.documents, SEED)
        write(root / "queries", case.queries, SEED + 1)
        env = {name: text for name, text in os.environ.items() if name != "OMP_NUM_THREADS"}
        turns: list[dict[str, Any]] = []
        for _ in range(rounds if case.often else 1):
            turns.append({})
            for one in names:
                args = [python if one == "faiss" else sys.executable, __file__, "--side", one, "--root", name]
                # Ours shares the queries among threads itself; a stage is started so.
                own = {**env, "OPENBLAS_NUM_THREADS": "1"} if one == "ours" else env
                once(Command(args, name, own, "searched by "))
                turns[-1][one] = json.loads((root / f"{one}.json").read_text())
        # Not here: Linux counts what this process ever took to each child.
        once(Command([sys.executable, __file__, "--side", "right", "--root", name], name, env, "searched by "))
        best = np.load(root / "right.npy")
        found = {one: np.load(root / f"{one}.npy")[:CHECKED] for one in names}
    share = {one: sum(len({*a} & {*b}) for a, b in zip(best.tolist(), found[one].tolist(), strict=True)) / best.size
             for one in names}
    exact = np.array_equal(best, found["ours"])
    rows = [{"case": one, **{what: round(float(np.median([turn[one][what] for turn in turns])), 2)
                             for what in ("seconds", "cpu", "mb")}, "right": share[one]} for one in names]
    return {"documents": case.documents, "queries": case.queries, "rounds": len(turns), "rows": rows, "exact": exact}


def main() -> None:
    """Measure, print one table, write results/search.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faiss", default="", metavar="PYTHON", help="an interpreter that has faiss-cpu")
    parser.add_argument("--rounds", type=int, default=3, help="turns of the first case; the second is measured once")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        return side(given.side, given.root)
    from clock import machine, own_peak, save, table

    cases = [measured(case, given.rounds, given.faiss) for case in CASES]
    print(f"the best {K} by {DIM} columns of float32; medians of whole processes that take turns\n{machine()}")
    lines = []
    for case in cases:
        lines.append((f"{case['queries']:,} queries in {case['documents']:,}", "", "", "", ""))
        lines += [(f"  {SIDES[row['case']][0]}", f"{row['seconds']:.1f} s", f"{row['cpu']:.1f} s",
                   f"{row['mb']:.0f} MB", f"{row['right']:.2%}") for row in case["rows"]]
    print(table(("", "seconds", "CPU", "peak", "right"), lines))
    save("search", {"machine": machine(), "memory_floor_mb": round(own_peak(), 1), "dim": DIM, "k": K,
                    "checked": CHECKED, "cases": cases})
    most = max(row["mb"] for case in cases for row in case["rows"] if row["case"] == "ours")
    if most > LIMIT or not all(case["exact"] for case in cases):
        raise SystemExit(f"ours took {most:.0f} MB, of {LIMIT}; the order of float64: {[c['exact'] for c in cases]}")
    return None


if __name__ == "__main__":
    main()
