"""What a stage is built with: recorded in the lock, not keyed."""
from __future__ import annotations

import platform
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import metadata

import embspec
from embspec.errors import EmbspecError, Problem, fail
from embspec.plan.canonical import scalar, short_hash
from embspec.store.machine import CUDA, DEVICE, PROFILE, THREADS, cuda, device, gpu

MISSING = "missing"  # what is not installed here is like no version of it

_NAME = re.compile(r"[A-Za-z0-9._-]+")

_EXTRA = re.compile(r"""([A-Za-z0-9._-]+)[^;]*;.*extra == ['"]([a-z-]+)['"]""")

# What computes: another version of one of these may give other bits to the same row.
_ENGINES = ("numpy", "onnxruntime", "tokenizers", "torch", "transformers")


def environment(packages: Sequence[str], pins: Mapping[str, str]) -> Mapping[str, str]:
    """The lines of an env block, as far as two machines with the same lines are alike."""
    block = {"embspec": embspec.__version__, "python": platform.python_version(), "platform": _platform()}
    block |= {name: _version(name) or MISSING for name in packages}
    if PROFILE in pins:
        block |= {"device": _device(pins.get(DEVICE, "")), "math": f"{pins[PROFILE]} threads-{pins[THREADS]}"}
    return {name: scalar(value) for name, value in block.items()}


def listing(packages: Sequence[str]) -> bytes:
    """All that the packages' imports need, one a line: what the digest in an env block stands for."""
    closure = {name: version for package in packages for name, version in _closure(package)}
    return "".join(f"{name}=={version}\n" for name, version in sorted(closure.items())).encode()


def env_id(block: Mapping[str, str]) -> str:
    """The name of an env block: from its content, so that two branches never collide."""
    return f"env-{short_hash(block)[:8]}"


def engine(profile: str) -> Mapping[str, str]:
    """All that the bits of a computed row hang on beside what the stage says of it."""
    versions = {f"engine {name}": _version(name) for name in _ENGINES}
    return {**versions, "engine platform": _platform(), "engine device": device(), "engine profile": profile}


def check_packages(packages: Sequence[str]) -> None:
    """What a stage imports is here; said before its work, and all at once."""
    missing = [name for name in packages if not _version(name)]
    if missing:
        said = [Problem("nowhere.package", f"the package `{name}` is not installed here") for name in missing]
        raise EmbspecError(*said[:-1], said[-1]._replace(fix="pip install " + " ".join(_extras(missing))))


def _extras(packages: Sequence[str]) -> list[str]:
    """What to install: the extra of ours that brings a package, where it is one that only an extra does."""
    try:
        wanted = metadata.requires("embspec") or []
    except metadata.PackageNotFoundError:
        wanted = []
    extra = {found[1]: found[2] for line in wanted if (found := _EXTRA.match(line)) and found[2] not in ("all", "dev")}
    return list(dict.fromkeys(f'"embspec[{extra[name]}]"' if name in extra else name for name in packages))


def check_device(kind: str) -> None:
    """A GPU that a spec asks for is here, and so is a torch that can use it; said before the work."""
    if kind == CUDA and (why := lacks_gpu()):
        raise no_device(why)


def lacks_gpu() -> str:
    """Why nothing can be computed on a GPU here; empty where it can."""
    build = _version("torch")
    if build.endswith("+cpu"):
        return f"torch {build} is a build for the processor alone"
    return "" if gpu() else "the driver shows no such device here"


def no_device(why: str) -> EmbspecError:
    """What a spec asks for in vain."""
    return fail("nowhere.device", f"`numerics.device: cuda` asks for a GPU, and {why}",
                fix="train on a machine with a GPU and a torch built for CUDA, or write `numerics: {device: cpu}`",
                field=DEVICE)


def _device(kind: str) -> str:
    """The CPU, or the GPU that training runs on; a plan can be made where there is none."""
    if kind != CUDA:
        return device()
    return cuda(found) if (found := gpu()) else f"{CUDA} {MISSING}"


@cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _platform() -> str:
    return " ".join([sys.platform, platform.machine(), "-".join(platform.libc_ver())]).rstrip("- ")


@cache
def _closure(package: str) -> tuple[tuple[str, str], ...]:
    """The package and all that its imports need, without extras."""
    found: dict[str, str] = {}
    wanted = [package]
    while wanted:
        name = re.sub(r"[-_.]+", "-", wanted.pop()).lower()
        if name in found:
            continue
        if not (here := _version(name)):
            continue  # needed on another platform only
        found[name] = here
        for line in metadata.requires(name) or []:
            match = _NAME.match(line)
            if match and "extra ==" not in line:
                wanted.append(match[0])
    return tuple(sorted(found.items()))
