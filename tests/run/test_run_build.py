"""A build does what the plan says, keeps what was finished, and writes nothing twice."""

from __future__ import annotations

import errno
import importlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from embspec.api import Project
from embspec.errors import EmbspecError
from embspec.lock.text import read
from embspec.plan.plan import CLEAN, RUN
from embspec.plan.values import Wish, digest_of
from embspec.run import locked
from embspec.run.build import Event, Order

STAGES = ["corpus", "snapshot", "survey", "pairs.faq", "pairs.gold", "split", "lexical", "evaluate", "gates", "report"]
Patched = Callable[..., Any]


def build(spec: Path, order: Order = Order()) -> list[str]:  # noqa: B008
    """Build in a process of its own kind: nothing is remembered from the last one. The stages that were touched."""
    return list(Project(str(spec)).build(order).done)


def lock_of(spec: Path) -> Path:
    """The lock beside a spec."""
    return spec.with_suffix(".lock")


def moving(spec: Path) -> dict[str, str]:
    """What a plan would do."""
    return {s.node.name: s.state for s in Project(str(spec)).plan().steps if s.state != CLEAN}


def around(monkeypatch: pytest.MonkeyPatch, stage: str, work: Callable[[Patched, tuple[Any, ...]], Any]) -> None:
    """Wrap the work of a stage."""
    module = importlib.import_module(f"embspec.stages.{stage}.make")
    real = module.make
    monkeypatch.setattr(module, "make", lambda *args: work(real, args))


