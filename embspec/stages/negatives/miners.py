"""Where candidates come from: one table of miners, each a ranking of the whole corpus or a draw from it."""
from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray

from embspec.retrieval import fusion, knn
from embspec.retrieval.bm25 import BM25
from embspec.retrieval.propose import HERE, Place
from embspec.retrieval.tokenize import Tokenizer
from embspec.stages.negatives.library import Library
from embspec.stages.negatives.questions import Question

RRF, FUSED = 60, 100  # the constant of reciprocal ranks; how deep each side of a hybrid looks at least
LEAST, SPARE = 16, 4  # documents drawn for a query: so many, and so many for each negative wanted

SOME = 32  # candidates scored at once

Vectors = NDArray[np.float32]


class Miner(NamedTuple):
    """One entry of the spec; ranks go from `low` to before `high`."""

    name: str
    kind: str
    number: int
    low: int = 0
    high: int = 0
    sampling: str = "top"
    path: str = ""  # of its file, as the spec names it


class Space:
    """The base's vectors of all documents, in the library's order; they may lie on disk, and stay there."""

    def __init__(self, documents: Vectors, cosine: bool, place: Place = HERE) -> None:
        self._documents, self._cosine, self.place = documents, cosine, place
        self._rows = np.asarray(documents)  # a mapped array takes longer to give a few rows
        self._lengths = np.ones(len(documents))
        if cosine:
            whole = knn.lengths(documents)
            self._lengths = np.where(whole > 0, whole, 1.0)

    def unit(self, vectors: Vectors) -> Vectors:
        """As they are compared."""
        return knn.unit(vectors) if self._cosine else vectors

    def chunks(self) -> Iterator[Vectors]:
        """All of them, as many at a time as are compared at once."""
        return map(self.unit, knn.chunks(self._documents))

    def scores(self, query: Vectors, positions: Sequence[int]) -> list[float]:
        """The score of some documents: each alone, in double precision, so that no other can change a bit."""
        some = np.asarray(positions, np.int64)
        products = self._rows[some].astype(np.float64)
        products *= query
        rounded: list[float] = (np.round(products.sum(axis=1) / self._lengths[some], knn.DIGITS) + 0.0).tolist()
        return rounded


class Scored(dict[int, float]):
    """The scores of documents for one query, some at a time: a guard seldom looks at more than the first few."""

    def __init__(self, space: Space, query: Vectors, order: Iterable[int]) -> None:
        super().__init__()
        self._space, self._query, self._left = space, query, list(dict.fromkeys(order))

    def __missing__(self, at: int) -> float:
        while at not in self:
            some, self._left = self._left[:SOME], self._left[SOME:]
            if not some:
                raise KeyError(at)
            self.update(zip(some, self._space.scores(self._query, some), strict=True))
        return self[at]


class Bench(NamedTuple):
    """What candidates are found with."""

    library: Library
    space: Space
    words: BM25 | None
    tokenize: Tokenizer | None
    seed: int
    given: Mapping[str, Mapping[str, Sequence[int]]] = {}  # path of a file -> question -> documents


class Block:
    """Some queries; what two miners need is ranked once."""

    def __init__(self, bench: Bench, questions: Sequence[Question], vectors: Vectors, miners: Sequence[Miner]) -> None:
        self.bench, self.questions, self._vectors = bench, questions, vectors
        self._depth = {"dense": 0, "bm25": 0}
        for miner in miners:
            for kind in self._depth if miner.kind == "hybrid" else (miner.kind,):
                deep = max(miner.high, FUSED) if miner.kind == "hybrid" else miner.high
                self._depth[kind] = max(self._depth.get(kind, 0), deep)
        self._found: dict[str, list[list[tuple[str, float]]]] = {}

    def dense(self) -> list[list[tuple[str, float]]]:
        """The nearest documents of each query, as deep as any miner looks."""
        if "dense" not in self._found:
            chunks, ids = self.bench.space.chunks(), self.bench.library.ids
            place = self.bench.space.place
            self._found["dense"] = knn.top_of(self._vectors, chunks, ids, self._depth["dense"], place=place)
        return self._found["dense"]

    def words(self) -> list[list[tuple[str, float]]]:
        """The best documents by words, as deep as any miner looks."""
        if "bm25" not in self._found:
            words, tokenize = self.bench.words, self.bench.tokenize
            if words is None or tokenize is None:
                raise ValueError("a miner asks for words, and there is no index of them")
            self._found["bm25"] = [words.search(tokenize(q.query), self._depth["bm25"]) for q in self.questions]
        return self._found["bm25"]


def _dense(block: Block, miner: Miner) -> list[array[int]]:
    return [_window(block, found, miner) for found in block.dense()]


def _bm25(block: Block, miner: Miner) -> list[array[int]]:
    return [_window(block, found, miner) for found in block.words()]


def _hybrid(block: Block, miner: Miner) -> list[array[int]]:
    depth = max(miner.high, FUSED)
    pairs = zip(block.dense(), block.words(), strict=True)
    return [
        _window(block, fusion.rrf([dense[:depth], words[:depth]], RRF, depth), miner) for dense, words in pairs
    ]


def _random(block: Block, miner: Miner) -> list[array[int]]:
    look = LEAST + SPARE * miner.number
    ordered, seed = block.bench.library.ordered, block.bench.seed
    return [draw(ordered, look, f"{seed}\0{miner.name}\0{question.id}") for question in block.questions]


def _file(block: Block, miner: Miner) -> list[array[int]]:
    given = block.bench.given.get(miner.path, {})
    return [array("i", given.get(question.plain, ())) for question in block.questions]


MINERS: Mapping[str, Callable[[Block, Miner], list[array[int]]]] = {
    "dense": _dense,  # near by the base model
    "bm25": _bm25,  # near by words
    "hybrid": _hybrid,  # near by both, reciprocal ranks fused
    "random": _random,  # from the whole corpus
    "file": _file,  # found by somebody else
}
WORDS = frozenset(("bm25", "hybrid"))  # kinds that need an index of words


def _window(block: Block, found: Sequence[tuple[str, float]], miner: Miner) -> array[int]:
    at = block.bench.library.at
    return array("i", [at[id] for id, _ in found[miner.low : miner.high]])


def draw(ordered: Sequence[int], look: int, salt: str) -> array[int]:
    """So many different documents, which the salt alone decides: another query's draw changes nothing."""
    total = len(ordered)
    if total <= SPARE * look:
        ranks = sorted(range(total), key=lambda n: (shuffle(salt, str(n)), n))
        return array("i", [ordered[n] for n in ranks[:look]])
    taken: dict[int, None] = {}
    turn = 0
    while len(taken) < look:
        taken[shuffle(salt, str(turn)) % total] = None
        turn += 1
    return array("i", [ordered[n] for n in taken])


def shuffle(salt: str, name: str) -> int:
    """A number that puts names in an order of chance."""
    return xxhash.xxh3_64_intdigest(f"{salt}\0{name}".encode("utf-8", "surrogatepass"))
