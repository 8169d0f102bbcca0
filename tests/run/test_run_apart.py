"""A project as it was at a revision, laid out in a folder of its own."""
from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from embspec import Project
from embspec.errors import INVALID, NOWHERE, USAGE, EmbspecError
from embspec.plan.values import Wish
from embspec.run.build import Order
from tests.support.command import embspec
from tests.support.harbour import LOCK, SPEC, built, edit, first_build, tree
from tests.support.repository import Repository

__all__ = ["built", "first_build"]

DOCUMENT = Path("specs/docs/mooring.md")


def committed(project: Path, ignore: str = "") -> Repository:
    """The project with its first build, as the first revision; what is ignored is in no revision."""
    shutil.rmtree(project / ".git")
    repository = Repository(project)
    (project / ".gitignore").write_text(f".embspec/\nout/\n{ignore}")
    repository.commit("first")
    return repository


def todo(of: Project) -> list[str]:
    """The stages that have something to do; of pages nobody asks here."""
    return [step.node.name for step in of.plan(Wish(publish=False)).work if step.node.stage.locked]


def project_files(project: Path) -> dict[str, bytes]:
    """What a person has in it, with what was built; neither git's own nor what may be deleted at any time."""
    return {name: data for name, data in tree(project).items() if not name.startswith((".embspec/", ".git/"))}


def files(folder: Path) -> list[str]:
    """The documents below a project."""
    return sorted(path.name for path in (folder / "specs" / "docs").glob("*.md"))


def test_the_work_tree_apart_is_clean(built: Path) -> None:
    """Without git the work tree itself is laid out: same lock, nothing to do, and nothing left of it afterwards."""
    before = project_files(built)
    with Project(str(SPEC)).apart() as (of, taken):
        assert of.at.root != str(built) and not taken
        assert Path(of.at.lock).read_bytes() == LOCK.read_bytes()
        assert todo(of) == [] and files(Path(of.at.root)) == files(built)
        root = of.at.root
    assert not Path(root).exists()
    assert project_files(built) == before


def test_an_older_revision_is_laid_out_as_it_was(built: Path) -> None:
    """Spec, lock and documents of the revision, whatever the work tree says by now."""
    committed(built).git("tag", "v1")
    was = DOCUMENT.read_bytes()
    DOCUMENT.write_text("# Another page\n\nWith another text.\n")
    edit(SPEC, "split:", "name: harbour\nsplit:")
    LOCK.write_text("lock: 1\n")
    with Project(str(SPEC)).apart("v1") as (of, taken):
        assert not taken and todo(of) == []
        assert Path(of.at.root, DOCUMENT).read_bytes() == was


@pytest.mark.parametrize("revision", ["", "HEAD"])
def test_what_is_gone_from_the_work_tree_comes_from_git(built: Path, revision: str) -> None:
    """Documents and pairs that are deleted here are read from the history."""
    committed(built)
    shutil.rmtree("specs/docs")
    Path("specs/gold.jsonl").unlink()
    with Project(str(SPEC)).apart(revision) as (of, taken):
        assert not taken and todo(of) == [] and len(files(Path(of.at.root))) == 22


def test_a_lock_older_than_its_documents_finds_theirs(built: Path) -> None:
    """Documents that were committed after the build hide nothing: the pin's own are found in the history."""
    repository = committed(built)
    was = DOCUMENT.read_bytes()
    for text in ("one", "two"):
        DOCUMENT.write_text(f"# A page\n\nThat says {text}.\n")
        repository.commit(text)
    with Project(str(SPEC)).apart() as (of, taken):
        assert not taken and Path(of.at.root, DOCUMENT).read_bytes() == was


def test_pairs_come_from_the_store_where_nobody_else_has_them(built: Path) -> None:
    """What a stage keeps is enough: pairs that are in no revision and not in the work tree."""
    committed(built, "specs/gold.jsonl\n")
    was = Path("specs/gold.jsonl").read_bytes()
    Path("specs/gold.jsonl").unlink()
    with Project(str(SPEC)).apart("HEAD") as (of, taken):
        assert not taken and Path(of.at.root, "specs/gold.jsonl").read_bytes() == was


def test_documents_that_are_nowhere_are_taken_by_digest(built: Path) -> None:
    """The stage that read them is believed, and said; its key holds, so that nothing after it is stale."""
    committed(built, "specs/docs/\n")
    shutil.rmtree("specs/docs")
    with Project(str(SPEC)).apart("HEAD") as (of, taken):
        assert list(taken) == ["corpus"] and "docs/*.md" in taken["corpus"]
        assert "HEAD, the work tree, the store were looked at" in taken["corpus"]
        assert todo(of) == []


