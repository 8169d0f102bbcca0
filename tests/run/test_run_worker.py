"""Stages that compute with floats: numerics set before any import, a process each, and nothing left behind."""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from embspec.errors import EmbspecError, Where
from embspec.plan.protocol import Progress
from embspec.run import stage
from embspec.run.task import FORK, ONCE, Did, Task
from embspec.run.worker import Workers, environ
from embspec.store import machine
from embspec.store.bank import Bank
from embspec.store.machine import SPARE, Cpu
from tests.support.floats import task

WAYS = [FORK, ONCE] if sys.platform == "linux" else [ONCE]


@pytest.fixture(params=WAYS)
def workers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workers]:
    """Servers for one test, by fork and without."""
    with Workers(str(tmp_path / "state"), "spec", request.param) as found:
        yield found


def run(workers: Workers, one: Task) -> Did:
    """Do a task; nobody listens."""
    return workers.run(one, lambda event: None)


def broken(workers: Workers, one: Task) -> EmbspecError:
    """Do a task that ends in an error."""
    with pytest.raises(EmbspecError) as caught:
        run(workers, one)
    return caught.value


def gone(pid: int) -> bool:
    """Whether a process has ended, waited for by its parent or not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "ZX"


def soon_gone(pids: list[int]) -> bool:
    """Whether they end, given time."""
    for _ in range(400):
        if all(map(gone, pids)):
            return True
        time.sleep(0.02)
    return False


def test_the_numerics_are_there_before_anything_is_imported(
    workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stand in the environment that the process was started with; the user's own do not."""
    monkeypatch.setattr(machine, "cpu", lambda: Cpu("x", frozenset({"avx2"}), 2))
    monkeypatch.setenv("ONEDNN_DEFAULT_FPMATH_MODE", "BF16")
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.setenv("SOME_WORD", "stays")
    found = run(workers, task(tmp_path, "surroundings", threads=3, profile="avx2")).made.stat
    numerics = {
        "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "AVX2,STRICT",
        "OMP_NUM_THREADS": "3", "MKL_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "false", "PYTHONHASHSEED": "0", "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1",
        "SOME_WORD": "stays",
    }
    assert {name: found["env"].get(name) for name in numerics} == numerics
    assert "ONEDNN_DEFAULT_FPMATH_MODE" not in found["env"]


def test_what_a_stage_finds_around_it(workers: Workers, tmp_path: Path) -> None:
    """Its seed, in the global generators too, its digests, an empty stdin, its scratch space; no library unasked."""
    one, two = (task(tmp_path, "surroundings", seed=seed) for seed in (5, 6))
    found = run(workers, one).made.stat
    assert found["folder"] == one.scratch and found["stdin"] == ""
    assert (found["seed"], found["digests"], found["imported"]) == (5, {"split/train": "sha256:ab"}, [])
    assert found["random"] == run(workers, task(tmp_path, "surroundings", seed=5)).made.stat["random"]
    assert found["random"] != run(workers, two).made.stat["random"]


