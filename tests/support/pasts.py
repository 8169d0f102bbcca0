"""Projects with a history: committed step by step, looked at by commands, and with less in the store than there was."""
from __future__ import annotations

from pathlib import Path

from embspec.lock.text import Lock, read
from embspec.plan.values import digest_of
from embspec.store.objects import Objects, entries
from tests.support.repository import Repository


def lock_at(repository: Repository, revision: str, path: str) -> Lock:
    """What the lock said."""
    return read(repository.git("show", f"{revision}:{path}") + "\n", path)


def digests(lock: Lock, objects: Objects) -> set[str]:
    """Every object that a lock names: artefacts, their files, and the files of which a stage kept a copy."""
    texts = [text for block in lock.blocks.values() for text in (*block.out.values(), *block.pin.values())]
    found = set()
    for text in filter(lambda text: "sha256:" in text, texts):
        digest = text[text.index("sha256:"):].split(" ")[0]
        found.add(digest)
        if (text.startswith("tree ") or text.endswith((" file", " files"))) and (rows := objects.text(digest)):
            found |= {f"sha256:{sha}" for _, sha, _ in entries(rows.encode())}
    return found


def forget(project: Path, lock: Lock, keep: Lock | None = None) -> int:
    """Take from the store what this lock names, but for what another does; how much that was."""
    objects = Objects(str(project.parent / "store"))
    gone = digests(lock, objects) - (digests(keep, objects) if keep else set())
    paths = [Path(objects.path(digest)) for digest in gone]
    for path in paths:
        path.unlink(missing_ok=True)
    return len(paths)


def model(lock: Lock) -> str:
    """The digest of a lock's model."""
    return digest_of(lock.blocks["train"].out["model"]).rpartition(":")[2]
