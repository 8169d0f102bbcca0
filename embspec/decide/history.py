"""The history of the model in git: what each lock said, and where its model can be brought back from."""
from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any, NamedTuple, Protocol

from embspec import git
from embspec.decide.units import same_cut
from embspec.errors import EmbspecError
from embspec.git import Revision
from embspec.lock.text import Lock
from embspec.lock.text import read as parsed
from embspec.measure.forms import FUSED, SHIPPED, TUNED
from embspec.measure.gate import Gate, GateError, parse_line
from embspec.plan.canonical import plain
from embspec.plan.nodes import ITEM
from embspec.plan.plan import VERDICT, Recipes
from embspec.plan.protocol import Stage, last_round
from embspec.plan.values import Block, digest_of
from embspec.plan.words import metrics

MODEL = "train/model"
CORPUS = "corpus"
STORE, GIT, LOST, UNKNOWN = "store", "git", "lost", "unknown"
_ITEM = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')

Blocks = Mapping[str, Block]


class Entry(NamedTuple):
    """The lock of one commit; where it cannot be read, why."""

    revision: Revision
    lock: Lock | None
    problem: str = ""


class Figure(NamedTuple):
    """The figure by which a lock is known: of what ships, else of what its first gate is about."""

    metric: str
    system: str
    value: float | None


class Past(NamedTuple):
    """One commit that changed the lock.

    `source` is store, git or lost, unknown where finding out takes longer than may be waited, and empty where there is
    no model. `recut` says that documents are cut otherwise than in the lock before it, so that figures of the two are
    of other texts.
    """

    commit: str
    day: str
    subject: str
    model: str | None
    metric: str | None
    system: str | None
    value: float | None
    figures: Mapping[str, str]
    verdict: str
    source: str
    lost: tuple[str, ...]
    problem: str
    recut: bool = False


class Patience(Exception):
    """Finding out would take longer than whoever asks wants to wait."""


class Hand(Protocol):
    """What is at hand on this machine."""

    def has(self, digest: str) -> bool:
        """Whether the store has these bytes."""

    def files(self, globs: Sequence[str], pin: str, commit: str, kept: bool) -> bool:
        """Whether the files that a stage read are there as they were: here, `kept` in the store, or in git.

        Raises `Patience`.
        """


class Declared(NamedTuple):
    """What this embspec has: its stages, the recipes of what they share, and what a model consists of."""

    street: Sequence[Stage]
    recipes: Recipes
    model: Sequence[str]


def entries(lock: str, *how: str) -> list[Entry]:
    """The lock at each commit of HEAD's history, or of what `how` names to git, that changed it, newest first."""
    folder = os.path.dirname(lock)
    if not git.top(folder):
        raise git.no_repository()
    return read(lock, git.history(folder, [git.literal(lock)], *how))


def read(lock: str, revisions: Sequence[Revision]) -> list[Entry]:
    """The lock at each revision."""
    folder, name = os.path.split(lock)
    if not revisions:
        return []
    with git.Blobs(folder, folder) as blobs:
        return [_entry(each, blobs.find(f"{each.commit}:./{name}"), name) for each in revisions]


def _entry(revision: Revision, file: IO[bytes] | None, name: str) -> Entry:
    if file is None:
        return Entry(revision, None, "there is no lock")
    try:
        return Entry(revision, parsed(file.read().decode(), name))
    except UnicodeDecodeError:
        return Entry(revision, None, "the lock is not UTF-8")
    except EmbspecError as error:
        return Entry(revision, None, error.problems[0].text)


def past(some: Sequence[Entry], pool: Sequence[Entry], declared: Declared, hand: Hand) -> list[Past]:
    """Some of the entries, each with where its model can be brought back from."""
    return [_past(entry, Whence(entry, pool, declared, hand))._replace(recut=_recut(entry, pool)) for entry in some]


def _recut(entry: Entry, pool: Sequence[Entry]) -> bool:
    """Whether the next older lock that can be read cut its documents by other rules."""
    if not entry.lock or CORPUS not in entry.lock.blocks:
        return False
    older = next((e.lock for e in pool[pool.index(entry) + 1 :] if e.lock and CORPUS in e.lock.blocks), entry.lock)
    return not same_cut(entry.lock, older)


