"""What of the machine shows in floating-point bits: its kind of CPU, how many cores it has, its GPU."""
from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from embspec.errors import EmbspecError, fail

PROFILE, THREADS, DEVICE = "numerics.profile", "numerics.threads", "numerics.device"
AVX2, NATIVE = "avx2", "native"
CPU, CUDA = "cpu", "cuda"
SPARE = "cuda, or not"  # a device for what may use it and need not
MOST_THREADS = 8
_SHOWN = ("avx2", "avx512f", "asimd", "sve")  # the paths that libraries choose between
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_CAPABILITY = (75, 76)  # what the driver's API calls the two numbers of a device's capability
_MAC = ("hw.physicalcpu", "machdep.cpu.brand_string", "machdep.cpu.features", "machdep.cpu.leaf7_features")


class Cpu(NamedTuple):
    """Who made it, what it can do, and its physical cores."""

    vendor: str
    flags: frozenset[str]
    cores: int


class Gpu(NamedTuple):
    """What a GPU is called, and the version of instructions that it runs."""

    name: str
    capability: tuple[int, int]


@cache
def cpu() -> Cpu:
    """The CPU of this machine, whatever a mask or a container lets this process use of it."""
    if sys.platform == "darwin":
        return from_sysctl({name: _sysctl(name) for name in _MAC}, os.cpu_count() or 1)
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            return from_cpuinfo(file.read(), os.cpu_count() or 1)
    except OSError:
        return Cpu("unknown", frozenset(), os.cpu_count() or 1)


def from_cpuinfo(text: str, otherwise: int) -> Cpu:
    """What Linux says in /proc/cpuinfo; `otherwise` is the count of cores where it does not say that."""
    blocks = [_fields(block) for block in text.split("\n\n") if "processor" in _fields(block)]
    first = blocks[0] if blocks else {}
    flags = frozenset((first.get("flags") or first.get("Features") or "").split())
    maker = first.get("CPU implementer")
    vendor = first.get("vendor_id") or (f"arm-{maker}" if maker else "unknown")
    cores = {(b["physical id"], b["core id"]) for b in blocks if "physical id" in b and "core id" in b}
    return Cpu(_word(vendor), flags, len(cores) or len(blocks) or otherwise)


def from_sysctl(said: Mapping[str, str], otherwise: int) -> Cpu:
    """What macOS says."""
    count = said.get("hw.physicalcpu", "")
    flags = f"{said.get('machdep.cpu.features', '')} {said.get('machdep.cpu.leaf7_features', '')}".lower().split()
    vendor = _word(said.get("machdep.cpu.brand_string", ""))
    return Cpu(vendor, frozenset(flags), int(count) if count.isdecimal() else otherwise)


def _fields(block: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in block.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _word(text: str) -> str:
    return "-".join(text.split()) or "unknown"


def _sysctl(name: str) -> str:
    try:
        return subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def settled(field: str, of: Cpu | None = None) -> str:
    """What `auto` means on this machine."""
    of = of or cpu()
    if field == PROFILE:
        return AVX2 if AVX2 in of.flags else NATIVE
    if field == THREADS:
        return str(min(of.cores, MOST_THREADS))
    raise ValueError(f"`{field}` is nothing that a machine settles")


def device(of: Cpu | None = None) -> str:
    """`cpu AuthenticAMD avx2 avx512f`."""
    of = of or cpu()
    return " ".join(["cpu", of.vendor, *(flag for flag in _SHOWN if flag in of.flags)])


@cache
def gpu() -> Gpu | None:
    """The first CUDA device that this process may see, asked of the driver: torch takes seconds to import."""
    import ctypes  # only where a spec asks for such a device

    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    name, number, one = ctypes.create_string_buffer(256), ctypes.c_int(), ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(number), 0) or driver.cuDeviceGetName(name, 256, number):
        return None
    found = []
    for which in _CAPABILITY:
        if driver.cuDeviceGetAttribute(ctypes.byref(one), which, number):
            return None
        found.append(one.value)
    return Gpu(_word(name.value.decode("utf-8", "replace")), (found[0], found[1]))


def cuda(of: Gpu) -> str:
    """`cuda NVIDIA-H200 sm_90`."""
    return f"{CUDA} {of.name} sm_{of.capability[0]}{of.capability[1]}"


def one_gpu(of: Mapping[str, str]) -> str:
    """The one device that is used, as the driver counts: the first of those that the user leaves to us."""
    return of.get(_VISIBLE, "0").split(",")[0].strip()


def check_profile(profile: str, of: Cpu | None = None) -> None:
    """A fixed path of instructions that this CPU does not have is an error, before hours of other work."""
    if profile == AVX2 and AVX2 not in (of or cpu()).flags:
        raise _no_avx2(device(of))


def _no_avx2(here: str) -> EmbspecError:
    return fail("nowhere.profile", f"the numerics profile `avx2` needs a CPU with AVX2, and this one is `{here}`",
                fix="build on a machine that has AVX2, or write `numerics: {profile: native}` to make other bits here",
                field=PROFILE)
