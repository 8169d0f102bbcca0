"""What a stage was built with: recorded in the lock, not keyed."""
from __future__ import annotations

import platform
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import metadata

import embspec
from embspec.plan.canonical import scalar, short_hash

_NAME = re.compile(r"[A-Za-z0-9._-]+")


def environment(packages: Sequence[str]) -> tuple[Mapping[str, str], bytes]:
    """The lines of an env block, and the full list of packages that its digest stands for."""
    closure = {name: version for package in packages for name, version in _closure(package)}
    listing = "".join(f"{name}=={version}\n" for name, version in sorted(closure.items())).encode()
    block = {
        "embspec": embspec.__version__,
        "python": platform.python_version(),
        "platform": " ".join([sys.platform, platform.machine(), "-".join(platform.libc_ver())]).rstrip("- "),
    }
    block |= {name: metadata.version(name) for name in packages}
    return {name: scalar(value) for name, value in block.items()}, listing


def env_id(block: Mapping[str, str]) -> str:
    """The name of an env block: from its content, so that two branches never collide."""
    return f"env-{short_hash(block)[:8]}"


@cache
def _closure(package: str) -> tuple[tuple[str, str], ...]:
    """The package and all that its imports need, without extras."""
    found: dict[str, str] = {}
    wanted = [package]
    while wanted:
        name = re.sub(r"[-_.]+", "-", wanted.pop()).lower()
        if name in found:
            continue
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # needed on another platform only
        for line in metadata.requires(name) or []:
            match = _NAME.match(line)
            if match and "extra ==" not in line:
                wanted.append(match[0])
    return tuple(sorted(found.items()))
