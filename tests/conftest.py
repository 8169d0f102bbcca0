"""No test touches the home folder, the user's store or the network."""
from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.workers import Shared

# Libraries read these when they are imported. Threads that spin while they wait take the cores from the tests beside
# them, many times what they compute; a test that is about threads asks for some.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

settings.register_profile("embspec", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("embspec")


def pytest_addoption(parser: pytest.Parser) -> None:
    """What is pinned in files is written anew only when a person asks, and read in the review."""
    parser.addoption("--pin", action="store_true", help="write expected transcripts, keys and bytes anew")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store and a home of its own for every test, and no connection to anywhere."""
    monkeypatch.setenv("EMBSPEC_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    for name in ("CI", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    monkeypatch.setattr("embspec.run.build.Workers", Shared)  # one import of the slow libraries for all tests

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError(f"a test opened a connection: {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="session")
def bench_data() -> Path:
    """The real data sets, where they are at hand."""
    folder = os.environ.get("EMBSPEC_BENCH_DATA", "")
    if not folder:
        pytest.skip("EMBSPEC_BENCH_DATA is not set: the real data sets are not at hand")
    return Path(folder)
