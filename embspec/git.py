"""Reads git: what a file held at a revision."""
from __future__ import annotations

import os
import subprocess

from embspec.errors import fail


def show(revision: str, path: str) -> bytes:
    """The bytes of a file at a revision."""
    folder, name = os.path.split(os.path.abspath(path))
    done = _git(folder, "show", f"{revision}:./{name}")
    if done.returncode == 0:
        return done.stdout
    if _git(folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").returncode:
        raise fail("usage.revision", f"git knows no revision `{revision}` here", fix="see `git log --oneline`")
    raise fail("usage.not-in-revision", f"`{os.path.relpath(path)}` is not in revision {revision}",
               fix=f"see `git log -- {os.path.relpath(path)}`")


def _git(folder: str, *args: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", "-C", folder, *args], capture_output=True, check=False)
    except FileNotFoundError:
        raise fail("usage.no-git", "git is not installed", fix="install git, or name two lock files") from None
