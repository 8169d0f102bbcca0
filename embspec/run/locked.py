"""The lock's file: read, and updated once per finished stage so that two builds lose nothing of each other's."""
from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from embspec.errors import Where, fail
from embspec.lock.text import RESTORE, Lock, read, write
from embspec.plan.values import Block
from embspec.store.files import disk, replace
from embspec.store.places import Places


def load(at: Places) -> Lock:
    """The lock beside the spec; an empty one where there is none."""
    return _parsed(_bytes(at), at)


def _bytes(at: Places) -> bytes | None:
    try:
        with open(at.lock, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise fail("lock.unreadable", f"the lock cannot be read: {error.strerror}", Where(at.shown(at.lock)),
                   "move away what lies there, or correct its rights") from None


def _parsed(data: bytes | None, at: Places) -> Lock:
    return Lock() if data is None else parse(data, at.shown(at.lock))


def parse(data: bytes, shown: str) -> Lock:
    """The lock in a file's bytes."""
    try:
        return read(data.decode(), shown)
    except UnicodeDecodeError as error:
        raise fail("lock.syntax", f"byte {error.start} is not UTF-8", Where(shown), RESTORE) from None


def save(
    at: Places, order: Sequence[str], change: Callable[[Mapping[str, Block]], Mapping[str, Block]],
    envs: Mapping[str, Mapping[str, str]],
) -> Lock:
    """Re-read the lock, change its blocks and write it, unless the bytes stay the same."""
    with held(os.path.join(at.state, f"{at.name}.lock.flock"), 60.0, lambda: None):
        data = _bytes(at)
        before = _parsed(data, at)
        lock = Lock(dict(change(before.blocks)), {**before.envs, **envs}, before.unknown)
        text = write(lock, order).encode()
        if text != data:
            replace(at.lock, text)
        return lock


@contextmanager
def held(path: str, seconds: float, waiting: Callable[[], None]) -> Iterator[None]:
    """A lock that the kernel lets go of when its process dies, so that nobody ever has to remove one by hand."""
    with disk(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        until, told = time.monotonic() + seconds, False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    waiting()
                    told = True
                if time.monotonic() >= until:
                    raise fail("waited.build", f"another build of this spec is still running after {seconds:g} seconds",
                               fix="wait for it, or give more time with --wait SECONDS") from None
                time.sleep(0.05)
        yield
    finally:
        os.close(handle)
