"""A street of toy stages, a world in memory, and a build of it that touches no disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from embspec.plan.canonical import scalar
from embspec.plan.keys import key
from embspec.plan.nodes import expand
from embspec.plan.plan import RUN, Plan, Recipes, Step, plan, targets
from embspec.plan.protocol import Follow, Params, Stage
from embspec.plan.values import Block, Record, Wish, digest_of

PLAIN = Wish()
RECIPES = Recipes({"sorting": 1}, {"split.late": "null"})

VALUES: Mapping[str, Any] = {
    "name": "toy",
    "seed": 42,
    "corpus.path": ["docs/*"],
    "corpus.train_on": "snapshot",
    "pairs.gold.path": "gold",
    "pairs.gold.trust": "gold",
    "split.test": 0.5,
    "split.late": None,
    "train.rate": 0.1,
    "eval.k": 10,
    "gates.k >= 1": "on",
}


def _pairs(names: Sequence[str]) -> list[str]:
    return [f"{name}/rows" for name in names if name.startswith("pairs.")]


def corpus_globs(params: Params) -> tuple[str, ...]:
    """What the toy corpus reads."""
    return tuple(params["corpus.path"])


def pairs_globs(params: Params) -> tuple[str, ...]:
    """What a toy source reads."""
    return (params["pairs.path"],)


STREET: tuple[Stage, ...] = (
    Stage("corpus", 1, ("corpus.path",), ("documents", "manifest"), "", live=corpus_globs),
    Stage(
        "snapshot",
        1,
        ("corpus.train_on",),
        ("documents", "manifest"),
        "",
        follow=Follow("corpus", ("train", "evaluate"), lambda values: bool(values["corpus.train_on"] == "live")),
    ),
    Stage(
        "pairs.{name}",
        1,
        ("pairs.{name}.path",),
        ("rows",),
        "",
        live=pairs_globs,
        needs=lambda params, names: ("snapshot/manifest",),
        keeps=True,
    ),
    Stage(
        "split",
        1,
        ("seed", "split", "pairs.*.trust"),
        ("train", "test"),
        "",
        uses=("sorting",),
        pins=("threshold",),
        needs=lambda params, names: (*_pairs(names), "snapshot/documents"),
    ),
    Stage(
        "train",
        1,
        ("train",),
        ("model",),
        "",
        needs=lambda params, names: ("split/train",),
        when=lambda values: "train.rate" in values,
        ships=True,
        out={"model": "model"},
    ),
    Stage(
        "evaluate",
        1,
        ("eval",),
        ("scores",),
        "",
        uses=("sorting",),
        needs=lambda params, names: (
            "split/test",
            "snapshot/documents",
            *(["train/model"] if "train" in names else []),
        ),
    ),
    Stage("gates", 1, ("gates",), ("verdict",), "", needs=lambda params, names: ("evaluate/scores",), judges=True),
    Stage(
        "index",
        1,
        (),
        ("vectors",),
        "",
        gated=True,
        out={"vectors": "index/vectors"},
        needs=lambda params, names: ("corpus/documents", *(["train/model"] if "train" in names else [])),
    ),
    Stage(
        "report",
        1,
        ("name",),
        ("page",),
        "",
        locked=False,
        out={"page": "report/page"},
        needs=lambda params, names: tuple(r for r in ("evaluate/scores", "gates/verdict") if r.split("/")[0] in names),
    ),
)


class Work(NamedTuple):
    """What a toy stage is handed."""

    step: Step
    needs: Mapping[str, str]
    files: Mapping[str, str]


class Did(NamedTuple):
    """What a toy stage made."""

    out: Mapping[str, str]
    pins: Mapping[str, Any] = {}
    stat: Mapping[str, Any] = {}


def usual(work: Work) -> Did:
    """Artefacts that name what they were made of, blanks left out: an edit of blanks is cut off here."""
    step = work.step
    texts = {**step.node.params, **work.needs, **work.files}
    told = "|".join(f"{name}={''.join(text.split())}" for name, text in texts.items())
    out = {a: f"{step.node.name}/{a} recipe {step.recipe}: {told}" for a in step.node.makes}
    pins = {p: step.pin.get(p) or f"{p}-1" for p in step.node.pins}
    return Did(out, pins, {"verdict": "green"} if step.node.stage.judges else {})


class Toys:
    """Files, objects, records, `out/` and a lock in memory; it answers the plan as a world does."""

    def __init__(self, files: Mapping[str, str] | None = None) -> None:
        self.files = {"docs/a": "one", "docs/b": "two", "gold": "q"} if files is None else dict(files)
        self.objects: dict[str, str] = {}
        self.acts: dict[str, list[Record]] = {}
        self.out: dict[str, str] = {}
        self.blocks: dict[str, Block] = {}
        self.values = dict(VALUES)
        self.street = STREET
        self.recipes = RECIPES
        self.work: dict[str, Callable[[Work], Did]] = {}
        self.asked: list[str] = []
        self.seen: dict[str, dict[str, str]] = {}
        self.machine = {"numerics.profile": "avx2", "numerics.threads": "2"}
        self.environment = {"torch": "2.13.0"}

    def read(self, globs: Sequence[str]) -> dict[str, str]:
        """The live files that match: a name, or everything under a folder."""
        heads = [g.rstrip("*") for g in globs]
        return {
            n: t
            for n, t in sorted(self.files.items())
            if any(n == h or (h.endswith("/") and n.startswith(h)) for h in heads)
        }

    def live(self, globs: Sequence[str]) -> str:
        """The pin of the files that match."""
        found = self.read(globs)
        pin = f"{_sha(repr(found))} {len(found)} files"
        self.seen[pin] = found
        return pin

    def has(self, digest: str) -> bool:
        """Whether the bytes are kept."""
        self.asked.append(digest)
        return digest in self.objects

    def records(self, key: str) -> Sequence[Record]:
        """The results of a key."""
        return self.acts.get(key, [])

    def moved(self, globs: Sequence[str], pin: str) -> list[tuple[str, str | None, str | None]]:
        """Each live file that is not as it was under an earlier pin."""
        then, now = ({n: _sha(t) for n, t in found.items()} for found in (self.seen.get(pin, {}), self.read(globs)))
        names = sorted(n for n in then.keys() | now.keys() if then.get(n) != now.get(n))
        return [(n, then.get(n), now.get(n)) for n in names] if pin in self.seen else []

    def settled(self, field: str) -> str:
        """What `auto` means here."""
        return self.machine[field]

    def here(self, packages: Sequence[str], pins: Mapping[str, str]) -> Mapping[str, str]:
        """The environment of a result made now."""
        return self.environment

    def published(self, path: str, digest: str) -> bool:
        """Whether `out/` holds it."""
        return self.out.get(path) == digest

    def plan(self, wish: Wish = PLAIN, then: Mapping[str, Block] | None = None) -> Plan:
        """The plan of the spec as it is now."""
        return plan(expand(self.street, self.values), self.blocks, self, wish, self.recipes, then)

    def build(self, wish: Wish = PLAIN, most: int = 40) -> list[str]:
        """Do what the plan says until nothing is left; the names of the stages that ran."""
        ran: list[str] = []
        before = self.blocks
        for _ in range(most):
            now = self.plan(wish, before)
            assert not now.lost, now.lost
            if not now.work:
                self._publish(now)
                return ran
            step = now.work[0]
            wish = wish._replace(
                refresh=wish.refresh - {step.node.name},
                forget=frozenset(f for f in wish.forget if not f.startswith(step.node.name + " ")),
            )
            if step.node.stage.follow:
                self._put(step, Block(pin=step.pin))
                wish = wish._replace(retrain=False)
            else:
                ran += [step.node.name] if step.state == RUN else []
                self._take(step, self.run(step, now) if step.state == RUN else step.record)
        raise AssertionError(f"the build does not come to an end: {ran}")

    def run(self, step: Step, now: Plan) -> Record:
        """Run one stage and keep its record."""
        node = step.node
        known = {f"{s.node.name}/{a}": d for s in now.steps for a, d in s.out.items()}
        roles = [f.removeprefix("needs ") for f in step.named if f.startswith("needs ")]
        needs = {r: self.objects[digest_of(known[r])] for r in roles}
        globs = node.stage.live(node.typed) if node.stage.live else ()
        did = self.work.get(node.name, usual)(Work(step, needs, self.read(globs) if globs else {}))
        pins = {"tree": self.live(globs)} if globs else {}
        pins |= {field: step.pin[field] for field in node.settles}
        pins |= {p: scalar(did.pins[p]) for p in node.pins}
        out = {a: self.keep(did.out[a]) for a in node.makes}
        named = {k: v for k, v in step.named.items() if not k.startswith("pin ")} | {
            f"pin {p}": t for p, t in pins.items()
        }
        stat = {n: scalar(v) for n, v in did.stat.items()}
        env = {**self.environment, "packages": "sha256:all"} if node.settles else {}
        record = Record(named, step.recipe, step.uses, pins, out, stat, env)
        others = [r for r in self.acts.get(key(named), []) if r.out != out]
        self.acts[key(named)] = [*others, record]
        return record

    def keep(self, text: str) -> str:
        """Store a text; the artefact as the lock names it."""
        self.objects[_sha(text)] = text
        return f"{_sha(text)} {len(text)}"

    def _take(self, step: Step, record: Record | None) -> None:
        assert record
        if step.node.stage.locked:
            self._put(
                step,
                Block(
                    record.recipe,
                    record.uses,
                    step.node.params,
                    record.pin,
                    key(record.ingredients),
                    record.out,
                    record.stat,
                ),
            )

    def _put(self, step: Step, block: Block) -> None:
        order = {n.name: i for i, n in enumerate(expand(self.street, self.values))}
        blocks = {**self.blocks, step.node.name: block}
        self.blocks = dict(sorted(blocks.items(), key=lambda item: order.get(item[0], 99)))

    def _publish(self, now: Plan) -> None:
        if now.green and now.judged:
            self.out = {path: d for path, d in self.out.items() if not path.startswith("candidate/")}
        self.out |= {path: digest for path, _, digest in targets(now.steps, now.verdict, now.judged)}
        self.blocks = {n: b for n, b in self.blocks.items() if n not in now.dropped}


def _sha(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:16]


def states(now: Plan) -> dict[str, str]:
    """State of each stage; `maybe` where it runs only if something before it changes."""
    return {s.node.name: "maybe" if s.maybe else s.state for s in now.steps}


def moving(now: Plan) -> dict[str, str]:
    """The stages that are not clean."""
    return {name: state for name, state in states(now).items() if state != "clean"}


def reasons(now: Plan, stage: str) -> list[str]:
    """The fields a stage is stale for."""
    return [r.field for s in now.steps if s.node.name == stage for r in s.why]


def built(**values: Any) -> Toys:
    """A world in which everything is built."""
    toys = Toys()
    toys.values |= {name.replace("__", "."): value for name, value in values.items()}
    toys.build()
    return toys
