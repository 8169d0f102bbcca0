"""Small disks of a test's own, where it may mount any."""
from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


class Disk:
    """A folder with a file system of its own, that can be full, read-only or gone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.mounted = _run("mount", "-t", "tmpfs", "-o", "size=32m", "none", str(path))

    def resize(self, kilobytes: int) -> None:
        """Give it this much room."""
        assert _run("mount", "-o", f"remount,size={kilobytes}k", str(self.path))

    def read_only(self, on: bool) -> None:
        """Let nobody write to it, or everybody again."""
        assert _run("mount", "-o", f"remount,{'ro' if on else 'rw'}", str(self.path))

    def fill(self, leave: int) -> Path:
        """Take all room but so many kilobytes; the file that takes it."""
        filler = self.path / "filler"
        free = int(subprocess.run(["stat", "-f", "-c", "%a %S", self.path], capture_output=True, text=True,
                                  check=True).stdout.split()[0]) * 4096
        filler.write_bytes(b"\0" * (free - leave * 1024))
        return filler

    def gone(self) -> None:
        """Take it away; what it held is lost."""
        if self.mounted:
            self.mounted = not _run("umount", "-l", str(self.path))


def _run(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A small disk; a test that needs one is skipped where none may be mounted."""
    made = Disk(tmp_path / "disk")
    if not made.mounted:
        pytest.skip("no disk may be mounted here")
    yield made
    made.gone()
