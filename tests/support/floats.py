"""Toy stages that run in a worker: each does one thing that a worker has to get right."""
from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embspec.errors import EmbspecError, Problem, Where
from embspec.plan.protocol import Desk, Made, Progress, Stage
from embspec.run.desk import Given
from embspec.run.task import Task
from embspec.run.worker import log_path

HERE = "tests.support.floats"
NUMERICS = ("numerics.profile", "numerics.threads")
VALUES: Mapping[str, Any] = {
    "seed": 42, "train.rate": 0.1, "train.fate": "well", "numerics.profile": "auto", "numerics.threads": "auto",
}
STREET = (
    Stage("grow", 1, ("seed", "train"), ("tree", "trace", "onnx"), f"{HERE}:grow", settles=NUMERICS, pins=("found",),
          packages=("numpy",), ships=True, out={"tree": "model"},
          optional={"onnx": lambda params: params["train.fate"] == "onnx"}),
    Stage("use", 1, (), ("page",), f"{HERE}:use", needs=lambda params, names: ("grow/tree", "grow/trace"),
          settles=NUMERICS, packages=("numpy",), out={"page": "model/page"}),
)
"""One stage that makes a folder and one that reads it; `train.fate` says what becomes of the first."""


def task(folder: Path, make: str, packages: tuple[str, ...] = (), *, threads: int = 2, profile: str = "native",
         params: Mapping[str, Any] | None = None, seed: int = 7, name: str = "toy") -> Task:
    """A task with folders of its own."""
    spot = folder / f"{name}-{len(list(folder.glob(f'{name}-*')))}"
    for sub in ("out", "scratch"):
        (spot / sub).mkdir(parents=True)
    given = Given(seed, {"split/train": "sha256:ab"}, str(folder / "store"), {"engine": "toy"})
    return Task(name, f"{HERE}:{make}", params or {}, {}, str(spot / "out"), str(spot / "scratch"), given, packages,
                profile, threads, log_path(str(folder / "state"), "spec", name))


def surroundings(params: Mapping[str, Any], needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """What a stage finds around it: the environment that its process was started with, seed, digests, open files."""
    began = Path("/proc/self/environ").read_bytes().decode().split("\0") if sys.platform == "linux" else []
    started = dict(line.split("=", 1) for line in began if line)
    return Made({
        "env": started or dict(os.environ), "seed": desk.seed, "digests": dict(desk.digests), "random": random.random(),
        "folder": os.getcwd(), "stdin": sys.stdin.read(), "threads": len(os.listdir("/proc/self/task")),
        "imported": sorted({"torch", "numpy", "transformers"} & sys.modules.keys()),
    })


def bits(params: Mapping[str, Any], needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """A step of training of a tiny model, from the global generators."""
    import numpy
    import torch

    layer = torch.nn.Sequential(torch.nn.Linear(96, 300), torch.nn.GELU(), torch.nn.Linear(300, 40))
    rows = torch.randn(517, 96)
    best = torch.optim.AdamW(layer.parameters(), lr=1e-2)
    for _ in range(4):
        best.zero_grad()
        scores = torch.nn.functional.normalize(layer(rows), dim=1)
        torch.nn.functional.cross_entropy(scores @ scores.T * 20, torch.arange(517)).backward()  # type: ignore[no-untyped-call]
        best.step()
    weights = b"".join(each.detach().numpy().tobytes() for each in layer.parameters())
    (out / "bits").write_bytes(weights + numpy.random.rand(3).tobytes() + repr(random.random()).encode())
    return Made({"threads": torch.get_num_threads(), "strict": torch.are_deterministic_algorithms_enabled(),
                 "path": torch.backends.cpu.get_cpu_capability()})


def talking(params: Mapping[str, Any], needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Says how far it is, prints, keeps a row, and hands back all that a stage may."""
    print("a word of a library")
    print("a word of warning", file=sys.stderr)
    for number in range(3):
        desk.tell(Progress("at work", number, 3))
    rows = desk.rows({"model": "m"})
    found = rows.find([b"n" * 16])
    rows.add([b"n" * 16], [b"row"])
    (out / "kept").write_text("kept", encoding="utf-8")
    asked = params["train.rate"], "train.none" in params
    return Made({"rate": asked[0], "found": found[0] is not None}, {"pin": [1, 2]}, {"rows": 1}, {"kept": out / "kept"})


def wrong(params: Mapping[str, Any], needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Finds two things wrong that a user has caused."""
    raise EmbspecError(
        Problem("input.first", "the first thing", Where("a.jsonl", 3, 7), "mend it", "train.rate"),
        Problem("spec.second", "the second — thing"),
    )


def falling(params: Mapping[str, Any], needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Falls over, after it has computed a row."""
    desk.rows({"model": "m"}).add([b"f" * 16], [b"row"])
    raise RuntimeError("the work fell over")


def full(params: Mapping[str, Any], needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """The disk takes no more."""
    raise OSError(28, os.strerror(28))


def killed(params: Mapping[str, Any], needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """The kernel ends it, as it does where memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def ending(params: Mapping[str, Any], needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """A library leaves the process without a word."""
    os._exit(3)


def serverless(params: Mapping[str, Any], needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """The server is ended while the stage works."""
    desk.tell(Progress(json.dumps([os.getpid()])))
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
    raise AssertionError


def sleeping(params: Mapping[str, Any], needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Works for a long time, with a process of its own beside it; says who they are."""
    helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    desk.tell(Progress(json.dumps([os.getppid(), os.getpid(), helper.pid])))
    time.sleep(60)
    raise AssertionError


def grow(params: Mapping[str, Any], needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Makes a folder from its seed, or comes to the end that the spec wants."""
    import numpy

    if params["train.fate"] in ("killed", "wrong", "falling"):
        return {"killed": killed, "wrong": wrong, "falling": falling}[params["train.fate"]](params, needs, out, desk)
    (out / "tree" / "deep").mkdir(parents=True)
    (out / "tree" / "weights").write_bytes(numpy.random.rand(4).tobytes() + str(params["train.rate"]).encode())
    (out / "tree" / "deep" / "config").write_text(json.dumps([params["seed"], desk.seed]), encoding="utf-8")
    (out / "trace").write_text("trace", encoding="utf-8")
    return Made({"profile": params["pin.numerics.profile"], "threads": params["pin.numerics.threads"]},
                {"found": params["pin.found"] or "by the run"}, {"encoded": 1})


def use(params: Mapping[str, Any], needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Reads the folder, and finds the row that it kept the last time."""
    tree = needs["grow/tree"]
    found = sorted(p.relative_to(tree).as_posix() for p in tree.rglob("*"))
    writable = [str(p) for p in tree.rglob("*") if p.is_file() and p.stat().st_mode & 0o222]
    rows = desk.rows({"of": desk.digests["grow/tree"]})
    warm = rows.find([b"t" * 16]) != [None]
    rows.add([b"t" * 16], [b"row"])
    trace = needs["grow/trace"].read_text()
    page = {"files": found, "writable": writable, "digests": dict(desk.digests), "trace": trace}
    (out / "page").write_text(json.dumps(page, sort_keys=True), encoding="utf-8")
    return Made(counts={"rows": int(warm)})


def copy(params: Mapping[str, Any], needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Copies the one live file, without floats and without a worker."""
    with needs["live"].open("base.txt") as file:
        (out / "page").write_bytes(file.read())
    return Made()
