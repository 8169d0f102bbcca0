"""Content-addressed bytes: files and trees by sha256, crash-safe, never rewritten."""
from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from embspec.errors import EmbspecError, fail
from embspec.plan.values import digest_of
from embspec.store.files import disk, sync_folder, temporary, unique

CHUNK = 1 << 16  # a larger one is mapped and faulted in anew for every small file

EMPTY_TREE = "tree sha256:" + hashlib.sha256(b"").hexdigest()

_DIGEST = re.compile(r"(?:tree )?sha256:[0-9a-f]{64}")


def file_digest(path: str) -> tuple[str, int]:
    """sha256 and size of a file; by bare reads, which take two thirds of the time on many small files."""
    digest, size = hashlib.sha256(), 0
    handle = os.open(path, os.O_RDONLY)
    try:
        while chunk := os.read(handle, CHUNK):
            digest.update(chunk)
            size += len(chunk)
    finally:
        os.close(handle)
    return digest.hexdigest(), size


def listing(entries: Iterator[tuple[str, str, int]] | list[tuple[str, str, int]]) -> bytes:
    """A tree's canonical text: one `sha256 size name` a line, by name; its own sha256 is the tree's digest."""
    return "".join(f"{digest} {size} {name}\n" for name, digest, size in sorted(entries)).encode()


def entries(text: bytes) -> list[tuple[str, str, int]]:
    """Name, sha256 and size of each file of a tree."""
    rows = (line.split(" ", 2) for line in text.decode().split("\n")[:-1])
    return [(name, digest, int(size)) for digest, size, name in rows]


def _other_bytes(digest: str, found: str, path: str) -> EmbspecError:
    return fail("corrupt.object", f"the object {digest} of the store holds other bytes ({found[:12]}…)",
                fix=f"delete {path} and run `embspec build`: it is made again")


