"""Builds again what a lock names, in a store of its own, and compares the bytes."""
from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from embspec.errors import DIFFERS, OK, WITHIN, EmbspecError, Problem, fail
from embspec.plan.canonical import plain
from embspec.plan.keys import key
from embspec.plan.nodes import Node
from embspec.plan.pins import ENV
from embspec.plan.plan import GREEN, PACKAGES, VERDICT, plan
from embspec.plan.then import locked_ingredients
from embspec.plan.values import Block, Texts, Wish, digest_of
from embspec.plan.words import metrics
from embspec.run import locked
from embspec.run.apart import carry
from embspec.run.build import Event, Job, Order, build, check
from embspec.store import again
from embspec.store.environment import listing
from embspec.store.objects import entries
from embspec.store.world import DiskWorld

TOLERANCE = 0.01
"""How far a figure may be from the lock's in another environment, and still be within tolerance."""

SAME, EQUIVALENT, DIFFERENT = CLASSES = ("same", "equivalent", "different")
TRACE = "trace"  # the artefact that tells two trainings apart step by step

Bytes = bytes | memoryview


class Difference(Protocol):
    """What is said of two files that differ."""

    @property
    def text(self) -> str: ...
    @property
    def tensor(self) -> str | None: ...
    @property
    def ulp(self) -> int | None: ...
    @property
    def line(self) -> int | None: ...


class Parting(Protocol):
    """What is said of two trainings that part."""

    @property
    def step(self) -> int: ...


class Eyes(NamedTuple):
    """What looks at bytes; it stands in another room, where there are arrays."""

    difference: Callable[[str, Bytes, Bytes], Difference]
    parting: Callable[[bytes, bytes], Parting | None]


class First(NamedTuple):
    """The first thing of a stage that is another; where only digests are known, no more than the artefact."""

    artefact: str
    text: str
    file: str | None = None
    tensor: str | None = None
    ulp: int | None = None
    line: int | None = None
    step: int | None = None


class Rebuilt(NamedTuple):
    """One stage: whether its bytes are the lock's, or why it was not built again."""

    name: str
    equal: bool | None
    taken: str = ""
    alike: str | None = None
    first: First | None = None


class Reproduced(NamedTuple):
    """What a reproduction came to."""

    exit: int
    alike: str
    stages: Sequence[Rebuilt]
    text: str


class Past(NamedTuple):
    """What is reproduced: a build that is laid out apart, the store it once went to, and what is believed of it."""

    job: Job
    home: DiskWorld
    blocks: Mapping[str, Block]
    envs: Mapping[str, Texts]
    taken: Mapping[str, str]  # stage -> why its inputs are not laid out
    stage: str  # the one that is built again; all where empty


def reproduce(past: Past, eyes: Eyes) -> Reproduced:
    """Build every stage whose inputs survive, and compare it with the lock."""
    if not past.blocks:
        raise fail("nowhere.lock", "the lock is empty: there is nothing to reproduce", fix="run `embspec build`")
    keys = {name: block.key for name, block in past.blocks.items()}
    past = _unkeyed(past)
    nodes, taken = _chosen(past)
    _holds(past)
    again_ = [node for node in nodes if node.name not in taken]
    if not again_:
        raise EmbspecError(*(Problem("nowhere.input", f"stage {name}: {why}") for name, why in taken.items()))
    _recipes(again_, past)
    _bring(past, again_)
    alike = {node.name: _alike(node, past) for node in again_}
    worst = max(alike.values(), key=CLASSES.index)
    wish = Wish(past.stage, frozenset(alike), publish=False, index_anyway=True)
    kept = [node for node in past.job.nodes if node.name not in _held(past)]
    now = build(past.job._replace(nodes=kept, order=Order(wish), tell=_voice(past.job.tell))).lock.blocks
    stages = [
        Rebuilt(node.name, None, taken[node.name]) if node.name in taken
        else _compared(node, alike[node.name], past, now[node.name], eyes)
        for node in nodes
    ]
    code = _code(stages, worst, past, now)
    for node, stage in zip(nodes, stages, strict=True):
        if stage.alike:
            block, env = past.blocks[node.name], past.home.here(node.packages, past.blocks[node.name].pin)
            again.save(past.home.objects.store, keys[node.name], block.out, stage.alike, bool(stage.equal),
                       code == WITHIN, env)
    return Reproduced(code, worst, stages, _sentence(code, worst, stages, past))


