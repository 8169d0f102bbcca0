"""Inputs that lie elsewhere, from the first build to a fresh clone: fetched once, pinned in the lock, offline after."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from embspec import Project
from embspec.decide.hand import Hand
from embspec.errors import NOWHERE, OUT_OF_DATE, UNREACHABLE, EmbspecError
from embspec.plan.plan import CLEAN, RUN
from embspec.plan.protocol import Made
from embspec.run.build import Order
from embspec.run.inputs import committed
from tests.support.afar import Afar, serving
from tests.support.command import embspec
from tests.support.mini import SPEC, project
from tests.support.repository import Repository

LOCKED = Order(locked=True)


@pytest.fixture
def afar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Afar]:
    """A project with one file of documents and one source of pairs on a server; it is the working directory."""
    monkeypatch.delenv("NETRC", raising=False)
    with serving(monkeypatch) as found:
        spec = SPEC.replace("more.jsonl", f"{found.url}/more.jsonl")
        spec = spec.replace("path: gold.jsonl", f"path: {found.url}/gold.jsonl")
        folder = project(tmp_path / "mini", spec).parent
        for name in ("more.jsonl", "gold.jsonl"):
            found.files[f"/{name}"] = (folder / name).read_bytes()
            (folder / name).unlink()
        monkeypatch.chdir(tmp_path / "mini")
        yield found


def ran(order: Order = Order()) -> list[str]:  # noqa: B008
    """What a build ran."""
    return [name for name, did in Project().build(order).done.items() if did.step.state == RUN]


def pin(afar: Afar, stage: str, name: str) -> str:
    """What the lock has of a file."""
    return str(Project().lock.lock.blocks[stage].pin[f"{afar.url}/{name}"])


def said(data: bytes) -> str:
    """What it should have."""
    return f"sha256:{hashlib.sha256(data).hexdigest()} {len(data)}"


def built(afar: Afar) -> None:
    """A build in a repository, and a commit of it."""
    Path(".git").rmdir()
    repo = Repository(Path.cwd())
    Path(".gitignore").write_text("out/\n.embspec/\n", encoding="utf-8")
    ran()
    repo.commit("built")


def forget(more: Iterable[str] = ()) -> None:
    """Lose what was made, and of what was read what is named."""
    of = Project()
    blocks = of.lock.lock.blocks
    made = [text for block in blocks.values() for text in block.out.values()]
    for text in {*made, *blocks["snapshot"].pin.values(), *more}:
        Path(of.world.objects.path(text.split(" ")[0])).unlink(missing_ok=True)
    for folder in ("out", ".embspec", f"{of.world.objects.store}/act"):
        shutil.rmtree(folder)


def refused(order: Order = Order()) -> EmbspecError:  # noqa: B008
    """The error of a build."""
    with pytest.raises(EmbspecError) as caught:
        Project().build(order)
    return caught.value


def test_a_file_is_fetched_once_and_pinned(afar: Afar) -> None:
    """The first build fetches each, no other command does: not one that plans, checks the lock, or builds again."""
    assert [s.state for s in Project().plan().steps][:1] == [RUN]
    assert afar.asked == []
    ran()
    assert sorted(afar.paths) == ["/gold.jsonl", "/more.jsonl"]
    assert pin(afar, "corpus", "more.jsonl") == said(afar.files["/more.jsonl"])
    assert pin(afar, "pairs.gold", "gold.jsonl") == said(afar.files["/gold.jsonl"])
    afar.files.clear()
    assert {s.state for s in Project().plan().steps} == {CLEAN}
    assert embspec("build").err == "mini: up to date, 10 stages\n"
    assert embspec("lock", "--check").exit == 0
    assert embspec("check").exit == 0
    assert embspec("build", "--refresh", "corpus").exit == 0
    assert len(afar.asked) == 2


def test_documents_from_elsewhere_are_documents(afar: Afar) -> None:
    """They are read as files are, and a fault in one has its address and line."""
    ran()
    block = Project().lock.lock.blocks["corpus"]
    assert block.stat["documents"] == "35"
    afar.files["/more.jsonl"] += b"{broken\n"
    embspec("lock", "--upgrade", "corpus")
    assert f"{afar.url}/more.jsonl:6" in embspec("build").err


def test_a_local_edit_beside_it_asks_nobody(afar: Afar) -> None:
    """Offline, a page of the work tree changes: one stage runs, and the reason names that page alone."""
    ran()
    afar.asked.clear()
    page = Path("specs/docs/p03.md")
    page.write_text("# Other\n\nWords.\n", encoding="utf-8")
    (step, *_) = Project().plan().steps
    assert [reason.field for reason in step.why] == ["pin tree", "file docs/p03.md"]
    assert ran() == ["corpus"]
    assert afar.asked == []


def test_an_edit_while_it_is_read_is_the_next_builds(afar: Afar, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a stage consumed is what the files were in this command, those beside an address too."""
    from embspec.stages.corpus import make

    runs, real = [], make.make

    def edits(*args: Any) -> Made:
        made = real(*args)
        Path("specs/docs/p03.md").write_text(f"# Other {len(runs)}\n\nWords.\n", encoding="utf-8")
        runs.append(1)
        return made

    with monkeypatch.context() as patch:
        patch.setattr(make, "make", edits)
        ran()
    assert len(runs) == 1
    assert ran() == ["corpus"]


