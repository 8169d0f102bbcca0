"""The past of a model: its history, any past model again, and the commit that lost a metric."""
from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import pytest

from embspec.errors import NOWHERE, USAGE
from embspec.report.schemas import OUTPUT
from tests.support.command import Said, embspec
from tests.support.harbour import SPEC, copied, edit, tree
from tests.support.pasts import forget, lock_at, model
from tests.support.programs import Done, run
from tests.support.repository import Repository
from tests.support.ship import LOCK, ship
from tests.support.ship import SPEC as SHIP

OBJECT = jsonschema.Draft202012Validator(OUTPUT)
RATE = "  per_device_train_batch_size: 4\n"
CRANE = Path("specs/docs/crane.md")
TRAIN = Path("specs/train.jsonl")


@pytest.fixture(scope="session")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two committed models; between them a learning rate and a document moved, and pairs lie outside of git."""
    folder = tmp_path_factory.mktemp("past")
    project = folder / "project"
    ship(project)
    (project / ".git").rmdir()
    (project / ".gitignore").write_text("/specs/train.jsonl\n/specs/index.lock\n", encoding="utf-8")
    repository = Repository(project)
    _built(project)
    repository.commit("first")
    repository.git("tag", "v1")
    edit(project / SHIP, RATE, RATE + "  learning_rate: 0.3\n")
    (project / CRANE).write_text((project / CRANE).read_text() + "\nThe hook is greased in spring.\n")
    _built(project, "--retrain")
    repository.commit("hotter")
    return folder


@pytest.fixture
def project(two_models: Path, tmp_path: Path) -> Path:
    """The project as it was committed, with its store."""
    return copied(two_models, tmp_path)


def _built(project: Path, *args: str) -> None:
    done = run(project, "build", "-q", *args)
    assert done.returncode == 0, done.stderr


def _untouched(project: Path) -> tuple[str, dict[str, bytes], dict[str, bytes]]:
    """What must be as it was: what git sees of the work tree, the lock, what is published."""
    status = Repository(project).git("status", "--porcelain", "--ignored=no")
    return status, tree(project / "specs"), tree(project / "out")


def _sources(project: Path) -> dict[str, str]:
    """Where each commit's model comes from, by subject."""
    found = json.loads(run(project, "log", "--json").stdout)
    OBJECT.validate(found)
    return {past["subject"]: past["source"] for past in found["log"]}


def _ran(done: Done) -> list[str]:
    """The stages that a command said it ran."""
    return [line.split(":")[0] for line in done.stderr.splitlines() if ": running" in line]


def test_a_past_model_is_built_again_byte_for_byte(project: Path, tmp_path: Path) -> None:
    """Its bytes, documents included, are gone from the store: from git and what is kept it comes back the same."""
    repository = Repository(project)
    assert run(project, "get", "v1", "-q", "-o", "../then").returncode == 0
    first, second = (lock_at(repository, revision, str(LOCK)) for revision in ("v1", "HEAD"))
    before = _untouched(project)
    assert forget(project, first, keep=second) > 5
    assert _sources(project) == {"hotter": "store", "first": "git"}

    fetched = run(project, "get", "v1", "--no-run", "--json", "-o", "../now")
    assert fetched.returncode == NOWHERE and not (tmp_path / "now").exists()
    assert any(model(first) in error["text"] for error in json.loads(fetched.stdout)["errors"])

    done = run(project, "get", "v1", "-o", "../now")
    assert done.returncode == 0, done.stderr
    assert {"corpus", "train", "export"} <= set(_ran(done)) and not {"evaluate", "index", "report"} & set(_ran(done))
    assert tree(tmp_path / "now") == tree(tmp_path / "then")
    assert _untouched(project) == before
    assert _sources(project) == {"hotter": "store", "first": "store"}
    assert _ran(run(project, "get", "v1", "-o", "../later")) == []


