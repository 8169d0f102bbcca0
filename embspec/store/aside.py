"""What a store set aside: the trash of a gc, from which a reader brings back what it needs, and what was corrupt."""
from __future__ import annotations

import os

from embspec.store.files import unique

TRASH, QUARANTINE = "trash", "quarantine"
_TRIES = 3  # a thing may go from one batch to another while it is looked for


def batches(store: str) -> list[str]:
    """The folders that gc moved things into, the newest last; a store that never saw one has none."""
    try:
        return sorted(each.path for each in os.scandir(os.path.join(store, TRASH)) if each.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def recall(store: str, path: str) -> bool:
    """Bring a file of the store back from the trash; whether it is in its place afterwards.

    By a link: the batch may be deleted, or searched by others, at the same moment. Asked only for what is missed.
    """
    for _ in range(_TRIES):
        there = batches(store)
        if any(_linked(batch, store, path) for batch in there):
            touch(path)  # it is in use
            return True
        if os.path.exists(path) or not there:
            break  # somebody else brought it back, and its batch is gone
    return os.path.exists(path)


def _linked(batch: str, store: str, path: str) -> bool:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.link(os.path.join(batch, os.path.relpath(path, store)), path)
    except FileExistsError:
        return True
    except OSError:
        return False  # not in this one, or the store takes nothing: then it stays missed
    return True


def recall_all(store: str, folder: str) -> None:
    """The same for every file that ever lay in a folder."""
    for batch in batches(store):
        there = os.path.join(batch, os.path.relpath(folder, store))
        for name in sorted(os.listdir(there)) if os.path.isdir(there) else []:
            recall(store, os.path.join(folder, name))


def touch(path: str) -> bool:
    """Say that a file is in use: gc goes by this time; False where there is no such file."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    except OSError:
        return os.path.exists(path)  # somebody else's file, or a disk that takes nothing
    return True


def set_aside(store: str, path: str, name: str) -> str:
    """Move what is corrupt out of the way, its copies in the trash too; the new place, or empty where nothing moves."""
    folder = os.path.join(store, QUARANTINE)
    target = os.path.join(folder, f"{name}-{unique()}")
    try:
        os.makedirs(folder, exist_ok=True)
        os.rename(path, target)
    except FileNotFoundError:
        return ""  # another process was faster
    except OSError:
        return ""
    touch(target)  # its age counts from here
    place = os.path.relpath(path, store)
    for batch in batches(store):
        try:
            os.rename(os.path.join(batch, place), os.path.join(folder, f"{name}-{unique()}"))
        except OSError:
            continue
    return target
