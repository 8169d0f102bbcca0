"""The training queries, and what is known to be right."""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from embspec.retrieval.duplicates import near_groups
from embspec.stages.snapshot import normalise, rows

CARRIED = ("weight", "group", "trust", "cluster")  # what of a row an example keeps, where the row has it


class Question(NamedTuple):
    """One training query; `plain` is the form in which two spellings of a question are the same one."""

    id: str
    query: str
    plain: str
    positives: tuple[str, ...]
    carried: Mapping[str, Any]


class Known(NamedTuple):
    """The answers of all rows: by question for training, for all parts together, and those of the parts held out."""

    train: Mapping[str, frozenset[str]]
    every: Mapping[str, frozenset[str]]
    test: frozenset[str]


def read(path: Path) -> list[Question]:
    """The training queries in the order of ids."""
    found = [
        Question(
            row["id"],
            row["query"],
            normalise(row["query"]),
            _right(row),
            {name: row[name] for name in CARRIED if row.get(name) is not None},
        )
        for row in rows(path)
    ]
    return sorted(found, key=lambda question: question.id)


def known(questions: Iterable[Question], held_out: Sequence[Path], sources: Sequence[Path], near: float) -> Known:
    """What is known to be right for each question, whichever row of whichever source says so, and however it spells it.

    Validation is held out like test: a document that is a negative and never an answer would be pushed away, and
    checkpoints, which are chosen on validation, would be chosen by how little they learned. Rows that are in no part
    still know what they know, and questions that are alike have the same answers, as they have in training.
    """
    train: dict[str, set[str]] = {}
    for question in questions:
        train.setdefault(question.plain, set()).update(question.positives)
    said = {plain: set(ids) for plain, ids in train.items()}
    tested: set[str] = set()
    for path in (*held_out, *sources):
        for row in rows(path):
            right = _right(row)
            said.setdefault(normalise(row["query"]), set()).update(right)
            tested.update(right if path in held_out else ())
    every = {plain: ids for plain, ids in _shared(said, near).items() if plain in train}
    return Known(_frozen(train), _frozen(every), frozenset(tested))


def _shared(said: Mapping[str, set[str]], near: float) -> dict[str, set[str]]:
    """The answers of each question with those of the questions like it."""
    names = sorted(said)
    found = near_groups(names, near) if names else None
    every = {plain: set(ids) for plain, ids in said.items()}
    alike = {copies[0]: copies for copies in found.copies} if found else {}
    pairs = [(one, other) for copies in alike.values() for one in copies for other in copies]
    for first, second, _ in found.links if found else ():
        pairs += [each for one in alike[first] for other in alike[second] for each in ((one, other), (other, one))]
    for one, other in pairs:
        every[names[one]].update(said[names[other]])
    return every


def _right(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted({one["id"] for one in row["positives"] if one.get("grade", 1) > 0}))


def _frozen(found: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    return {name: frozenset(ids) for name, ids in found.items()}
