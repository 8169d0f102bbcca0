"""Commands of a spec: run only where that is allowed, in their own folder, and never longer than the build."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from embspec.errors import EmbspecError, Problem
from embspec.plan.protocol import Progress
from embspec.run import programs
from embspec.run.programs import Program, run

ECHO = "import sys\nfor line in sys.stdin: print(line.strip().upper())\n"
Run = Callable[..., bytes]


@pytest.fixture
def asking(tmp_path: Path) -> Run:
    """Runs a program over two questions, and gives back what it answered."""

    def ran(code: str, *words: str, allowed: bool = True, told: list[Progress] | None = None) -> bytes:
        (tmp_path / "tools").mkdir(exist_ok=True)
        (tmp_path / "tools" / "p.py").write_text(textwrap.dedent(code), encoding="utf-8")
        (tmp_path / "questions").write_bytes(b"one\ntwo\n")
        program = Program("a.command", words or (sys.executable, "tools/p.py"), str(tmp_path), allowed,
                          str(tmp_path / "runs" / "log"))
        run(program, tmp_path / "questions", tmp_path / "answers", 2, (told if told is not None else []).append)
        return (tmp_path / "answers").read_bytes()

    return ran


def refused(asking: Run, *args: str, **more: bool) -> Problem:
    """The one problem of a program that must fail."""
    with pytest.raises(EmbspecError) as caught:
        asking(*args, **more)
    (problem,) = caught.value.problems
    return problem


def test_lines_for_lines(asking: Run, tmp_path: Path) -> None:
    """Questions come by stdin, answers go by stdout, the rest into the log; it runs in the folder that names it."""
    assert asking(ECHO) == b"ONE\nTWO\n"
    asked = "import os, sys\nprint('x', file=sys.stderr)\nprint(os.getcwd(), os.getsid(0) == os.getpid())"
    assert asking(asked) == f"{tmp_path} True\n".encode()
    assert (tmp_path / "runs" / "log").read_text() == "x\n"


def test_a_program_by_its_path(asking: Run, tmp_path: Path) -> None:
    """Words are words, not a shell's; a program with a slash is looked for where the file lies that names it."""
    script = tmp_path / "say"
    script.write_text(f"#!{sys.executable}\nimport sys\nprint(sys.argv[1:])\n", encoding="utf-8")
    script.chmod(0o755)
    assert asking("", "./say", "$HOME; ls", "*") == b"['$HOME; ls', '*']\n"


def test_unasked_nothing_runs(asking: Run, tmp_path: Path) -> None:
    """Where it is not allowed the program is not started, and the error says what would have been."""
    problem = refused(asking, "open('ran', 'w')", allowed=False)
    assert (problem.code, problem.field) == ("usage.allow-code", "a.command")
    assert "tools/p.py` for 2 documents" in problem.text and "--allow-code" in problem.fix
    assert not (tmp_path / "ran").exists() and not (tmp_path / "answers").exists()


def test_what_cannot_be_run(asking: Run, tmp_path: Path) -> None:
    """A program that is not there, and one that may not be run, are the spec's fault."""
    (tmp_path / "text").write_text("x", encoding="utf-8")
    for word, said in (("no-such-program-here", "no such file"), ("./text", "permission denied")):
        problem = refused(asking, "", word)
        assert (problem.code, problem.field) == ("spec.command", "a.command")
        assert f"`{word}` cannot be run: {said}" in problem.text


