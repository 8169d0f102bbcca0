"""embspec: a spec in git, a lock in git, and any past embedding model back, byte for byte."""
from __future__ import annotations

__version__ = "0.1.0.dev0"


def __getattr__(name: str) -> object:
    # `from embspec import Project` must not make `embspec --version` pay for pydantic and ruamel.
    if name == "Project":
        from embspec.api import Project

        return Project
    raise AttributeError(name)
