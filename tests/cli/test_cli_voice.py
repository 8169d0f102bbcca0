"""How much is said, where, and with which characters."""
from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import embspec
from tests.support.harbour import LOCK, SPEC, edit

EVALUATE = "embspec.stages.evaluate.make.make"


def test_progress_goes_to_stderr_and_facts_to_stdout(harbour: Path) -> None:
    """A build, a check and a no-op print nothing on stdout; plan, status and explain print their facts there."""
    assert embspec("check").out == ""
    assert embspec("build").out == ""
    assert embspec("build").out == ""
    for words in (["plan", "-q"], ["status", "-q"], ["explain", "split", "-q"]):
        said = embspec(*words)
        assert said.out and not said.err


def test_quiet_says_only_what_is_wrong(harbour: Path) -> None:
    """A green build says nothing; a red verdict and an error are said all the same."""
    assert embspec("build", "-q").both == ""
    assert embspec("build", "--quiet").both == ""
    assert embspec("build", "-q", "--wait", "9").both == ""
    assert embspec("check", "-q").both == ""
    assert embspec("lock", "--check", "-q").both == ""
    edit(SPEC, "recall@10 of bm25 >= 0.5", "mrr@10 of bm25 >= 0.99")
    said = embspec("build", "-q")
    assert (said.exit, said.out) == (20, "")
    assert "red" in said.err
    edit(SPEC, "gold.jsonl", "silver.jsonl")
    assert embspec("build", "-q").err.startswith("error: ")


@pytest.mark.parametrize("value", ["true", "1"])
def test_ci_gets_plain_lines(value: str, harbour: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line an event, no escape codes, even where the runner fakes a terminal."""
    monkeypatch.setenv("CI", value)
    monkeypatch.setattr("tests.support.command.Stream.isatty", lambda self: True)
    said = embspec("build")
    assert said.exit == 0
    assert "\x1b" not in said.both and "\r" not in said.both
    assert "evaluate: running" in said.err and "evaluate: done" in said.err
    edit(SPEC, "test: 0.6", "test: much")
    assert "\x1b" not in embspec("build").both


def test_verbose_says_how_far_a_stage_is(harbour: Path) -> None:
    """Words of progress only on request."""
    said = embspec("build", "--to", "corpus")
    assert said.exit == 0 and "reading documents 0/22" not in said.err
    assert "reading documents 0/22" in embspec("build", "-v", "--refresh", "corpus").err


@pytest.mark.parametrize("words", [
    ["check"], ["plan"], ["status"], ["explain", "split"], ["diff", str(LOCK), "old.lock"], ["lock", "--check"],
])
def test_every_command_obeys_verbose_and_quiet(words: list[str], built: Path) -> None:
    """Neither option is there for show: more is said on request, and less."""
    text = LOCK.read_text(encoding="utf-8")
    Path("old.lock").write_text(text.replace("documents: 22", "documents: 21"), encoding="utf-8")
    page = Path("specs/docs/ice.md")
    page.write_text(page.read_text(encoding="utf-8") + "Grit is spread.\n", encoding="utf-8")
    assert embspec("build", "-q", "--to", "corpus").exit == 0
    plain = embspec(*words)
    assert len(embspec(*words, "-v").both) > len(plain.both)
    if words[0] == "diff":
        words = ["diff", str(LOCK), str(LOCK)]
        plain = embspec(*words)
    assert len(embspec(*words, "-q").both) < len(plain.both)


def test_verbose_gives_reasons_whole(built: Path) -> None:
    """A digest that a reason cuts short stands whole below it."""
    page = Path("specs/docs/ice.md")
    page.write_text(page.read_text(encoding="utf-8") + "Grit is spread.\n", encoding="utf-8")
    assert not re.search("then sha256:[0-9a-f]{64} 22 files", embspec("explain", "corpus").out)
    assert re.search("then sha256:[0-9a-f]{64} 22 files", embspec("explain", "corpus", "-v").out)


def test_verbose_on_a_terminal_is_lines(harbour: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar shows only the last word of progress, so who wants them all gets lines."""
    monkeypatch.setattr("embspec.cli.progress.on_terminal", lambda: True)
    assert "reading documents 0/22" in embspec("build", "-v", "--to", "corpus").err


def test_a_terminal_gets_a_bar(harbour: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same events, told beside a bar; square brackets in a text are no markup."""
    monkeypatch.setattr("embspec.cli.progress.on_terminal", lambda: True)
    said = embspec("build")
    assert said.exit == 0
    assert "gates: done" in said.err
    assert "[0.7961, 1.0]" in " ".join(said.err.split())


def test_an_error_is_red_on_a_terminal_alone(harbour: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Colour for a person; none for a file, and none for one who asked for none."""
    edit(SPEC, "test: 0.6", "test: much")
    assert "\x1b" not in embspec("plan").both
    monkeypatch.setattr("tests.support.command.Stream.isatty", lambda self: True)
    assert "\x1b[31merror" in embspec("plan").err
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in embspec("plan").both


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_stage(
    number: int, harbour: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Exit 41, what was finished is kept, and the end is that of an undisturbed build."""
    def stop(*args: Any) -> None:
        os.kill(os.getpid(), number)

    # A shell starts what runs in its background with SIGINT ignored, these tests as well.
    patient = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, patient))
    with monkeypatch.context() as patch:
        patch.setattr(EVALUATE, stop)
        said = embspec("build", "--json")
        assert (said.exit, said.codes) == (41, ["stopped.signal"])
        assert "Traceback" not in said.both
        assert embspec("build").exit == 41
    states = {stage["name"]: stage["state"] for stage in embspec("plan", "--json").json["stages"]}
    assert [name for name, state in states.items() if state == "run"] == ["evaluate", "gates", "report"]
    assert not Path("out/harbour").exists()
    assert embspec("build", "-q").exit == 0
    lock = LOCK.read_bytes()
    LOCK.unlink()
    assert embspec("build", "-q").exit == 0
    assert LOCK.read_bytes() == lock


def test_a_stage_that_fails_leaves_a_log(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 40, the path of its log, no traceback on the terminal; lock and out/ as they were."""
    lock, report = LOCK.read_bytes(), Path("out/harbour/report/report.json").read_bytes()

    def fail(*args: Any) -> None:
        raise ZeroDivisionError("no water under the keel")

    monkeypatch.setattr(EVALUATE, fail)
    edit(SPEC, "gates:", "eval: {metrics: [ndcg@5]}\ngates:")
    said = embspec("build", "--json")
    assert (said.exit, said.codes) == (40, ["stage.failed"])
    error = said.json["errors"][0]
    assert error["text"] == "stage evaluate failed: ZeroDivisionError: no water under the keel"
    assert "Traceback" in Path(error["file"]).read_text(encoding="utf-8")
    assert "Traceback" not in embspec("build").both
    assert (LOCK.read_bytes(), Path("out/harbour/report/report.json").read_bytes()) == (lock, report)


def test_a_bug_has_its_own_exit_and_log(built: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Exit 1 says where the whole story is, and what to do with it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def fail(*args: Any, **rest: Any) -> None:
        raise ZeroDivisionError("the chart is wrong")

    monkeypatch.setattr("embspec.api.Project.plan", fail)
    said = embspec("plan", "--json")
    assert (said.exit, said.codes) == (1, ["bug.internal"])
    logs = list(tmp_path.glob("embspec-bug-*.log"))
    assert len(logs) == 1 and logs[0].name in said.json["errors"][0]["fix"]
    assert "Traceback" in logs[0].read_text(encoding="utf-8")
    assert "Traceback" not in said.both
