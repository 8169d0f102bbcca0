"""What a result was built with: enough to tell two environments apart, and nothing of where they lie."""
from __future__ import annotations

from importlib import metadata

import pytest

from embspec.errors import EmbspecError
from embspec.store import environment as module
from embspec.store import machine
from embspec.store.environment import MISSING, check_device, check_packages, engine, environment
from embspec.store.machine import Cpu, Gpu

GPU = Gpu("NVIDIA-H200", (9, 0))
PINS = {"tree": "sha256:ab 3 files", "numerics.profile": "avx2", "numerics.threads": "2"}


def test_a_stage_of_floats_records_its_device_and_numerics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others do not: their bytes are the same everywhere."""
    monkeypatch.setattr(machine, "cpu", lambda: Cpu("AuthenticAMD", frozenset({"avx2", "avx512f"}), 2))
    floats, exact = environment(("numpy",), PINS), environment(("numpy",), {"tree": "sha256:ab 3 files"})
    assert {k: v for k, v in floats.items() if k not in exact} == {
        "device": "cpu AuthenticAMD avx2 avx512f", "math": "avx2 threads-2"}
    assert list(floats)[-2:] == ["device", "math"] and exact["numpy"] == metadata.version("numpy")


@pytest.mark.parametrize(("here", "line"), [(GPU, "cuda NVIDIA-H200 sm_90"), (None, "cuda missing")])
def test_a_training_on_a_gpu_records_that(monkeypatch: pytest.MonkeyPatch, here: Gpu | None, line: str) -> None:
    """In place of the processor's line, which stays where no GPU is pinned; where none is, a plan can be made."""
    monkeypatch.setattr(module, "gpu", lambda: here)
    pinned = environment(("numpy",), {**PINS, "numerics.device": "cuda"})
    assert pinned["device"] == line and pinned["math"] == "avx2 threads-2"
    plain = environment(("numpy",), {**PINS, "numerics.device": "cpu"})
    assert plain == environment(("numpy",), PINS) and plain["device"].startswith("cpu ")
    assert {name for name in plain if plain[name] != pinned[name]} == {"device"}


@pytest.mark.parametrize(("build", "here", "said"), [
    ("2.13.0+cpu", GPU, "torch 2.13.0+cpu is a build for the processor alone"),
    ("2.13.0", None, "the driver shows no such device here"),
    ("2.13.0+cu130", GPU, ""),
])
def test_a_gpu_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, build: str, here: Gpu | None, said: str) -> None:
    """Exit 32 with the way out; training on the processor never asks."""
    monkeypatch.setattr(module, "_version", lambda name: build)
    monkeypatch.setattr(module, "gpu", lambda: here)
    for kind in ("", "cpu"):
        check_device(kind)
    if not said:
        return check_device("cuda")
    with pytest.raises(EmbspecError) as caught:
        check_device("cuda")
    problem = caught.value.problems[0]
    assert (caught.value.exit, problem.field) == (32, "numerics.device") and said in problem.text
    assert "numerics: {device: cpu}" in problem.fix
    return None


def test_a_package_that_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is like no version, so that a plan can be made anywhere; before the work all of them are named at once."""
    assert environment(("numpy", "no-such-thing"), {})["no-such-thing"] == MISSING
    check_packages(("numpy", "xxhash"))
    with pytest.raises(EmbspecError) as caught:
        check_packages(("numpy", "no-such-thing", "nor-this"))
    assert [p.code for p in caught.value.problems] == ["nowhere.package"] * 2 and caught.value.exit == 32
    assert caught.value.problems[-1].fix == "pip install no-such-thing nor-this"
    monkeypatch.setattr(module, "_version", lambda name: "")
    with pytest.raises(EmbspecError) as caught:
        check_packages(("numpy", "pypdfium2", "selectolax", "onnx"))
    assert caught.value.problems[-1].fix == 'pip install numpy "embspec[readers]" "embspec[onnx]"'


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
