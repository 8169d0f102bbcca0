"""What a stage is, and what it may see."""
from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from pathlib import Path  # for types alone: it costs the no-op 3 ms

Params = Mapping[str, Any]
"""Resolved parameters under their full spec path: scalars and lists of scalars."""


PROGRAM = "program:"
"""What the names of files begin with that a command of the spec names."""


class Command(NamedTuple):
    """A command that a spec names."""

    field: str
    folder: str  # of the file that names it, from the spec's own
    words: tuple[str, ...]


class Progress(NamedTuple):
    """How far a stage is; `total` 0 means unknown."""

    text: str
    done: int = 0
    total: int = 0


class Desk(Protocol):
    """What a stage may use and may not depend on: an empty desk and a warm one give the same bytes."""

    scratch: Path
    seed: int  # from the spec's seed and the stage's name
    digests: Mapping[str, str]  # role -> digest of each artefact that was handed over
    kept: Path | None  # outlives this process: what an unfinished run of the same work left
    asks: bool  # whether the command that the stage declared may be needed: a mere look at the inputs runs none

    def tell(self, event: Progress) -> None: ...
    # Anywhere: the rows are the same by any engine and on any kind of machine.
    def rows(self, space: Mapping[str, str], anywhere: bool = False) -> Rows: ...
    def seconds(self) -> float: ...  # the one clock of a stage, which begins anywhere
    def ask(self, questions: Path, answers: Path, many: int) -> None: ...  # by that command, a line for each line


class Rows(Protocol):
    """Rows that were computed before, by a 16-byte digest of what from; `space` names all else they hang on."""

    def find(self, names: Sequence[bytes]) -> list[bytes | None]: ...
    def add(self, names: Sequence[bytes], rows: Sequence[bytes]) -> None: ...


class Tree(Protocol):
    """Files of the work tree (or a revision) that a reading stage declared; each byte read is hashed."""

    def names(self) -> Sequence[str]: ...
    def open(self, name: str) -> IO[bytes]: ...
    def digest(self, name: str) -> str: ...  # sha256, as far as it is known without reading, or was read; else empty


class Made(NamedTuple):
    """What a stage says of its work: `stat` and `pins` go into the lock, `counts` to --json alone."""

    stat: Mapping[str, Any] = {}
    pins: Mapping[str, Any] = {}
    counts: Mapping[str, int] = {}
    keep: Mapping[str, Path] = {}  # pins that are bytes: the file is stored, its digest is the pin


class Make(Protocol):
    """Write every artefact in `makes` under `out`; read nothing but `params` and `needs`."""

    def __call__(self, params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made: ...


Needs = Callable[[Params, Sequence[str]], tuple[str, ...]]
"""From a stage's own parameters and the names of all stages to `stage/artefact` roles."""


class Follow(NamedTuple):
    """A block that pins another stage's artefacts: it moves on request, or until something was built on it."""

    stage: str
    anchors: tuple[str, ...]  # once the first of these that the street has is in the lock, the pin stays
    always: Callable[[Params], bool]  # true where the spec ties the two worlds together


def always(values: Params) -> bool:
    """A stage that every spec needs."""
    return True


def never(params: Params) -> bool:
    """What holds of no parameters."""
    return False


def no_command(params: Params) -> None:
    """A stage that has nothing run."""


def nothing(params: Params, names: Sequence[str]) -> tuple[str, ...]:
    """A stage that opens no artefact."""
    return ()


def is_address(file: str) -> bool:
    """Whether a file of a stage lies elsewhere: it is fetched once, and known by its digest from then on."""
    return file.startswith(("https://", "http://", "s3://"))


def last_round(role: str, names: Collection[str]) -> str:
    """The same artefact of the last round of its stage: of `train/model` that is `train.2/model` where it is there."""
    stage, _, artefact = role.rpartition("/")
    parts = [name.partition(".") for name in names]
    rounds = [int(number) for first, _, number in parts if first == stage and number.isdecimal()]
    return f"{stage}.{max(rounds)}/{artefact}" if rounds else role


Names = tuple[str, ...] | Callable[[Params], tuple[str, ...]]
"""Fixed, or a function of the values of the whole spec."""

Outs = Mapping[str, str] | Callable[[Params], Mapping[str, str]]
"""The same for artefacts and their paths."""


class Stage(NamedTuple):
    """The declaration of a stage: light data, apart from the code that runs."""

    name: str  # the word in spec, lock and command; never renamed; `{name}` stands for one per named item
    recipe: int  # raised when equal params and inputs would give other bytes
    params: tuple[str, ...]  # spec fields, or whole sections, that can change the bytes
    makes: tuple[str, ...]  # artefacts it writes
    make: str  # "embspec.stages.split.make:make", imported when it must run
    needs: Needs = nothing
    live: Callable[[Params], tuple[str, ...]] | None = None  # globs of the work tree it reads
    unkeyed: tuple[str, ...] = ()  # spec fields that reach `make` and change no byte; no others do
    uses: tuple[str, ...] = ()  # shared algorithms with a recipe of their own
    asks: Callable[[Params], Command | None] = no_command  # the command of the spec that it may have run
    sticky: Callable[[Params], bool] = never  # whether those files are looked at once, and then pinned until asked
    pins: Names = ()  # what only the run can find; handed in again where the lock has it
    settles: Names = ()  # fields whose `auto` this machine settles once; a stage with any computes with floats
    packages: Names = ()  # it imports; its env block lists them
    when: Callable[[Params], bool] = always  # whether a spec with these values has the stage at all
    follow: Follow | None = None  # no work of its own: pins that stage's artefacts
    keeps: bool = False  # the live files it reads become objects, so that the lock alone brings them back
    locked: bool = True  # has a block in the lock; without one its action record alone says it is clean
    judges: bool = False  # its stat `verdict` says whether the build is green
    gated: bool = False  # held at the last green build while the verdict is red
    ships: bool = False  # goes to candidate/ while the verdict is red
    out: Outs = {}  # artefact -> its path under out/NAME
    optional: Mapping[str, Callable[[Params], bool]] = {}  # artefact -> whether these parameters ask for it