def models(pool: Sequence[Entry], present: Lock) -> list[Entry]:
    """The newest entry of each model but the present one."""
    newest = {model: entry for entry in reversed(pool) if (model := model_of(entry.lock)) and
              model != model_of(present)}
    return sorted(newest.values(), key=pool.index)


def _past(entry: Entry, whence: Whence) -> Past:
    if entry.lock is None:
        return Past(*entry.revision, None, None, None, None, {}, "", "", (), entry.problem)
    figure, (source, lost) = headline(entry.lock), whence.model()
    metric, system, value = figure or (None, None, None)
    return Past(*entry.revision, model_of(entry.lock), metric, system, value, figures(entry.lock),
                _stat(entry.lock, "gates").get(VERDICT, ""), source, lost, "")


def model_of(lock: Lock | None) -> str | None:
    """The model's digest, in hexadecimal."""
    text = _out(lock.blocks, last_round(MODEL, lock.blocks)) if lock else ""
    return digest_of(text).rpartition(":")[2] if text else None


def figures(lock: Lock) -> dict[str, str]:
    """What the evaluation measured: one line a system."""
    return {where: str(plain(text)) for where, text in _stat(lock, "evaluate").items()}


def headline(lock: Lock) -> Figure | None:
    """The metric of the first gate, else the first that was measured, of what ships."""
    gate, found = first_gate(lock), metrics(figures(lock))
    measured = lock.blocks.get("evaluate", Block()).params.get("eval.metrics", "").split()
    metric = next((m for m in [gate.metric if gate else "", *measured] if any(k.split()[0] == m for k in found)), "")
    system = shipped(lock, metric)
    return Figure(metric, system, found.get(f"{metric} {system}")) if metric else None


def shipped(lock: Lock, metric: str) -> str:
    """Which line of the evaluation is of what ships; without a model, of what the first gate judges, else the best."""
    lines, found = figures(lock), metrics(figures(lock))
    if SHIPPED in lines:
        return SHIPPED
    if "choose" in lock.blocks:
        return TUNED if str(plain(_stat(lock, "choose").get("ships", ""))).endswith(" none") else FUSED
    gate = first_gate(lock)
    if gate and gate.system in lines:
        return str(gate.system)
    return max(lines, key=lambda where: found.get(f"{metric} {where}", -1.0), default="")


def first_gate(lock: Lock) -> Gate | None:
    """The first gate that the lock judged."""
    for path in lock.blocks.get("gates", Block()).params:
        try:
            return parse_line(path)
        except GateError:
            continue  # a parameter of all gates
    return None


def _stat(lock: Lock, stage: str) -> Mapping[str, str]:
    return lock.blocks.get(stage, Block()).stat


