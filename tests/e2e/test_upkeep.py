"""gc and fsck as a person runs them: what every branch names stays, what is bad comes back, byte for byte."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from embspec.report.schemas import OUTPUT
from tests.support import ship as shipped
from tests.support.command import Said, embspec
from tests.support.harbour import LOCK, SPEC, copied, edit, settle, tree
from tests.support.programs import built, command, environ
from tests.support.repository import Repository
from tests.support.ship import ship

OBJECT = jsonschema.Draft202012Validator(OUTPUT)
NOW = ("gc", "--days", "0", "--now")


def store() -> Path:
    """The store of this test."""
    return Path(os.environ["EMBSPEC_STORE"])


def objects() -> dict[str, bytes]:
    """Every object by its name."""
    return {p.parent.name + p.name: p.read_bytes() for p in sorted((store() / "obj").glob("*/*"))}


def spoil(path: Path) -> None:
    """One bit in the middle is another."""
    data = bytearray(path.read_bytes())
    if data:
        data[len(data) // 2] ^= 1
        path.chmod(0o644)
        path.write_bytes(data)
        path.chmod(0o444)


def said(*words: str) -> Said:
    """A command with --json, of the shape that the schema promises."""
    found = embspec(*words, "--json")
    OBJECT.validate(found.json)
    assert found.json["exit"] == found.exit
    return found


@pytest.fixture
def repo(built: Path) -> Repository:
    """The small project with its first build, committed; the one that it was copied from counts no more."""
    for entry in (store() / "roots").iterdir():
        entry.unlink()
    shutil.rmtree(".git")
    made = Repository(built)
    (built / ".gitignore").write_text("out/\n.embspec/\n")
    made.commit("first")
    assert embspec("gc", "--days", "9").exit == 0  # from now on this project counts
    return made


def variant(metric: str) -> set[str]:
    """Build the project with another table; the objects that this made."""
    before = set(objects())
    edit(SPEC, "gates:", f"eval: {{metrics: [{metric}]}}\ngates:")
    assert embspec("build", "-q").exit == 0
    return set(objects()) - before


def from_store() -> int:
    """How a build ends that may run nothing but pages, and change nothing."""
    shutil.rmtree("out", ignore_errors=True)
    shutil.rmtree(".embspec", ignore_errors=True)
    return embspec("build", "--locked", "--no-run", "-q").exit


def test_what_any_branch_tag_or_stash_names_stays(repo: Repository) -> None:
    """After a gc each of them is built without running a stage; what none names is deleted."""
    made = {}
    for name, metric in (("branch", "ndcg@3"), ("tag", "ndcg@4"), ("stash", "ndcg@5"), ("nothing", "ndcg@7")):
        made[name] = variant(metric)
        if name == "branch":
            repo.git("checkout", "--quiet", "-b", "side")
            repo.commit("a branch")
            repo.git("checkout", "--quiet", "main")
        elif name == "tag":
            repo.git("checkout", "--quiet", "--detach")
            repo.commit("a tag")
            repo.git("tag", "v1")
            repo.git("checkout", "--quiet", "main")
        elif name == "stash":
            repo.git("stash")
        else:
            repo.git("checkout", "--quiet", ".")
    dry = said("gc", "--days", "0", "--dry-run").json
    alone = {share["by"]: share["only"] for share in dry["shares"]}
    assert all(alone[by] > 0 for by in ("branch side", "tag v1", "stash@{0}")) and alone["branch main"] == 0
    assert made["nothing"] <= set(objects())
    done = said(*NOW).json
    assert done["waiting"]["files"] == 0
    assert made["nothing"].isdisjoint(objects())
    assert sum(p["bytes"] for p in dry["moved"]) == sum(p["bytes"] for p in done["moved"])
    for revision in ("main", "side", "v1"):
        repo.git("checkout", "--quiet", revision)
        assert from_store() == 0
    repo.git("checkout", "--quiet", "main")
    repo.git("stash", "pop")
    assert from_store() == 0


def test_a_branch_that_is_deleted_keeps_nothing(repo: Repository) -> None:
    """What it alone named lies in the trash until it is deleted, and comes back for whoever asks before that."""
    repo.git("checkout", "--quiet", "-b", "side")
    made = variant("ndcg@3")
    repo.commit("a branch")
    repo.git("checkout", "--quiet", "main")
    embspec("build", "-q")
    assert {pile["what"] for pile in said("gc", "--days", "0").json["moved"]} == {"known rows"}  # no lock names them
    tip = repo.git("rev-parse", "side")
    repo.git("branch", "-D", "side")
    found = said("gc", "--days", "0").json
    assert made.isdisjoint(objects()) and found["waiting"]["files"] >= len(made)
    repo.git("checkout", "--quiet", tip)
    assert from_store() == 0 and len(made & set(objects())) > 0
    repo.git("checkout", "--quiet", "main")
    assert embspec(*NOW).exit == 0
    repo.git("checkout", "--quiet", tip)
    assert from_store() == 32


def test_what_is_kept_by_name(repo: Repository) -> None:
    """A lock of any revision, until its name is dropped."""
    repo.git("checkout", "--quiet", "--detach")
    variant("ndcg@3")
    tip = repo.commit("nowhere")
    repo.git("checkout", "--quiet", "main")
    assert said("gc", "--keep", "trial", tip).json["names"] == ["trial"]
    assert embspec(*NOW).exit == 0
    assert "kept trial" in embspec("gc", "--dry-run").out
    repo.git("checkout", "--quiet", tip)
    assert from_store() == 0
    repo.git("checkout", "--quiet", "main")
    assert said("gc", "--drop", "trial").json["names"] == []
    assert embspec(*NOW).exit == 0
    repo.git("checkout", "--quiet", tip)
    assert from_store() == 32
    assert said("gc", "--drop", "trial").codes == ["usage.name"]
    assert embspec("gc", "--keep", "x", "--drop", "y").exit == 2


@pytest.mark.parametrize("words", [
    ("--days", "nan"), ("--days", "inf"), ("--days", "-1"), ("--drop", "trial", "--dry-run"),
    ("--keep", "trial", "--dry-run"), ("--keep", "trial", "--now"),
])
def test_what_a_gc_is_not_asked_for(words: tuple[str, ...], repo: Repository) -> None:
    """An age that is no number of days, or a dry run of what would be done at once, is a question of usage."""
    before = said("gc", "--keep", "other").json["names"]
    assert embspec("gc", *words).exit == 2
    assert said("gc", "--keep", "other").json["names"] == before


def test_two_projects_share_a_store(repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gc run from one, or from anywhere, knows the other; one whose folder is gone is named and keeps nothing."""
    variant("ndcg@3")
    monkeypatch.chdir(settle(tmp_path / "other"))
    assert embspec("build", "-q").exit == 0
    assert said(*NOW).json["gone"] == []
    monkeypatch.chdir(tmp_path)
    assert embspec(*NOW).exit == 0
    for folder in ("project", "other"):
        monkeypatch.chdir(tmp_path / folder)
        assert from_store() == 0
    shutil.rmtree(tmp_path / "project")
    before = set(objects())
    assert f"{tmp_path / 'project'} is not there any more" in embspec("gc", "--days", "1").err
    assert set(objects()) == before  # used lately
    assert said(*NOW).json["gone"] == [str(tmp_path / "project")]
    assert set(objects()) < before and from_store() == 0


