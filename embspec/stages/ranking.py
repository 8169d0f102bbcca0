"""How questions are ranked over a snapshot by vectors, as an index would."""
from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from embspec.retrieval import knn, quantize
from embspec.retrieval.propose import HERE, Place
from embspec.stages.encoder import Encoder
from embspec.stages.snapshot import documents, passage

Vectors = NDArray[np.float32]


class Served(NamedTuple):
    """In which form vectors serve; the ends of the columns belong to this dimension and are needed for int8 alone."""

    dim: int
    precision: str = "float32"
    ranges: quantize.Ranges | None = None


class Dense(NamedTuple):
    """A snapshot as one model sees it: the raw vectors of its documents, at full dimension."""

    ids: Sequence[str]
    vectors: Vectors
    similarity: str
    place: Place = HERE

    def rank(
        self, queries: Vectors, depth: int, skip: Sequence[Collection[str]], form: Served
    ) -> list[list[tuple[str, float]]]:
        """The best documents of each query with their scores, from raw vectors of queries.

        `skip` are the documents that a query does not get: `Echoes.of` for those that only repeat it. Documents
        are cut and made small as the index has them, queries are cut and stay float32.
        """
        asked = knn.cut(queries, form.dim, self.similarity)
        chunks = (quantize.served(kept, form.precision, form.ranges) for kept in self.cut(form.dim))
        return knn.top_of(asked, chunks, self.ids, depth, skip, self.place)

    def cut(self, dim: int) -> Iterator[Vectors]:
        """Its vectors at this dimension, as many at a time as are compared at once."""
        return (knn.cut(some, dim, self.similarity) for some in knn.chunks(self.vectors))


def dense(path: Path, encoder: Encoder, place: Place = HERE) -> Dense:
    """The documents of `documents.jsonl` through a model; the texts stream."""
    ids: list[str] = []

    def texts() -> Iterator[str]:
        for document in documents(path):
            ids.append(document.id)
            yield passage(document)

    vectors = encoder.documents(texts())
    return Dense(ids, vectors, encoder.similarity, place)


def served(ranges: Path, dim: int, precision: str) -> Served:
    """A form with the ends of the columns that `ranges.json` has for its dimension."""
    if precision != "int8":
        return Served(dim, precision)
    return Served(dim, precision, quantize.ends(json.loads(ranges.read_bytes())["dims"][str(dim)]))