class Whence:
    """Where the bytes of one lock can be had, by the lock alone: nothing is planned, and nothing runs."""

    def __init__(self, entry: Entry, pool: Sequence[Entry], declared: Declared, hand: Hand) -> None:
        self._commit = entry.revision.commit
        self._blocks: Blocks = entry.lock.blocks if entry.lock else {}
        self._pool, self._declared, self._hand = pool, declared, hand
        self._known: dict[str, tuple[str, ...]] = {}

    def model(self) -> tuple[str, tuple[str, ...]]:
        """The word for where its model comes from, and what is lost; both empty where the lock names none."""
        roles = [role for one in self._declared.model if self._text(role := last_round(one, self._blocks))]
        if last_round(MODEL, self._blocks) not in roles:
            return "", ()
        if all(self._hand.has(digest_of(self._text(role))) for role in roles):
            return STORE, ()
        try:
            lost = tuple(dict.fromkeys(text for role in roles for text in self._lacks(role)))
        except Patience:
            return UNKNOWN, ()
        return (LOST, lost) if lost else (GIT, ())

    def _text(self, role: str) -> str:
        return _out(self._blocks, role)

    def _lacks(self, role: str) -> tuple[str, ...]:
        """What nobody has of all that a role can be made from; nothing where it is here, or can be made again."""
        if role not in self._known:
            text = self._text(role)
            self._known[role] = () if text and self._hand.has(digest_of(text)) else self._remade(role)
        return self._known[role]

    def _remade(self, role: str) -> tuple[str, ...]:
        name = role.rsplit("/", 1)[0]
        stage, item = stage_of(name, self._declared.street)
        block = self._blocks.get(name)
        if block is None or stage is None:
            return (f"{role}: {'the lock has no such stage' if stage else 'a stage that this embspec does not have'}",)
        if stage.follow:
            return self._followed(role, stage.follow.stage)
        older = self._older(name, block, stage)
        if older:
            return (older,)
        lacking = () if self._read(stage, item, block, self._commit) else (_files(name, block),)
        needs = stage.needs(block.params, list(self._blocks))
        return (*lacking, *(text for need in needs for text in self._lacks(need)))

    def _followed(self, role: str, leader: str) -> tuple[str, ...]:
        """A pinned artefact: made from this commit's files, or from those of another whose lock made the same."""
        artefact, text = role.rsplit("/", 1)[1], self._text(role)
        stage, item = stage_of(leader, self._declared.street)
        for commit, block in self._made(leader, artefact, text):
            if stage and not self._older(leader, block, stage) and self._read(stage, item, block, commit):
                return ()
        return (f"{role} ({_short(digest_of(text))}), and the files that made it",)

    def _made(self, leader: str, artefact: str, text: str) -> Iterable[tuple[str, Block]]:
        """This lock's own block first, then that of each commit that had the same bytes."""
        own = [(self._commit, self._blocks)]
        others = [(e.revision.commit, e.lock.blocks) for e in self._pool if e.lock]
        for commit, blocks in [*own, *others]:
            block = blocks.get(leader)
            if block and block.out.get(artefact) == text:
                yield commit, block

    def _older(self, name: str, block: Block, stage: Stage) -> str:
        """A stage runs by today's recipes; bytes of another recipe only the embspec that had it makes again."""
        now = {"recipe": str(stage.recipe), **{use: str(self._declared.recipes.shared[use]) for use in stage.uses}}
        then = {"recipe": block.recipe, **block.uses}
        other = next((part for part in now if then.get(part, now[part]) != now[part]), "")
        return f"{name}: it was built by {other} {then[other]}, this embspec has {now[other]}" if other else ""

    def _read(self, stage: Stage, item: str, block: Block, commit: str) -> bool:
        """Whether the files that a stage read are at hand; one that reads none needs none."""
        pin = block.pin.get("tree")
        if stage.live is None or pin is None:
            return stage.live is None
        return self._hand.files(stage.live(typed(block, item)), pin, commit, stage.keeps)


def _out(blocks: Blocks, role: str) -> str:
    stage, artefact = role.rsplit("/", 1)
    block = blocks.get(stage, Block())
    return (block.out or block.pin).get(artefact, "")


def stage_of(name: str, street: Sequence[Stage]) -> tuple[Stage | None, str]:
    """The declaration of a stage by its name in a lock, and the name of its item."""
    section, _, item = name.partition(".")
    exact = next((stage for stage in street if stage.name == name), None)
    return (exact, "") if exact else (next((s for s in street if s.name == f"{section}.{ITEM}"), None), item)


def typed(block: Block, item: str) -> dict[str, Any]:
    """The parameters of a block as a stage declares its files by them: paths are lists, and pins stand beside."""
    found: dict[str, Any] = {}
    for path, text in block.params.items():
        field = path.replace(f".{item}.", ".", 1) if item else path
        found[field] = _items(plain(text)) if path == "corpus.path" else plain(text)
    return {**found, **{f"pin.{name}": plain(text) for name, text in block.pin.items()}}


def _items(text: Any) -> list[str]:
    """The items of a list that the lock joined by blanks."""
    words = _ITEM.findall(text) if isinstance(text, str) else text
    return [json.loads(word) if word.startswith('"') else word for word in words]


def _files(name: str, block: Block) -> str:
    pin = block.pin.get("tree", "unknown")
    return f"{name}: the {pin.split(' ', 1)[-1]} that it read ({_short(pin.split(' ')[0])})"


def _short(digest: str) -> str:
    return re.sub(r"(sha256:[0-9a-f]{12})[0-9a-f]+", r"\1…", digest)
