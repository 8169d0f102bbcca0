"""embspec doctor"""
from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from typing import NamedTuple

import click

import embspec
from embspec.api import numerics, store_probe
from embspec.cli.common import put
from embspec.errors import INVALID, OK, EmbspecError

PACKAGES = (
    "PyStemmer", "accelerate", "click", "datasets", "numpy", "pydantic", "rich", "ruamel.yaml", "safetensors",
    "sentence-transformers", "tokenizers", "torch", "transformers", "xxhash",
)


class Finding(NamedTuple):
    """One thing that was looked at."""

    what: str
    good: bool
    text: str
    fix: str = ""


@click.command("doctor")
@click.option("--json", "json_", is_flag=True, help="One JSON object on stdout.")
def command(json_: bool) -> None:
    """Look at the interpreter, the packages, the numerics, git and the store.

    Example: embspec doctor
    """
    findings = [look() for look in LOOKS]
    code = OK if all(f.good for f in findings) else INVALID
    if json_:
        put({"exit": code, "findings": [f._asdict() for f in findings]})
    else:
        for f in findings:
            click.echo(f"{'ok ' if f.good else 'BAD'} {f.what:<12} {f.text}" + (f"\n    {f.fix}" if f.fix else ""))
    raise click.exceptions.Exit(code)


def _interpreter() -> Finding:
    return Finding("python", sys.version_info >= (3, 10), f"{platform.python_version()}, embspec {embspec.__version__}",
                   "" if sys.version_info >= (3, 10) else "install Python 3.10 or newer")


def _packages() -> Finding:
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    text = ", ".join(found) + (f"; missing: {', '.join(missing)}" if missing else "")
    return Finding("packages", not missing, text, f"pip install {' '.join(missing)}" if missing else "")


def _numerics() -> Finding:
    profile, threads, device = numerics()
    return Finding("numerics", True, f"profile {profile}, {threads} threads, {device}")


def _git() -> Finding:
    path = shutil.which("git")
    fix = "" if path else "install git: past locks are read from it"
    return Finding("git", path is not None, path or "not found", fix)


def _store() -> Finding:
    try:
        folder, good = store_probe()
    except EmbspecError as error:
        return Finding("store", False, str(error.problems[0].text), error.problems[0].fix)
    free = shutil.disk_usage(folder).free // 10**9
    return Finding("store", good, f"{folder}, writable, {free} GB free",
                   "" if good else "another file stands where the object belongs: delete it")


LOOKS: tuple[Callable[[], Finding], ...] = (_interpreter, _packages, _numerics, _git, _store)
