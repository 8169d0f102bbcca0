"""What the plan is told: the locked blocks, the world, the wish; every text in its canonical form."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

Texts = Mapping[str, str]


class Block(NamedTuple):
    """What the lock says of one stage."""

    recipe: str = ""
    uses: Texts = {}
    params: Texts = {}
    pin: Texts = {}
    key: str = ""
    out: Texts = {}  # artefact -> "sha256:… size" or "tree sha256:… size"
    stat: Texts = {}
    env: str = ""


class Record(NamedTuple):
    """One result of a key, as the store keeps it."""

    ingredients: Texts
    recipe: str
    uses: Texts
    pin: Texts
    out: Texts
    stat: Texts
    env: Texts


class World(Protocol):
    """What lies outside the plan, asked only for facts."""

    def live(self, globs: Sequence[str]) -> str:
        """The pin of the live files that match."""

    def moved(self, globs: Sequence[str], pin: str) -> Sequence[tuple[str, str | None, str | None]]:
        """Name, digest then and digest now of each live file that an earlier pin has otherwise; none if unknown."""

    def has(self, digest: str) -> bool:
        """Whether the store holds these bytes."""

    def records(self, key: str) -> Sequence[Record]:
        """The results of a key, smallest outs first."""

    def settled(self, field: str) -> str:
        """What `auto` means on this machine."""

    def here(self, packages: Sequence[str], pins: Texts) -> Texts:
        """The environment that a result made now would record."""

    def published(self, path: str, digest: str) -> bool:
        """Whether `out/` holds these bytes at that path."""


class Wish(NamedTuple):
    """What the command asks beyond what the spec says."""

    to: str = ""
    refresh: frozenset[str] = frozenset()
    retrain: bool = False
    forget: frozenset[str] = frozenset()  # pins taken anew, as "stage pin"
    publish: bool = True
    bring: frozenset[str] = frozenset()  # roles whose bytes have to be at hand afterwards, whoever opens them
    index_anyway: bool = False  # build what is held while the verdict is red
    any_env: bool = False  # take what another environment made, where this one has made nothing


def digest_of(text: str) -> str:
    """`tree sha256:… 12` → `tree sha256:…`: what goes into a key."""
    return text.rsplit(" ", 1)[0]