def test_the_native_profile_fixes_no_path() -> None:
    """Only the threads, and what the user's environment would change by chance."""
    found = environ("native", 4, {"MKL_CBWR": "COMPATIBLE", "HOME": "/x"})
    assert not {"MKL_CBWR", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA"} & found.keys()
    assert (found["OMP_NUM_THREADS"], found["HOME"]) == ("4", "/x")


def test_a_gpu_is_left_visible_and_made_to_repeat() -> None:
    """One device, the user's first, with cuBLAS's workspace fixed and TF32 off; without one it is as ever."""
    user = {"CUDA_VISIBLE_DEVICES": "3,1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUBLASLT_WORKSPACE_SIZE": "9",
            "CUDNN_LOGINFO_DBG": "1", "CUDA_LAUNCH_BLOCKING": "1", "NVIDIA_TF32_OVERRIDE": "1"}
    found = environ("avx2", 2, user, "cuda")
    shown = {name: text for name, text in found.items() if name.startswith(("CU", "NVIDIA"))}
    assert shown == {"CUDA_VISIBLE_DEVICES": "3", "CUDA_DEVICE_ORDER": "PCI_BUS_ID", "NVIDIA_TF32_OVERRIDE": "0",
                     "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    assert environ("avx2", 2, {}, "cuda")["CUDA_VISIBLE_DEVICES"] == "0"
    assert {name: text for name, text in found.items() if name not in shown} == {
        name: text for name, text in environ("avx2", 2, user).items() if name not in shown}
    for device in ("", "cpu", "auto"):
        assert environ("avx2", 2, user, device)["CUDA_VISIBLE_DEVICES"] == ""


def test_a_gpu_that_is_not_here_is_said_before_the_work(workers: Workers, tmp_path: Path) -> None:
    """Exit 32 at the field, without a process; a device of another kind asks for nothing."""
    one = task(tmp_path, "talking", params={"train.rate": 1})
    error = broken(workers, one._replace(device="cuda"))
    assert (error.exit, error.problems[0].code, error.problems[0].field) == (32, "nowhere.device", "numerics.device")
    assert workers._servers == {} and not Path(one.out, "kept").exists()
    assert run(workers, one._replace(device="cpu")).made.counts == {"rows": 1}


def test_a_gpu_that_a_stage_may_use_is_visible_and_not_asked_for(workers: Workers, tmp_path: Path) -> None:
    """The work is done without one as well; its process is its own, since a fork could not use what is there."""
    user = {"CUDA_VISIBLE_DEVICES": "3,1"}
    assert environ("avx2", 2, user, SPARE) == environ("avx2", 2, user, "cuda")
    assert run(workers, task(tmp_path, "talking", params={"train.rate": 1})._replace(device=SPARE)).made.counts == {
        "rows": 1}
    assert workers._servers == {}


@pytest.mark.parametrize(("pin", "field", "lacks", "right"), [
    ({}, None, "", ""), ({}, "auto", "", SPARE), ({}, "cuda", "", SPARE), ({}, "cpu", "", ""),
    ({}, "auto", "no driver", ""), ({}, "cuda", "no driver", ""),
    ({"numerics.device": "cuda"}, None, "no driver", "cuda"), ({"numerics.device": "cpu"}, None, "", "cpu"),
])
def test_a_stage_computes_where_its_pin_says_and_searches_where_it_can(
    pin: dict[str, str], field: str | None, lacks: str, right: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU that a build can do without is used where there is one, and no reason to stop where there is none."""
    monkeypatch.setattr(stage, "lacks_gpu", lambda: lacks)
    typed = {} if field is None else {"numerics.device": field}
    step: Any = SimpleNamespace(pin=pin, node=SimpleNamespace(typed=typed))
    assert stage._device(step) == right


def test_a_gpu_that_torch_cannot_use_is_said_too(
    workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver shows one, and torch finds none; the process is fresh and serves nothing else."""
    monkeypatch.setattr("embspec.run.worker.check_device", lambda kind: None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "77")
    error = broken(workers, task(tmp_path, "talking", ("torch",))._replace(device="cuda"))
    assert error.problems[0].code == "nowhere.device" and "finds none that it can use" in error.problems[0].text
    assert workers._servers == {}


def test_a_profile_that_this_machine_lacks_is_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 32, at the field of the spec that asks for it."""
    monkeypatch.setattr(machine, "cpu", lambda: Cpu("ARM", frozenset({"asimd"}), 4))
    with Workers(str(tmp_path / "state"), "spec") as workers:
        error = broken(workers, task(tmp_path, "talking", profile="avx2"))
    assert (error.exit, error.problems[0].code, error.problems[0].field) == (32, "nowhere.profile", "numerics.profile")


def test_all_that_a_stage_says_and_makes_comes_back(workers: Workers, tmp_path: Path) -> None:
    """Events in order, stat, pins, counts and kept files, and which values it asked for."""
    told: list[Progress] = []
    one = task(tmp_path, "talking", params={"train.rate": 2e-05, "train.other": None})
    did = workers.run(one, told.append)
    assert told == [Progress("at work", n, 3) for n in range(3)]
    assert did.made.stat == {"rate": 2e-05, "found": False} and did.made.pins == {"pin": [1, 2]}
    assert did.made.counts == {"rows": 1} and did.made.keep["kept"].read_text() == "kept"
    assert (did.params, did.needs) == (("train.none", "train.rate"), ())
    assert run(workers, one).made.stat["found"] is True
    assert Bank(str(tmp_path / "store")).rows({"model": "m", "engine": "toy"}).find([b"n" * 16]) == [b"row"]


def test_what_libraries_print_is_in_the_log(
    workers: Workers, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of the last run alone, and not on the terminal."""
    one = task(tmp_path, "talking", params={"train.rate": 1})
    for _ in range(2):
        run(workers, one)
    assert Path(one.log).read_text() == "a word of a library\na word of warning\n"
    assert one.log.endswith("state/runs/spec.toy.log")
    assert capfd.readouterr() == ("", "")


def test_what_a_user_has_caused_keeps_its_words(workers: Workers, tmp_path: Path) -> None:
    """Every problem with code, place, way out and field, as if it had been raised here; the next task is done."""
    first, second = broken(workers, task(tmp_path, "wrong")).problems
    assert tuple(first) == ("input.first", "the first thing", Where("a.jsonl", 3, 7), "mend it", "train.rate")
    assert (second.code, second.text, second.where) == ("spec.second", "the second — thing", None)
    assert isinstance(first.where, Where)
    assert run(workers, task(tmp_path, "talking", params={"train.rate": 1})).made.counts == {"rows": 1}


@pytest.mark.parametrize(("make", "said"), [
    ("falling", "RuntimeError: the work fell over"),
    ("killed", "its process was ended by SIGKILL; the kernel does that where memory runs out"),
    ("ending", "its process ended with exit code 3"),
    ("nothing_of_that_name", "has no attribute 'nothing_of_that_name'"),
])
def test_a_stage_that_falls_over_is_named_with_its_log(workers: Workers, tmp_path: Path, make: str, said: str) -> None:
    """Exit 40 and no traceback over the terminal, however it ended; the next task is done."""
    one = task(tmp_path, make)
    error = broken(workers, one)
    (problem,) = error.problems
    assert (error.exit, problem.code) == (40, "stage.failed") and problem.where
    assert "stage toy failed: " in problem.text and said in problem.text
    assert os.path.abspath(problem.where.file) == one.log
    assert ("Traceback" in Path(one.log).read_text()) is (make in ("falling", "nothing_of_that_name"))
    assert run(workers, task(tmp_path, "talking", params={"train.rate": 1})).made.counts == {"rows": 1}


def test_rows_outlast_the_stage_that_fell_over(workers: Workers, tmp_path: Path) -> None:
    """What was computed before is not computed again."""
    broken(workers, task(tmp_path, "falling"))
    assert Bank(str(tmp_path / "store")).rows({"model": "m", "engine": "toy"}).find([b"f" * 16]) == [b"row"]


def test_a_full_disk_is_said_as_everywhere(workers: Workers, tmp_path: Path) -> None:
    """Not a failure of the stage."""
    assert broken(workers, task(tmp_path, "full")).problems[0].code == "disk.full"


def test_a_library_that_cannot_be_imported(workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The story of it is in the stage's log."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "tokenizers.py").write_text("raise ImportError('torn')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    one = task(tmp_path, "talking", ("tokenizers",))
    assert "ImportError: torn" in broken(workers, one).problems[0].text
    assert "tokenizers.py" in Path(one.log).read_text()


def test_the_projects_own_files_shadow_no_library(
    workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project with a module called as a library is built all the same."""
    (tmp_path / "numpy.py").write_text("raise ImportError('the wrong one')\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert run(workers, task(tmp_path, "surroundings", ("numpy",))).made.stat["imported"] == ["numpy"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks")
def test_a_server_imports_once_and_forks_for_each(tmp_path: Path) -> None:
    """One server serves all tasks of a profile and count of threads, and has no thread beside its own."""
    with Workers(str(tmp_path / "state"), "spec", FORK) as workers:
        for threads in (1, 1, 2):
            stat = run(workers, task(tmp_path, "surroundings", ("numpy", "tokenizers"), threads=threads)).made.stat
            assert stat["imported"] == ["numpy"] and stat["threads"] == 1
        assert list(workers._servers) == [("native", 1, ""), ("native", 2, "")]
        servers = [server._process.pid for server in workers._servers.values()]
        assert not any(map(gone, servers))
    assert all(map(gone, servers))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks")
def test_a_stage_ends_with_its_server(tmp_path: Path) -> None:
    """The server is killed alone: the stage does not go on without anybody to tell."""
    told: list[int] = []
    with Workers(str(tmp_path / "state"), "spec", FORK) as workers, pytest.raises(EmbspecError) as caught:
        workers.run(task(tmp_path, "serverless"), lambda event: told.extend(json.loads(event.text)))
    assert caught.value.problems[0].code == "stage.failed" and soon_gone(told)


def test_a_build_that_is_stopped_leaves_no_process(workers: Workers, tmp_path: Path) -> None:
    """The stage and what it had started are gone before the error leaves the build, so that scratch space can go."""
    seen: list[int] = []

    def stop(event: Progress) -> None:
        seen.extend(json.loads(event.text)[-2:])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        workers.run(task(tmp_path, "sleeping"), stop)
    assert len(seen) == 2 and soon_gone(seen)


PARENT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what is in its background with SIGINT ignored
from pathlib import Path
from embspec.run.worker import Workers
from tests.support.floats import task
folder = Path(sys.argv[1])
with Workers(str(folder / "state"), "spec", sys.argv[2]) as workers:
    workers.run(task(folder, "sleeping"), lambda event: print(event.text, flush=True))
"""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_outlives_the_build(way: str, number: int, tmp_path: Path) -> None:
    """Whatever ends the process that builds, server, stage and helpers end too."""
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path), way], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(root)}) as parent:
        assert parent.stdout
        pids = json.loads(parent.stdout.readline())
        started = pids if way == FORK else pids[1:]  # without fork the first one is the parent itself
        assert len(started) >= 2 and not any(map(gone, started))
        parent.send_signal(number)
        parent.wait()
    assert soon_gone(started)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks")
def test_a_forked_stage_computes_the_bits_of_a_fresh_process(tmp_path: Path) -> None:
    """Training with two threads: a first fork, one after another stage, and a process that imports for itself."""

    def bits(workers: Workers, *packages: str, seed: int = 7) -> bytes:
        one = task(tmp_path, "bits", packages, seed=seed, profile=machine.settled("numerics.profile"))
        made = run(workers, one).made
        assert (made.stat["threads"], made.stat["strict"]) == (2, True)
        assert made.stat["path"] == "AVX2" or one.profile == "native"
        return Path(one.out, "bits").read_bytes()

    with Workers(str(tmp_path / "state"), "spec", ONCE) as workers:
        fresh = bits(workers, "numpy", "torch")
    with Workers(str(tmp_path / "state"), "spec", FORK) as workers:
        assert bits(workers, "numpy", "torch") == fresh
        assert bits(workers, "numpy", "torch", seed=8) != fresh
        assert bits(workers, "numpy", "torch", "transformers", "tokenizers") == fresh
