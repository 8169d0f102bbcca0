"""What the spec will say, and the decisions that follow from the data alone."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from embspec.init.bases import Base
from embspec.init.documents import Corpus, Left
from embspec.init.pairs import Source
from embspec.spec.sections_data import MinQueries, Split
from embspec.spec.sections_ship import Advise

LEAST, SHARES, WANTED = MinQueries(), Split(), Advise()
TOKENS = 256
PARTS = ("train", "validation", "test")


class Draft(NamedTuple):
    """A spec before it is text."""

    base: Base
    corpus: Corpus
    paths: Sequence[str]
    tokens: int  # of a chunk at most; 0 leaves documents whole
    sources: Sequence[Source]
    offered: Source | None = None  # headings, where there are pairs enough without
    by: str = "document"
    leaking: str = ""  # how many test queries leak, where the published split does
    least: Mapping[str, int] = {}  # what the parts have, where that is less than they should
    wants: Sequence[str] = ()
    left: Sequence[Left] = ()


def divided(sources: Sequence[Source]) -> tuple[str, list[Source]]:
    """What the split goes by, and the parts that each source may enter: as published, where that has train and test."""
    published = {role for source in sources if source.qrels for role in source.roles}
    if published >= {"train", "test"}:
        rest = [source for source in sources if not source.qrels]
        given = [source for source in sources if source.qrels]
        if "validation" not in published:
            given = [source._replace(roles=("train", "validation")) if source.roles == ("train",) else source
                     for source in given]
        return "given", [*given, *(source._replace(roles=of_trust(source)) for source in rest)]
    free = [source._replace(roles=()) if source.qrels else source for source in sources]
    return "document", placed(free)


def placed(sources: Sequence[Source]) -> list[Source]:
    """The sources with the parts that each may enter, so that all three parts can get some."""
    gold = [source for source in sources if source.trust == "gold" and not source.roles]
    trains = any("train" in of_trust(source) for source in sources)
    if gold and trains and not plenty(gold):
        return [source._replace(roles=of_trust(source)) for source in sources]
    # Gold that is enough for all three parts, or all there is; else the best there is, which the spec then says.
    best = min((rank(source) for source in sources), default=0)
    return [source._replace(roles=PARTS if rank(source) == best and not source.roles else of_trust(source))
            for source in sources]


def plenty(gold: Sequence[Source]) -> bool:
    """Whether gold pairs are so many that the usual shares of them are enough to test with, and the rest can train."""
    number = sum(source.queries for source in gold)
    return number * SHARES.test >= LEAST.test and number * SHARES.validation >= LEAST.validation


def rank(source: Source) -> int:
    """How far a source is trusted; 0 is most."""
    return ("gold", "curated", "synthetic", "implicit", "").index(source.trust)


def of_trust(source: Source) -> tuple[str, ...]:
    """The parts that the spec would imply, unless others are named."""
    if source.roles:
        return source.roles
    return {"gold": ("validation", "test"), "implicit": ("validation",)}.get(source.trust, ("train",))
