"""Builds that are killed at random points, several at once on one store: what is corrupt, lost or different afterwards.

    python benchmarks/crash.py [--spec static transformer] [--kills 200] [--builders 4] [--seed 1]

Builders share a store and build one spec: the first two in one work tree, each other one in a clone of its own. Every
builder gets a life that ends in SIGKILL, at a drawn moment or at a drawn point of a drawn stage, and is started again
at once. When all have ended by themselves the round is over: every object is hashed, every record read, locks and out/
are compared with those of a build that nobody disturbed in another store; then comes the next round, until as many
were killed as asked. Leaves with 1 where anything is not as it should be.
"""
from __future__ import annotations

import argparse
import json
import math
import os
import random
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

from clock import RESULTS, machine
from crash_checks import WRONG, Found, check
from tiny import handbook, tiny

MARK = "EMBSPEC_CRASH"  # an environment variable by which all processes of a round are known
FIRST, LAST = "start", "publish"
BETWEEN = "between stages"
SHORTEST, LONGEST = 0.2, 12.0  # seconds of a life that ends by the clock
BY_CLOCK = 0.4
NEXT = 2  # of so many stages that nobody has finished, one is where the other lives end
PAGE, BEGIN, END = RESULTS.parents[1] / "docs/reliability.md", "<!-- crash -->", "<!-- /crash -->"
RESUMED, DAMAGED = "training goes on from step", "is damaged and is not used"
SPECS = {
    "static": partial(handbook, minutes=0.01),
    "transformer": partial(tiny, kind="transformer", epochs=12, minutes=0.01),
    "tiny": partial(tiny, kind="static", documents=24, epochs=1),
}


class Usual(NamedTuple):
    """A build that nobody disturbs: its project, and the seconds that each stage took."""

    project: Path
    seconds: Mapping[str, float]


class Life(NamedTuple):
    """When a builder is killed: so long after this was drawn, or so long after it began to run a stage."""

    seconds: float = math.inf
    stage: str = ""
    delay: float = 0.0


class Builder:
    """One process after another in one work tree, and what the present one has said."""

    last = ""  # the stage after which a build publishes

    def __init__(self, project: Path, env: Mapping[str, str], finished: set[str]) -> None:
        self.project, self._env, self._finished = project, env, finished
        self.start(Life())

    def start(self, life: Life) -> None:
        """A new process; its group is its own, so that a kill hits all of it."""
        self.said, self.heard = "", dict[str, float]()
        self.at, self.waits = FIRST, False
        self.live(life)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "embspec", "build", "-v"], cwd=self.project, env=dict(self._env),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)

    def live(self, life: Life) -> None:
        """From now on it has this life."""
        self.life, self._since = life, time.monotonic()

    def listen(self) -> bool:
        """Take what it said; false where it says no more."""
        data = os.read(self.stderr.fileno(), 1 << 16)
        text = self.said.rpartition("\n")[2] + data.decode(errors="replace")
        for line in text.split("\n")[:-1]:
            self._hear(line)
        self.said += data.decode(errors="replace")
        return bool(data)

    def _hear(self, line: str) -> None:
        stage, _, rest = line.partition(": ")
        word = rest.split(" ")[0] if rest else line.split(" ")[0]
        if word in ("running", "waiting"):
            self.at, self.waits = (stage if rest else FIRST), word == "waiting"
        elif word in ("done", "reused"):
            self._finished.add(stage)
            self.at, self.waits = (LAST if stage == self.last else BETWEEN), False
        else:
            return
        if not self.waits:
            self.heard.setdefault(self.at, time.monotonic())

    def due(self) -> bool:
        """Whether its life is over."""
        now, life = time.monotonic(), self.life
        return now - self._since > life.seconds or now - self.heard.get(life.stage, math.inf) > life.delay

    def missed(self) -> bool:
        """Whether another builder finished the stage that it was to be killed in."""
        return self.life.stage in self._finished and self.life.stage not in self.heard

    @property
    def stderr(self) -> IO[bytes]:
        """Where the present process speaks."""
        assert self.process.stderr
        return self.process.stderr

    def kill(self) -> bool:
        """End it and all that is in its group; false where it had just ended by itself."""
        os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait() == -signal.SIGKILL


