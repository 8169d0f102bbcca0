"""Who is at work in a store: a file for each build, locked by the kernel for as long as the build lives."""
from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES, EPERM, EROFS

from embspec.errors import fail
from embspec.store.files import disk, temporary, unique

_LEASE = "build-"
_GUARD = "leases"  # held while a lease is made, and while somebody looks at all of them
_ONE = "gc"


def _folder(store: str) -> str:
    return os.path.join(store, "lock")


@contextmanager
def lease(store: str) -> Iterator[None]:
    """For as long as this lasts, no gc deletes what lay in the store at any moment of it.

    A store that may not be written takes no lease: nothing can be deleted there either.
    """
    handle, path = None, os.path.join(_folder(store), _LEASE + unique())
    with disk(store):
        try:
            with _guarded(store):  # from its first moment it is seen as locked
                handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
                fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in (EROFS, EACCES, EPERM):
                raise
    try:
        yield
    finally:
        if handle is not None:
            _remove(path)
            os.close(handle)


def live(store: str) -> dict[str, int]:
    """The leases of builds that are at work, each with the time it began by the clock of the disk, in nanoseconds."""
    with _guarded(store):
        return _live(store)


@contextmanager
def alone(store: str) -> Iterator[bool]:
    """Whether no build is at work; while this lasts none begins, so it must be short."""
    with _guarded(store):
        yield not _live(store)


@contextmanager
def one(store: str, seconds: float = 60.0) -> Iterator[int]:
    """One at a time tidies a store; gives the time by the clock of its disk, in nanoseconds."""
    with disk(store):
        os.makedirs(_folder(store), exist_ok=True)
        handle = lock_file(os.path.join(_folder(store), _ONE))
    try:
        until = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise fail("waited.gc", f"another gc of {store} is still running after {seconds:g} seconds",
                               fix="wait for it, then run the command again") from None
                time.sleep(0.05)
        yield _now(store)
    finally:
        os.close(handle)


def _now(store: str) -> int:
    """The disk's own clock, which is what the times of its files come from."""
    with disk(store):
        handle, path = temporary(_folder(store))
        try:
            return os.fstat(handle).st_mtime_ns
        finally:
            os.close(handle)
            os.unlink(path)


def lock_file(path: str) -> int:
    """A file to lock, also where somebody else made it."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except PermissionError:
        return os.open(path, os.O_RDONLY)


@contextmanager
def _guarded(store: str) -> Iterator[None]:
    os.makedirs(_folder(store), exist_ok=True)
    handle = lock_file(os.path.join(_folder(store), _GUARD))
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _live(store: str) -> dict[str, int]:
    found = {}
    for name in sorted(os.listdir(_folder(store))):
        path = os.path.join(_folder(store), name)
        if not name.startswith(_LEASE):
            continue
        try:
            handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue  # it ended just now
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(path)  # its process is dead
        except BlockingIOError:
            found[name] = os.fstat(handle).st_mtime_ns
        finally:
            os.close(handle)
    return found


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return  # somebody was faster, or the disk takes nothing any more: unlocked it counts for nothing
