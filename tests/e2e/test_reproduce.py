"""Any past model, byte for byte: built again from its revision, elsewhere, and compared with what the lock says."""
from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support import programs
from tests.support.command import Said, embspec
from tests.support.harbour import LOCK, SPEC, copied, edit, tree
from tests.support.repository import Repository
from tests.support.ship import LOCK as SHIP_LOCK
from tests.support.ship import SPEC as SHIP_SPEC
from tests.support.ship import ship

DOCUMENT = Path("specs/docs/mooring.md")
EVERY = ["base", "corpus", "survey", "pairs.gold", "pairs.train", "split", "lexical", "negatives", "train", "export",
         "choose", "evaluate", "gates", "index"]
RATE = "  per_device_train_batch_size: 4\n"


def rows(said: Said | programs.Done) -> dict[str, Any]:
    """What --json says of each stage."""
    text = said.out if isinstance(said, Said) else said.stdout
    return {row["name"]: row for row in json.loads(text)["stages"]}


@pytest.fixture
def committed(built: Path) -> Repository:
    """The harbour with its first build, as the first revision."""
    shutil.rmtree(built / ".git")
    repository = Repository(built)
    (built / ".gitignore").write_text(".embspec/\nout/\n")
    repository.commit("first")
    return repository


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A static model and a transformer with dropout, each built and committed once; tests take copies."""
    found = {}
    for kind in ("static", "transformer"):
        project = found[kind] = tmp_path_factory.mktemp(kind) / "project"
        ship(project, kind)
        shutil.rmtree(project / ".git")
        programs.git(project, "init", "-q")
        programs.built(project)
        programs.commit(project, "first")
    return found


@pytest.fixture
def project(shipped: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The static project with its store; commands run in it."""
    monkeypatch.chdir(copied(shipped["static"].parent, tmp_path))
    return tmp_path / "project"


