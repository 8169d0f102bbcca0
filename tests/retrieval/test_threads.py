"""The same bytes for any number of threads, in this process and in another one."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.searches import digests

ROOT = Path(__file__).parents[2]
NUMBERS = (1, 2, 4)


def test_threads_and_processes_are_not_seen_in_a_byte() -> None:
    """Neighbours, words, both together, vectors: a process that began with four threads gives what this one gives."""
    env = {**os.environ, "OMP_NUM_THREADS": "4", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONHASHSEED": "7"}
    args = [sys.executable, "-m", "tests.support.searches", *map(str, NUMBERS)]
    there = json.loads(subprocess.run(args, cwd=ROOT, env=env, check=True, capture_output=True).stdout)
    here = digests(NUMBERS)
    assert here == there
    assert {method: len(set(found.values())) for method, found in here.items()} == dict.fromkeys(
        ("knn", "bm25", "fusion", "encode", "unit"), 1)
    assert len({found["1"] for found in here.values()}) == 5
