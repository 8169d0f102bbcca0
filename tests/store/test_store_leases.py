"""Leases: who is at work is known from the kernel, and a dead one is no one."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from errno import EROFS
from pathlib import Path
from typing import Any

import pytest

from embspec.errors import EmbspecError
from embspec.store import leases as module
from embspec.store.leases import alone, lease, live, one


def test_a_lease_lasts_as_long_as_its_work(tmp_path: Path) -> None:
    """Two builds are two leases; each is gone at its end, failed or not, with its file."""
    store = str(tmp_path)
    with lease(store):
        first = live(store)
        with pytest.raises(KeyError), lease(store):
            assert len(live(store)) == 2
            raise KeyError
        assert live(store) == first and len(first) == 1
    assert live(store) == {}
    assert sorted(os.listdir(tmp_path / "lock")) == ["leases"]


def test_a_killed_process_has_no_lease(tmp_path: Path) -> None:
    """SIGKILL ends it, with nothing to remove by hand; the next look takes the file away."""
    code = ("import sys, time\nfrom embspec.store.leases import lease\nwith lease(sys.argv[1]):\n"
            "    print('go', flush=True)\n    time.sleep(600)\n")
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline()
        assert len(live(str(tmp_path))) == 1
        process.send_signal(signal.SIGKILL)
    assert len(list((tmp_path / "lock").glob("build-*"))) == 1
    assert live(str(tmp_path)) == {}
    assert list((tmp_path / "lock").glob("build-*")) == []


def test_a_lease_tells_since_when(tmp_path: Path) -> None:
    """By the clock of the disk: what is written later is not older."""
    with lease(str(tmp_path)):
        (began,) = live(str(tmp_path)).values()
        (tmp_path / "later").write_text("x")
        assert began <= (tmp_path / "later").stat().st_mtime_ns
        with one(str(tmp_path)) as now:
            assert now >= began


def test_nobody_begins_while_a_gc_is_alone(tmp_path: Path) -> None:
    """A build that wants to begin waits for the short moment; with one at work nobody is alone."""
    store, began = str(tmp_path), threading.Event()

    def begin() -> None:
        with lease(store):
            began.set()

    with alone(store) as yes:
        assert yes
        thread = threading.Thread(target=begin)
        thread.start()
        assert not began.wait(0.1)
    thread.join()
    assert began.is_set()
    with lease(store), alone(store) as yes:
        assert not yes


def test_a_store_that_may_not_be_written_takes_no_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its builds go on, for nothing can be removed there; another failure of the disk is said."""
    number = EROFS

    def refuse(*args: Any, **rest: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module.os, "open", refuse)
    with lease(str(tmp_path)):
        pass
    number = 5
    with pytest.raises(EmbspecError) as caught, lease(str(tmp_path)):
        pass
    assert caught.value.exit == 40
