"""Servers that live as long as the tests do: torch is imported once, not once a build."""
from __future__ import annotations

import atexit

from embspec.run.worker import Server, Workers

_SERVERS: dict[tuple[str, int, str], Server] = {}


class Shared(Workers):
    """What a build takes for its own; every stage has a process of its own all the same."""

    def __init__(self, state: str, name: str) -> None:
        super().__init__(state, name)
        self._servers = _SERVERS

    def __exit__(self, *error: object) -> None:
        """They go on."""


def _stop() -> None:
    for server in _SERVERS.values():
        server.stop()


atexit.register(_stop)
