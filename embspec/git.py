"""Reads git: what files held at a revision, and which revisions touched them."""
from __future__ import annotations

import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import IO, NamedTuple

from embspec.errors import EmbspecError, fail

LINK, FOLDER_LINK = "120000", "160000"
_OWN = ("GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX")
IN_MEMORY = 16 << 20  # a larger file goes through the disk


class Revision(NamedTuple):
    """One commit, as a person recognises it: the day and the first line that its author gave it."""

    commit: str
    day: str
    subject: str


class Entry(NamedTuple):
    """One file of a revision: its mode and the id of its bytes."""

    mode: str
    blob: str


def show(revision: str, path: str) -> bytes:
    """The bytes of a file at a revision."""
    folder, name = os.path.split(os.path.abspath(path))
    while not os.path.isdir(folder):  # it may be gone since
        folder, above = os.path.split(folder)
        name = f"{above}/{name}"
    done = _git(folder, "show", f"{revision}:./{name}")
    if done.returncode == 0:
        return done.stdout
    if not _known(folder, revision):
        raise _unknown(folder, revision)
    raise fail("usage.not-in-revision", f"`{os.path.relpath(path)}` is not in revision {revision}",
               fix=f"see `git log -- {os.path.relpath(path)}`")


def top(folder: str) -> str:
    """The root of the repository as seen from this folder, whatever links lead to it; empty where there is none."""
    try:
        done = _git(folder, "rev-parse", "--show-cdup")
    except OSError:
        return ""  # the folder is gone
    return os.path.normpath(os.path.join(folder, os.fsdecode(done.stdout).strip())) if done.returncode == 0 else ""


def inside(root: str) -> str:
    """Where the repository whose work tree begins at this folder keeps its own; empty where none does."""
    if top(root) != os.path.normpath(root):
        return ""
    return os.fsdecode(_git(root, "rev-parse", "--absolute-git-dir").stdout).removesuffix("\n")


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


def history(folder: str, paths: Sequence[str], *how: str) -> list[Revision]:
    """The revisions of HEAD, or of those that `how` names, newest first, which changed one of these pathspecs."""
    done = _git(folder, "log", "-z", "--date=short", "--format=%H%x00%ad%x00%s", *how, "--", *paths)
    cells = done.stdout.decode("utf-8", "replace").split("\0") if done.returncode == 0 else []
    return [Revision(*cells[at:at + 3]) for at in range(0, len(cells) - 2, 3)]


def literal(path: str) -> str:
    """The pathspec, from its own folder, of one file whatever letters its name has."""
    return f":(literal){os.path.basename(path)}"


