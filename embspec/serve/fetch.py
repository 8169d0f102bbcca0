"""Brings what a lock names into a folder of its own: complete, or not there at all."""
from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from embspec.errors import DIFFERS, OUT_OF_DATE, EmbspecError, Problem, fail
from embspec.plan.keys import ingredients, key
from embspec.plan.nodes import Node
from embspec.plan.plan import Recipes
from embspec.plan.protocol import last_round
from embspec.plan.values import Block, Record, Wish, digest_of
from embspec.store.files import disk, unique
from embspec.store.objects import Objects, entries, file_digest

# What can be asked for: the roles it consists of, and where each lies in the folder. A role that a lock may do without
# is not the first of its line.
WHAT: Mapping[str, Mapping[str, str]] = {
    "model": {"train/model": "", "export/golden.safetensors": "golden.safetensors"},
    "onnx": {"export/onnx": ""},
    "index": {"index/index": ""},
    "report": {"report/report.md": "report.md", "report/report.json": "report.json"},
}
PAGES = "report"

Blocks = Mapping[str, Block]


class Fetched(NamedTuple):
    """What came into which folder; `fresh` is false where it lay there already."""

    what: str
    folder: str
    files: int
    bytes: int
    fresh: bool


class _File(NamedTuple):
    sha256: str
    size: int


def default_folder(name: str, what: str, revision: str) -> str:
    """`handbook-model`, or for an older one `handbook-model-v1.2`."""
    return "-".join(filter(None, [name, what, re.sub(r"[^A-Za-z0-9._]+", "-", revision).strip("-.")]))


def bring(what: str, roles: Mapping[str, str], objects: Objects, folder: str, revision: str = "") -> Fetched:
    """Copy the files that the roles (role → digest) of a lock stand for, each verified on the way."""
    first = next(iter(WHAT[what]))
    if first not in roles:
        named = f"the lock of {revision}" if revision else "the lock"
        raise fail("usage.not-in-lock", f"{named} names no {what} (`{first}`)",
                   fix="`embspec get --help` lists what there is; a spec without a model has a report alone")
    files = _files(what, roles, objects, revision)
    there = _there(folder)
    if there and there != {path: file.sha256 for path, file in files.items()}:
        raise fail("usage.folder", f"`{folder}` is there and holds something else", fix="name another one with -o DIR")
    if not there:
        _write(files, objects, folder)
    return Fetched(what, folder, len(files), sum(f.size for f in files.values()), not there)


def bringing(what: str, blocks: Blocks) -> Wish:
    """What a build has to make again, and no more than that."""
    roles = [last_round(role, blocks) for role in WHAT[what] if what == PAGES or role in named(blocks)]
    return Wish(to=roles[-1].rsplit("/", 1)[0], publish=False, bring=frozenset(roles))


def free(folder: str) -> None:
    """Refuse a folder that holds something before hours of work, not after."""
    if _there(folder):
        raise fail("usage.folder", f"`{folder}` holds something, and not all of what is asked for is in the store "
                   "to compare it with", fix="name another one with -o DIR")


@contextmanager
def again(revision: str) -> Iterator[None]:
    """What goes wrong while a past model is built again, in the words of who asked for it."""
    lock = f"the lock of {revision}" if revision else "the lock"
    try:
        yield
    except EmbspecError as error:
        if error.exit == OUT_OF_DATE or error.problems[0].code == "usage.stage":
            texts = [f"{lock} is not what its spec says ({p.text}), and the store lacks what it names"
                     for p in error.problems]
            fix = ("ask for the revision that built it: `embspec log` lists them, with what can be brought back"
                   if revision else "run `embspec build`, then ask again")
            raise EmbspecError(*(Problem("nowhere.spec", text, fix=fix if text is texts[-1] else "") for text in texts)
                               ) from None
        if error.exit == DIFFERS:
            fix = "another environment gives other bytes: see `env` in the lock; `embspec reproduce` names the first"
            *others, last = error.problems
            raise EmbspecError(*(p._replace(fix="") for p in others), last._replace(fix=fix)) from None
        raise


