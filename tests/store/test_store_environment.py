"""What a result was built with: enough to tell two environments apart, and nothing of where they lie."""
from __future__ import annotations

from importlib import metadata

import pytest

from embspec.errors import EmbspecError
from embspec.store import environment as module
from embspec.store import machine
from embspec.store.environment import MISSING, check_packages, engine, environment
from embspec.store.machine import Cpu

PINS = {"tree": "sha256:ab 3 files", "numerics.profile": "avx2", "numerics.threads": "2"}


def test_a_stage_of_floats_records_its_device_and_numerics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others do not: their bytes are the same everywhere."""
    monkeypatch.setattr(machine, "cpu", lambda: Cpu("AuthenticAMD", frozenset({"avx2", "avx512f"}), 2))
    floats, exact = environment(("numpy",), PINS), environment(("numpy",), {"tree": "sha256:ab 3 files"})
    assert {k: v for k, v in floats.items() if k not in exact} == {
        "device": "cpu AuthenticAMD avx2 avx512f", "math": "avx2 threads-2"}
    assert list(floats)[-2:] == ["device", "math"] and exact["numpy"] == metadata.version("numpy")


def test_a_package_that_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is like no version, so that a plan can be made anywhere; before the work all of them are named at once."""
    assert environment(("numpy", "no-such-thing"), {})["no-such-thing"] == MISSING
    check_packages(("numpy", "xxhash"))
    with pytest.raises(EmbspecError) as caught:
        check_packages(("numpy", "no-such-thing", "nor-this"))
    assert [p.code for p in caught.value.problems] == ["nowhere.package"] * 2 and caught.value.exit == 32
    assert caught.value.problems[-1].fix == "pip install no-such-thing nor-this"


@pytest.mark.parametrize("change", ["library", "cpu", "profile"])
def test_rows_hang_on_what_computes_them(monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """Another version, another CPU, another profile may give other bits: such rows are of another engine."""
    monkeypatch.setattr(machine, "cpu", lambda: Cpu("x", frozenset({"avx2"}), 2))
    before = engine("avx2")
    if change == "library":
        monkeypatch.setattr(module, "_version", lambda name: "9.9" if name == "tokenizers" else metadata.version(name))
    if change == "cpu":
        monkeypatch.setattr(machine, "cpu", lambda: Cpu("y", frozenset({"avx2"}), 2))
    after = engine("native" if change == "profile" else "avx2")
    assert len({*before.items()} ^ {*after.items()}) == 2