def test_what_is_nowhere_is_named(project: Path) -> None:
    """Pairs that are in neither git, work tree nor store: `log` says lost, `get` is 32, and both name them."""
    repository = Repository(project)
    (project / TRAIN).write_text((project / TRAIN).read_text() + '{"query": "a", "positive": "docs/crane.md"}\n')
    before = _untouched(project)
    forget(project, lock_at(repository, "v1", str(LOCK)))
    assert _sources(project)["first"] == "lost"
    assert "lost: pairs.train: the 1 file that it read (sha256:" in run(project, "log").stdout
    done = run(project, "get", "v1", "-o", "../now")
    assert done.returncode == NOWHERE and "pairs.train" in done.stderr and "Traceback" not in done.stderr
    assert not (project.parent / "now").exists() and _untouched(project) == before


def test_a_taken_folder_is_refused_before_anything_is_built(project: Path) -> None:
    """Nothing of a model is there to compare with: the folder stays, and no stage runs."""
    forget(project, lock_at(Repository(project), "v1", str(LOCK)))
    done = run(project, "get", "v1", "-o", "specs/docs")
    assert done.returncode == USAGE and _ran(done) == []


def test_the_model_of_the_work_tree_is_built_again_too(project: Path) -> None:
    """Without a revision the work tree's lock says what is wanted."""
    shutil.rmtree(project.parent / "store")
    before = _untouched(project)
    done = run(project, "get", "-q", "-o", "../now")
    assert done.returncode == 0, done.stderr
    model_files = {name: data for name, data in tree(project.parent / "now").items() if name != "README.md"}
    published = tree(project / "out/ship/model")
    assert model_files == {name: published[name] for name in model_files} and _untouched(project) == before


def test_a_lock_that_is_older_than_its_spec(project: Path) -> None:
    """What was never built from that spec is not built from it now: 32, and where to look."""
    repository = Repository(project)
    forget(project, lock_at(repository, "HEAD", str(LOCK)))
    edit(project / SHIP, "learning_rate: 0.3", "learning_rate: 0.2")
    repository.commit("cooler, not built")
    done = run(project, "get", "HEAD", "-o", "../now")
    assert done.returncode == NOWHERE and _ran(done) == []
    assert "train.learning_rate: 0.3 → 0.2" in done.stderr and "embspec log" in done.stderr


def test_status_says_where_past_models_are(project: Path) -> None:
    """One short line a model that is not the present one; nothing where there is none."""
    first = lock_at(Repository(project), "v1", str(LOCK))
    said = run(project, "status").stdout
    assert [line.split()[1:3] for line in said.splitlines() if line.startswith("  past")] == [
        [model(first)[:12], "store"]]
    found = json.loads(run(project, "status", "--json").stdout)
    OBJECT.validate(found)
    assert [(past["model"], past["subject"]) for past in found["past"]] == [(model(first), "first")]


# What follows is the small project without a model: it builds in a moment.


def _commit(repository: Repository, text: str, spec: str = "", build: tuple[str, ...] | None = None) -> str:
    """One commit: the last line of the spec, and where asked for the lock that comes of it."""
    if spec:
        lines = SPEC.read_text().splitlines()
        kept = [line for line in lines if not line.startswith("eval:")]
        SPEC.write_text("\n".join([*kept, spec]) + "\n", encoding="utf-8")
    if build is not None:
        assert embspec("build", "-q", *build).exit == 0
    return repository.commit(text)


@pytest.fixture
def repository(built: Path) -> Repository:
    """The small project after its first build, committed."""
    (built / ".git").rmdir()
    found = Repository(built)
    found.commit("first")
    return found


def _bisected(*args: str) -> Said:
    """A search, and that nothing the user has was touched by it."""
    here = Repository(Path("."))
    before = here.git("status", "--porcelain"), tree(Path("specs")), tree(Path("out"))
    said = embspec("bisect", *args)
    assert (here.git("status", "--porcelain"), tree(Path("specs")), tree(Path("out"))) == before
    assert "Traceback" not in said.both
    return said