def commit(folder: str, revision: str) -> str:
    """The full name of a revision's commit."""
    done = _git(folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if done.returncode:
        raise _unknown(folder, revision)
    return done.stdout.decode("ascii").strip()


def sides(path: str) -> dict[int, bytes]:
    """What a merge that is not over has of a file: 1 the common ancestor's, 2 ours, 3 theirs; empty where none is."""
    folder = os.path.dirname(path)
    done = _git(folder, "ls-files", "-u", "-z", "--", literal(path))
    rows = [row.partition(b"\t")[0].decode("ascii").split() for row in done.stdout.split(b"\0")[:-1]]
    return {int(side): _git(folder, "cat-file", "blob", blob).stdout for _, blob, side in rows}


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
        raise _unknown(root, revision)
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

    def __init__(self, folder: str, scratch: str, apart: bool = False) -> None:
        self._folder, self._scratch, self._apart = folder, scratch, apart

    def __enter__(self) -> Blobs:
        self._process = subprocess.Popen(
            ["git", "-C", self._folder, "cat-file", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=_environ(self._apart))
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
        file = self.find(blob)
        assert file, f"git has no {blob}"
        return file

    def find(self, name: str) -> IO[bytes] | None:
        """The same by `REVISION:./NAME`, or None where that revision has no such file."""
        asked, given = self._process.stdin, self._process.stdout
        assert asked and given
        asked.write(os.fsencode(f"{name}\n"))
        asked.flush()
        answer = given.readline()
        if answer.endswith(b" missing\n"):
            return None
        size = int(answer.split()[2])
        file: IO[bytes] = io.BytesIO() if size <= IN_MEMORY else tempfile.TemporaryFile(dir=self._scratch)
        left = size
        while left:
            chunk = given.read(min(left, 1 << 20))
            file.write(chunk)
            left -= len(chunk)
        given.read(1)  # the line break after it
        file.seek(0)
        return file


def common(folder: str) -> str:
    """Where the repository of a folder keeps what all its work trees share; empty where there is none."""
    done = _git(folder, "rev-parse", "--path-format=absolute", "--git-common-dir", apart=True)
    if done.returncode and b"dubious ownership" in done.stderr:
        raise fail("nowhere.git", f"git reads nothing of {folder}, which is somebody else's",
                   fix=f"git config --global --add safe.directory {folder}")
    return os.fsdecode(done.stdout.removesuffix(b"\n")) if done.returncode == 0 else ""


class Held(NamedTuple):
    """A file that somebody may come back to: `branch main`, `tag v1`, `stash@{0}`, `work tree /path`."""

    by: str
    data: bytes


def everywhere(folder: str, ending: str, scratch: str) -> Iterator[Held]:
    """Each file with this ending in all work trees, branches, remote branches, tags and stashes, by one reader."""
    trees: dict[str, list[str]] = {}
    with Blobs(folder, scratch, apart=True) as blobs:
        for by, commit in _tips(folder):
            names = [f"{commit}^{{tree}}", f"{commit}^2^{{tree}}", f"{commit}^3^{{tree}}"]  # a stash has all three
            found = {blob: None for name in (names if by.startswith("stash") else names[:1])
                     for blob in _below(blobs, name, ending, len(commit) // 2, trees)}
            yield from (Held(by, _whole(blobs, blob)) for blob in found)
        for path, _ in _work_trees(folder):
            yield from _on_disk(path, ending, blobs)


def _tips(folder: str) -> Iterator[tuple[str, str]]:
    """Every name that git has for a commit, and the heads of work trees that have none."""
    kinds = {"refs/heads/": "branch ", "refs/remotes/": "remote branch ", "refs/tags/": "tag "}
    for line in _lines(folder, "for-each-ref", "--format=%(objectname) %(refname)"):
        commit, _, name = line.partition(" ")
        if name != "refs/stash":
            kind = next((kind for kind in kinds if name.startswith(kind)), "")
            yield kinds.get(kind, "") + name.removeprefix(kind), commit
    for number, commit in enumerate(_lines(folder, "stash", "list", "--format=%H")):
        yield f"stash@{{{number}}}", commit
    for path, head in _work_trees(folder):
        if head.strip("0"):
            yield f"work tree {path}", head


def _work_trees(folder: str) -> list[tuple[str, str]]:
    """The folder of each work tree, and its head where it has one."""
    rows = [line.partition(" ") for line in _lines(folder, "worktree", "list", "--porcelain")]
    starts = [number for number, (word, _, _) in enumerate(rows) if word == "worktree"]
    return [(rows[at][2], next((rest for word, _, rest in rows[at:end] if word == "HEAD"), ""))
            for at, end in zip(starts, [*starts[1:], len(rows)], strict=True)]


def _on_disk(path: str, ending: str, blobs: Blobs) -> Iterator[Held]:
    """What lies in a work tree, and what of it is staged, each side of a merge included."""
    if not os.path.isdir(path):
        return
    quiet = ("-c", "core.fsmonitor=false", "ls-files", "-z")  # nothing that a repository names is started
    staged = _git(path, *quiet, "-s", "--", f"*{ending}", apart=True).stdout.split(b"\0")[:-1]
    for blob in sorted({row.split(b" ")[1].decode("ascii") for row in staged if not row.startswith(b"16")}):
        yield Held(f"work tree {path}", _whole(blobs, blob))
    here = _git(path, *quiet, "-co", "--exclude-standard", "--", f"*{ending}", apart=True)
    for name in here.stdout.split(b"\0")[:-1]:
        try:
            with open(os.path.join(path, os.fsdecode(name)), "rb") as file:
                yield Held(f"work tree {path}", file.read())
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            continue  # deleted there, and still staged


def _below(blobs: Blobs, name: str, ending: str, width: int, known: dict[str, list[str]]) -> list[str]:
    """The blobs of a tree whose names end so; a tree that several revisions share is read once."""
    if name in known:
        return known[name]
    file = blobs.find(name)
    if file is None and "^" not in name:
        raise fail("nowhere.git", f"git lacks {name} here, so what it keeps is not known", fix="see `git fsck`")
    data, at, found = file.read() if file else b"", 0, list[str]()
    while at < len(data):
        end = data.index(b"\0", at)
        mode, _, entry = data[at:end].partition(b" ")
        at = end + 1 + width
        blob = data[end + 1:at].hex()
        if mode == b"40000":
            found += _below(blobs, blob, ending, width, known)
        elif mode.startswith(b"100") and entry.endswith(os.fsencode(ending)):
            found.append(blob)
    known[name] = found
    return found


def _whole(blobs: Blobs, blob: str) -> bytes:
    file = blobs.find(blob)
    if file is None:
        raise fail("nowhere.git", f"git lacks {blob} here, so what it keeps is not known", fix="see `git fsck`")
    return file.read()


def _lines(folder: str, *args: str) -> list[str]:
    """What git says, which must not be taken for nothing where it fails."""
    done = _git(folder, *args, apart=True)
    if done.returncode:
        raise fail("nowhere.git", f"`git {args[0]}` failed in {folder}: {done.stderr.decode(errors='replace').strip()}",
                   fix="see `git fsck`")
    return os.fsdecode(done.stdout).splitlines()


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


def _unknown(folder: str, revision: str) -> EmbspecError:
    if not top(folder):
        return no_repository()
    fix = "its history was cut off when it was cloned: `git fetch --unshallow` brings it" if shallow(folder) else (
        "see `git log --oneline`")
    return fail("usage.revision", f"git knows no revision `{revision}` here", fix=fix)


def prepare(root: str, lines: Mapping[str, Sequence[str]], settings: Mapping[str, str]) -> list[str]:
    """What `init --git` asks, and all that is ever written here: lines of files, settings; what was not there yet.

    Where there is no repository, one begins.
    """
    done = []
    if not top(root):
        _wrote(root, "init", "--quiet")
        done.append("a repository")
    for name, wanted in lines.items():
        path = os.path.join(root, name)
        with open(path, "a+", encoding="utf-8", errors="surrogateescape") as file:  # git takes any bytes
            file.seek(0)
            text = file.read()
            fresh = [line for line in wanted if line not in text.splitlines()]
            file.write(("" if not text or text.endswith("\n") else "\n") + "".join(line + "\n" for line in fresh))
        done += [f"{line} in {name}" for line in fresh]
    for name, value in settings.items():
        if _git(root, "config", "--local", name).stdout.rstrip(b"\n") != os.fsencode(value):
            _wrote(root, "config", "--local", name, value)
            done.append(f"{name} in its settings")
    return done


def _wrote(root: str, *args: str) -> None:
    done = _git(root, *args)
    if done.returncode:
        raise fail("usage.git", f"`git {args[0]}` failed: {done.stderr.decode(errors='replace').strip()}",
                   fix="leave --git out, or mend what git says")


def no_repository() -> EmbspecError:
    """There is no history to ask for one."""
    return fail("usage.no-repository", "there is no git repository here, and so no history",
                fix="run `git init`, and commit spec and lock")


def _environ(apart: bool) -> dict[str, str]:
    """Messages in English; what a hook says of its own repository must not lead to it where others are read."""
    return {**{name: text for name, text in os.environ.items() if not (apart and name in _OWN)}, "LC_ALL": "C"}


def _git(folder: str, *args: str, apart: bool = False) -> subprocess.CompletedProcess[bytes]:
    try:
        command = ["git", "-c", "log.showSignature=false", "-C", folder, *args]
        return subprocess.run(command, capture_output=True, check=False, env=_environ(apart))
    except FileNotFoundError:
        raise fail("usage.no-git", "git is not installed", fix="install git, which knows of revisions") from None
