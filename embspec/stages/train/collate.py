"""From the rows of a batch to what the trainer hands to the loss."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch.utils.data import BatchSampler

from embspec.stages.train.batches import Batches, Slots, slots
from embspec.stages.train.examples import Examples
from embspec.stages.train.texts import Texts


class Material(NamedTuple):
    """What training reads: rows, their batches, and the texts as tokens."""

    examples: Examples
    batches: Batches
    queries: Texts
    documents: Texts

    def laid_out(self) -> Iterator[tuple[list[int], Slots]]:
        """Each batch, the row with the longest question first, and the places of its documents."""
        lengths, asked = self.documents.lengths, self.queries.lengths
        for batch in self.batches:
            yield _sorted(batch, self.examples, asked), slots(self.examples, batch, lengths)


class Work(NamedTuple):
    """What the training puts through the model, counted before it starts."""

    tokens: int
    rows: int
    negatives: int
    left_out: int  # negatives that answer another row of their batch


def work(material: Material) -> Work:
    """The training's size, from lengths alone."""
    lengths, asked = material.documents.lengths, material.queries.lengths
    tokens = rows = negatives = left_out = 0
    for batch, own in material.laid_out():
        tokens += sum(asked[material.examples.rows[at].query] for at in batch)
        tokens += sum(lengths[one] for one in own.documents)
        rows += len(batch)
        negatives += sum(place >= 0 for column in own.places[1:] for place in column)
        left_out += own.left_out
    return Work(tokens, rows, negatives, left_out)


class Collator:
    """The features of a batch's queries and of its documents, both longest first; labels are the documents' places."""

    valid_label_columns = ("label",)

    def __init__(self, material: Material) -> None:
        self._material = material
        self._documents = material.documents.lengths
        self._queries = material.queries.lengths

    def __call__(self, chosen: Sequence[Mapping[str, int]]) -> dict[str, Any]:
        """What the trainer hands to the loss."""
        rows = self._material.examples.rows
        batch = _sorted([one["row"] for one in chosen], self._material.examples, self._queries)
        own = slots(self._material.examples, batch, self._documents)
        queries = self._material.queries.batch([rows[at].query for at in batch])
        documents = self._material.documents.batch(own.documents)
        return {
            **{f"query_{name}": value for name, value in queries.items()},
            **{f"document_{name}": value for name, value in documents.items()},
            "label": torch.tensor(own.places).flatten(),
        }


class Planned(BatchSampler):
    """Batches in an order that is known before."""

    def __init__(self, batches: Batches) -> None:
        super().__init__(range(sum(map(len, batches))), 1, False)
        self._batches = batches

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)


def _sorted(batch: Sequence[int], examples: Examples, lengths: Sequence[int]) -> list[int]:
    return sorted(batch, key=lambda at: (-lengths[examples.rows[at].query], at))