def test_locks_that_know_it_are_only_read(repository: Repository) -> None:
    """Each commit was built: the largest drop is named with its field, a lesser one beside it, and nothing is built."""
    _commit(repository, "a little worse", "eval: {bm25: {k1: 50.0}}", ())
    culprit = _commit(repository, "much worse", "eval: {bm25: {tokenizer: simple}}", ())
    _commit(repository, "as bad", "eval: {bm25: {tokenizer: identifiers}}", ())
    said = _bisected("mrr@10", "--json")
    OBJECT.validate(said.json)
    found = said.json
    assert (found["exit"], found["lost"], found["read"], found["built"], found["skipped"]) == (0, True, 4, 0, [])
    worst, lesser = found["drops"]
    values = [worst["before"]["value"], worst["after"]["value"], lesser["before"]["value"], lesser["after"]["value"]]
    sizes = sorted([worst["before"]["value"] - worst["after"]["value"],
                    lesser["before"]["value"] - lesser["after"]["value"]])
    assert sizes[1] == worst["before"]["value"] - worst["after"]["value"] and sizes[0] > sizes[1] / 2, values
    by_commit = {drop["after"]["subject"]: drop for drop in found["drops"]}
    assert by_commit["much worse"]["after"]["commit"] == culprit
    assert [r["field"] for r in by_commit["much worse"]["fields"]] == ["eval.bm25.k1", "eval.bm25.tokenizer"]
    assert [(r["then"], r["now"]) for r in by_commit["a little worse"]["fields"]] == [("1.2", "50.0")]


def test_only_what_is_missing_is_built(repository: Repository) -> None:
    """Three commits changed the spec and not the lock: two builds find which, and name commit and field."""
    _commit(repository, "hardly", "eval: {bm25: {k1: 1.3}}")
    culprit = _commit(repository, "no saturation", "eval: {bm25: {k1: 0.0}}")
    _commit(repository, "no length", "eval: {bm25: {k1: 0.0, b: 0.5}}")
    _commit(repository, "built at last", "eval: {bm25: {k1: 0.0, b: 0.4}}", ())
    found = _bisected("mrr@10", "--json").json
    assert (found["read"], found["built"]) == (2, 2)
    drop = found["drops"][0]
    assert (drop["after"]["commit"], drop["after"]["subject"], drop["between"]) == (culprit, "no saturation", [])
    assert drop["fields"] == [{"field": "eval.bm25.k1", "then": "1.3", "now": "0.0"}]
    assert drop["before"]["value"] > drop["after"]["value"]
    said = _bisected("mrr@10 of bm25")
    assert f"mrr@10 of bm25 was lost in {culprit[:8]}, " in said.out and "  eval.bm25.k1: 1.3 → 0.0\n" in said.out
    assert said.out.endswith("2 locks read, 0 commits built\n")  # what was built for the first search is in the store


def test_a_comment_and_other_files_are_not_built(repository: Repository) -> None:
    """What no key hangs on is no loss: HEAD is worth what its lock says."""
    SPEC.write_text(SPEC.read_text() + "# a comment\n", encoding="utf-8")
    repository.commit("a comment")
    Path("README.md").write_text("# Harbour\n", encoding="utf-8")
    repository.commit("a page")
    said = _bisected("mrr@10")
    assert said.exit == 0 and "mrr@10 of what ships was not lost" in said.out
    assert said.out.endswith("1 lock read, 0 commits built\n")


def test_a_document_that_lost_the_metric(repository: Repository) -> None:
    """The snapshot moved: the documents are counted, and the files that moved them named."""
    names = sorted(Path("specs/docs").glob("*.md"))[:6]
    for path in names:
        path.write_text(f"# {path.stem[:2]}\n\nNothing is said here.\n", encoding="utf-8")
    culprit = _commit(repository, "emptied", build=("--retrain",))
    _commit(repository, "and more", "eval: {bm25: {k1: 1.3}}", ())
    said = _bisected("recall@10", "--json")
    drop = said.json["drops"][0]
    assert drop["after"]["commit"] == culprit and drop["fields"] == []
    assert drop["documents"] == {"added": 0, "removed": 0, "changed": 6}
    assert [r["field"] for r in drop["files"]] == [f"corpus file docs/{path.name}" for path in names]
    assert "  documents of the snapshot: +0 −0 ~6\n" in _bisected("recall@10").out