class Tally:
    """What the kills hit."""

    def __init__(self) -> None:
        self.hit, self.waited = Counter[str](), Counter[str]()
        self.rounds = self.resumed = self.damaged = 0

    @property
    def kills(self) -> int:
        """How many there were."""
        return self.hit.total() + self.waited.total()

    def killed(self, builder: Builder) -> None:
        """One more, where it was."""
        (self.waited if builder.waits else self.hit)[builder.at] += 1
        self._heard(builder)

    def ended(self, builder: Builder) -> None:
        """One that ended by itself; a builder that nobody killed has to succeed."""
        if builder.process.wait():
            raise SystemExit(f"a builder that nobody killed ended with {builder.process.returncode}:\n{builder.said}")
        self._heard(builder)

    def _heard(self, builder: Builder) -> None:
        self.resumed += builder.said.count(RESUMED)
        self.damaged += builder.said.count(DAMAGED)
        builder.stderr.close()


def drawn(by: random.Random, usual: Usual, finished: set[str]) -> Life:
    """A life: some end by the clock, many of them early; the others in a stage still to come, wherever in it."""
    left = [stage for stage in usual.seconds if stage not in finished]
    if by.random() < BY_CLOCK:
        return Life(math.exp(by.uniform(math.log(SHORTEST), math.log(LONGEST))))
    stage = by.choice(left[:NEXT])
    return Life(stage=stage, delay=by.uniform(0, usual.seconds[stage]))


def round_of(
    trees: Sequence[Path], env: Mapping[str, str], tally: Tally, most: int, draw: Callable[[set[str]], Life],
) -> None:
    """Kill and start again, until every builder has ended by itself."""
    finished = set[str]()
    running = selectors.DefaultSelector()

    def life() -> Life:
        return draw(finished) if tally.kills < most else Life()

    for tree in trees:
        builder = Builder(tree, env, finished)
        builder.live(life())
        running.register(builder.stderr, selectors.EVENT_READ, builder)
    try:
        while running.get_map():
            for key, _ in running.select(0.005):
                if not key.data.listen():
                    running.unregister(key.fileobj)
                    tally.ended(key.data)
            for builder in [key.data for key in list(running.get_map().values())]:
                if builder.missed():
                    builder.live(life())
                if tally.kills < most and builder.due() and builder.kill():
                    running.unregister(builder.stderr)
                    tally.killed(builder)
                    builder.start(life())
                    running.register(builder.stderr, selectors.EVENT_READ, builder)
    finally:
        for key in list(running.get_map().values()):
            key.data.kill()  # one of them failed: the others end with it
    tally.rounds += 1


def environ(root: Path, store: Path) -> dict[str, str]:
    """What a builder sees: the store, a mark, and the work tree's code."""
    kept = {name: text for name, text in os.environ.items() if name not in ("CI", "EMBSPEC_STORE")}
    code = str(Path(__file__).parents[1])
    return {**kept, "EMBSPEC_STORE": str(store), MARK: str(root), "PYTHONPATH": code, "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false", "GIT_CONFIG_GLOBAL": os.devnull}


def seeded(spec: str, root: Path) -> Path:
    """The project in git, with nothing built."""
    project = root / "project"
    SPECS[spec](project)
    git(project, "init", "-q")
    git(project, "add", "-A")
    git(project, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a project")
    return project


def git(folder: Path, *args: str) -> None:
    """A git command that has to succeed."""
    subprocess.run(["git", *args], cwd=folder, check=True, env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull})


def undisturbed(project: Path, root: Path) -> Usual:
    """A build in a clone and a store of its own."""
    git(root, "clone", "-q", str(project), "apart")
    builder = Builder(root / "apart", environ(root, root / "apart-store"), set())
    while builder.listen():
        pass
    if builder.process.wait():
        raise SystemExit(f"the build that nobody disturbs ended with {builder.process.returncode}:\n{builder.said}")
    builder.stderr.close()
    times = sorted((at, stage) for stage, at in builder.heard.items() if stage not in (FIRST, BETWEEN))
    ends = [at for at, _ in times[1:]] + [time.monotonic()]
    seconds = {stage: end - at for (at, stage), end in zip(times, ends, strict=True)}
    Builder.last = times[-1][1]
    last = sum(seconds.values()) / 100
    return Usual(root / "apart", {**seconds, LAST: last})


