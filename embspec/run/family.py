"""Processes that may not outlive the one that started them."""
from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_DEATH_OF_PARENT = 1  # PR_SET_PDEATHSIG


def ends_with_parent(parent: int) -> Callable[[], None] | None:
    """What a child does first, so that the kernel ends it when its parent ends, however that happens."""
    if sys.platform != "linux":
        return None
    control = ctypes.CDLL(None).prctl  # looked up here: a child that was just forked should do little

    def tie() -> None:
        control(_DEATH_OF_PARENT, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return tie