def named(blocks: Blocks) -> dict[str, str]:
    """Every artefact that a lock has, by role; that of a stage with several rounds is its last."""
    every = {f"{name}/{artefact}": text for name, block in blocks.items() for artefact, text in block.out.items()}
    return {role: every.get(last_round(role, blocks), text) for role, text in every.items()}


def pages(
    nodes: Sequence[Node], blocks: Blocks, records: Callable[[str], Sequence[Record]], recipes: Recipes, revision: str
) -> dict[str, str]:
    """The report by role: it has no block in the lock, so its record is looked up by what it was written from."""
    node = next(n for n in nodes if n.name == PAGES)
    names = [n.name for n in nodes if n.name in blocks or not n.stage.locked]
    outs = {f"{name}/{a}": t for name, b in blocks.items() for a, t in (b.out or b.pin).items()}
    needs = {role: digest_of(outs[role]) for role in node.stage.needs(node.params, names) if role in outs}
    uses = {name: str(recipes.shared[name]) for name in node.stage.uses}
    said = ingredients(node.name, str(node.stage.recipe), uses, node.params, {}, needs, recipes.introduced)
    found = [record for record in records(key(said)) if record.ingredients == said]
    if not found:
        raise fail("nowhere.report", "the report that belongs to this lock is not in the store", fix=_fix(revision))
    return {f"{node.name}/{artefact}": text for artefact, text in found[0].out.items()}


def _files(what: str, roles: Mapping[str, str], objects: Objects, revision: str) -> dict[str, _File]:
    """Every file by its path in the folder; all that the store lacks is said at once."""
    files: dict[str, _File] = {}
    lacking: list[str] = []
    for role, path in WHAT[what].items():
        text = roles.get(role)
        if text is None:
            continue
        digest = digest_of(text)
        found = tree_files(objects, digest) if digest.startswith("tree ") else {
            "": _File(digest.removeprefix("sha256:"), int(text.rsplit(" ", 1)[1]))}
        if found is None:
            lacking.append(f"{role} ({digest})")
            continue
        for name, file in found.items():
            files["/".join(filter(None, [path, name]))] = file
            if not objects.has(f"sha256:{file.sha256}"):
                lacking.append("/".join(filter(None, [role, name])) + f" (sha256:{file.sha256})")
    if lacking:
        raise EmbspecError(*(
            Problem("nowhere.object", f"{text} is not in the store", fix=_fix(revision) if text is lacking[-1] else "")
            for text in lacking))
    return files


def tree_files(objects: Objects, digest: str) -> dict[str, _File] | None:
    """The files of a tree by name; None where the store has no list of them."""
    text = objects.text(digest)
    if text is None:
        return None
    objects.files(digest)  # one that names a file outside of it is refused
    return {name: _File(sha256, size) for name, sha256, size in entries(text.encode())}


def _fix(revision: str) -> str:
    if os.path.isfile(revision):
        return "name the git revision of this lock: what the store lacks is then built again from its spec"
    return f"leave out --no-run: it is built again{f' as of {revision}' if revision else ''}, in a folder apart"


def _there(folder: str) -> dict[str, str]:
    """What a folder holds by path; empty where it is empty, or not there."""
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise fail("usage.folder", f"`{folder}` is there and is no folder", fix="name another one with -o DIR")
    found = {}
    for at, folders, files in os.walk(folder):
        found.update({os.path.relpath(os.path.join(at, name), folder): "" for name in folders if not os.listdir(
            os.path.join(at, name))})  # an empty folder is something else too
        for name in files:
            path = os.path.join(at, name)
            found[os.path.relpath(path, folder)] = file_digest(path)[0] if os.path.isfile(path) else ""
    return found


def _write(files: Mapping[str, _File], objects: Objects, folder: str) -> None:
    """Beside its place first, so that a copy that was cut off never has the folder's name."""
    folder = os.path.abspath(folder)
    fresh = os.path.join(os.path.dirname(folder), f".embspec-{unique()}")
    with disk(folder):
        try:
            os.makedirs(fresh)
            for path, file in sorted(files.items()):
                objects.copy(f"sha256:{file.sha256}", os.path.join(fresh, path))
            os.rename(fresh, folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