def _unkeyed(past: Past) -> Past:
    """What the lock has, with an environment that is keyed taken out of the keys: it is compared, not obeyed."""
    nodes = [n for n in past.job.nodes if n.stage.locked and n.name in past.blocks]
    blocks = dict(past.blocks)
    for node in (n for n in nodes if ENV in past.blocks[n.name].pin):
        block, named = past.blocks[node.name], locked_ingredients(node, past.blocks, past.job.recipes)
        if named is not None:  # else a hand was in it, and that is what has to be said
            left = {field: text for field, text in named.items() if field != f"pin {ENV}"}
            pin = {name: text for name, text in block.pin.items() if name != ENV}
            blocks[node.name] = block._replace(pin=pin, key=key(left))
    locked.save(past.job.world.at, [n.name for n in nodes], lambda before: blocks, {})
    return past._replace(job=past.job._replace(nodes=[n._replace(keyed_env=False) for n in nodes]), blocks=blocks)


def _voice(tell: Callable[[Event], None]) -> Callable[[Event], None]:
    """That each stage was asked for goes without saying, and what a build would do about other bytes is not done."""
    return lambda e: None if e.what == "note" else tell(e._replace(text="") if e.what == "start" else e)


def _holds(past: Past) -> None:
    """A lock that is not what its own spec says is no build that could be made again."""
    job = past.job
    now = plan(job.nodes, past.blocks, job.world, Wish(past.stage, publish=False), job.recipes)
    try:
        check(now)
    except EmbspecError as error:
        last = error.problems[-1]._replace(fix="build it first, or reproduce a revision whose lock is up to date")
        raise EmbspecError(*error.problems[:-1], last) from None


def _held(past: Past) -> dict[str, str]:
    """What the lock has of an earlier, green build."""
    judged = [past.blocks[n.name].stat.get(VERDICT) for n in past.job.nodes if n.stage.judges and n.name in past.blocks]
    red = any(verdict not in (None, GREEN) for verdict in judged)
    return {n.name: "held: the lock has it of the last green build" for n in past.job.nodes if red and n.stage.gated}


def _chosen(past: Past) -> tuple[list[Node], dict[str, str]]:
    """The stages of the lock that do work, and which of them are not built again."""
    nodes = [n for n in past.job.nodes if n.stage.follow is None and n.name in past.blocks]
    taken = {**past.taken, **_held(past)}
    if not past.stage:
        return nodes, {n.name: taken[n.name] for n in nodes if n.name in taken}
    if past.stage in taken:
        raise fail("nowhere.input", f"stage {past.stage} cannot be built again: {taken[past.stage]}",
                   fix="bring back the files that the lock pins")
    found = [n for n in nodes if n.name == past.stage]
    if not found:
        raise fail("usage.stage", f"`{past.stage}` does no work that the lock has bytes of",
                   fix="name one of: " + ", ".join(n.name for n in nodes))
    return found, {}


def _recipes(nodes: Sequence[Node], past: Past) -> None:
    """Bytes of another recipe can only be made by the version that had it."""
    problems = []
    for node in nodes:
        block, uses = past.blocks[node.name], {u: str(past.job.recipes.shared[u]) for u in node.stage.uses}
        then, now = {"recipe": block.recipe, **block.uses}, {"recipe": str(node.stage.recipe), **uses}
        differ = [f"{name} {then.get(name, 'none')}, here {now.get(name, 'none')}"
                  for name in [*then, *(n for n in now if n not in then)] if then.get(name) != now.get(name)]
        if differ:
            version = past.envs.get(block.env, {}).get("embspec", "an unknown version")
            problems.append(Problem("nowhere.recipe", f"stage {node.name} was built by embspec {version} with "
                                    f"{', '.join(differ)}"))
    if problems:
        fix = "run it with `--fresh-env`: it is done by that version of embspec then"
        raise EmbspecError(*problems[:-1], problems[-1]._replace(fix=fix))