def seen(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder with size and time."""
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_second_build_writes_nothing(spec: Path) -> None:
    """Not the lock, not `out/`, not the store, not the state."""
    assert build(spec) == STAGES and moving(spec) == {}
    places = [spec.parent, spec.parents[1] / "out", Path(os.environ["EMBSPEC_STORE"])]
    before = [seen(p) for p in places]
    assert build(spec) == []
    assert [seen(p) for p in places] == before


def test_the_lock_is_written_once_per_finished_stage(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each writing adds one block, in street order; the report has none."""
    written: list[list[str]] = []
    real = locked.replace

    def replace(path: str, data: bytes) -> None:
        written.append(list(read(data.decode(), path).blocks))
        real(path, data)

    monkeypatch.setattr(locked, "replace", replace)
    build(spec)
    assert written == [STAGES[: n + 1] for n in range(len(STAGES) - 1)]


@pytest.mark.parametrize("stage", ["corpus", "split", "gates"])
def test_a_failed_stage_keeps_what_was_finished(spec: Path, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    """Exit 40 with the path of its log; the next build goes on there, and ends in the same lock."""

    def fall(real: Patched, args: tuple[Any, ...]) -> None:
        real(*args)
        raise RuntimeError("the work fell over")

    with monkeypatch.context() as patch:
        around(patch, stage, fall)
        with pytest.raises(EmbspecError) as caught:
            build(spec)
    (problem,) = caught.value.problems
    assert (problem.code, caught.value.exit) == ("stage.failed", 40) and stage in problem.text
    assert problem.where and "the work fell over" in Path(problem.where.file).read_text()
    rest = STAGES[STAGES.index(stage) :]
    assert moving(spec).keys() == set(rest) and build(spec) == rest
    straight = lock_of(spec).read_bytes()
    lock_of(spec).unlink()
    build(spec)
    assert lock_of(spec).read_bytes() == straight


def test_what_a_user_caused_is_not_a_failure_of_the_stage(spec: Path) -> None:
    """An input error keeps its own code and exit, and names the file as a person here types it."""
    with open(spec.parent / "gold.jsonl", "a") as file:
        file.write('{"query": "x", "positive": "docs/none.md"}\n')
    with pytest.raises(EmbspecError) as caught:
        build(spec)
    (problem,) = caught.value.problems
    assert (problem.code, caught.value.exit) == ("input.dangling", 3)
    assert problem.where and (problem.where.file, problem.where.line) == ("specs/gold.jsonl", 25)
    assert list(read(lock_of(spec).read_text(), "").blocks) == ["corpus", "snapshot", "survey", "pairs.faq"]


def test_a_stopped_build_goes_on(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person interrupts the middle of a stage: what was finished is kept, no lock has to be removed by hand."""

    def stop(real: Patched, args: tuple[Any, ...]) -> None:
        real(*args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        around(patch, "lexical", stop)
        with pytest.raises(KeyboardInterrupt):
            build(spec)
    assert os.listdir(Path(os.environ["EMBSPEC_STORE"], "tmp")) == []
    assert build(spec) == ["lexical", "evaluate", "gates", "report"] and moving(spec) == {}


def test_what_another_build_made_meanwhile_is_taken(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for a key looks again before it works: a clone on the same store has built everything by then.

    The split finds pins of its own for each lock, and its key is known afterwards: it runs for both.
    """
    clone = spec.parents[2] / "clone"
    shutil.copytree(spec.parents[1], clone)
    real, turns = locked.held, list[str]()

    def held(path: str, *args: Any) -> Any:
        if f"{os.environ['EMBSPEC_STORE']}/lock" == os.path.dirname(path):
            turns.append(path)
            if len(turns) == 1:
                assert build(clone / spec.relative_to(spec.parents[1])) == STAGES
        return real(path, *args)

    monkeypatch.setattr(locked, "held", held)
    done = Project(str(spec)).build().done
    assert [name for name, did in done.items() if did.step.state == RUN] == ["snapshot", "split"]
    assert lock_of(spec).read_bytes() == lock_of(clone / spec.relative_to(spec.parents[1])).read_bytes()
    assert len(set(turns)) == len(STAGES) - 1 and os.listdir(Path(
        os.environ["EMBSPEC_STORE"], "lock")) == ["leases"]


def test_a_disk_that_fills_up_under_a_stage_is_a_sentence(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a failure of the stage: what was finished is kept."""

    def full(real: Patched, args: tuple[Any, ...]) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    around(monkeypatch, "split", full)
    with pytest.raises(EmbspecError) as caught:
        build(spec)
    assert (caught.value.problems[0].code, caught.value.exit) == ("disk.full", 40)
    assert "pairs.gold" in read(lock_of(spec).read_text(), "").blocks


def test_a_stage_sees_nothing_that_it_did_not_declare(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a parameter of another stage nor its artefacts."""
    for number, name in ((0, "eval.metrics"), (1, "corpus/documents.jsonl")):
        with monkeypatch.context() as patch:
            around(patch, "split", lambda real, args, n=number, key=name: args[n][key])
            with pytest.raises(EmbspecError) as caught:
                build(spec)
        assert caught.value.problems[0].code == "stage.failed" and name in caught.value.problems[0].text


def test_an_edit_while_a_stage_reads_is_the_next_builds(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock has the digest of the bytes that were read; the plan after it sees the edit."""
    page = spec.parent / "docs" / "p00.md"
    before = Project(str(spec)).world.live(["docs/*.md", "more.jsonl"])

    def edit(real: Patched, args: tuple[Any, ...]) -> Any:
        made = real(*args)
        page.write_text("# Another\n\npage\n")
        return made

    with monkeypatch.context() as patch:
        around(patch, "corpus", edit)
        assert build(spec) == STAGES
    lock = read(lock_of(spec).read_text(), "")
    assert lock.blocks["corpus"].pin["tree"] == before
    assert moving(spec)["corpus"] == RUN and build(spec)[0] == "corpus" and moving(spec) == {}


def test_sources_are_kept_as_objects(spec: Path) -> None:
    """The lock alone brings back the files that pairs were read from: their listing, and each of them."""
    build(spec)
    world = Project(str(spec)).world
    tree = read(lock_of(spec).read_text(), "").blocks["pairs.gold"].pin["tree"].split(" ")[0]
    listing = world.objects.text(tree)
    assert listing is not None and listing.endswith(" gold.jsonl\n")
    assert world.objects.text(f"sha256:{listing.split(' ')[0]}") == (spec.parent / "gold.jsonl").read_text()


def test_refresh_of_a_deterministic_stage_leaves_its_block(spec: Path) -> None:
    """Same key, same bytes: the block stays as it is, its environment too."""
    build(spec)
    text = lock_of(spec).read_text()
    env = read(text, "").blocks["split"].env
    other = text.replace(f"{env}", "env-0000").replace("python: ", "python: 9.")
    lock_of(spec).write_text(other)
    assert build(spec, Order(Wish(refresh=frozenset({"split"})))) == ["split"]
    assert lock_of(spec).read_text() == other


def test_other_bytes_under_one_key_are_said(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock takes them, with a line that names both environments; the old result stays in the store."""
    build(spec)
    old = read(lock_of(spec).read_text(), "").blocks["lexical"]

    def drift(real: Patched, args: tuple[Any, ...]) -> Any:
        made = real(*args)
        path = args[2] / "tokenizer.json"
        path.write_text(path.read_text() + " ")
        return made

    around(monkeypatch, "lexical", drift)
    told: list[Event] = []
    Project(str(spec)).build(Order(Wish(refresh=frozenset({"lexical"}))), told.append)
    (note,) = [e for e in told if e.what == "note"]
    new = read(lock_of(spec).read_text(), "").blocks["lexical"]
    assert note.stage == "lexical" and old.env in note.text and new.env in note.text
    assert new.key == old.key and new.out != old.out and moving(spec) == {}
    assert Project(str(spec)).world.has(digest_of(old.out["tokenizer.json"]))


def test_events_tell_a_build_from_start_to_end(spec: Path) -> None:
    """Each stage that runs begins with its reasons and ends with its figures."""
    told: list[Event] = []
    Project(str(spec)).build(Order(), told.append)
    assert [(e.stage, e.what) for e in told if e.what in ("start", "done")][:3] == [
        ("corpus", "start"),
        ("corpus", "done"),
        ("snapshot", "done"),
    ]
    assert next(e for e in told if e.what == "done").text == "documents 35"


def test_a_snapshot_that_moves_says_by_how_much(spec: Path) -> None:
    """Documents added, removed and changed."""
    build(spec)
    (spec.parent / "docs" / "p29.md").write_text("# Other\n\ntext\n")
    (spec.parent / "docs" / "new.md").write_text("# New\n\ntext\n")
    told: list[Event] = []
    Project(str(spec)).build(Order(Wish(retrain=True)), told.append)
    assert [e.text for e in told if e.stage == "snapshot"] == ["+1 −0 ~1 documents"]


def test_dropped_blocks_leave_the_lock(spec: Path) -> None:
    """A source that is gone from the spec is gone from the lock, and split knows."""
    build(spec)
    text = "".join(line for line in spec.read_text().splitlines(True) if "faq" not in line)
    spec.write_text(text)
    assert build(spec)[0] == "split"
    assert "pairs.faq" not in lock_of(spec).read_text() and moving(spec) == {}


def test_a_retrain_that_is_refused_moves_nothing(spec: Path) -> None:
    """The snapshot goes to the live documents only where everything behind it can follow; the lock is as it was."""
    build(spec)
    before = lock_of(spec).read_bytes()
    gone = spec.parent / "docs" / "p00.md"
    text = gone.read_bytes()
    gone.unlink()
    with pytest.raises(EmbspecError):
        build(spec, Order(Wish(retrain=True)))
    assert lock_of(spec).read_bytes() == before
    gone.write_bytes(text)
    assert build(spec) == []
