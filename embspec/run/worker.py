"""Stages that compute with floats run in processes whose numerics were set before anything was imported."""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import embspec
from embspec.errors import EmbspecError, Where, fail
from embspec.plan.protocol import Progress
from embspec.run.task import FORK, ONCE, Did, Task, did_of, error_of, task_line
from embspec.store.environment import check_device
from embspec.store.files import disk
from embspec.store.machine import AVX2, CUDA, SPARE, check_profile, one_gpu

# Left as they are, these of the user's would change bits, threads, or the way that libraries choose.
_APART = (
    "ACCELERATE_", "ATEN_", "BLIS_", "CUBLAS", "CUDA_", "CUDNN_", "DNNL_", "GOMP_", "KMP_", "MKL_", "NPY_",
    "NVIDIA_TF32", "OMP_", "ONEDNN_", "OPENBLAS_", "PYTORCH_", "TORCH_", "VECLIB_",
)
_FIXED: Mapping[str, str] = {
    "CUDA_VISIBLE_DEVICES": "",
    "HF_HUB_OFFLINE": "1",  # all that a stage reads is on this disk by now
    "MKL_DYNAMIC": "FALSE",  # as many threads as the lock says, where there are fewer cores too
    "OMP_DYNAMIC": "FALSE",
    "OMP_WAIT_POLICY": "PASSIVE",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",  # the log of a process that is killed is whole
    "PYTHONUTF8": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
# The GPU that is left visible computes in full precision, and in the same order each time.
_CUDA: Mapping[str, str] = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "NVIDIA_TF32_OVERRIDE": "0"}
_ORDER = "CUDA_DEVICE_ORDER"  # says which device is the first one; the environment that is recorded counts by it too
_AVX2: Mapping[str, str] = {"ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "AVX2,STRICT", "ONEDNN_MAX_CPU_ISA": "AVX2"}

_LIKELY = {signal.SIGKILL: "; the kernel does that where memory runs out"}


class Workers:
    """The servers of one build: one per profile, threads and device, started when a stage first needs it."""

    def __init__(self, state: str, name: str, way: str = FORK if sys.platform == "linux" else ONCE) -> None:
        self._state, self._name, self._way = state, name, way
        self._servers: dict[tuple[str, int, str], Server] = {}

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        for server in self._servers.values():
            server.stop()
        self._servers = {}

    def run(self, task: Task, tell: Callable[[Progress], None]) -> Did:
        """Have a stage done, and say what it says meanwhile."""
        at = task.profile, task.threads, task.device if task.device in (CUDA, SPARE) else ""
        # A process that was forked cannot use a GPU that its parent has so much as counted, as libraries do.
        way = ONCE if task.device in (CUDA, SPARE) else self._way
        with disk(task.log):
            os.makedirs(os.path.dirname(task.log), exist_ok=True)
            open(task.log, "wb").close()  # the last run's story is over
        if at not in self._servers:
            check_profile(task.profile)
            check_device(task.device)
            self._servers[at] = Server(*at, log_path(self._state, self._name, "worker"), way)
        heard = None
        try:
            heard = _listen(self._servers[at].ask(task), task, tell)
        finally:
            if heard is None or not heard.whole or way == ONCE:
                self._servers.pop(at).stop()
        if heard.error:
            raise heard.error
        assert heard.did
        return heard.did


class _End(NamedTuple):
    """How a task ended, and whether the server that did it is fit for another."""

    did: Did | None
    error: EmbspecError | None
    whole: bool


class Server:
    """One process that forks."""

    def __init__(self, profile: str, threads: int, device: str, log: str, way: str) -> None:
        reader, writer = os.pipe()
        command = [sys.executable, "-m", "embspec.run.server", str(writer), way]
        with open(log, "wb") as said:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=said, stderr=said, pass_fds=(writer,), start_new_session=True,
                cwd=os.path.dirname(log), env=environ(profile, threads, os.environ, device))
        os.close(writer)
        self._replies = os.fdopen(reader, "rb")

    def ask(self, task: Task) -> Iterator[tuple[str, Any]]:
        """What is heard of a task, up to how it ended."""
        assert self._process.stdin
        with suppress(BrokenPipeError):  # a server that is gone says nothing more, and that is heard
            self._process.stdin.write(task_line(task))
            self._process.stdin.flush()
        for line in self._replies:
            kind, value = json.loads(line)
            yield kind, value
            if kind == "ended":
                return
        yield "lost", self._process.wait()

    def stop(self) -> None:
        """End the server and all that it started; they have nothing to lose, and are gone when this returns."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        while self._replies.read(1 << 16):
            pass  # until the last process that could still write is gone
        self._replies.close()
        assert self._process.stdin
        with suppress(BrokenPipeError):
            self._process.stdin.close()


def _listen(heard: Iterator[tuple[str, Any]], task: Task, tell: Callable[[Progress], None]) -> _End:
    """All that is heard of a task: what the stage made, or the error that it ended with."""
    did: Did | None = None
    error: EmbspecError | None = None
    whole = False
    for kind, value in heard:
        if kind == "tell":
            tell(Progress(*value))
        elif kind == "did":
            did = did_of(value)
        elif kind == "problems":
            error = _placed(error_of(value), task)
        elif kind == "failed":
            said, trace = value
            with open(task.log, "a", encoding="utf-8") as file:
                file.write(trace)
            error = failed(task.stage, said, task.log)
        else:
            whole = kind == "ended"
            if not error and (value or not did):
                error = failed(task.stage, _ended(value), task.log)
    return _End(did, error, whole)


def _placed(error: EmbspecError, task: Task) -> EmbspecError:
    """A stage that gave up says where its log is, which holds what the libraries said."""
    log = Where(os.path.relpath(task.log))
    return EmbspecError(*(
        p._replace(where=log) if p.code.startswith("stage.") and not p.where and not p.field else p
        for p in error.problems))


def _ended(code: int) -> str:
    """How a process ended that said nothing of it."""
    if code >= 0:
        return f"its process ended with exit code {code}"
    return f"its process was ended by {signal.Signals(-code).name}{_LIKELY.get(signal.Signals(-code), '')}"


def failed(stage: str, said: str, log: str) -> EmbspecError:
    """A stage that fell over."""
    return fail("stage.failed", f"stage {stage} failed: {said}", Where(os.path.relpath(log)),
                "the whole story is in that file; what was finished is kept")


def environ(profile: str, threads: int, of: Mapping[str, str], device: str = "") -> dict[str, str]:
    """The environment of a server: nothing of the user's that shows in bits, and the numerics of the lock."""
    kept = {name: text for name, text in of.items() if not name.startswith(_APART)}
    count = str(threads)
    fixed = {**_FIXED, "OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count, "PYTHONPATH": os.pathsep.join(_path())}
    if device in (CUDA, SPARE):
        order = {_ORDER: of[_ORDER]} if _ORDER in of else {}
        fixed |= {**_CUDA, **order, "CUDA_VISIBLE_DEVICES": one_gpu(of)}
    return {**kept, **fixed, **(_AVX2 if profile == AVX2 else {})}


def _path() -> list[str]:
    """Where this process finds modules; not the project's own folder, whose files might be called as a library is."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(embspec.__file__)))
    found = [os.path.abspath(entry) for entry in sys.path if entry and os.pathsep not in entry]
    return [*dict.fromkeys(e for e in found if e == root or e != os.getcwd()), root]


def log_path(state: str, name: str, stage: str) -> str:
    """Where a spec's stage leaves what was said while it ran."""
    return os.path.join(state, "runs", f"{name}.{stage}.log")