def _bring(past: Past, nodes: Sequence[Node]) -> None:
    """What is opened and not made again here, from the store: all that is missing is said at once."""
    job, names, made = past.job, [n.name for n in past.job.nodes], {n.name for n in nodes}
    outs = {name: block.out or block.pin for name, block in past.blocks.items()}
    leaders = {n.name: n.stage.follow.stage for n in job.nodes if n.stage.follow}
    missing = {}
    for role in dict.fromkeys(r for node in nodes for r in node.stage.needs(node.params, names)):
        name, _, artefact = role.rpartition("/")
        digest = digest_of(outs[name][artefact])
        leader = leaders.get(name, name)
        if leader in made and digest == digest_of(outs[leader][artefact]):
            continue
        if not carry(digest, past.home.objects, job.world.objects) and (past.stage or name not in leaders):
            missing[role] = digest  # what a follower pins may still come out of git, when the build asks for it
    if missing:
        raise EmbspecError(*(
            Problem("nowhere.artefact", f"{role} ({digest}) is not in the store",
                    fix="leave out --stage: what it stands on is made again" if past.stage else "")
            for role, digest in missing.items()))


def _alike(node: Node, past: Past) -> str:
    """How the environment here is beside the one that the lock records of a stage."""
    block = past.blocks[node.name]
    then = past.envs.get(block.env, {})
    now = past.home.here(node.packages, block.pin)
    packages = digest_of(past.job.world.objects.put(listing(node.packages)))
    if then == {**now, PACKAGES: packages}:
        return SAME
    alike = all(then.get(name) == now[name] for name in node.packages) and _device(then) == _device(now)
    return EQUIVALENT if alike and then else DIFFERENT


def _device(env: Texts) -> str:
    return env.get("device", "").strip('"').split(" ")[0]


def _compared(node: Node, alike: str, past: Past, now: Block, eyes: Eyes) -> Rebuilt:
    then = past.blocks[node.name]
    differ = [a for a in node.makes if digest_of(then.out.get(a, "")) != digest_of(now.out.get(a, ""))]
    if differ:
        return Rebuilt(node.name, False, alike=alike, first=_first(differ, then, now, past, eyes))
    pins = [p for p in then.pin if then.pin[p] != now.pin.get(p)]
    stat = [VERDICT] if then.stat.get(VERDICT) != now.stat.get(VERDICT) else []
    if pins or stat:
        name = (pins + stat)[0]
        old, new = ({**block.pin, **block.stat} for block in (then, now))
        text = f"{name} is {old.get(name)} in the lock and {new.get(name)} here"
        return Rebuilt(node.name, False, alike=alike, first=First(name, text))
    return Rebuilt(node.name, True, alike=alike)


def _first(differ: Sequence[str], then: Block, now: Block, past: Past, eyes: Eyes) -> First:
    """The first artefact that differs, as far down as the bytes of both are at hand."""
    artefact = differ[0]
    step, said = None, ""
    if TRACE in differ:
        with _both(digest_of(then.out[TRACE]), digest_of(now.out[TRACE]), past) as pair:
            parted = eyes.parting(*map(bytes, pair)) if pair else None
        step, said = (parted.step, f"; the trainings part at {parted}") if parted else (None, "")
    for file, old, new in _files(digest_of(then.out[artefact]), digest_of(now.out[artefact]), past):
        if not old or not new:
            return First(artefact, f"{file} is in one of them only{said}", file, step=step)
        with _both(old, new, past) as pair:
            if pair:
                found = eyes.difference(file or artefact, *pair)
                text = (f"{file}: " if file else "") + found.text + said
                return First(artefact, text, file or None, found.tensor, found.ulp, found.line, step)
    return First(artefact, f"other bytes; those of the lock are not in the store, so that digests alone were compared"
                 f"{said}", step=step)