def test_a_file_that_moved_is_not_taken_until_asked(afar: Afar) -> None:
    """The build goes on with what is pinned; asked for, the new file comes in and is named as the reason."""
    ran()
    address = f"{afar.url}/more.jsonl"
    then = pin(afar, "corpus", "more.jsonl")
    afar.files["/more.jsonl"] += (json.dumps({"id": "m9", "title": "New", "text": "a new row"}) + "\n").encode()
    assert ran() == []
    listed = embspec("lock", "--upgrade").out
    assert f"corpus.{address}: " in listed and "as the next build finds it  (corpus)" in listed
    assert embspec("lock", "--upgrade", "corpus").exit == 0
    (step, *_) = Project().plan().steps
    assert [reason.field for reason in step.why] == [f"pin {address}", "pin tree"]  # no file is said to be gone
    assert refused(LOCKED).exit == OUT_OF_DATE
    assert ran() == ["corpus"]
    assert pin(afar, "corpus", "more.jsonl") == said(afar.files["/more.jsonl"]) != then
    assert "+1 −0 ~0 documents" in embspec("build").err


def test_asked_for_and_not_moved(afar: Afar) -> None:
    """What is fetched anew and is the same changes no byte of the lock."""
    ran()
    lock = Path("specs/mini.lock")
    before = lock.read_bytes()
    embspec("lock", "--upgrade", "corpus")
    assert lock.read_bytes() != before
    assert ran() == ["corpus"]
    assert lock.read_bytes() == before


