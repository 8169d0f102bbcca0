"""Which trainings of two locks are compared."""
from __future__ import annotations

import struct
from pathlib import Path

import pytest

from embspec.decide.traces import ALONE, between, compare
from embspec.errors import NOWHERE, USAGE, EmbspecError
from embspec.lock.text import Lock
from embspec.plan.values import Block

ONE, TWO = struct.pack("<Qdd", 1, 2.0, 3.0), struct.pack("<Qdd", 2, 2.0, 3.0)


class Shelf:
    """Files by digest."""

    def __init__(self, folder: Path, **files: bytes) -> None:
        self._folder, self._files = folder, files

    def has(self, digest: str) -> bool:
        """Whether it is here."""
        return digest in self._files

    def verified(self, digest: str) -> str:
        """Where it lies."""
        path = self._folder / digest
        path.write_bytes(self._files[digest])
        return str(path)


def lock(**stages: str) -> Lock:
    """Stages with their traces."""
    return Lock({name: Block(out={"trace": f"{digest} 24"} if digest else {}) for name, digest in stages.items()})


def test_each_training_with_its_own(tmp_path: Path) -> None:
    """By stage; one that only the newer lock has is no difference of the other."""
    locks = {"a": lock(corpus="", train="one"), "b": lock(**{"train": "two", "train.2": "one"})}
    found = between("a", "b", locks.__getitem__, Shelf(tmp_path, one=ONE, two=TWO))
    assert [(c.stage, c.steps, c.text) for c in found] == [("train", (1, 1), "step 0: different batch")]
    assert between("a", "a", locks.__getitem__, Shelf(tmp_path, one=ONE))[0].text == "the same for all 1 steps"


def test_a_file_beside_a_lock(tmp_path: Path) -> None:
    """A trace file is compared with the only training of the other side, and with no other."""
    path = tmp_path / "trace"
    path.write_bytes(TWO)
    locks = {"a": lock(train="one"), "b": lock(**{"train": "one", "train.2": "one"})}
    found = between("a", str(path), locks.__getitem__, Shelf(tmp_path, one=ONE))
    assert [(c.stage, c.text) for c in found] == [("train", "step 0: different batch")]
    assert compare({ALONE: ONE}, {ALONE: ONE})[0].parting is None
    with pytest.raises(EmbspecError) as caught:
        between("b", str(path), locks.__getitem__, Shelf(tmp_path, one=ONE))
    assert caught.value.exit == USAGE


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """32 for bytes that are nowhere, 2 where there never was a training."""
    locks = {"a": lock(train="one"), "b": lock(corpus="")}
    with pytest.raises(EmbspecError) as caught:
        between("a", "a", locks.__getitem__, Shelf(tmp_path))
    assert caught.value.exit == NOWHERE and "train/trace of a (one) is not in the store" in str(caught.value)
    with pytest.raises(EmbspecError) as caught:
        between("b", "a", locks.__getitem__, Shelf(tmp_path))
    assert caught.value.exit == USAGE and "b has no training" in str(caught.value)