def _files(then: str, now: str, past: Past) -> list[tuple[str, str, str]]:
    """The files that differ, with both digests; a file that is no tree is one without a name."""
    if not then.startswith("tree "):
        return [("", then, now)]
    texts = past.home.objects.text(then), past.job.world.objects.text(now)
    if texts[0] is None or texts[1] is None:
        return []
    old, new = ({name: f"sha256:{digest}" for name, digest, _ in entries(t.encode())} for t in texts if t is not None)
    return [(n, old.get(n, ""), new.get(n, "")) for n in sorted(old.keys() | new.keys()) if old.get(n) != new.get(n)]


@contextmanager
def _both(then: str, now: str, past: Past) -> Iterator[tuple[Bytes, Bytes] | None]:
    """The bytes of the lock and those made here; None where the lock's are not in the store."""
    home, here = past.home.objects, past.job.world.objects
    if not home.has(then):
        yield None
        return
    with _mapped(home.verified(then)) as old, _mapped(here.verified(now)) as new:
        yield old, new


@contextmanager
def _mapped(path: str) -> Iterator[Bytes]:
    """A file's bytes without reading them: a model may be larger than what is left of the memory."""
    with open(path, "rb") as file:
        if not os.fstat(file.fileno()).st_size:
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data, memoryview(data) as view:
            yield view


def _code(stages: Sequence[Rebuilt], worst: str, past: Past, now: Mapping[str, Block]) -> int:
    if all(stage.equal in (True, None) for stage in stages):
        return OK
    return DIFFERS if worst == SAME or not _within(stages, past, now) else WITHIN


def _within(stages: Sequence[Rebuilt], past: Past, now: Mapping[str, Block]) -> bool:
    """Whether all that was measured is near the lock's, the verdict is the same, and what is exact is exact."""
    nodes = {node.name: node for node in past.job.nodes}
    measured = False
    for stage in (s for s in stages if s.equal is not None):
        then, new = past.blocks[stage.name], now[stage.name]
        if not stage.equal and not nodes[stage.name].settles and _inputs(nodes, stage.name, past.blocks) == _inputs(
                nodes, stage.name, now):
            return False
        if then.stat.get(VERDICT) != new.stat.get(VERDICT):
            return False
        old, figures = (_figures(nodes[stage.name], block) for block in (then, new))
        if old.keys() != figures.keys() or any(abs(old[k] - figures[k]) > TOLERANCE for k in old):
            return False
        measured = measured or bool(old)
    return measured


def _figures(node: Node, block: Block) -> dict[str, float]:
    """What was measured; a verdict has figures in words of its own, and is compared as a verdict."""
    return {} if node.stage.judges else metrics({where: str(plain(text)) for where, text in block.stat.items()})


def _inputs(nodes: Mapping[str, Node], name: str, blocks: Mapping[str, Block]) -> list[str]:
    node, found = nodes[name], []
    for role in node.stage.needs(node.params, list(nodes)):
        stage, _, artefact = role.rpartition("/")
        found.append(digest_of((blocks[stage].out or blocks[stage].pin)[artefact]))
    return found


def _sentence(code: int, worst: str, stages: Sequence[Rebuilt], past: Past) -> str:
    count = sum(stage.equal is not None for stage in stages)
    taken = f", {len(stages) - count} taken by digest" if count < len(stages) else ""
    made = f"{count} stage{'' if count == 1 else 's'} rebuilt{taken}, environment {worst}"
    if code == OK:
        return f"every byte is the lock's: {made}"
    first = next(stage for stage in stages if stage.first)
    assert first.first
    where = f"{first.name}/{first.first.artefact} is the first that differs ({first.first.text})"
    within = f"every figure is within {TOLERANCE:g} of the lock's" if code == WITHIN else "that is beyond tolerance"
    if code != WITHIN and worst == SAME:
        within = "in the same environment every byte should be equal"
    elif code != WITHIN and past.stage and not any(_figures(n, past.blocks[n.name]) for n in past.job.nodes
                                                   if n.name == past.stage):
        within = "whether the figures hold is seen without --stage"
    return f"{where}; {within}: {made}"
