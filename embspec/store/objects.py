"""Content-addressed bytes: files and trees by sha256, crash-safe, never rewritten."""
from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NoReturn

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


def _other_bytes(digest: str, found: str) -> str:
    return f"the object {digest} of the store holds other bytes ({found[:12]}…)"


class Objects:
    """The `obj/` folder of a store."""

    def __init__(self, store: str) -> None:
        self.store = store
        self.tmp = os.path.join(store, "tmp")
        self.looking = False  # whoever only looks says what is corrupt and moves nothing
        self._verified: set[str] = set()

    def path(self, digest: str) -> str:
        """Where the bytes of a `sha256:…` lie, whether they are there or not."""
        name = digest.rpartition(":")[2]
        return os.path.join(self.store, "obj", name[:2], name[2:])

    def has(self, digest: str) -> bool:
        """Whether the bytes are here; of a tree, each of its files too."""
        if not _DIGEST.fullmatch(digest):
            return False  # a hand wrote it into the lock: no bytes have it
        if not self._here(digest):
            return False
        if not digest.startswith("tree "):
            return True
        try:
            with open(self.path(digest), "rb") as file:
                return all(self._here(each) for _, each, _ in entries(file.read()))
        except (FileNotFoundError, NotADirectoryError):
            return False
        except ValueError:
            return False  # other bytes than its name says: as good as none

    def _here(self, digest: str) -> bool:
        path = self.path(digest)
        return os.path.exists(path) or self._recalled(path)

    def _recalled(self, path: str) -> bool:
        """Whether what is missed lay in the trash of a gc, and now lies here again."""
        from embspec.store.aside import recall  # what is there costs its stat and nothing else

        return recall(self.store, path)

    def open(self, digest: str) -> IO[bytes]:
        """A stored file as it is; a gc may move it away at any moment, and what was opened stays readable."""
        path = self.path(digest)
        try:
            return open(path, "rb")
        except (FileNotFoundError, NotADirectoryError):
            if self._recalled(path):
                return open(path, "rb")
            if not os.path.isdir(self.store):
                raise self._gone() from None
            raise fail("nowhere.object", f"the object {digest} is not in the store any more",
                       fix="run `embspec build`: it is made again") from None

    def _gone(self) -> EmbspecError:
        return fail("disk.gone", f"the store {self.store} is not there any more; what was finished lies in it",
                    fix="bring it back, or set EMBSPEC_STORE to another folder, and run the command again")

    def verified(self, digest: str) -> str:
        """The path of bytes that are what their name says; hashed once a process: stages believe what they read.

        The no-op opens no object and so pays nothing for this.
        """
        if digest not in self._verified:
            self._check(digest.removeprefix("tree "))
            if digest.startswith("tree "):
                for each in sorted({f"sha256:{each}" for _, each in self.files(digest)}):
                    self._check(each)
            self._verified.add(digest)
        self._here(digest)
        return self.path(digest)

    def _check(self, digest: str) -> None:
        with self.open(digest) as file:
            found = _poured(file)
        if found != digest.rsplit(":", 1)[1]:
            self._refuse(digest, _other_bytes(digest, found), found)
        self._used(self.path(digest))

    def _used(self, path: str) -> None:
        from embspec.store.aside import touch

        if not self.looking:
            touch(path)

    def _refuse(self, digest: str, text: str, found: str) -> NoReturn:
        """Bytes that nobody may believe go out of the way, so that the next build makes them again."""
        from embspec.store.aside import set_aside

        path, name = self.path(digest), digest.rpartition(":")[2]
        self._verified.discard(digest)
        aside = "" if self.looking else set_aside(self.store, path, name)
        if not aside and os.path.exists(path):  # a store that may not be written, or nobody asked
            raise fail("corrupt.object", text, fix=f"delete {path} and run `embspec build`: it is made again")
        if aside and found != name and file_digest(aside)[0] == name:
            self._link(aside, name)  # between look and move another process had put the right bytes there
            os.unlink(aside)
        raise fail("corrupt.object", f"{text}; it was set aside",
                   fix="run `embspec fsck`: it is brought back or made again, as by the next build that needs it")

    def text(self, digest: str) -> str | None:
        """The text of a stored file, verified, or None where it is not here."""
        if not self._here(digest):
            return None
        try:
            with self.open(digest) as file:
                data = file.read()
        except IsADirectoryError:
            return None
        if (found := hashlib.sha256(data).hexdigest()) != digest.rpartition(":")[2]:
            self._refuse(digest, _other_bytes(digest, found), found)
        return data.decode()

    @contextmanager
    def scratch(self) -> Iterator[str]:
        """A folder on the store's disk, gone afterwards."""
        import shutil  # the no-op writes nothing and does without its imports

        folder = os.path.join(self.tmp, unique())
        with disk(self.store):
            os.makedirs(folder)
        try:
            yield folder
        except Exception as error:
            if not os.path.isdir(folder):
                raise self._gone() from error  # nobody else removes it, whatever the work under it says
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # what stays is swept later

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
        """Give a file its name; one that is there already counts when its bytes are right, and in use from now on."""
        from embspec.store.aside import touch

        final = self.path(f"sha256:{digest}")
        if self._kept(digest, final) and touch(final):
            return
        with open(path, "rb") as file:
            os.fsync(file.fileno())
        os.chmod(path, 0o444)
        touch(path)  # new in the store, however old the file is that it was copied from
        folder = os.path.dirname(final)
        os.makedirs(folder, exist_ok=True)
        try:
            os.link(path, final)
        except FileExistsError:
            return  # another build stored the same bytes
        sync_folder(folder)
        self._verified.add(f"sha256:{digest}")

    def _kept(self, digest: str, final: str) -> bool:
        """Whether these bytes lie here already; others under their name go out of the way."""
        if f"sha256:{digest}" in self._verified:
            return os.path.exists(final)
        try:
            if file_digest(final)[0] == digest:
                self._verified.add(f"sha256:{digest}")
                return True
        except OSError:
            return False
        from embspec.store.aside import set_aside

        set_aside(self.store, final, digest)
        return False

    def copy(self, digest: str, target: str) -> None:
        """Bring an object or tree to `target`, verified while it is copied, the old one in place until it is whole."""
        if digest.startswith("tree "):
            for name, each in self.files(digest):
                self.copy(f"sha256:{each}", os.path.join(target, name))
            return
        with disk(target):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            handle, fresh = temporary(os.path.dirname(target))
            try:
                with os.fdopen(handle, "wb") as out, self.open(digest) as file:
                    found = _poured(file, out)
                    os.fchmod(out.fileno(), 0o644)
                if found != digest.rsplit(":", 1)[1]:
                    self._refuse(digest, _other_bytes(digest, found), found)
                os.replace(fresh, target)
            except BaseException:
                os.unlink(fresh)
                raise
        self._used(self.path(digest))

    def lay(self, digest: str, folder: str) -> str:
        """A tree as a folder to read from, verified; its files are the objects themselves where the disk links."""
        self.verified(digest)
        with disk(folder):
            os.makedirs(folder)
            for name, each in self.files(digest):
                target = os.path.join(folder, name)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                self._lend(f"sha256:{each}", target)
        return folder

    def lend(self, digest: str, target: str) -> str:
        """A file to read from, verified, for as long as `target` is there: no gc can take it away."""
        self.verified(digest)
        with disk(target):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            self._lend(digest, target)
        return target

    def _lend(self, digest: str, target: str) -> None:
        try:
            if self._here(digest):  # a gc may have moved it since it was verified
                os.link(self.path(digest), target)
                return
        except OSError:  # a disk that does not link, or a gc in this very moment
            pass
        with self.open(digest) as file, open(target, "wb") as out:
            _poured(file, out)

    def files(self, digest: str) -> list[tuple[str, str]]:
        """Name and sha256 of each file of a tree, none of which lies outside of it."""
        with self.open(digest) as file:
            data = file.read()
        if (found := hashlib.sha256(data).hexdigest()) != digest.rpartition(":")[2]:
            self._refuse(digest, _other_bytes(digest, found), found)
        rows = entries(data)
        for name, _, _ in rows:
            if name.startswith("/") or ".." in name.split("/"):
                self._refuse(digest, f"the tree {digest} of the store names a file outside of it, `{name}`", found)
        return [(name, each) for name, each, _ in rows]


def _poured(file: IO[bytes], out: IO[bytes] | None = None) -> str:
    """Read a file to its end, into another one where there is one; its sha256."""
    hashed = hashlib.sha256()
    while chunk := file.read(CHUNK):
        hashed.update(chunk)
        if out:
            out.write(chunk)
    return hashed.hexdigest()