def test_a_store_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A typing error frees nothing, finds nothing well, and makes no folder."""
    monkeypatch.setenv("EMBSPEC_STORE", str(tmp_path / "typo"))
    for word in ("gc", "fsck"):
        assert said(word).codes == ["usage.no-store"] and not (tmp_path / "typo").exists()


def test_builds_beside_a_gc_that_deletes_at_once(
    first_build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three clones that share a store are built again and again meanwhile: each ends with the lock it began with."""
    lock = (first_build / "project" / LOCK).read_bytes()
    clones = [settle(tmp_path / str(number) / "project") for number in range(3)]
    env = {**environ(tmp_path / "x"), "EMBSPEC_STORE": str(store())}
    twice = " && ".join([" ".join(command("build", "-q")), "rm -rf specs/*.lock out .embspec", " ".join(
        command("build", "-q")), "rm -rf out", " ".join(command("build", "--locked", "-q"))])
    builds = [subprocess.Popen(["sh", "-c", twice], cwd=clone, env=env, stderr=subprocess.PIPE, text=True)
              for clone in clones]
    moved = 0
    store().mkdir(exist_ok=True)
    while any(build.poll() is None for build in builds):
        moved += sum(pile["files"] for pile in said(*NOW).json["moved"])
    assert [(build.returncode, build.communicate()[1]) for build in builds] == [(0, "")] * 3
    assert moved > 0
    assert all((clone / LOCK).read_bytes() == lock for clone in clones)
    monkeypatch.chdir(clones[0])
    assert said("fsck").json["bad"] == []