@pytest.mark.parametrize("kind", ["static", "transformer"])
def test_a_model_comes_out_the_same_anywhere(kind: str, shipped: dict[str, Path], tmp_path: Path) -> None:
    """A fresh clone in another folder, an empty store, other folders, language, zone, hash seed, rights, one core."""
    fresh = tmp_path / "other place" / "project"
    programs.git(tmp_path, "clone", "-q", str(shipped[kind]), str(fresh))
    for name in ("tmp", "home"):
        (tmp_path / name).mkdir()
    strange = {"TMPDIR": str(tmp_path / "tmp"), "HOME": str(tmp_path / "home"), "LC_ALL": "tr_TR.UTF-8",
               "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "1234"}
    words = [f"{name}={text}" for name, text in strange.items()]
    before = ("taskset", "-c", "0", "env", *words, "sh", "-c", 'umask 077; exec "$@"', "sh")
    done = programs.alone(fresh, "reproduce", "HEAD", "--json", before=before)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["class"] == "same"
    assert {name: row["equal"] for name, row in rows(done).items()} == dict.fromkeys(EVERY, True)
    assert programs.git(fresh, "status", "--porcelain") == "" and not (fresh / "out").exists()


def test_a_fresh_process_and_what_status_says_afterwards(project: Path) -> None:
    """Byte for byte; the stages that compute with floats are exact from then on, once more each time."""
    status = embspec("status")
    assert "exact" not in status.out
    for count in (1, 2):
        done = embspec("reproduce", "--stage", "train")
        assert (done.exit, done.out) == (0, "= train            equal (same)\n")
        said = embspec("status").out
        assert re.search(rf"= train +clean  exact ×{count}, last \d{{4}}-\d\d-\d\d\n", said)
    assert "unverified" not in said
    assert "= export           clean  unverified  " in embspec("status", "-v").out
    assert os.listdir(project.parent / "store" / "tmp") == []


def other_model(project: Path, rate: str) -> None:
    """Lock and store as if a training at the default rate had once made what another one makes."""
    was = (project / SHIP_LOCK).read_text()
    edit(project / SHIP_SPEC, RATE, RATE + f"  learning_rate: {rate}\n")
    assert embspec("build", "-q").exit == 0
    edit(project / SHIP_SPEC, f"  learning_rate: {rate}\n", "")
    claimed = re.search(r"\ntrain:\n(.*?)  out:\n", was, re.DOTALL)
    text = (project / SHIP_LOCK).read_text()
    assert claimed
    text = re.sub(r"\ntrain:\n.*?  out:\n", lambda found: f"\ntrain:\n{claimed[1]}  out:\n", text, flags=re.DOTALL)
    (project / SHIP_LOCK).write_text(text)
    programs.commit(project, "another model under the same key")


def test_the_first_difference_is_named(project: Path) -> None:
    """31: stage, file, tensor, its largest difference, and the step where the trainings part; what is before is equal.

    In the same environment that is so however near it is.
    """
    other_model(project, "0.1")
    done = embspec("reproduce", "--json")
    assert done.exit == 31
    found = rows(done)
    before = EVERY.index("train")
    assert [found[name]["equal"] for name in EVERY[:before + 1]] == [True] * before + [False]
    first = found["train"]["first"]
    assert first["artefact"] == "model"
    assert (first["file"], first["tensor"]) == ("0_StaticEmbedding/model.safetensors", "embedding.weight")
    assert first["ulp"] > 0 and first["step"] > 0
    said = embspec("reproduce", "--stage", "train")
    assert said.exit == 31
    assert re.search(
        r"! train +differs \(same\) in model: 0_StaticEmbedding/model.safetensors: tensor embedding.weight differs by "
        r"up to \d+ ulp \([\d.e-]+\); the trainings part at step \d+: the loss is [\d.]+ and [\d.]+\n", said.out)
    assert "ship: train/model is the first that differs" in said.err
    assert re.search(r"= train +clean  differs ×2 in the same environment, last ", embspec("status").out)


def test_bytes_that_nobody_has_are_compared_by_digest(project: Path) -> None:
    """Where the lock's model is not in the store any more, that it differs is known, and not by how much."""
    other_model(project, "0.1")
    shutil.rmtree(project.parent / "store")
    first = rows(embspec("reproduce", "--json"))["train"]["first"]
    assert (first["artefact"], first["tensor"], first["ulp"], first["step"]) == ("model", None, None, None)
    assert "digests alone were compared" in first["text"]


def elsewhere(lock: Path, line: str, text: str) -> None:
    """The lock as if it had been built in another environment."""
    changed, count = re.subn(rf"^  {line}: .*$", f"  {line}: {text}", lock.read_text(), flags=re.MULTILINE)
    assert count
    lock.write_text(changed)


@pytest.mark.parametrize(("line", "text", "alike"), [
    ("python", "3.9.1", "equivalent"), ("numpy", "1.0.0", "different"),
    ("packages", "sha256:" + 64 * "0", "equivalent"),
])
def test_environments_are_compared_first(committed: Repository, line: str, text: str, alike: str) -> None:
    """Another Python is equivalent, so is what packages need in turn; other packages are different: bytes decide."""
    elsewhere(LOCK, line, text)
    done = embspec("reproduce", "--stage", "evaluate", "--json")
    assert (done.exit, done.json["class"]) == (0, alike), done.err


def test_within_tolerance_where_the_environment_is_another(project: Path) -> None:
    """Other bytes and the same figures are 30, other figures 31; one stage alone proves nothing of the figures."""
    other_model(project, "0.0201")
    elsewhere(SHIP_LOCK, "python", "3.9.1")
    done = embspec("reproduce")
    assert done.exit == 30, done.out + done.err
    assert "every figure is within 0.01 of the lock's" in done.err
    assert embspec("reproduce", "--stage", "train").exit == 31
    assert "train            clean  within tolerance ×1" in embspec("status").out
    other_model(project, "5.0")
    elsewhere(SHIP_LOCK, "python", "3.9.1")
    assert embspec("reproduce").exit == 31


def test_where_two_trainings_part(project: Path) -> None:
    """Another rate shows at a step, another seed in the first batch, the same training nowhere."""
    edit(project / SHIP_SPEC, RATE, RATE + "  learning_rate: 0.1\n")
    assert embspec("build", "-q").exit == 0
    said = embspec("diff", "--trace", "HEAD").out
    assert re.fullmatch(r"train: step [1-9]: the loss is [\d.]+ and [\d.]+\n", said)
    programs.commit(project, "another rate")
    assert embspec("diff", "--trace", "HEAD").out == "train: the same for all 5 steps\n"
    edit(project / SHIP_SPEC, "embspec: 1\n", "embspec: 1\nseed: 7\n")
    assert embspec("build", "-q", "--accept-test-change").exit == 0
    assert embspec("diff", "--trace", "HEAD").out == "train: step 0: different batch\n"
    assert json.loads(embspec("diff", "--trace", "HEAD~1", "HEAD", "--json").out)["traces"][0][
        "parting"]["what"] == "loss"
    shutil.rmtree(project.parent / "store" / "obj")
    done = embspec("diff", "--trace", "HEAD~1", "HEAD", "--json")
    assert done.exit == 32
    assert "train/trace of HEAD~1" in json.loads(done.out)["errors"][0]["text"]


def test_an_old_revision_after_the_work_tree_moved_on(committed: Repository) -> None:
    """Spec, lock and documents are those of the revision; the work tree, its lock and its store stay as they are."""
    DOCUMENT.write_text("# Another page\n\nWith another text.\n")
    edit(SPEC, "recall@10", "recall@5")
    assert embspec("build", "-q").exit == 0
    committed.commit("second")
    before = {name: data for name, data in tree(committed.folder).items() if not name.startswith((".git/", ".embspec"))}
    store = set(tree(Path(os.environ["EMBSPEC_STORE"])))
    said = embspec("reproduce", "HEAD~1", "--json")
    assert (said.exit, {row["equal"] for row in rows(said).values()}) == (0, {True})
    assert {n: d for n, d in tree(committed.folder).items() if not n.startswith((".git/", ".embspec"))} == before
    assert {name.split("/")[0] for name in set(tree(Path(os.environ["EMBSPEC_STORE"]))) - store} <= {
        "again", "lock", "roots"}


def test_documents_that_changed_since_the_snapshot(committed: Repository) -> None:
    """The pinned snapshot is older than the documents: a fresh clone with an empty store has it from git."""
    DOCUMENT.write_text(DOCUMENT.read_text() + "\nThe rope is checked in spring.\n")
    assert embspec("build", "-q").exit == 0
    committed.commit("second")
    fresh = programs.clone(committed.folder)
    said = programs.run(fresh, "reproduce", "--json")
    assert said.returncode == 0, said.stdout + said.stderr
    assert {row["equal"] for row in rows(said).values()} == {True}


def test_a_corpus_that_only_git_has(committed: Repository) -> None:
    """Deleted from the work tree: read from the revision, and built again."""
    shutil.rmtree("specs/docs")
    said = embspec("reproduce", "--json")
    assert (said.exit, rows(said)["corpus"]["equal"]) == (0, True)


def test_a_corpus_that_is_nowhere_is_taken_by_digest(committed: Repository) -> None:
    """Its parsed documents are in the store: the rest is built on them, and the stage is said to be taken."""
    committed.git("rm", "-rq", "--cached", "specs/docs")
    committed.git("commit", "-q", "--amend", "-m", "without the documents")
    shutil.rmtree("specs/docs")
    said = embspec("reproduce", "--json")
    found = rows(said)
    assert said.exit == 0, said.both
    assert found["corpus"]["equal"] is None and "docs/*.md" in found["corpus"]["taken"]
    assert [name for name, row in found.items() if row["equal"]] == [name for name in found if name != "corpus"]
    assert "6 stages rebuilt, 1 taken by digest" in embspec("reproduce", "-q").err
    alone = embspec("reproduce", "--stage", "corpus", "--json")
    assert (alone.exit, alone.codes) == (32, ["nowhere.input"])


def test_what_is_nowhere_at_all_is_32(committed: Repository, tmp_path: Path) -> None:
    """Neither the files nor what was made of them: the stage, its pattern and its digest."""
    Path("specs/gold.jsonl").unlink()
    committed.git("rm", "-q", "--cached", "specs/gold.jsonl")
    committed.git("commit", "-q", "--amend", "-m", "without the pairs")
    shutil.rmtree(tmp_path / "store")
    said = embspec("reproduce", "--json")
    assert (said.exit, said.codes) == (32, ["nowhere.input"])
    assert re.search(r"stage pairs\.gold: gold\.jsonl as the lock pins it \(sha256:\w{64} 1 file\) is nowhere",
                     said.json["errors"][0]["text"])


def test_one_stage_needs_what_it_opens(committed: Repository, tmp_path: Path) -> None:
    """--stage takes its needs by digest; without them 32 names each, and no other stage's inputs are asked for."""
    shutil.rmtree("specs/docs")
    assert embspec("reproduce", "--stage", "gates", "-q").exit == 0
    shutil.rmtree(tmp_path / "store")
    said = embspec("reproduce", "--stage", "gates", "--json")
    assert (said.exit, set(said.codes)) == (32, {"nowhere.artefact"})
    assert [error["text"].split(" ")[0] for error in said.json["errors"]] == ["evaluate/scores", "evaluate/runs"]


def test_a_red_lock_is_reproduced_red(committed: Repository) -> None:
    """The verdict is part of what is compared, and being red is no difference."""
    edit(SPEC, "recall@10 of bm25 >= 0.5", "ndcg@10 of bm25 >= 1")
    assert embspec("build", "-q").exit == 20
    said = embspec("reproduce", "--json")
    assert said.exit == 0 and rows(said)["gates"]["equal"] is True


def test_an_older_recipe_needs_its_version(committed: Repository) -> None:
    """Today's recipe would make other bytes: 32 names the version that had it, and what to do."""
    text = LOCK.read_text()
    key = re.search(r"\nsplit:\n.*?  key: (\w{32})", text, re.DOTALL)
    assert key
    older = text.replace("\nsplit:\n  recipe: 2\n", "\nsplit:\n  recipe: 1\n")
    assert older != text
    LOCK.write_text(older.replace(key[1], rekeyed(older)))
    said = embspec("reproduce", "--json")
    assert (said.exit, said.codes) == (32, ["nowhere.recipe"]), said.both
    error = said.json["errors"][0]
    assert re.search(r"stage split was built by embspec \d[\w.]* with recipe 1, here 2", error["text"])
    assert "--fresh-env" in error["fix"]


def rekeyed(text: str) -> str:
    """The key of the split block as this text says it."""
    from embspec import Project
    from embspec.api import RECIPES
    from embspec.lock.text import read
    from embspec.plan.keys import ingredients, key
    from embspec.plan.values import digest_of

    blocks = read(text, "a lock").blocks
    block, node = blocks["split"], next(n for n in Project(str(SPEC)).nodes if n.name == "split")
    needs = {role: digest_of({**blocks[role.rsplit("/", 1)[0]].pin, **blocks[role.rsplit("/", 1)[0]].out}[
        role.rsplit("/", 1)[1]]) for role in node.stage.needs(block.params, list(blocks))}
    return key(ingredients("split", block.recipe, block.uses, block.params, block.pin, needs, RECIPES.introduced))


def test_a_lock_that_is_not_of_its_spec_is_11(committed: Repository) -> None:
    """What was never built cannot be built again."""
    edit(SPEC, "test: 0.6", "test: 0.5")
    said = embspec("reproduce", "--json")
    assert (said.exit, set(said.codes)) == (11, {"lock-stale.stage"})
    assert "reproduce a revision whose lock is up to date" in said.json["errors"][-1]["fix"]
    assert embspec("reproduce", "HEAD", "-q").exit == 0


def test_nothing_built_is_nothing_to_reproduce(harbour: Path) -> None:
    """32 where there is no lock yet."""
    said = embspec("reproduce", "--json")
    assert (said.exit, said.codes) == (32, ["nowhere.lock"])


def test_a_name_that_is_no_stage_is_usage(committed: Repository) -> None:
    """The stages that can be named are listed; a page or a pin does no work that the lock has bytes of."""
    for name in ("splits", "report", "snapshot"):
        said = embspec("reproduce", "--stage", name, "--json")
        assert (said.exit, said.codes) == (2, ["usage.stage"])
        assert "split" in said.json["errors"][0]["fix"]


def test_a_spec_that_only_the_revision_has(committed: Repository) -> None:
    """The spec's path is looked up in the revision, whether or not anything is left of it here."""
    committed.git("rm", "-rq", "specs")
    committed.commit("gone")
    assert not SPEC.parent.exists()
    assert embspec("reproduce", "HEAD~1", str(SPEC), "-q").exit == 0
    assert embspec("reproduce", "HEAD", str(SPEC)).exit == 2
    assert embspec("reproduce", str(SPEC)).exit == 3


def test_a_lock_that_keys_its_environment(committed: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another environment makes everything stale, a reproduction still compares, and names the class."""
    edit(SPEC, "embspec: 1\n", "embspec: 1\nkeys: {env: pin}\n")
    assert embspec("build", "-q").exit == 0
    assert embspec("reproduce", "--json").json["class"] == "same"
    monkeypatch.setattr("embspec.store.environment.platform.python_version", lambda: "3.9.1")
    assert embspec("plan", "--exit-code").exit == 10
    said = embspec("reproduce", "--json")
    assert (said.exit, said.json["class"]) == (0, "equivalent"), said.both
    assert all(row["equal"] for row in rows(said).values())


def test_a_build_that_stopped_early(harbour: Path) -> None:
    """What `--to` left is reproduced as far as it goes."""
    assert embspec("build", "--to", "split", "-q").exit == 0
    said = embspec("reproduce", "--json")
    assert said.exit == 0 and list(rows(said)) == ["corpus", "pairs.gold", "split"]
