"""The lock's file: read, and updated once per finished stage so that two builds lose nothing of each other's."""
from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress

from embspec.errors import Where, fail
from embspec.lock.text import RESTORE, Lock, read, write
from embspec.plan.values import Block
from embspec.store.files import disk, replace
from embspec.store.leases import lock_file
from embspec.store.places import Places


def load(at: Places) -> Lock:
    """The lock beside the spec; an empty one where there is none."""
    return _parsed(raw(at), at)


def raw(at: Places) -> bytes | None:
    """The bytes of the lock beside the spec, whatever they say."""
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
    return read(text(data, shown), shown)


def text(data: bytes, shown: str) -> str:
    """What a lock's bytes say."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise fail("lock.syntax", f"byte {error.start} is not UTF-8", Where(shown), RESTORE) from None


def save(
    at: Places, order: Sequence[str], change: Callable[[Mapping[str, Block]], Mapping[str, Block]],
    envs: Mapping[str, Mapping[str, str]],
) -> Lock:
    """Re-read the lock, change its blocks and write it, unless the bytes stay the same."""
    with _writing(at):
        data = raw(at)
        before = _parsed(data, at)
        lock = Lock(dict(change(before.blocks)), {**before.envs, **envs}, before.unknown)
        fresh = write(lock, order).encode()
        if fresh != data:
            replace(at.lock, fresh)
        return lock


def put(at: Places, order: Sequence[str], lock: Lock) -> None:
    """Write a lock over one that cannot be read, because a merge left both sides in it."""
    with _writing(at):
        replace(at.lock, write(lock, order).encode())


def _writing(at: Places) -> AbstractContextManager[None]:
    return held(os.path.join(at.state, f"{at.name}.lock.flock"), 60.0, lambda: None)


@contextmanager
def held(path: str, seconds: float, waiting: Callable[[], None]) -> Iterator[None]:
    """A lock that the kernel lets go of when its process dies, so that nobody ever has to remove one by hand."""
    until, told = time.monotonic() + seconds, False
    while (handle := _taken(path)) is None:
        if not told:
            waiting()
            told = True
        if time.monotonic() >= until:
            raise fail("waited.build", f"another build is still at work on the same after {seconds:g} seconds",
                       fix="wait for it, or give it more time: embspec build --wait SECONDS")
        time.sleep(0.05)
    try:
        yield
    finally:
        with suppress(OSError):
            os.unlink(path)  # who holds it alone may remove it: there is one for each key that was ever made
        os.close(handle)


def _taken(path: str) -> int | None:
    """The handle of the lock, where nobody else has it."""
    with disk(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        handle = lock_file(path)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(handle), os.stat(path)):
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(handle)  # another has it, or had it and took it away with him
    return None
