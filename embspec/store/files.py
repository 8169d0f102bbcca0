"""Writing a file so that a crash leaves the old one or the new one, never half of either."""
from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, ENOSPC, EROFS

from embspec.errors import EmbspecError, fail

_FULL = (ENOSPC, EDQUOT)
_LEFT = re.compile(r"(\d+)-[0-9a-f]{12}")  # the names that `unique` gives
_OURS = ".embspec-"
_FRESH_S = 3600.0
_HERE, _SWAP = -100, 2  # AT_FDCWD; RENAME_EXCHANGE, which macOS calls RENAME_SWAP


def replace(path: str, data: bytes, beside: str = "") -> None:
    """Put `data` at `path` by temporary file, fsync and rename.

    What a kill leaves of it lies beside it, or in a folder of the same disk that is swept.
    """
    folder = os.path.dirname(path)
    with disk(path):
        for each in (folder, beside or folder):
            os.makedirs(each, exist_ok=True)
        handle, fresh = temporary(beside or folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
            os.replace(fresh, path)
        except BaseException:
            os.unlink(fresh)
            raise
        sync_folder(folder)


def temporary(folder: str) -> tuple[int, str]:
    """A new file in `folder`, open for writing; `tempfile` would bring random, shutil and lzma into the no-op."""
    path = os.path.join(folder, _OURS + unique())
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), path


def unique() -> str:
    """A name that no other process takes; it starts with this one's id, so that a dead one's files are known."""
    return f"{os.getpid()}-{os.urandom(6).hex()}"


def sweep(folder: str, prefix: str = _OURS) -> int:
    """Remove what processes that are dead left half done; says how much that was.

    In folders of the user nothing is ours but what has our prefix.
    """
    gone = 0
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        found = _LEFT.fullmatch(name.removeprefix(prefix or _OURS))
        if not name.startswith(prefix) or not found or _lives(int(found[1])):
            continue
        path = os.path.join(folder, name)
        if time.time() - os.lstat(path).st_mtime < _FRESH_S:
            continue  # perhaps of a process on another machine that shares this folder
        if os.path.isdir(path) and not os.path.islink(path):
            import shutil  # the no-op sweeps nothing and does without its imports

            shutil.rmtree(path)
        else:
            os.unlink(path)
        gone += 1
    return gone


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def ignored(folder: str) -> None:
    """A folder that git leaves alone, whatever the project's own ignore file says."""
    path = os.path.join(folder, ".gitignore")
    if not os.path.exists(path):
        replace(path, b"*\n")


def keep(path: str, data: bytes) -> None:
    """Write a file of the state folder, which git must not see even where nothing was built yet.

    What is kept there only saves time: a project that may not be written can still be checked and planned.
    """
    try:
        ignored(os.path.dirname(path))
        replace(path, data)
    except EmbspecError as error:
        if error.problems[0].code != "disk.read-only":
            raise


def sync_folder(folder: str) -> None:
    """Make a rename or link in `folder` last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def disk(path: str) -> Iterator[None]:
    """A full or read-only disk is said in a sentence, not in a traceback."""
    try:
        yield
    except OSError as error:
        raise _said(error, path) from error


@contextmanager
def room(path: str) -> Iterator[None]:
    """The same sentence where a disk fills up under what others write; their other failures are their own."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise _said(error, path) from error


def _said(error: OSError, path: str) -> EmbspecError:
    if error.errno in _FULL:
        return fail("disk.full", f"no space is left for `{path}`; what was finished is kept",
                    fix="free some space, or set EMBSPEC_STORE to another disk, and run the command again")
    if error.errno == EROFS or isinstance(error, PermissionError):
        return fail("disk.read-only", f"`{path}` cannot be written ({error.strerror})",
                    fix="correct its rights; where it is the store, EMBSPEC_STORE may name a folder that you may write")
    return fail("disk.error", f"`{path}`: {error.strerror or error}")


def exchange(one: str, other: str) -> bool:
    """Let two names change places at one moment; False where system or disk cannot, and nothing has changed."""
    import ctypes  # a build with nothing to do exchanges nothing

    libc = ctypes.CDLL(None, use_errno=True)
    a, b = os.fsencode(one), os.fsencode(other)
    try:
        if sys.platform == "darwin":
            return bool(libc.renamex_np(a, b, _SWAP) == 0)
        return bool(libc.renameat2(_HERE, a, _HERE, b, _SWAP) == 0)
    except AttributeError:
        return False