class Objects:
    """The `obj/` folder of a store."""

    def __init__(self, store: str) -> None:
        self.store = store
        self.tmp = os.path.join(store, "tmp")
        self._verified: set[str] = set()

    def path(self, digest: str) -> str:
        """Where the bytes of a `sha256:…` lie, whether they are there or not."""
        name = digest.rpartition(":")[2]
        return os.path.join(self.store, "obj", name[:2], name[2:])

    def has(self, digest: str) -> bool:
        """Whether the bytes are here; of a tree, each of its files too."""
        path = self.path(digest)
        if not _DIGEST.fullmatch(digest):
            return False  # a hand wrote it into the lock: no bytes have it
        if not digest.startswith("tree "):
            return os.path.exists(path)
        try:
            with open(path, "rb") as file:
                return all(os.path.exists(self.path(f"sha256:{d}")) for _, d, _ in entries(file.read()))
        except (FileNotFoundError, NotADirectoryError):
            return False
        except ValueError:
            return False  # other bytes than its name says: as good as none

    def verified(self, digest: str) -> str:
        """The path of bytes that are what their name says; hashed once a process: stages believe what they read.

        The no-op opens no object and so pays nothing for this.
        """
        path = self.path(digest)
        if digest not in self._verified:
            self._check(digest.removeprefix("tree "), path)
            if digest.startswith("tree "):
                with open(path, "rb") as file:
                    for _, each, _ in entries(file.read()):
                        self._check(f"sha256:{each}", self.path(f"sha256:{each}"))
            self._verified.add(digest)
        return path

    def _check(self, digest: str, path: str) -> None:
        found, _ = file_digest(path)
        if found != digest.rsplit(":", 1)[1]:
            raise _other_bytes(digest, found, path)

    def text(self, digest: str) -> str | None:
        """The text of a stored file, verified, or None where it is not here."""
        try:
            with open(self.path(digest), "rb") as file:
                data = file.read()
            if (found := hashlib.sha256(data).hexdigest()) != digest.rpartition(":")[2]:
                raise _other_bytes(digest, found, self.path(digest))
            return data.decode()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    @contextmanager
    def scratch(self) -> Iterator[str]:
        """A folder on the store's disk, gone afterwards."""
        import shutil  # the no-op writes nothing and does without its imports

        folder = os.path.join(self.tmp, unique())
        with disk(self.store):
            os.makedirs(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    def adopt(self, path: str) -> str:
        """Take a file or folder that was written on the store's disk; its digest and size as the lock shows them."""
        if os.path.isdir(path):
            return self._adopt_tree(path)
        digest, size = file_digest(path)
        with disk(self.store):
            self._link(path, digest)
        return f"sha256:{digest} {size}"

    def put(self, data: bytes) -> str:
        """Store some bytes."""
        with self.scratch() as folder, disk(self.store):
            path = os.path.join(folder, "bytes")
            with open(path, "wb") as file:
                file.write(data)
            return self.adopt(path)

    def _adopt_tree(self, folder: str) -> str:
        rows, total = [], 0
        for at, folders, files in os.walk(folder):
            folders.sort()
            for name in sorted(files):
                path = os.path.join(at, name)
                digest, size = self.adopt(path).removeprefix("sha256:").split(" ")
                rows.append((os.path.relpath(path, folder).replace(os.sep, "/"), digest, int(size)))
                total += int(size)
        return f"tree {digest_of(self.put(listing(rows)))} {total}"

    def _link(self, path: str, digest: str) -> None:
        final = self.path(f"sha256:{digest}")
        if os.path.exists(final):
            return
        with open(path, "rb") as file:
            os.fsync(file.fileno())
        os.chmod(path, 0o444)
        folder = os.path.dirname(final)
        os.makedirs(folder, exist_ok=True)
        try:
            os.link(path, final)
        except FileExistsError:
            return  # another build stored the same bytes
        sync_folder(folder)
        self._verified.add(f"sha256:{digest}")

    def copy(self, digest: str, target: str) -> None:
        """Bring an object or tree to `target`, verified while it is copied, the old one in place until it is whole."""
        if digest.startswith("tree "):
            for name, each in self._files(digest):
                self.copy(f"sha256:{each}", os.path.join(target, name))
            return
        with disk(target):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            handle, fresh = temporary(os.path.dirname(target))
            try:
                found = self._pour(digest, handle)
                if found != digest.rsplit(":", 1)[1]:
                    raise _other_bytes(digest, found, self.path(digest))
                os.replace(fresh, target)
            except BaseException:
                os.unlink(fresh)
                raise

    def lay(self, digest: str, folder: str) -> str:
        """A tree as a folder to read from, verified; its files are the objects themselves where the disk links."""
        import shutil  # the no-op lays out nothing and does without its imports

        self.verified(digest)
        with disk(folder):
            os.makedirs(folder)
            for name, each in self._files(digest):
                source, target = self.path(f"sha256:{each}"), os.path.join(folder, name)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                try:
                    os.link(source, target)
                except OSError:
                    shutil.copyfile(source, target)
        return folder

    def _files(self, digest: str) -> list[tuple[str, str]]:
        """Name and sha256 of each file of a tree, none of which lies outside of it."""
        with open(self.path(digest), "rb") as file:
            rows = entries(file.read())
        for name, _, _ in rows:
            if name.startswith("/") or ".." in name.split("/"):
                raise fail("corrupt.object", f"the tree {digest} of the store names a file outside of it, `{name}`",
                           fix=f"delete {self.path(digest)} and run `embspec build`: it is made again")
        return [(name, each) for name, each, _ in rows]

    def _pour(self, digest: str, handle: int) -> str:
        hashed = hashlib.sha256()
        with os.fdopen(handle, "wb") as out, open(self.path(digest), "rb") as file:
            while chunk := file.read(CHUNK):
                hashed.update(chunk)
                out.write(chunk)
            os.fchmod(out.fileno(), 0o644)
        return hashed.hexdigest()
