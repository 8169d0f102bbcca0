"""What of a machine shows in bits, read from what Linux and macOS say."""
from __future__ import annotations

import ctypes
import os
import sys
from typing import Any

import pytest

from embspec.errors import EmbspecError
from embspec.store import machine
from embspec.store.machine import Cpu, Gpu, check_profile, cuda, device, from_cpuinfo, from_sysctl, one_gpu, settled


def x86(processors: list[tuple[int, int]], flags: str = "fpu sse2 avx avx2 avx512f avx512bw") -> str:
    """What /proc/cpuinfo says of processors with these sockets and cores."""
    return "".join(
        f"processor\t: {n}\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 7R13\nphysical id\t: {socket}\n"
        f"siblings\t: 4\ncore id\t\t: {core}\ncpu cores\t: 2\nflags\t\t: {flags}\nbugs\t\t: a : b\n\n"
        for n, (socket, core) in enumerate(processors))


ARM = "".join(f"processor\t: {n}\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd sve\nCPU implementer\t: 0x41\n\n"
              for n in range(4)) + "Hardware\t: Something\n"
MAC = {"hw.physicalcpu": "10", "machdep.cpu.brand_string": "Apple M2 Pro"}
OLD_MAC = {"hw.physicalcpu": "4", "machdep.cpu.brand_string": "Intel(R) Core(TM) i7",
           "machdep.cpu.features": "FPU SSE AVX1.0", "machdep.cpu.leaf7_features": "BMI1 AVX2"}


@pytest.mark.parametrize(("found", "cores", "said"), [
    (from_cpuinfo(x86([(0, 0), (0, 1), (0, 0), (0, 1)]), 1), 2, "cpu AuthenticAMD avx2 avx512f"),
    (from_cpuinfo(x86([(0, 0), (0, 1), (1, 0), (1, 1)]), 1), 4, "cpu AuthenticAMD avx2 avx512f"),
    (from_cpuinfo(x86([(0, 0)], "sse2 avx"), 1), 1, "cpu AuthenticAMD"),
    (from_cpuinfo(ARM, 1), 4, "cpu arm-0x41 asimd sve"),
    (from_cpuinfo("", 3), 3, "cpu unknown"),
    (from_cpuinfo("processor : 0\nmachine : something\n", 3), 1, "cpu unknown"),
    (from_sysctl(MAC, 1), 10, "cpu Apple-M2-Pro"),
    (from_sysctl(OLD_MAC, 1), 4, "cpu Intel(R)-Core(TM)-i7 avx2"),
    (from_sysctl({"hw.physicalcpu": "", "machdep.cpu.brand_string": ""}, 6), 6, "cpu unknown"),
])
def test_what_a_system_says_of_its_cpu(found: Cpu, cores: int, said: str) -> None:
    """Physical cores, not the threads they run, of all sockets; who made it, and which paths libraries can take."""
    assert (found.cores, device(found)) == (cores, said)


@pytest.mark.parametrize(("cores", "threads"), [(1, "1"), (2, "2"), (8, "8"), (64, "8")])
def test_auto_threads_are_the_physical_cores_up_to_eight(cores: int, threads: str) -> None:
    """More would make a lock that few machines can follow."""
    assert settled("numerics.threads", Cpu("x", frozenset(), cores)) == threads


def test_auto_profile_is_the_fixed_path_where_there_is_one() -> None:
    """Elsewhere the libraries choose, and that is what the lock then says."""
    assert settled("numerics.profile", Cpu("x", frozenset({"avx2"}), 1)) == "avx2"
    assert settled("numerics.profile", Cpu("x", frozenset({"asimd"}), 1)) == "native"
    with pytest.raises(ValueError, match=r"train\.rate"):
        settled("train.rate")


def test_a_profile_that_the_machine_lacks() -> None:
    """Exit 32 with the machine's name; what it has is no error."""
    with pytest.raises(EmbspecError) as caught:
        check_profile("avx2", Cpu("Apple-M1", frozenset(), 8))
    (problem,) = caught.value.problems
    assert caught.value.exit == 32 and "cpu Apple-M1" in problem.text and "native" in problem.fix
    check_profile("avx2", Cpu("x", frozenset({"avx2"}), 8))
    check_profile("native", Cpu("x", frozenset(), 8))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity mask")
def test_a_mask_does_not_change_the_cores() -> None:
    """What a container or a mask lets this process use of the machine is not what the lock is about."""
    mask = os.sched_getaffinity(0)
    machine.cpu.cache_clear()
    before = machine.cpu()
    try:
        os.sched_setaffinity(0, {min(mask)})
        machine.cpu.cache_clear()
        assert machine.cpu() == before
    finally:
        os.sched_setaffinity(0, mask)


def test_this_machine_is_known() -> None:
    """The real one says something that can be built with."""
    machine.cpu.cache_clear()
    here = machine.cpu()
    assert here.cores >= 1 and device().startswith("cpu ") and (here.vendor != "unknown" or sys.platform != "linux")
    check_profile(settled("numerics.profile"))


class Driver:
    """A driver with one GPU, or one that refuses what it is asked."""

    def __init__(self, refuses: str = "") -> None:
        self.refuses = refuses

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any) -> int:
            if name == "cuDeviceGetName":
                args[0].value = b"NVIDIA H200"
            if name == "cuDeviceGetAttribute":
                args[0]._obj.value = {75: 9, 76: 0}[args[1]]
            return 100 if name == self.refuses else 0

        return call


@pytest.mark.parametrize(("driver", "found"), [
    (Driver(), Gpu("NVIDIA-H200", (9, 0))), (Driver("cuInit"), None), (Driver("cuDeviceGet"), None),
    (Driver("cuDeviceGetName"), None), (Driver("cuDeviceGetAttribute"), None), (None, None),
])
def test_the_driver_is_asked_for_the_gpu(
    monkeypatch: pytest.MonkeyPatch, driver: Driver | None, found: Gpu | None
) -> None:
    """Its name and capability; nothing where there is no driver, or it shows no device."""
    def open(name: str) -> Driver:
        if driver is None:
            raise OSError(f"{name}: cannot open shared object file")
        return driver

    monkeypatch.setattr(ctypes, "CDLL", open)
    machine.gpu.cache_clear()
    try:
        assert machine.gpu() == found
        assert found is None or cuda(found) == "cuda NVIDIA-H200 sm_90"
    finally:
        machine.gpu.cache_clear()


@pytest.mark.parametrize(("visible", "one"), [(None, "0"), ("2, 3", "2"), ("GPU-ab,GPU-cd", "GPU-ab"), ("", "")])
def test_one_gpu_is_used(visible: str | None, one: str) -> None:
    """The first that the user leaves visible, for a trainer that sees several would share the batch out."""
    assert one_gpu({} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}) == one
