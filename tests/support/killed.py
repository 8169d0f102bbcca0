"""A process that is killed in the middle of a write."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def arm(name: str, after: int) -> None:
    """From now on this process is killed at the call of `os.NAME` that comes after so many others."""
    real, left = getattr(os, name), iter(range(after))

    def deadly(*args: Any, **rest: Any) -> Any:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **rest)

    setattr(os, name, deadly)


def kill(code: str, name: str, after: int, *args: str) -> None:
    """Run code in a process of its own, which must reach that call."""
    script = f"from tests.support.killed import arm\narm({name!r}, {after})\n{code}"
    done = subprocess.run([sys.executable, "-c", script, *args], capture_output=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