def test_how_it_ended(asking: Run, tmp_path: Path) -> None:
    """An exit code or a signal is told with the last words; what was answered until then is there."""
    log = os.path.relpath(tmp_path / "runs" / "log")
    says = "print('ONE', flush=True)\nprint('half\\nno more money', file=sys.stderr)\nsys.exit(3)"
    problem = refused(asking, f"import sys\n{says}")
    assert problem.code == "stage.program" and problem.where and problem.where.file == log
    assert problem.text.endswith("ended with exit code 3: no more money")
    assert (tmp_path / "answers").read_bytes() == b"ONE\n"
    problem = refused(asking, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    assert problem.text.endswith("ended with SIGKILL: it said nothing")
    assert refused(asking, "raise SystemExit('x' * 10000)").text.endswith("1: " + "x" * programs.SAID)


def test_last_words_are_plain(asking: Run) -> None:
    """Of a bar of progress the last that it showed; nothing of it colours a terminal, or rings its bell."""
    said = "\\rload 10%\\rload \\x1b[1;31m20%\\x1b[0m\\x07\\tof it\\r\\n\\r"
    problem = refused(asking, f"import sys\nprint('{said}', file=sys.stderr)\nsys.exit(1)")
    assert problem.text.endswith("1: load 20% of it")


@pytest.mark.skipif(sys.platform != "linux", reason="others have no signals of real time")
def test_a_signal_without_a_name(asking: Run) -> None:
    """It is told by its number."""
    number = signal.SIGRTMIN + 3
    problem = refused(asking, f"import os\nos.kill(os.getpid(), {number})")
    assert problem.text.endswith(f"ended with signal {number}: it said nothing")


PATIENT = """
import os, time
print(0, flush=True)
for _ in range(1000):
    if os.path.exists("heard"): break
    time.sleep(.01)
print(1); print(2)
"""


def test_progress_is_told(asking: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many lines were answered so far is said while it runs, and never more than were asked."""
    monkeypatch.setattr(programs, "LOOK", 0.01)

    class Told(list[Progress]):
        def append(self, event: Progress) -> None:
            super().append(event)
            if event.done:
                (tmp_path / "heard").touch()

    told = Told()
    asking(PATIENT, told=told)
    found = [(event.done, event.total) for event in told]
    assert found[0] == (0, 2) and (1, 2) in found and found[-1] == (2, 2)
    assert all("tools/p.py" in event.text for event in told)


def gone(pids: Sequence[int]) -> bool:
    """Whether none of these processes is there any more; waits for the kernel, not for a clock that decides."""
    for _ in range(500):
        if not any(Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]
                   for pid in pids):
            return True
        time.sleep(0.01)
    return False


CHILD = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open("pids", "w").write(f"{os.getpid()} {child.pid}")
os.rename("pids", "started")
time.sleep(60)
"""


def impatient(process: subprocess.Popen[bytes], timeout: float | None = None) -> int:
    """The wait for a program that is told to end, in which somebody stops the build once more."""
    if timeout == 0.05:
        raise KeyboardInterrupt
    return wait(process, timeout)


wait = subprocess.Popen.wait


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.parametrize("twice", (False, True))
def test_nothing_outlives_a_build_that_stops(
    asking: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, twice: bool
) -> None:
    """A program that will not end, and what it started, are gone when the build is stopped, once or again."""
    monkeypatch.setattr(programs, "PATIENCE", 0.05)
    if twice:
        monkeypatch.setattr(subprocess.Popen, "wait", impatient)

    def stop(event: Progress) -> None:
        while not (tmp_path / "started").exists():
            time.sleep(0.01)
        raise KeyboardInterrupt

    class Told(list[Progress]):
        append = staticmethod(stop)  # type: ignore[assignment]

    with pytest.raises(KeyboardInterrupt):
        asking(CHILD, told=Told())
    assert gone([int(pid) for pid in (tmp_path / "started").read_text().split()])


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of others has no such tie")
def test_a_killed_build_takes_its_program_along(tmp_path: Path) -> None:
    """Where embspec is killed at once, so is the program, which would go on asking for money's worth of answers."""
    (tmp_path / "p.py").write_text(CHILD.replace("time.sleep(60)\"", "0\""), encoding="utf-8")
    (tmp_path / "q").write_bytes(b"x\n")
    pid = os.fork()
    if not pid:
        run(Program("c", (sys.executable, "p.py"), str(tmp_path), True, str(tmp_path / "log")), tmp_path / "q",
            tmp_path / "a", 1, lambda event: None)
        os._exit(0)
    while not (tmp_path / "started").exists():
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert gone([int((tmp_path / "started").read_text().split()[0])])
