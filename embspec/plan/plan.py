"""What would run, be reused or stay, and because of which field: a pure function of values."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from embspec.plan.keys import Ingredients, Reason, ingredients, key, why
from embspec.plan.nodes import Node
from embspec.plan.pins import TREE, files_of, pins_of
from embspec.plan.then import definition, locked_ingredients, said
from embspec.plan.values import Block, Record, Texts, Wish, World, digest_of

CLEAN, REUSE, RUN, HELD = "clean", "reuse", "run", "held"
GREEN = "green"
VERDICT = "verdict"
PACKAGES = "packages"  # the line of an environment that lists every package: no measure of likeness
UNKNOWN = "changes with an earlier stage"
MOST = 10  # files that a reason names


class Recipes(NamedTuple):
    """What the street says beside its stages."""

    shared: Mapping[str, int]  # recipe numbers of the shared algorithms
    introduced: Texts  # field -> the value it had when it was introduced


class Step(NamedTuple):
    """What becomes of one stage."""

    node: Node
    state: str
    why: tuple[Reason, ...] = ()
    stale: bool = False  # the lock does not say what spec and inputs say
    maybe: bool = False  # behind a stage that will run: only if its bytes change
    key: str = ""
    named: Ingredients = {}
    pin: Texts = {}
    out: Texts = {}
    recipe: str = ""
    uses: Texts = {}
    record: Record | None = None
    note: str = ""


class Plan(NamedTuple):
    """The whole decision; `lost` are bytes that are nowhere, `behind` paths of `out/` that hold others or none."""

    steps: tuple[Step, ...]
    dropped: tuple[str, ...]
    lost: tuple[tuple[str, str], ...]
    verdict: str
    behind: tuple[str, ...] = ()
    judged: bool = True  # false where `--to` leaves out a stage that judges or ships: half of a build never ships

    @property
    def todo(self) -> bool:
        """Whether a build would touch a stage or the lock, or find something lost."""
        return bool(self.work or self.dropped or self.lost)

    @property
    def idle(self) -> bool:
        """Whether a build would find nothing to do, and nothing red to say."""
        return self.green and not (self.todo or self.stale or self.behind)

    @property
    def stale(self) -> tuple[Step, ...]:
        """The stages whose block in the lock is out of date."""
        return tuple(s for s in self.steps if s.stale)

    @property
    def work(self) -> tuple[Step, ...]:
        """The stages that a build would touch."""
        return tuple(s for s in self.steps if s.state in (RUN, REUSE))

    @property
    def green(self) -> bool:
        """Whether what was built may be published as the good build."""
        return self.verdict in ("", GREEN)


class _Table(NamedTuple):
    """What the steps so far have settled."""

    blocks: Mapping[str, Block]
    world: World
    wish: Wish
    recipes: Recipes
    names: tuple[str, ...]
    then: Mapping[str, Block]  # what reasons compare with: the lock as it was before this build touched it
    known: dict[str, str]  # role -> digest; absent while a stage that makes it will run


def plan(
    nodes: Sequence[Node], blocks: Mapping[str, Block], world: World, wish: Wish, recipes: Recipes,
    then: Mapping[str, Block] | None = None,
) -> Plan:
    """Decide each stage in street order, then ask for the bytes that running stages and `out/` need."""
    every, nodes = nodes, _up_to(nodes, wish.to)
    judged = all(n in nodes for n in every if n.stage.judges or n.ships)
    table = _Table(blocks, world, wish, recipes, tuple(n.name for n in nodes), blocks if then is None else then, {})
    steps: list[Step] = []
    verdict = ""
    for node in nodes:
        step = _follow(node, every, table) if node.stage.follow else _decide(node, table)
        if node.stage.judges:
            verdict = _verdict(step, blocks)
        if node.stage.gated and step.state != CLEAN and verdict not in ("", GREEN) and not wish.index_anyway:
            step = step._replace(state=HELD, stale=False, out=blocks.get(node.name, Block()).out)
        if not (step.state == RUN and (step.maybe or not step.out)):
            table.known.update({f"{node.name}/{a}": d for a, d in step.out.items()})
        steps.append(step)
    behind = [t for t in targets(steps, verdict, judged) if wish.publish and not world.published(t[0], t[2])]
    lost = _demand(steps, table, [role for _, role, _ in behind])
    dropped = () if wish.to else tuple(name for name in blocks if name not in table.names)
    return Plan(tuple(steps), dropped, tuple(lost), verdict, tuple(path for path, _, _ in behind), judged)


def _up_to(nodes: Sequence[Node], to: str) -> Sequence[Node]:
    """`--to X`: what X stands on, X, and a report over what is there, where that is enough for one."""
    if not to:
        return nodes
    names = [n.name for n in nodes]
    by_name = dict(zip(names, nodes, strict=True))
    wanted, found = [to], set()
    while wanted:
        name = wanted.pop()
        if name not in found:
            found.add(name)
            node = by_name[name]
            wanted += [r.rsplit("/", 1)[0] for r in node.stage.needs(node.params, names)]
            wanted += [node.stage.follow.stage] if node.stage.follow else []
            wanted += [n.name for n in nodes if n.stage.judges] if node.stage.gated else []
    reached = [name for name in names if name in found]
    return [n for n in nodes if n.name in found or (not n.stage.locked and _fed(n, reached))]


def _fed(node: Node, names: Sequence[str]) -> bool:
    """Whether these stages make all that the node opens."""
    return all(role.rsplit("/", 1)[0] in names for role in node.stage.needs(node.params, names))


def _verdict(step: Step, blocks: Mapping[str, Block]) -> str:
    """The verdict that is known before anything runs."""
    if step.record and step.state == REUSE:
        return step.record.stat.get(VERDICT, "")
    return blocks.get(step.node.name, Block()).stat.get(VERDICT, "")


def _decide(node: Node, table: _Table) -> Step:
    stage, block = node.stage, table.blocks.get(node.name)
    roles = stage.needs(node.params, table.names)
    unknown = [r for r in roles if r not in table.known]
    pins, missing = pins_of(node, block, table.blocks, table.world, table.wish)
    needs = {r: digest_of(table.known.get(r, f"{UNKNOWN} ")) for r in roles}
    uses = _uses(node, table)
    named = _named(node, str(stage.recipe), uses, pins, needs, table)
    step = Step(node, RUN, stale=True, named=named, pin=pins, recipe=str(stage.recipe), uses=uses)
    if node.name in table.wish.refresh:
        return step._replace(why=(Reason("--refresh", None, "asked for"),), stale=False)
    belied: tuple[Reason, ...] = ()
    if block and block.key and not unknown and not missing and not _cut(node, block):
        kept = _kept(node, block, step, needs, table)
        belied = _belied(node, block, table) if kept and stage.judges else ()
        if kept and not belied:
            return kept
    reasons = belied + _reasons(node, named, missing, table)
    if unknown:
        own = any(r.now != UNKNOWN for r in reasons)
        return step._replace(why=reasons, maybe=not own and bool(block))
    step = step._replace(why=reasons, key=key(named))
    return step if missing else _recorded(step, table)


def _cut(node: Node, block: Block) -> list[str]:
    """Artefacts whose line is gone from the lock: a hand, or a merge, took it out, and the key does not cover it."""
    return [a for a in node.makes if a not in block.out]


def _named(node: Node, recipe: str, uses: Texts, pins: Texts, needs: Texts, table: _Table) -> Ingredients:
    return ingredients(node.name, recipe, uses, node.params, pins, needs, table.recipes.introduced)


def _uses(node: Node, table: _Table) -> Texts:
    return {name: str(table.recipes.shared[name]) for name in node.stage.uses}


def _kept(node: Node, block: Block, step: Step, needs: Texts, table: _Table) -> Step | None:
    """The lock's block still holds, by today's recipes or by those it was built with, and says what its key says."""
    clean = step._replace(state=CLEAN, stale=False, key=block.key, out=block.out, recipe=block.recipe, uses=block.uses)
    said = ingredients(node.name, block.recipe, block.uses, block.params, block.pin, needs, table.recipes.introduced)
    if key(said) != block.key:
        return None  # a hand, or a merge, changed a line of it: the key of what the spec says proves nothing here
    if said == step.named:
        return clean
    if said == _named(node, block.recipe, block.uses, step.pin, needs, table):
        return clean._replace(named=said, note=_older(block, step))
    return None


def _belied(node: Node, block: Block, table: _Table) -> tuple[Reason, ...]:
    """A verdict that is not the one of the record: no key covers it, and a build must not be green by a merge."""
    found = [r.stat.get(VERDICT) for r in table.world.records(block.key) if r.out == block.out]
    then = block.stat.get(VERDICT)
    return (Reason(f"stat {VERDICT}", then, found[0]),) if found and then not in found else ()


def _older(block: Block, step: Step) -> str:
    pairs = [("recipe", block.recipe, step.recipe)] + [(u, block.uses.get(u, "0"), n) for u, n in step.uses.items()]
    return ", ".join(f"built by {name} {then}, now {now}" for name, then, now in pairs if then != now)


def _recorded(step: Step, table: _Table) -> Step:
    """A result of this key that the store has; floats are taken from this environment alone, unless asked."""
    found = [r for r in table.world.records(step.key) if r.ingredients == step.named]
    if found and step.node.settles and not table.wish.any_env:
        here = table.world.here(step.node.packages, step.pin)
        found = [r for r in found if {k: v for k, v in r.env.items() if k != PACKAGES} == here]
    if found:
        clean = not step.node.stage.locked
        step = step._replace(out=found[0].out, record=found[0])
        return step._replace(state=CLEAN, why=(), stale=False) if clean else step._replace(state=REUSE)
    return step if step.node.stage.locked else step._replace(stale=False)


def _reasons(node: Node, now: Ingredients, missing: list[str], table: _Table) -> tuple[Reason, ...]:
    if not node.stage.locked:
        return (Reason("record", None, "none in the store"),)
    block = table.then.get(node.name)
    if block is None:
        return (Reason("stage", None, "new"),)
    then = locked_ingredients(node, table.then, table.recipes) or _recorded_then(node, block, now, table)
    found = tuple(Reason(f"pin {name}", (then or {}).get(f"pin {name}"), "found by the run") for name in missing)
    if then is None:
        return found + _without_then(node, block, now, missing)
    differ = tuple(r for r in why(then, now) if r.field.removeprefix("pin ") not in missing)
    found += tuple(Reason(f"out {artefact}", None, "not in the lock") for artefact in _cut(node, block))
    return found + differ + _files(node, differ, missing, table)


def _recorded_then(node: Node, block: Block, now: Ingredients, table: _Table) -> Ingredients | None:
    """By its record, where lines that the key covers were taken out of the lock so that they are found anew."""
    whole = all(name in block.pin for name in (*node.settles, *node.pins))
    if whole and said(node, table.then, table.recipes) is not None:
        return None
    found = [r.ingredients for r in table.world.records(block.key) if r.out == block.out] if block.key else []
    return found[0] if found and found[0] != now else None


def _without_then(node: Node, block: Block, now: Ingredients, missing: Sequence[str]) -> tuple[Reason, ...]:
    """What can be said of a block that does not tell what it was built from."""
    gone = tuple(Reason(f"pin {f}", None, now[f"pin {f}"]) for f in node.settles if f not in block.pin)
    if block.key:
        return gone or (() if missing else (Reason("key", block.key, "written against other inputs"),))
    then = {"recipe": block.recipe, **{f"uses {name}": number for name, number in block.uses.items()}}
    older = why(then, {name: now[name] for name in then if name in now}) if block.recipe else ()
    return older or (() if missing else (Reason("stage", None, "to be built"),))


def _files(node: Node, differ: Sequence[Reason], missing: Sequence[str], table: _Table) -> tuple[Reason, ...]:
    """Which live files a changed tree is about, as far as somebody reads on; of what is not pinned nothing is known."""
    pin = next((r.then for r in differ if r.field == f"pin {TREE}"), None)
    kept = table.blocks.get(node.name, Block()).pin
    moved = [m for m in table.world.moved(files_of(node, kept), pin) if m[0] not in missing] if pin else []
    named = tuple(Reason(f"file {name}", then, now) for name, then, now in moved[:MOST])
    return named + ((Reason("files", None, f"and {len(moved) - MOST} more"),) if len(moved) > MOST else ())


def _follow(node: Node, nodes: Sequence[Node], table: _Table) -> Step:
    """A pin of another stage's artefacts: it stays once something was built on it, until somebody asks."""
    follow = node.stage.follow
    assert follow
    leader = next(n for n in nodes if n.name == follow.stage)
    block = table.blocks.get(node.name)
    now = definition(leader.params, table.recipes)
    live = {a: table.known[f"{leader.name}/{a}"] for a in node.makes if f"{leader.name}/{a}" in table.known}
    anchor = next((a for a in follow.anchors if any(n.name == a for n in nodes)), "")  # of the spec, whatever `--to`
    reasons = _moves(node, block, _redefined(leader, now, block, table), anchor in table.blocks, table)
    if block and not reasons:
        return Step(node, CLEAN, key="", pin=block.pin, out={a: block.pin[a] for a in node.makes})
    if len(live) < len(node.makes):
        return Step(node, RUN, reasons, stale=block is None, maybe=block is not None)
    pin = {"definition": now, **live}
    if block and block.pin == pin:
        return Step(node, CLEAN, pin=pin, out=live)
    then = block.pin if block else {}
    moved = tuple(Reason(f"pin {a}", then.get(a), live[a]) for a in sorted(live) if then.get(a) != live[a])
    return Step(node, RUN, reasons + moved, stale=True, pin=pin, out=live)


