"""The mined examples in the forms that losses and other trainers read; texts without prompts."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Example = Mapping[str, Any]
"""A row of `examples.jsonl`: query, positives, negatives."""

Form = Callable[[Example, int], Iterator[dict[str, Any]]]
"""The rows that an example becomes, with so many negatives where a row has a fixed number; none where it has fewer."""


def _pairs(example: Example, number: int) -> Iterator[dict[str, Any]]:
    return ({"query": example["query"], "positive": one["text"]} for one in example["positives"])


def _triplet(example: Example, number: int) -> Iterator[dict[str, Any]]:
    return ({**pair, "negative": one["text"]} for pair in _pairs(example, 0) for one in example["negatives"])


def _n_tuple(example: Example, number: int) -> Iterator[dict[str, Any]]:
    """The first so many, which are the ones that were found first."""
    some = example["negatives"][:number]
    negatives = {f"negative_{place}": one["text"] for place, one in enumerate(some, 1)}
    return ({**pair, **negatives} for pair in (_pairs(example, 0) if len(some) == number else ()))


def _scored(example: Example, number: int) -> Iterator[dict[str, Any]]:
    """All documents of a query: with the scores of the cross-encoder where it gave them, else as right or wrong."""
    right, wrong = example["positives"], example["negatives"]
    row = {"query": example["query"], "documents": [one["text"] for one in (*right, *wrong)]}
    if all("score" in one for one in (*right, *wrong)):
        yield {**row, "scores": [one["score"] for one in (*right, *wrong)]}
    else:
        yield {**row, "labels": [1] * len(right) + [0] * len(wrong)}


FORMS: Mapping[str, Form] = {
    "pairs": _pairs,  # query, positive: a line for each positive
    "triplet": _triplet,  # query, positive, negative: a line for each positive and negative
    "n-tuple": _n_tuple,  # query, positive, negative_1 … negative_n: a line for each positive
    "scored": _scored,  # query, documents, and their scores or labels: a line for each query
}
FIXED = frozenset(("n-tuple",))  # forms whose rows have a fixed number of negatives


def widest(examples: Iterable[Example]) -> int:
    """The most negatives that any query has."""
    return max((len(example["negatives"]) for example in examples), default=0)