def measure(spec: str, given: argparse.Namespace, root: Path) -> dict[str, Any]:
    """Rounds until as many were killed as asked; what they hit and what was found afterwards."""
    began, by, tally, found = time.monotonic(), random.Random(given.seed), Tally(), Found()
    project = seeded(spec, root)
    usual = undisturbed(project, root)
    while tally.kills < given.kills:
        place = root / f"round{tally.rounds}"
        trees = [place / f"tree{max(number - 1, 0)}" for number in range(given.builders)]
        for tree in dict.fromkeys(trees):
            git(root, "clone", "-q", str(project), str(tree))
        env = environ(root, place / "store")
        before = tally.kills
        round_of(trees, env, tally, given.kills, partial(drawn, by, usual))
        found += check(place, sorted(set(trees)), usual.project, env, f"{MARK}={root}")
        print(f"{spec}: round {tally.rounds}, {tally.kills - before} killed, {tally.kills} of {given.kills}",
              file=sys.stderr)
    order = [FIRST, *usual.seconds, BETWEEN]
    hit = {stage: [tally.hit[stage], tally.waited[stage]] for stage in order}
    return {"machine": machine(), "builders": given.builders, "seed": given.seed, "kills": tally.kills,
            "rounds": tally.rounds, "resumed": tally.resumed, "damaged": tally.damaged,
            "hit": hit, **found._asdict(),
            "undisturbed_seconds": round(sum(usual.seconds.values()), 1),
            "seconds": round(time.monotonic() - began)}


def shown(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The tables in Markdown: what was hit, and what was found."""
    names = list(results)
    stages = list(dict.fromkeys(stage for each in results.values() for stage in each["hit"]))

    def cell(name: str, stage: str) -> str:
        ran, waited = results[name]["hit"].get(stage, (0, 0))
        return f"{ran}" + (f" + {waited} waiting" if waited else "")

    rows = [["killed in", *names], ["---"] * (len(names) + 1)]
    rows += [[stage, *(cell(name, stage) for name in names)] for stage in stages]
    rows += [[f"**{words}**", *(f"**{results[name][what]}**" for name in names)] for what, words in WORDS.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


WORDS = {
    "kills": "killed in all", "rounds": "rounds", "resumed": "trainings that went on from a checkpoint",
    "damaged": "checkpoints that were damaged",
    "objects": "objects hashed", "corrupt": "corrupt objects", "records": "action records read",
    "broken": "records that do not parse or name what is not there", "locks": "locks compared",
    "other_locks": "locks with another byte", "files": "files of out/ compared",
    "other_files": "files of out/ with another byte", "temporaries": "temporary files that kills left",
    "unswept": "of these left after the next build", "processes": "processes left over",
}


def into_page(table: str) -> None:
    """Put the table where people read it."""
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(f"{BEGIN}\n")
    PAGE.write_text(f"{head}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def main() -> int:
    """Measure, print the table, write it into the page and results/crash.json; 1 where something is not as it was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", nargs="+", choices=SPECS, default=["static", "transformer"])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--builders", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--into", type=Path, default=RESULTS / "crash.json", help="where the figures go")
    parser.add_argument("--show", action="store_true", help="print the table of the last results, and kill nobody")
    given = parser.parse_args()
    for spec in () if given.show else given.spec:
        with tempfile.TemporaryDirectory(prefix="embspec-crash-") as root:
            figures = measure(spec, given, Path(root))
        kept = json.loads(given.into.read_bytes()) if given.into.exists() else {}
        every = {name: {**kept, spec: figures}.get(name) for name in SPECS}
        text = json.dumps({name: each for name, each in every.items() if each}, indent=1)
        given.into.write_text(text + "\n", encoding="utf-8")
    results = json.loads(given.into.read_bytes())
    print(shown(results))
    if given.into == RESULTS / "crash.json" and not given.show:
        into_page(shown(results))
    return int(any(each[what] for each in results.values() for what in WRONG))


if __name__ == "__main__":
    sys.exit(main())
