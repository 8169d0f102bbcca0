"""Reads git: what files held at a revision, and which revisions touched them."""
from __future__ import annotations

import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import IO, NamedTuple

from embspec.errors import EmbspecError, fail

LINK, FOLDER_LINK = "120000", "160000"
IN_MEMORY = 16 << 20  # a larger file goes through the disk


class Entry(NamedTuple):
    """One file of a revision: its mode and the id of its bytes."""

    mode: str
    blob: str


def show(revision: str, path: str) -> bytes:
    """The bytes of a file at a revision."""
    folder, name = os.path.split(os.path.abspath(path))
    done = _git(folder, "show", f"{revision}:./{name}")
    if done.returncode == 0:
        return done.stdout
    if not _known(folder, revision):
        raise _unknown(revision)
    raise fail("usage.not-in-revision", f"`{os.path.relpath(path)}` is not in revision {revision}",
               fix=f"see `git log -- {os.path.relpath(path)}`")


def top(folder: str) -> str:
    """The root of the repository as seen from this folder, whatever links lead to it; empty where there is none."""
    try:
        done = _git(folder, "rev-parse", "--show-cdup")
    except OSError:
        return ""  # the folder is gone
    return os.path.normpath(os.path.join(folder, os.fsdecode(done.stdout).strip())) if done.returncode == 0 else ""


def shallow(folder: str) -> bool:
    """Whether older revisions were left out when it was cloned."""
    return _git(folder, "rev-parse", "--is-shallow-repository").stdout.strip() == b"true"


def changes(path: str, line: str, most: int) -> list[str]:
    """The revisions of all branches, newest first, in which a line of the file that matches came or went."""
    folder, name = os.path.split(os.path.abspath(path))
    return _log(folder, most, [f"-G{line}"], [f":(literal){name}"])


def touching(folder: str, globs: Sequence[str], most: int) -> list[str]:
    """The revisions of all branches, newest first, that changed a file which one of the globs matches."""
    return _log(folder, most, [], [f":(glob){glob}" for glob in globs])


def _log(folder: str, most: int, how: Sequence[str], paths: Sequence[str]) -> list[str]:
    done = _git(folder, "log", "--all", f"--max-count={most}", "--format=%H", *how, "--", *paths)
    return done.stdout.decode("ascii").split() if done.returncode == 0 else []


def tree(revision: str, root: str) -> dict[str, Entry]:
    """Every file of a revision, by the path that it has or would have on this disk."""
    done = _git(root, "ls-tree", "-r", "-z", "--full-tree", revision)
    found = {}
    for row in done.stdout.split(b"\0")[:-1]:
        about, _, name = row.partition(b"\t")
        mode, _, blob = about.decode("ascii").split(" ")
        if mode != FOLDER_LINK:
            found[f"{root}/{os.fsdecode(name)}"] = Entry(mode, blob)
    return found


def export(revision: str, root: str, endings: tuple[str, ...], target: str) -> None:
    """Write the files of a revision with these endings below `target`, as they lie below `root`."""
    repository = top(root)
    if not repository or not _known(root, revision):
        raise _unknown(revision)
    files = tree(revision, repository)
    wanted = [path for path in files if path.endswith(endings) and path.startswith(root.rstrip("/") + "/")]
    with Blobs(root, target) as blobs:
        for path, blob in linked(files, wanted, blobs).items():
            place = os.path.join(target, os.path.relpath(path, root))
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with blobs.open(blob) as source, open(place, "wb") as out:
                shutil.copyfileobj(source, out)


class Blobs:
    """The bytes of any number of files, read by one process of git."""

    def __init__(self, folder: str, scratch: str) -> None:
        self._folder, self._scratch = folder, scratch

    def __enter__(self) -> Blobs:
        self._process = subprocess.Popen(
            ["git", "-C", self._folder, "cat-file", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def open(self, blob: str) -> IO[bytes]:
        """One file, whole, before the next may be asked for."""
        asked, given = self._process.stdin, self._process.stdout
        assert asked and given
        asked.write(f"{blob}\n".encode("ascii"))
        asked.flush()
        size = int(given.readline().split()[2])
        file: IO[bytes] = io.BytesIO() if size <= IN_MEMORY else tempfile.TemporaryFile(dir=self._scratch)
        left = size
        while left:
            chunk = given.read(min(left, 1 << 20))
            file.write(chunk)
            left -= len(chunk)
        given.read(1)  # the line break after it
        file.seek(0)
        return file


def linked(files: Mapping[str, Entry], paths: Iterable[str], blobs: Blobs) -> dict[str, str]:
    """The blob of each path, through links between files; a link that leads out of the revision is left out."""
    found = {}
    for path in paths:
        at, entry = path, files.get(path)
        for _ in range(8):  # as many as nobody makes on purpose: a ring ends here
            if entry is None or entry.mode != LINK:
                break
            with blobs.open(entry.blob) as file:
                at = os.path.normpath(os.path.join(os.path.dirname(at), os.fsdecode(file.read())))
            entry = files.get(at)
        if entry is not None and entry.mode != LINK:
            found[path] = entry.blob
    return found


def _known(folder: str, revision: str) -> bool:
    return _git(folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").returncode == 0


def _unknown(revision: str) -> EmbspecError:
    return fail("usage.revision", f"git knows no revision `{revision}` here", fix="see `git log --oneline`")


def _git(folder: str, *args: str) -> subprocess.CompletedProcess[bytes]:
    try:
        command = ["git", "-c", "log.showSignature=false", "-C", folder, *args]
        return subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        raise fail("usage.no-git", "git is not installed", fix="install git, or name two lock files") from None
