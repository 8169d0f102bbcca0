"""Paths in a spec: relative to the file that names them, and inside the project."""
from __future__ import annotations

import os
from typing import NamedTuple

from embspec.errors import Problem, Where
from embspec.spec.addresses import address_problem


class Ground(NamedTuple):
    """Where the paths of a spec stand."""

    folder: str  # of the main spec
    root: str  # of the project
    outside: bool = False  # may a path leave the project?


def is_address(text: str) -> bool:
    """Is it an address such as https://… or hf://…, and no path of a file system?"""
    return "://" in text


def problem(text: str, folder: str, ground: Ground, where: Where, field: str) -> Problem | None:
    """What is wrong with a path that a file in `folder` names; None when nothing is."""
    if is_address(text):
        return address_problem(text, where, field)
    if ground.outside:
        return None
    if text.startswith("~"):
        return Problem(
            "spec.path",
            f"`{text}` begins with `~`, which means nothing in a spec",
            where,
            "write the path relative to this file",
            field,
        )
    if os.path.isabs(text):
        return Problem(
            "spec.path",
            f"`{text}` is an absolute path",
            where,
            "write it relative to this file; --allow-outside permits it",
            field,
        )
    root = os.path.realpath(ground.root)
    reached = os.path.normpath(os.path.join(os.path.realpath(folder), text))
    if reached != root and not reached.startswith(root.rstrip(os.sep) + os.sep):
        return Problem(
            "spec.path",
            f"`{text}` leads out of the project",
            where,
            "keep files inside the project; --allow-outside permits it",
            field,
        )
    return None


def anchored(text: str, folder: str, ground: Ground) -> str:
    """The path as the main spec would have to write it: `FOLDER//PATH` when another folder's file names it."""
    return text if is_address(text) or os.path.isabs(text) else prefixed(text, folder, ground)


def prefixed(text: str, folder: str, ground: Ground) -> str:
    """A text with the folder of the file that has it, where that is another than the main spec's."""
    if os.path.realpath(folder) == os.path.realpath(ground.folder):
        return text
    other = os.path.relpath(os.path.realpath(folder), os.path.realpath(ground.folder))
    return f"{other.replace(os.sep, '/')}//{text}"