def test_what_is_nowhere_at_all_is_named(built: Path, tmp_path: Path) -> None:
    """Neither files nor results: the stage, its files and their digest."""
    committed(built, "specs/docs/\n")
    shutil.rmtree("specs/docs")
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(EmbspecError) as caught, Project(str(SPEC)).apart("HEAD"):
        pass
    assert caught.value.exit == NOWHERE
    pin = Project(str(SPEC)).lock.lock.blocks["corpus"].pin["tree"]
    assert str(caught.value).startswith(f"stage corpus: docs/*.md as the lock pins it ({pin}) is nowhere")


def test_another_store_gets_what_is_taken(built: Path, tmp_path: Path) -> None:
    """What nobody can make again is brought along, with the list of the frozen test set, and nothing else."""
    committed(built, "specs/docs/\n")
    shutil.rmtree("specs/docs")
    with Project(str(SPEC)).apart("HEAD", str(tmp_path / "other")) as (of, taken):
        blocks = of.lock.lock.blocks
        has = {f"{n}/{a}": of.world.has(t.rsplit(" ", 1)[0]) for n, b in blocks.items() for a, t in b.out.items()}
    assert taken and [role for role, there in has.items() if there] == ["corpus/documents.jsonl", "corpus/manifest"]


def test_an_edited_path_is_not_bound_by_the_old_pin(built: Path) -> None:
    """A revision whose lock was not built anew has the files that its spec names, and says that they are stale."""
    repository = committed(built)
    edit(SPEC, "docs/*.md", "docs/[a-z]*.md")
    DOCUMENT.write_text("# Another page\n\nWith another text.\n")
    repository.commit("second")
    with Project(str(SPEC)).apart("HEAD") as (of, taken):
        assert not taken and todo(of)[:1] == ["corpus"]
        assert Path(of.at.root, DOCUMENT).read_bytes() == DOCUMENT.read_bytes()


def test_errors_speak_of_the_revision(built: Path) -> None:
    """A spec that was wrong then is shown with its revision, not with a folder that nobody knows."""
    repository = committed(built)
    edit(SPEC, "split:", "splitt:")
    repository.commit("second")
    edit(SPEC, "splitt:", "split:")
    with pytest.raises(EmbspecError) as caught, Project(str(SPEC)).apart("HEAD"):
        pass
    assert caught.value.exit == INVALID
    assert str(caught.value.problems[0].where).startswith(f"HEAD:{SPEC}:")


def test_a_spec_that_was_called_otherwise_is_named(built: Path) -> None:
    """The path is looked up in the revision; where it is not, those that are there are said."""
    repository = committed(built)
    repository.git("mv", str(SPEC), "specs/port.yaml")
    repository.git("mv", str(LOCK), "specs/port.lock")
    first = repository.git("rev-parse", "HEAD")
    repository.commit("renamed")
    with pytest.raises(EmbspecError) as caught, Project("specs/port.yaml").apart(first):
        pass
    assert caught.value.exit == USAGE and caught.value.problems[0].fix.endswith(str(SPEC))


def test_a_build_apart_leaves_the_project_alone(built: Path) -> None:
    """What is missing is built there, into the store that both share; not a byte of the project is another."""
    committed(built)
    edit(SPEC, "recall@10", "recall@5")
    before = project_files(built)
    with Project(str(SPEC)).apart("HEAD") as (of, _):
        outcome = of.build(Order(Wish(refresh=frozenset({"corpus"}), publish=False)))
        assert "corpus" in outcome.done
    assert project_files(built) == before


def test_history_is_read_through_the_folder(built: Path) -> None:
    """A snapshot that only git has comes back in a build apart as it does in the project."""
    repository = committed(built)
    DOCUMENT.write_text("# A page\n\nThat says something else.\n")
    assert embspec("build", "-q").exit == 0
    repository.commit("moved on")
    snapshot = Project(str(SPEC)).lock.lock.blocks["snapshot"].pin
    objects = Project(str(SPEC)).world.objects
    for artefact in ("documents.jsonl", "manifest"):
        Path(objects.path(snapshot[artefact].rsplit(" ", 1)[0])).unlink()
    with Project(str(SPEC)).apart("HEAD") as (of, _):
        of.build(Order(Wish(refresh=frozenset({"split"}), publish=False)))
        assert of.world.has(snapshot["manifest"].rsplit(" ", 1)[0])