def test_an_input_that_was_committed_without_its_lock(repository: Repository) -> None:
    """A commit is measured by its own files, not by those that the lock before it pins: it is the one that is named."""
    edit(SPEC, "  path: docs/*.md\n", "  path: docs/*.md\n  train_on: live\n")
    _commit(repository, "live", "eval: {bm25: {k1: 1.2}}", ())
    for path in sorted(Path("specs/docs").glob("*.md"))[:6]:
        path.write_text(f"# {path.stem[:2]}\n\nNothing is said here.\n", encoding="utf-8")
    culprit = repository.commit("emptied")
    _commit(repository, "built at last", "eval: {bm25: {k1: 1.3}}", ())
    found = _bisected("recall@10", "--json").json
    OBJECT.validate(found)
    assert found["drops"][0]["after"]["commit"] == culprit and found["built"] == 1
    assert [r["field"].split("/")[0] for r in found["drops"][0]["files"]] == ["corpus file docs"] * 6


def test_a_commit_whose_inputs_no_build_takes(repository: Repository) -> None:
    """Frozen test queries were lost there: it is not worth what the lock before it says, and is named as not built."""
    gold = Path("specs/gold.jsonl")
    gold.write_text("".join(gold.read_text(encoding="utf-8").splitlines(keepends=True)[:-4]), encoding="utf-8")
    repository.commit("fewer questions")
    culprit = _commit(repository, "worse", "eval: {bm25: {k1: 0.0}}", ("--accept-test-change",))
    found = _bisected("mrr@10", "--json").json
    drop = found["drops"][0]
    assert drop["after"]["commit"] == culprit
    assert [each["subject"] for each in drop["between"]] == ["fewer questions"]
    assert "of the frozen test queries is lost" in found["skipped"][0]["why"]


def test_a_commit_that_cannot_be_built_is_passed_over(repository: Repository) -> None:
    """A spec that does not hold is said to, and the loss lies in it or behind it."""
    _commit(repository, "broken", "eval: {bm25: {k1: much}}")
    culprit = _commit(repository, "mended and worse", "eval: {bm25: {k1: 0.0}}", ())
    found = _bisected("mrr@10", "--json").json
    OBJECT.validate(found)
    assert [(each["subject"], "k1" in each["why"]) for each in found["skipped"]] == [("broken", True)]
    assert found["drops"][0]["after"]["commit"] == culprit
    assert [each["subject"] for each in found["drops"][0]["between"]] == ["broken"]
    assert "or in the commit before it that could not be built" in _bisected("mrr@10").out


def test_the_ends_may_be_named(repository: Repository) -> None:
    """A later good end hides an earlier loss; an end that is not behind the other is refused."""
    repository.git("tag", "start")
    _commit(repository, "worse", "eval: {bm25: {k1: 0.0}}", ())
    repository.git("tag", "low")
    _commit(repository, "better again", "eval: {bm25: {k1: 1.2}}", ())
    assert "was not lost" in _bisected("mrr@10", "--good", "start").out
    assert "was lost in" in _bisected("mrr@10", "--good", "start", "--bad", "low").out
    assert _bisected("mrr@10", "--good", "low", "--bad", "start").exit == USAGE
    assert _bisected("mrr@10", "--good", "never").exit == USAGE


@pytest.mark.parametrize(("words", "text"), [
    (["recall@7"], "metrics: recall@5, recall@10, "), (["mrr@10 of tuned"], "systems, behind ` of `: bm25"),
    (["recall@x"], "no lock in this history has `recall@x`"), ([], "no metric was named"),
])
def test_a_metric_that_no_lock_has(words: list[str], text: str, repository: Repository) -> None:
    """Usage, with those that there are."""
    said = _bisected(*words)
    assert said.exit == USAGE and text in said.err


def test_a_past_report_is_written_again(repository: Repository) -> None:
    """The store is empty: what it stands on is built by that revision's lock, and the pages come out the same."""
    then = tree(Path("out/harbour/report"))
    _commit(repository, "worse", "eval: {bm25: {k1: 0.0}}", ())
    shutil.rmtree(Path("../store"))
    assert embspec("get", "HEAD~1", "--what", "report", "--no-run").exit == NOWHERE
    said = embspec("get", "HEAD~1", "--what", "report", "-o", "then")
    assert said.exit == 0 and "evaluate: running" in said.err and tree(Path("then")) == then


