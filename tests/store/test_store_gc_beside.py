"""A gc beside builds: what a build found or made, and what its lock names afterwards, is never missing."""
from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from pathlib import Path

from tests.support import tenants

BUILDERS, ROUNDS = 4, 30


def test_processes_that_build_while_a_gc_deletes_at_once(tmp_path: Path) -> None:
    """Four builders take, make and name objects; a gc in a loop frees all else: nothing they need ever goes."""
    store, locks = str(tmp_path / "store"), tmp_path / "locks"
    locks.mkdir()
    command = [sys.executable, "-m", "tests.support.tenants", store]
    builders = [
        subprocess.Popen([*command, str(locks / f"{n}.lock"), str(n), str(ROUNDS)], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2], env={**os.environ})
        for n in range(BUILDERS)
    ]
    moved, deleted = 0, 0
    while any(builder.poll() is None for builder in builders):
        found = tenants.sweep(store, locks)
        moved += sum(pile.files for pile in found.moved)
        deleted += sum(pile.files for pile in found.freed)
    said = [builder.communicate() for builder in builders]
    assert [builder.returncode for builder in builders] == [0] * BUILDERS, said
    assert sum(int(out) for out, _ in said) > BUILDERS  # they did take what others had made
    assert moved > BUILDERS
    last = [tenants.sweep(store, locks) for _ in range(2)]  # with nobody at work, all that no lock names goes
    assert deleted + sum(pile.files for each in last for pile in each.freed) > 0
    assert last[-1].waiting.files == 0 and last[-1].shares


def test_threads_that_build_while_a_gc_deletes_at_once(tmp_path: Path) -> None:
    """The same within one process, where a switch may come between any two steps."""
    store, locks, failed = str(tmp_path / "store"), tmp_path / "locks", list[BaseException]()
    locks.mkdir()

    def run(number: int) -> None:
        chance, lock = random.Random(number), locks / f"{number}.lock"
        try:
            for _ in range(ROUNDS):
                tenants.check(store, lock)
                tenants.build(store, lock, chance)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(BUILDERS)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        moved = 0
        while any(thread.is_alive() for thread in threads):
            moved += sum(pile.files for pile in tenants.sweep(store, locks).moved)
    finally:
        sys.setswitchinterval(before)
        for thread in threads:
            thread.join()
    assert failed == []
    assert moved > BUILDERS