def _redefined(leader: Node, now: str, block: Block | None, table: _Table) -> tuple[Reason, ...]:
    """Which of the leader's parameters are other than those the pin was taken with; by name where the lock has them."""
    if block is None or block.pin.get("definition") == now:
        return ()
    then = table.then.get(leader.name, Block()).params
    if definition(then, table.recipes) == block.pin.get("definition"):
        return why(then, leader.params)
    return (Reason("pin definition", block.pin.get("definition"), now),)


def _moves(
    node: Node, block: Block | None, redefined: tuple[Reason, ...], anchored: bool, table: _Table
) -> tuple[Reason, ...]:
    """Why the pin goes to the live artefacts; nothing where it stays."""
    if block is None:
        return (Reason("stage", None, "new"),)
    if redefined:
        return redefined
    if any(a not in block.pin for a in node.makes):
        return (Reason("pin", None, "not in the lock"),)
    if table.wish.retrain:
        return (Reason("--retrain", None, "asked for"),)
    if node.stage.follow and node.stage.follow.always(node.typed):
        return tuple(Reason(path, None, text) for path, text in node.params.items())
    return () if anchored else (Reason("stage", None, "nothing is built on it yet"),)


def targets(steps: Sequence[Step], verdict: str, judged: bool = True) -> list[tuple[str, str, str]]:
    """What `out/` should hold: path, role and digest of each settled artefact; what nobody judged does not ship."""
    red = verdict not in ("", GREEN)
    return [
        (f"candidate/{path}" if red and step.node.ships else path, f"{step.node.name}/{a}", step.out[a])
        for step in steps
        if step.state in (CLEAN, REUSE) and (judged or not step.node.ships)
        for a, path in step.node.out.items() if a in step.node.makes
    ]


