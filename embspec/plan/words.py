"""The sentences and the JSON that say a plan; the same ones for the no-op and for every command."""
from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from embspec.plan.canonical import plain
from embspec.plan.keys import Reason
from embspec.plan.plan import CLEAN, RUN, Plan, Step
from embspec.plan.values import Block, digest_of


class Shown(Protocol):
    """Where things lie, as a person would type it."""

    @property
    def spec(self) -> str: ...
    @property
    def lock(self) -> str: ...
    @property
    def out(self) -> str: ...
    def shown(self, path: str) -> str: ...


def as_json(value: Any) -> str:
    """Machine output: one object on one line."""
    return json.dumps(value, ensure_ascii=False)


def stages(count: int) -> str:
    """`1 stage`, `2 stages`."""
    return f"{count} stage{'' if count == 1 else 's'}"


def up_to_date(name: str, plan: Plan, far: Drift | None) -> str:
    """What a build with nothing to do says."""
    return f"{name}: up to date, {stages(len(plan.steps))}" + (f"\n{name}: {far}" if far else "")


class Drift(NamedTuple):
    """How far a followed stage's rows have moved from those that are pinned."""

    follower: str
    leader: str
    added: int
    removed: int
    changed: int
    stages: tuple[str, ...]  # what a retrain would run, at most
    seconds: float | None  # by the last runs here

    def __str__(self) -> str:
        counts = f"+{self.added} −{self.removed} ~{self.changed}"
        cost = f", about {self.seconds:.1f} s by the last runs here" if self.seconds is not None else ""
        return (f"the live {self.leader} has moved from the {self.follower} ({counts} documents); "
                f"`embspec build --retrain` would run at most {stages(len(self.stages))}{cost}")


def drift(
    now: Plan, retrained: Callable[[], Plan], text: Callable[[str], str | None], seconds: Mapping[str, float]
) -> Drift | None:
    """Compare the manifests that a follower pins with its leader's, where both are at hand."""
    for step in now.steps:
        follow = step.node.stage.follow
        leader = next((s for s in now.steps if follow and s.node.name == follow.stage), None)
        if not leader or step.state != CLEAN or not leader.out or step.out == leader.out:
            continue
        before, after = text(digest_of(step.out["manifest"])), text(digest_of(leader.out["manifest"]))
        if before is not None and after is not None:
            stages = tuple(s.node.name for s in retrained().work if not s.node.stage.follow)
            known = [seconds[name] for name in stages if name in seconds]
            cost = sum(known) if len(known) == len(stages) else None
            return Drift(step.node.name, leader.node.name, *moved(before, after), stages, cost)
    return None


def moved(before: str, after: str) -> tuple[int, int, int]:
    """Rows added, removed and changed between two manifests, one `id<TAB>digest` a line."""
    old, new = (dict(line.split("\t", 1) for line in text.split("\n")[:-1]) for text in (before, after))
    changed = sum(old[i] != new[i] for i in old.keys() & new.keys())
    return len(new.keys() - old.keys()), len(old.keys() - new.keys()), changed


class Did(NamedTuple):
    """What a build did with a stage on the way to a clean plan."""

    state: str
    why: tuple[Reason, ...]
    seconds: float | None
    counts: Mapping[str, int]


def plan_json(
    at: Shown, plan: Plan, blocks: Mapping[str, Block], exit: int,
    done: Mapping[str, Did] | None = None, expected: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """The machine form of plan, build and status; `done` is what a build did on the way."""
    return {
        "exit": exit,
        "spec": at.shown(at.spec),
        "stages": [_stage(step, (done or {}).get(step.node.name), expected or {}) for step in plan.steps],
        "lock": at.shown(at.lock),
        "out": at.shown(at.out),
        "gates": gates(plan, blocks),
    }


def _stage(step: Step, done: Did | None, expected: Mapping[str, float]) -> dict[str, Any]:
    seconds = expected.get(step.node.name) if step.state == RUN else 0.0
    did = done or Did(step.state, step.why, seconds, {})
    return {
        "name": step.node.name,
        "state": did.state,
        "why": [reason._asdict() for reason in did.why],
        "seconds": None if did.seconds is None else round(did.seconds, 3),
        "counts": {"encoded": 0, "calls": 0, "rows": 0, "files_read": 0, **did.counts},
    }


def gates(plan: Plan, blocks: Mapping[str, Block]) -> list[dict[str, Any]]:
    """The locked verdict of each gate, where the stage that judges is up to date."""
    for step in plan.steps:
        if step.node.stage.judges and step.state == CLEAN:
            stat = blocks[step.node.name].stat
            return [{"gate": gate, **gate_stat(plain(text))} for gate, text in stat.items() if gate in step.node.params]
    return []


def metrics(stat: Mapping[str, str]) -> dict[str, float]:
    """`recall@5 0.5 ndcg@10 0.4 n=209` of each system as `recall@5 bm25`; other lines are no figures."""
    found: dict[str, float] = {}
    for where, text in stat.items():
        words = text.split()
        if words and words[-1].startswith("n="):
            pairs = zip(words[:-1:2], words[1:-1:2], strict=True)
            found |= {f"{name} {where}": float(value) for name, value in pairs}
    return found


def gate_stat(text: str) -> dict[str, Any]:
    """`pass 0.071 [0.052, 0.09] n=412 needed=60` as fields."""
    words = text.replace("[", "").replace("]", "").replace(",", "").split()
    numbers: list[float | None] = [None if w == "none" else float(w) for w in words[1:] if "=" not in w]
    named = {k: int(v) for k, v in (w.split("=") for w in words if "=" in w)}
    value, low, high = (*numbers, None, None, None)[:3]
    return {"verdict": words[0], "value": value, "low": low, "high": high, "n": named.get("n", 0),
            "needed": named.get("needed")}