def test_fsck_of_a_good_store(repo: Repository) -> None:
    """0, and what was read."""
    found = said("fsck").json
    assert (found["bad"], found["repaired"], found["lost"]) == ([], {}, {})
    assert found["counts"]["object"] == len(objects())
    assert "0 bad, 0 repaired, 0 lost" in embspec("fsck").err


@pytest.mark.parametrize("published", [True, False])
def test_every_object_is_bad(published: bool, repo: Repository) -> None:
    """Each of them comes back with its bytes: from `out/`, from the files that stages read, from a run; 0."""
    before, lock = objects(), LOCK.read_bytes()
    if not published:
        shutil.rmtree("out")
    for path in (store() / "obj").glob("*/*"):
        spoil(path)
    found = said("fsck")
    assert (found.exit, found.json["lost"]) == (0, {})
    bad = {b["name"] for b in found.json["bad"]}
    assert bad == {name for name, data in before.items() if data}
    assert {name: data for name, data in objects().items() if name in before} == before
    assert LOCK.read_bytes() == lock
    assert any("out/harbour" in where for where in found.json["repaired"].values()) is published
    assert from_store() == 0 and said("fsck").json["bad"] == []


def test_fsck_that_runs_nothing(repo: Repository) -> None:
    """What lies somewhere comes back; the rest is named: 50, now and later, until a fsck that may run."""
    before = objects()
    for path in (store() / "obj").glob("*/*"):
        spoil(path)
    for _ in range(2):
        found = said("fsck", "--no-run")
        assert found.exit == 50 and set(found.json["lost"].values()) == {"left out: --no-run"}
    assert len(objects()) < len(before)
    assert said("fsck").exit == 0
    assert {name: data for name, data in objects().items() if name in before} == before