def _demand(steps: list[Step], table: _Table, behind: list[str]) -> list[tuple[str, str]]:
    """Walk back up the street: bytes that a stage or `out/` needs and nobody has are made again."""
    at = {s.node.name: i for i, s in enumerate(steps)}
    wanted = [role for step in steps if step.state == RUN and not step.maybe for role in _opens(step, table)]
    wanted += [*behind, *sorted(table.wish.bring)]
    lost, seen = [], set()
    while wanted:
        role = wanted.pop()
        name, artefact = role.rsplit("/", 1)
        if role in seen or role not in table.known or table.world.has(digest_of(table.known[role])):
            continue
        seen.add(role)
        step = steps[at[name]]
        if step.node.stage.follow:
            source = steps[at[step.node.stage.follow.stage]]
            if table.known.get(f"{source.node.name}/{artefact}") == table.known[role]:
                wanted.append(f"{source.node.name}/{artefact}")
            elif source.state != RUN:
                lost.append((role, table.known[role]))
                wanted += _opens(source, table)  # it is read from git by what the documents were read with
        elif step.state in (CLEAN, REUSE):
            reason = Reason("store", digest_of(step.out[artefact]), "missing")
            steps[at[name]] = _again(step, reason, table)
            wanted += _opens(step, table)
    return lost


def _again(step: Step, reason: Reason, table: _Table) -> Step:
    """A settled stage that runs because its bytes are gone: by today's recipes, whatever the lock was built with."""
    step = step._replace(state=RUN, why=(*step.why, reason), maybe=False, record=None)
    if not step.note:
        return step
    recipe, uses = str(step.node.stage.recipe), _uses(step.node, table)
    needs = {role: digest_of(table.known[role]) for role in _opens(step, table)}
    named = _named(step.node, recipe, uses, step.pin, needs, table)
    older = why(step.named, named)
    step = step._replace(named=named, key=key(named), recipe=recipe, uses=uses)
    return step._replace(why=step.why + older, stale=True, note="")


def _opens(step: Step, table: _Table) -> list[str]:
    return [r for r in step.node.stage.needs(step.node.params, table.names) if r in table.known]