def test_a_spec_that_was_called_otherwise_then(repository: Repository) -> None:
    """Of an old revision the spec is named as it was called there, whatever it is called today."""
    before = embspec("get", "--what", "report", "-o", "before", "-q")
    for ending in ("yaml", "lock"):
        repository.git("mv", f"specs/harbour.{ending}", f"specs/port.{ending}")
    repository.commit("renamed")
    said = embspec("get", "HEAD~1", "specs/harbour.yaml", "--what", "report", "-o", "then", "-q")
    assert (before.exit, said.exit) == (0, 0), said.both
    assert tree(Path("before")) == tree(Path("then"))
    assert embspec("get", "HEAD", "specs/harbour.yaml", "--what", "report", "-q").exit == 2


def test_the_log(repository: Repository) -> None:
    """One line a commit that changed the lock, newest first: what was measured, the verdict, whence the model comes."""
    _commit(repository, "worse", "eval: {bm25: {k1: 0.0}}", ())
    _commit(repository, "a page", "eval: {bm25: {k1: 0.0}}  # not a word of the lock")
    said = embspec("log")
    assert [line.split()[2:8] for line in said.out.splitlines()] == [
        ["-", "recall@10", "1.0000", "bm25", "green", "-"]] * 2
    assert [line.split("  ")[-1].strip() for line in said.out.splitlines()] == ["worse", "first"]
    assert embspec("log", "-n", "1").out == said.out.splitlines()[0] + "\n"
    assert "\n    bm25         recall@5 " in embspec("log", "-v").out
    found = embspec("log", "--json").json
    OBJECT.validate(found)
    assert [past["model"] for past in found["log"]] == [None, None]


def test_a_lock_that_cannot_be_read_is_an_entry(repository: Repository) -> None:
    """Conflict markers, a newer format, no lock at all: said in their line, and the rest of the history stands."""
    lock = Path("specs/harbour.lock")
    text = lock.read_text()
    for subject, other in (("conflict", "<<<<<<< HEAD\n" + text), ("newer", text.replace("lock: 1", "lock: 2", 1))):
        lock.write_text(other, encoding="utf-8")
        repository.commit(subject)
    lock.unlink()
    repository.commit("gone")
    lock.write_text(text, encoding="utf-8")
    repository.commit("back")
    said = embspec("log").out.splitlines()
    assert [line.split("  ", 1)[1].split(":")[0] for line in said[1:4]] == [
        "! there is no lock", "! this lock has format 2, this embspec reads format 1",
        "! the lock has conflict markers"]
    assert said[0].endswith("back") and said[4].endswith("first") and len(said) == 5
    assert "was not lost" in _bisected("mrr@10").out


def test_branches_are_in_the_log_where_asked(repository: Repository) -> None:
    """HEAD's history alone, or every branch's; a stash is neither."""
    repository.git("checkout", "--quiet", "-b", "side")
    _commit(repository, "aside", "eval: {bm25: {k1: 0.5}}", ())
    repository.git("checkout", "--quiet", "main")
    Path("specs/harbour.lock").write_text(Path("specs/harbour.lock").read_text() + "\n", encoding="utf-8")
    repository.git("stash")
    assert [line.split()[-1] for line in embspec("log").out.splitlines()] == ["first"]
    assert [line.split()[-1] for line in embspec("log", "--all").out.splitlines()] == ["aside", "first"]


def test_where_there_is_no_history(built: Path) -> None:
    """No repository is said so; one without a commit has nothing to tell, and `status` stays silent on it."""
    shutil.rmtree(built / ".git")
    said = embspec("log")
    assert said.exit == USAGE and "no git repository" in said.err
    assert "past" not in embspec("status").out
    Repository(built)
    said = embspec("log")
    assert (said.exit, said.out) == (0, "") and "no commit has" in said.err
    assert embspec("bisect", "mrr@10").exit == USAGE
