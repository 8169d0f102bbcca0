"""The other end of a worker: imports what is slow once, then forks a process for each stage; computes nothing itself.

It is started with its numerics in the environment, because libraries look at that when they are imported. Tasks come
in as lines on stdin, what happens goes out as lines on another pipe. When stdin ends, everything here ends.
"""
from __future__ import annotations

import faulthandler
import importlib
import json
import os
import random
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from embspec.errors import EmbspecError
from embspec.plan.protocol import Progress
from embspec.run.family import ends_with_parent
from embspec.run.task import FORK, Task, did_json, problems_json, task_of, work
from embspec.store.environment import no_device
from embspec.store.files import room
from embspec.store.machine import CUDA

# What takes long to import and starts no threads by that; anything else a stage imports for itself.
MODULES: Mapping[str, str] = {
    "numpy": "numpy",
    "safetensors": "safetensors",
    "tokenizers": "tokenizers",
    "torch": "torch",
    "transformers": "transformers",
    "sentence-transformers": "sentence_transformers",
}

Reply = Callable[[str, Any], None]


def main() -> None:
    """Serve until stdin ends."""
    replies, way = int(sys.argv[1]), sys.argv[2]
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    lock = threading.Lock()

    def reply(kind: str, value: Any) -> None:
        data = memoryview(json.dumps([kind, value]).encode() + b"\n")
        with lock:
            while data:
                data = data[os.write(replies, data) :]

    if way == FORK:
        _forking(reply)
    else:
        _once(reply)


def _forking(reply: Reply) -> None:
    wake, _ = _child_bell()
    while line := _line():
        task = task_of(line)
        if not _imported(task.packages, reply):
            continue
        server = os.getpid()
        pid = os.fork()
        if not pid:
            _child(task, reply, server)
        reply("ended", _wait(pid, wake))


def _once(reply: Reply) -> None:
    line = _line()
    if line and _imported(task_of(line).packages, reply):
        threading.Thread(target=_end_with, args=[os.dup(0)], daemon=True).start()
        _redirect(task_of(line))
        _run(task_of(line), reply)
        reply("ended", 0)


def _line() -> bytes:
    """The next task; nothing where stdin has ended. Read by bytes: a buffer would hide what `select` waits for."""
    line = bytearray()
    while not line.endswith(b"\n"):
        if not (piece := os.read(0, 1 << 16)):
            return b""
        line += piece
    return bytes(line)


def _imported(packages: Sequence[str], reply: Reply) -> bool:
    try:
        for package in packages:
            if package in MODULES:
                importlib.import_module(MODULES[package])
    except BaseException as error:
        reply("failed", [_said(error), traceback.format_exc()])
        reply("ended", 0)
        return False
    return True


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _child_bell() -> tuple[int, int]:
    """A pipe that says something whenever a child has ended."""
    wake, ring = os.pipe()
    os.set_blocking(ring, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
    return wake, ring


def _wait(pid: int, wake: int) -> int:
    """How the child ended: its exit code, or the number of a signal below zero."""
    while True:
        ready, _, _ = select.select([0, wake], [], [])
        if 0 in ready:
            os.killpg(0, signal.SIGKILL)  # whoever asked is gone, and so are this process and all that it started
        os.read(wake, 1 << 10)
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)


def _child(task: Task, reply: Reply, server: int) -> NoReturn:
    """One stage, in a process of its own that never returns into the server."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if tie := ends_with_parent(server):
            tie()
        _redirect(task)
        _run(task, reply)
        code = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _end_with(pipe: int) -> None:
    while os.read(pipe, 1 << 10):
        pass
    os.killpg(0, signal.SIGKILL)


def _redirect(task: Task) -> None:
    """What libraries print goes into the stage's log, what they write without a path into its scratch space."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    log = os.open(task.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
    faulthandler.enable()
    os.chdir(task.scratch)


def _run(task: Task, reply: Reply) -> None:
    def tell(event: Progress) -> None:
        reply("tell", event)

    try:
        settle(task.given.seed, task.threads, task.device)
        with room(task.given.store):
            did = work(task, tell)
        reply("did", did_json(did))
    except EmbspecError as error:
        reply("problems", problems_json(error))
    except Exception as error:
        reply("failed", [_said(error), traceback.format_exc()])


def settle(seed: int, threads: int, device: str = "") -> None:
    """One seed for every global generator, and as many threads as the lock says, before anything is computed."""
    random.seed(seed)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(seed % (1 << 32))
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(True)
        if device == CUDA:
            _settle_cuda(torch)


def _settle_cuda(torch: Any) -> None:
    """The GPU computes in full precision and by algorithms that repeat; the seed of it is torch's."""
    if not torch.cuda.is_available():
        raise no_device(f"torch {torch.__version__} finds none that it can use")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


if __name__ == "__main__":
    main()