def test_an_input_that_an_earlier_command_set_aside(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock names it by its list alone: a fsck here brings it back from the work tree; elsewhere it is lost."""
    data = Path("specs/gold.jsonl").read_bytes()
    name = next(name for name, held in objects().items() if held == data)
    spoil(store() / "obj" / name[:2] / name[2:])
    monkeypatch.chdir(tmp_path)
    found = said("fsck")
    assert (found.exit, found.json["lost"]) == (50, {name: "nothing here makes it again"})
    monkeypatch.chdir(repo.folder)
    found = said("fsck")
    assert (found.exit, found.json["repaired"]) == (0, {name: "the work tree"}) and objects()[name] == data


def test_fsck_without_git(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """What git alone has is not looked for, and what lies elsewhere comes back all the same."""
    before = objects()
    for path in (store() / "obj").glob("*/*"):
        spoil(path)
    monkeypatch.setenv("PATH", "")
    found = said("fsck")
    assert (found.exit, found.json["lost"]) == (0, {})
    assert {name: data for name, data in objects().items() if name in before} == before


def test_what_nothing_makes_again(repo: Repository) -> None:
    """The source of the pairs is edited, was never committed, and its object is bad: 50 names it."""
    gold = Path("specs/gold.jsonl")
    rows = gold.read_text(encoding="utf-8").splitlines()
    gold.write_text("\n".join(rows[1:]) + "\n", encoding="utf-8")
    assert embspec("build", "-q", "--accept-test-change").exit == 0
    name = next(name for name, data in objects().items() if data == gold.read_bytes())
    gold.write_text("\n".join(rows[2:]) + "\n", encoding="utf-8")
    spoil(store() / "obj" / name[:2] / name[2:])
    found = said("fsck")
    assert found.exit == 50 and set(found.json["lost"]) == {name}


def test_a_bad_record_is_set_aside(repo: Repository) -> None:
    """Its stage runs again where somebody needs it: nothing is lost."""
    for path in (store() / "act").rglob("*.json"):
        path.write_text("{", encoding="utf-8")
    found = said("fsck")
    assert (found.exit, {b["kind"] for b in found.json["bad"]}) == (0, {"record"})
    assert embspec("build", "-q").exit == 0


def test_fsck_without_a_project(repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads the store all the same; what is bad is set aside, and lost as far as anybody here can say."""
    found = re.search(r"documents\.jsonl: sha256:(\w\w)(\w+)", (repo.folder / LOCK).read_text())
    assert found
    path = store() / "obj" / found[1] / found[2]
    spoil(path)
    monkeypatch.chdir(tmp_path)
    assert embspec("fsck", "-q").exit == 50 and not path.exists()
    monkeypatch.chdir(repo.folder)
    assert embspec("fsck", "-q").exit == 0 and path.exists()


@pytest.fixture(scope="session")
def first_ship(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A static model, built once; tests take copies."""
    folder = tmp_path_factory.mktemp("upkeep")
    ship(folder / "project")
    built(folder / "project")
    return folder


@pytest.fixture
def model(first_ship: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project with a model."""
    monkeypatch.chdir(copied(first_ship, tmp_path))
    return tmp_path / "project"


def weight(role: str, artefact: str) -> Path:
    """The object of the weights of a folder that the lock names."""
    text = shipped.LOCK.read_text(encoding="utf-8").split(f"\n{role}:\n")[1]
    found = re.search(rf"    {artefact}: tree sha256:(\w\w)(\w+) ", text)
    assert found
    rows = (store() / "obj" / found[1] / found[2]).read_text(encoding="utf-8").splitlines()
    digest = next(row.split(" ")[0] for row in rows if row.endswith(".safetensors"))
    return store() / "obj" / digest[:2] / digest[2:]


def got(project: Path) -> tuple[str, ...]:
    """Take the model into a folder."""
    return ("get", "-o", str(project / "got"))


@pytest.mark.parametrize(("role", "artefact", "use"), [
    ("train", "model", got),
    ("train", "model", lambda project: ("build", "--refresh", "export")),
    ("base", "base", lambda project: ("search", "ice on the quay")),
])
@pytest.mark.parametrize("mend", [("fsck",), ("fsck", "out"), ("build",)])
def test_a_flipped_bit_in_a_weight(
    role: str, artefact: str, use: Callable[[Path], tuple[str, ...]], mend: tuple[str, ...], model: Path
) -> None:
    """50 on use, whatever uses it; fetched from `out/` or built again it has its bytes, and the use succeeds."""
    path, lock, out = weight(role, artefact), shipped.LOCK.read_bytes(), tree(Path("out"))
    before = path.read_bytes()
    spoil(path)
    found = embspec(*use(model), "--json")
    assert (found.exit, found.codes) == (50, ["corrupt.object"])
    assert "set aside" in found.json["errors"][0]["text"] and not path.exists()
    if mend == ("fsck", "out"):
        shutil.rmtree("out/ship/model")
    words = ("build", "--refresh", role) if mend == ("build",) else ("fsck",)
    assert embspec(*words, "-q").exit == 0
    assert path.read_bytes() == before
    assert embspec("build", "-q").exit == 0
    assert embspec(*use(model), "-q").exit == 0
    assert (shipped.LOCK.read_bytes(), tree(Path("out"))) == (lock, out)
