"""What the checkpoints cost that an interrupted training goes on from.

    python benchmarks/resume.py [--data medquad_small] [--rows 24] [--rounds 3]

A training with a checkpoint before every step beside one without any, in processes that take turns: what lies between
them is the writing. The cost is the seconds of one checkpoint, with new best weights in it, on disk and synced, over
the minutes between two of them; evaluations can make them twice as frequent at most. Leaves with 1 where that is 3 % or
more.
"""
from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from clock import machine, save, table
from data import folder as data_folder
from mining import Desk
from training import MINI, SEED, Case, _lesson, prepare

MOST = 0.03
SIDES = ("never", "often")
CASES: Mapping[str, Case] = {  # a batch of 8 keeps MiniLM's activations below 4 GB
    "MiniLM": Case("MiniLM", "MultipleNegativesRankingLoss", 8, 1, None),
    "static": Case("static", "MultipleNegativesRankingLoss", 64, 16, None),
}


def side(name: str, case: str, root: Path, count: int) -> Mapping[str, Any]:
    """One training; where it is kept, what each time took, and what a checkpoint with all its parts takes."""
    from embspec.stages.train import loop, losses, resume, weights
    from embspec.stages.train.collate import Material
    from embspec.stages.train.model import load
    from embspec.stages.train.texts import Texts

    asked = CASES[case]
    examples, planned = _lesson(asked, root, count)
    model = load(root / asked.base / "base")
    desk = Desk(root / "scratch")
    took: list[float] = []
    given: list[tuple[Any, ...]] = []
    plain = resume.Keeper.keep

    def timed(*args: Any) -> None:
        start = time.perf_counter()
        plain(*args)
        took.append(time.perf_counter() - start)
        given.append(args)

    with tempfile.TemporaryDirectory(dir=root) as kept:
        desk.kept = Path(kept) if name == "often" else None
        resume.Keeper.keep = timed  # type: ignore[method-assign]
        material = Material(examples, planned, Texts(model, examples.queries, None),
                            Texts(model, examples.documents, None))
        wish = losses.Wish(asked.loss, 20.0, MINI, ("query_to_doc",), None, (), None, -1)
        how = loop.Wish(2e-5, 0.1, "linear", 0.0, None, False, minutes=1e-9)
        start = time.perf_counter()
        done = loop.train(model, losses.build(model, wish), material, how, None, (), desk)
        seconds, writing = time.perf_counter() - start, sum(took)
        whole, size = [], 0
        for n in range(5 if given else 0):
            keeper, _, engine, facts, trace, _ = given[-1]
            best = root / f"best-{os.getpid()}.safetensors"
            weights.keep(model, best)
            timed(keeper, 10**6 + n, engine, facts, trace, (n, best))
            whole.append(took[-1])
            size = sum(path.stat().st_size for path in Path(kept).glob(f"*-{10**6 + n}.*"))
            size += best.stat().st_size
    return {"steps": done.steps, "seconds": seconds, "writes": len(given) - len(whole), "writing": writing,
            "one": median(whole) if whole else 0.0, "mb": size / 1e6}


def measure(base: str, root: str, count: int, given: argparse.Namespace) -> Mapping[str, Any]:
    """Both sides in turns; medians."""
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_WAIT_POLICY": "PASSIVE"}
    runs: dict[str, list[Mapping[str, Any]]] = {name: [] for name in SIDES}
    for _ in range(given.rounds):
        for name, found in runs.items():
            command = [sys.executable, __file__, "--side", name, "--case", base, "--root", root, "--rows",
                       str(count), "--threads", str(given.threads)]
            said = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
            found.append(json.loads(said.splitlines()[-1]))

    def middle(name: str, key: str) -> float:
        return round(float(median(run[key] for run in runs[name])), 3)

    one = middle("often", "one")
    return {"base": base, "steps": runs["often"][0]["steps"], "checkpoints": runs["often"][0]["writes"],
            "seconds_without": middle("never", "seconds"), "seconds_with": middle("often", "seconds"),
            "seconds_writing": middle("often", "writing"), "one_checkpoint_seconds": one,
            "one_checkpoint_mb": middle("often", "mb"), "cost": round(one / _interval(), 5),
            "cost_at_most": round(2 * one / _interval(), 5)}


def _interval() -> float:
    from embspec.spec.sections_train import Train

    return 60 * float(Train.model_fields["checkpoint_minutes"].default)


def main() -> int:
    """Measure, print one table, write results/resume.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="medquad_small")
    parser.add_argument("--rows", type=int, default=24, help="training rows; the static table gets more")
    parser.add_argument("--rounds", type=int, default=3, help="turns")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        import torch

        torch.set_num_threads(given.threads)
        torch.manual_seed(SEED)
        print(json.dumps(side(given.side, given.case, given.root, given.rows)))
        return 0
    with tempfile.TemporaryDirectory(prefix="embspec-resume-") as root:
        most = given.rows * max(case.times for case in CASES.values())
        have = prepare(Path(root), data_folder(given.data), most)
        rows = [measure(base, root, min(have, given.rows * CASES[base].times), given) for base in CASES]
    print(f"{given.data}, {given.threads} threads; medians of {given.rounds} processes that take turns; "
          f"{_interval():.0f} s between two checkpoints\n{machine()}")
    head = ("", "steps", "without", "checkpoints", "with", "writing them", "one, whole", "size", "cost", "at most",
            "must be", "")
    print(table(
        head,
        [(row["base"], str(row["steps"]), f"{row['seconds_without']:.1f} s", str(row["checkpoints"]),
          f"{row['seconds_with']:.1f} s", f"{row['seconds_writing']:.1f} s", f"{row['one_checkpoint_seconds']:.2f} s",
          f"{row['one_checkpoint_mb']:.0f} MB", f"{row['cost']:.2%}", f"{row['cost_at_most']:.2%}", f"< {MOST:.0%}",
          "met" if row["cost_at_most"] < MOST else "MISSED") for row in rows]))
    save("resume", {"machine": machine(), "data": given.data, "threads": given.threads, "rounds": given.rounds,
                    "interval_seconds": _interval(), "rows": rows})
    return 0 if all(row["cost_at_most"] < MOST for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
