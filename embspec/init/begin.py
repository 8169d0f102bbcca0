"""The work of `init`: look, ask, try, write."""
from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from embspec import git
from embspec.errors import EmbspecError, fail
from embspec.init import bases, documents, globs, seen, settle
from embspec.init.documents import Survey
from embspec.init.draft import PARTS, TOKENS, Draft
from embspec.init.folder import ROWS, opened
from embspec.init.settle import Ask, Question, Settled
from embspec.init.trial import SPLIT
from embspec.stages.reading import count, ending
from embspec.store.files import disk, replace
from embspec.store.places import Places, candidates, places

SPEC = "embspec.yaml"
CHUNKED = 0.1  # share of rows that are longer than models read, from which on rows are cut

Tell = Callable[[str], None]


class Order(NamedTuple):
    """What `init` was asked for."""

    folder: str = "."
    spec: str = ""  # where it goes; else `embspec.yaml` here
    base: str = ""
    force: bool = False
    git: bool = False


class Begun(NamedTuple):
    """What was written, from what, and what is wrong with the inputs as they are."""

    at: Places
    survey: Survey
    settled: Settled
    git: list[str]  # what was told to git

    @property
    def parts(self) -> dict[str, int]:
        """How many questions each part got when it was tried."""
        split = self.settled.tried.stats.get(SPLIT, {})
        return {part: split[f"{part}.queries"] for part in PARTS if split}


def begin(order: Order, ask: Ask, tell: Tell) -> Begun:
    """Write a spec of what is in a folder; it is tried before, so that what it lacks stands in it."""
    at, prefix = _place(order)
    with disk(at.spec):
        os.makedirs(at.folder, exist_ok=True)
    folder = opened(at.folder, prefix, at.root, os.path.basename(at.spec))
    tell(f"{order.folder}: {count(len(folder.names()), 'file')}")
    found = seen.seen(folder)
    corpus = seen.corpus_of(found, folder)
    with TemporaryDirectory() as scratch:
        survey = documents.look(corpus, folder, *seen.sought(found.asked), Path(scratch))
    if not survey.documents:
        raise EmbspecError(*survey.problems)
    corpus, unread = seen.readable(corpus, survey, folder)
    sources, unused = seen.sources(found, survey, corpus, folder)
    pages = any(ending(name) not in ROWS for name in corpus.files)
    long = survey.long >= CHUNKED * survey.documents and not found.beir
    base = bases.named(order.base) if order.base else _base(found.models, ask)
    first = Draft(base, corpus, globs.covering(corpus.files, folder.there), TOKENS if pages or long else 0, sources,
                  left=[*found.left, *unread, *unused])
    tell(f"reading {count(survey.documents, 'document')} and {count(len(sources), 'source')} of pairs")
    done = settle.settled(first, survey, at, ask)
    replace(at.spec, done.text.encode())
    return Begun(at, survey, done, _git(at) if order.git else [])


def _place(order: Order) -> tuple[Places, str]:
    """Where the spec goes, and how its paths to the folder begin."""
    target = os.path.abspath(order.folder)
    if not os.path.isdir(target):
        raise fail("usage.no-folder", f"there is no folder `{order.folder}`", fix="name the folder of the documents")
    below = f"{target}/".startswith(f"{os.getcwd().rstrip('/')}/")
    at = places(order.spec or (SPEC if below else os.path.join(target, SPEC)))
    if os.path.exists(at.spec) and not order.force:
        raise fail("usage.spec-exists", f"`{at.shown(at.spec)}` is there already",
                   fix="--force writes it anew, -o FILE another one")
    others = [] if order.spec else [path for path in candidates(at.folder) if os.path.abspath(path) != at.spec]
    if others:
        raise fail("usage.spec-exists", f"there are specs already: {', '.join(map(at.shown, others))}",
                   fix="say where this one goes, with -o specs/NAME.yaml")
    if not f"{os.path.realpath(target)}/".startswith(f"{os.path.realpath(at.root).rstrip('/')}/"):
        raise fail("usage.outside", f"`{order.folder}` lies outside of the project of `{at.shown(at.spec)}`",
                   fix="copy what the model is made of into the project, or write the spec there with -o")
    prefix = os.path.relpath(target, at.folder).replace(os.sep, "/")
    return at, "" if prefix == "." else prefix


def _git(at: Places) -> list[str]:
    """Let git leave out what builds write, and merge the lock as `embspec lock --merge` does."""
    lock = os.path.relpath(at.lock, at.root).replace(os.sep, "/")
    lines = {".gitignore": ["/out/", "/.embspec/"], ".gitattributes": [f"{lock} merge=embspec"]}
    return git.prepare(at.root, lines, {"merge.embspec.driver": "embspec lock --driver %O %A %B"})


def _base(models: Sequence[str], ask: Ask) -> bases.Base:
    """The base to begin with: a model in the folder, else the first that is at hand, unless a person knows better."""
    there = [*(bases.Base(f"./{model}", "the model in this folder") for model in models), *bases.known()]
    about = "".join(f"\n  {base.name}: {base.about}" for base in there)
    name = ask(Question(f"which base model: a hub id, a ./folder or package:NAME/FOLDER?{about}\n", (), there[0].name))
    return next((base for base in there if base.name == name), bases.named(name))