def test_an_empty_store_fetches_what_is_pinned(
    afar: Afar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a fresh clone: the same bytes come, each stage makes what the lock says, and the lock stays."""
    ran()
    before = Path("specs/mini.lock").read_bytes()
    shutil.rmtree("out")
    shutil.rmtree(".embspec")
    monkeypatch.setenv("EMBSPEC_STORE", str(tmp_path / "empty"))
    assert embspec("lock", "--check").exit == 0
    assert len(afar.asked) == 2
    assert "corpus" in ran(LOCKED)
    assert len(afar.asked) == 4
    assert Path("specs/mini.lock").read_bytes() == before


@pytest.mark.parametrize("order", [Order(), LOCKED])
def test_an_empty_store_and_a_file_that_moved(
    order: Order, afar: Afar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """32 with both digests and the place in the spec; nothing was built of what is there now."""
    ran()
    before = Path("specs/mini.lock").read_bytes()
    monkeypatch.setenv("EMBSPEC_STORE", str(tmp_path / "empty"))
    afar.files["/more.jsonl"] = afar.files["/more.jsonl"].replace(b"Again", b"Agaim")
    error = refused(order)
    assert error.exit == NOWHERE
    (problem,) = error.problems
    assert problem.code == "nowhere.moved"
    assert problem.where and (Path(problem.where.file).name, problem.where.line) == ("mini.yaml", 4)
    assert Path("specs/mini.lock").read_bytes() == before


def test_an_empty_store_and_nobody_there(afar: Afar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the server 70; where downloads are forbidden 32, and nobody is asked."""
    ran()
    monkeypatch.setenv("EMBSPEC_STORE", str(tmp_path / "empty"))
    monkeypatch.setattr("embspec.store.transport.TRIES", 1)
    afar.faults = [lambda request: True]
    assert refused(LOCKED).exit == UNREACHABLE
    asked = len(afar.asked)
    assert embspec("build", "--no-fetch").exit == NOWHERE
    assert len(afar.asked) == asked


@pytest.mark.parametrize("fetched", [True, False])
def test_pages_beside_an_address_come_out_of_git(fetched: bool, afar: Afar) -> None:
    """A locked build whose pages are not here takes them from git, and what was fetched from store or server."""
    built(afar)
    lock = Path("specs/mini.lock").read_bytes()
    shutil.rmtree("specs/docs")
    forget(() if fetched else (pin(afar, "corpus", "more.jsonl"),))
    assert "corpus" in ran(LOCKED)
    assert Path("specs/mini.lock").read_bytes() == lock
    assert len(afar.asked) == 2 + (not fetched)


def test_a_snapshot_of_pages_and_an_address_is_found_in_git(afar: Afar) -> None:
    """What the store lost is made of the pages of another commit and of the file that is pinned."""
    built(afar)
    snapshot = Project().lock.lock.blocks["snapshot"].pin
    Path("specs/docs/p03.md").write_text("# Other\n\nWords.\n", encoding="utf-8")
    ran()
    forget()
    assert "evaluate" in ran()
    assert Project().lock.lock.blocks["snapshot"].pin == snapshot


@pytest.mark.parametrize("alone", [False, True])
def test_a_snapshot_is_found_with_what_was_pinned_then(alone: bool, afar: Afar) -> None:
    """The lock has moved on to another file of the address; the snapshot was made of the one before it."""
    if alone:
        spec = Path("specs/mini.yaml")
        spec.write_text(spec.read_text(encoding="utf-8").replace("docs/*.md, ", ""), encoding="utf-8")
        pages = [(f"docs/{path.name}", path.read_text(encoding="utf-8")) for path in Path("specs/docs").iterdir()]
        rows = [json.dumps({"id": name, "text": text}) + "\n" for name, text in sorted(pages)]
        afar.files["/more.jsonl"] += "".join(rows).encode()
    built(afar)
    snapshot, then = Project().lock.lock.blocks["snapshot"].pin, pin(afar, "corpus", "more.jsonl")
    afar.files["/more.jsonl"] += b'{"id": "new", "text": "one that came later"}\n'
    assert embspec("lock", "--upgrade", "corpus").exit == 0
    ran()
    assert pin(afar, "corpus", "more.jsonl") != then
    forget()
    assert "evaluate" in ran()
    assert Project().lock.lock.blocks["snapshot"].pin == snapshot


def moved_on(afar: Afar) -> None:
    """The address has another file, which the lock pins now, and the store has lost what was there before."""
    built(afar)
    then = pin(afar, "corpus", "more.jsonl")
    afar.files["/more.jsonl"] += b'{"id": "new", "text": "one that came later"}\n'
    assert embspec("lock", "--upgrade", "corpus").exit == 0
    ran()
    forget([then])


def test_a_snapshot_whose_file_moved_away(afar: Afar) -> None:
    """Neither store nor server has what was pinned then: 32 says which address has changed."""
    moved_on(afar)
    error = refused()
    assert error.exit == NOWHERE
    assert "more.jsonl` has changed" in str(error) and "snapshot/documents.jsonl" in str(error)


@pytest.mark.parametrize(("order", "words"), [
    (Order(), "there is nothing (404)"), (Order(no_fetch=True), "nothing may be downloaded")], ids=["404", "no fetch"])
def test_a_snapshot_whose_file_is_gone(order: Order, words: str, afar: Afar) -> None:
    """Where the file of then cannot be had at all, what is lost is said too, and not the address alone."""
    moved_on(afar)
    del afar.files["/more.jsonl"]
    error = refused(order)
    assert error.exit == NOWHERE
    assert words in str(error) and "snapshot/documents.jsonl" in str(error)


def test_a_past_model_of_pages_and_an_address_is_at_hand(afar: Afar) -> None:
    """Its pages are in git and its file is in the store: that is all its documents were made of."""
    built(afar)
    world, globs = Project().world, ("docs/*.md", f"{afar.url}/more.jsonl#{pin(afar, 'corpus', 'more.jsonl')}")
    tree = Project().lock.lock.blocks["corpus"].pin["tree"]
    Path("specs/docs/p03.md").write_text("# Other\n\nWords.\n", encoding="utf-8")
    assert Hand(world).files(globs, tree, "HEAD", False)
    Path(world.objects.path(pin(afar, "corpus", "more.jsonl").split(" ")[0])).unlink()
    assert not Hand(world).files(globs, tree, "HEAD", False)


def test_a_commit_is_as_its_lock_pins_it(afar: Afar) -> None:
    """Pages that were committed as they were built stand, with an address beside them too; others do not."""
    built(afar)
    of = Project()
    blocks = of.lock.lock.blocks
    nodes = of.nodes
    assert committed(nodes, blocks, of.world, "HEAD")["corpus"] == blocks["corpus"]
    Path("specs/docs/p03.md").write_text("# Other\n\nWords.\n", encoding="utf-8")
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qam", "other"], check=True)
    assert "tree" not in committed(nodes, blocks, Project().world, "HEAD")["corpus"].pin


def test_check_reads_what_is_elsewhere(afar: Afar) -> None:
    """Before the first build too: every fault of it at once, and a file that is not there among them."""
    afar.files["/more.jsonl"] += b"{broken\n"
    del afar.files["/gold.jsonl"]
    found = embspec("check", "--json")
    assert found.exit == 3
    assert sorted(set(found.codes)) == ["input.json", "input.remote"]


def test_a_check_fetches_once(afar: Afar) -> None:
    """However often it is run, and for the build behind it too; what has changed since comes."""
    whole = sum(map(len, afar.files.values()))
    assert [embspec("check").exit for _ in range(3)] == [0, 0, 0]
    ran()
    assert (afar.sent, len(afar.asked)) == (whole, 8)
    shutil.rmtree("out")
    Path("specs/mini.lock").unlink()
    afar.files["/more.jsonl"] += b'{"id": "new", "text": "one that came later"}\n'
    assert embspec("check").exit == 0
    assert afar.sent == whole + len(afar.files["/more.jsonl"])


def test_it_is_reproduced_without_the_server(afar: Afar) -> None:
    """What was fetched once is an input like any: the store has it."""
    ran()
    afar.files.clear()
    found = {stage.name: stage.equal for stage in Project().reproduce().stages}
    assert found["corpus"] and found["pairs.gold"]
    assert len(afar.asked) == 2


def test_gc_keeps_what_is_pinned(afar: Afar) -> None:
    """Nobody could bring it back once it has moved."""
    ran()
    assert embspec("gc", "--days", "0").exit == 0
    for stage, name in (("corpus", "more.jsonl"), ("pairs.gold", "gold.jsonl")):
        assert Project().world.has(pin(afar, stage, name).split(" ")[0])


def test_a_beir_folder_elsewhere(afar: Afar) -> None:
    """Its files are known by their names; which judgements is said by the spec."""
    spec = Path("specs/mini.yaml")
    text = spec.read_text(encoding="utf-8")
    gold = f"path: {afar.url}/gold.jsonl,"
    spec.write_text(text.replace(gold, f"path: {afar.url}/beir, format: beir, qrels: test,"), encoding="utf-8")
    rows = [json.loads(line) for line in afar.files["/gold.jsonl"].splitlines()]
    queries = [json.dumps({"_id": f"q{n}", "text": row["query"]}) for n, row in enumerate(rows)]
    qrels = ["query-id\tcorpus-id\tscore", *(f"q{n}\t{row['positive']}\t1" for n, row in enumerate(rows))]
    afar.files["/beir/queries.jsonl"] = "\n".join(queries).encode()
    afar.files["/beir/qrels/test.tsv"] = "\n".join(qrels).encode()
    ran()
    assert Project().lock.lock.blocks["pairs.gold"].stat["queries"] == "24"
    spec.write_text(spec.read_text(encoding="utf-8").replace(", qrels: test", ""), encoding="utf-8")
    assert "qrels: test" in embspec("check").err


def test_no_credentials_in_lock_log_or_state(afar: Afar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name and a password that let in are in no file that a build writes."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hunter2\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    said = embspec("build", "-v")
    assert said.exit == 0
    assert any("authorization" in headers for _, headers in afar.asked)
    word = next(headers["authorization"] for _, headers in afar.asked).partition(" ")[2]
    for path in [*Path().rglob("*"), *(tmp_path / "store").rglob("*")]:
        if path.is_file():
            data = path.read_bytes()
            assert b"hunter2" not in data and word.encode() not in data, path
    assert "hunter2" not in said.both and word not in said.both
