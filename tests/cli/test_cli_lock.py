"""The lock's own upkeep on the command line: merge, the git merge driver, upgrade, rekey."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from embspec.lock.text import read
from embspec.plan import keys
from embspec.plan.canonical import short_hash
from embspec.plan.values import Block
from tests.support.command import embspec
from tests.support.harbour import LOCK, SPEC, edit
from tests.support.scenario import GIT

GATE = "recall@10 of bm25 >= 0.5"
QUESTION = '{"query": "by how much chain does a boat lie in the roads", "positive": "docs/anchor.md"}\n'
CODE = str(Path(__file__).parents[2])


def blocks() -> dict[str, Block]:
    """What the lock says now."""
    return dict(read(LOCK.read_text(encoding="utf-8"), "").blocks)


def rewrite(old: str, new: str) -> None:
    """The lock as a hand or a merge left it."""
    edit(LOCK, old, new)


def git(*args: str, code: int = 0) -> None:
    """A git command in the project."""
    done = subprocess.run(["git", *args], env={**os.environ, **GIT, "PYTHONPATH": CODE}, capture_output=True,
                          text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr


@pytest.fixture
def repository(built: Path) -> Path:
    """The small project after its first build, committed."""
    shutil.rmtree(built / ".git")
    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-qm", "first")
    return built


def branches(code: int) -> None:
    """Theirs has another gate, ours another question; both are built, and git merges them."""
    git("checkout", "-qb", "theirs")
    edit(SPEC, GATE, "recall@10 of bm25 >= 0.6")
    assert embspec("build", "-q").exit == 0
    git("commit", "-qam", "theirs")
    git("checkout", "-q", "main")
    with open("specs/gold.jsonl", "a", encoding="utf-8") as file:
        file.write(QUESTION)
    assert embspec("build", "-q").exit == 0
    git("commit", "-qam", "ours")
    git("merge", "-q", "theirs", code=code)


def test_one_thing_at_a_time(built: Path) -> None:
    """Without an option, or with two, nothing is guessed."""
    for words in ([], ["--check", "--merge"], ["--upgrade", "--rekey"]):
        said = embspec("lock", *words)
        assert said.exit == 2 and "lock needs one of" in said.err


def test_a_merge_says_what_each_stage_kept(repository: Path) -> None:
    """To machines too; the index of git tells the sides, also where a hand already took one."""
    branches(code=1)
    text = LOCK.read_text(encoding="utf-8")
    kept = [{"name": name, "kept": word} for name, word in (
        ("corpus", "both"), ("snapshot", "both"), ("survey", "both"), ("pairs.gold", "ours"), ("split", "ours"),
        ("lexical", "both"), ("evaluate", "ours"), ("gates", "to build"))]
    said = embspec("lock", "--merge", "--json")
    assert (said.exit, said.json) == (0, {"exit": 0, "lock": str(LOCK), "stages": kept, "notes": []})
    whole = LOCK.read_bytes()
    git("checkout", "--ours", str(LOCK))
    assert embspec("lock", "--merge", "-q").both == "" and LOCK.read_bytes() == whole
    shutil.rmtree(".git")
    LOCK.write_text(text, encoding="utf-8")
    told = {stage["name"]: stage["kept"] for stage in embspec("lock", "--merge", "--json").json["stages"]}
    assert (told["pairs.gold"], told["gates"]) == ("both", "to build")  # what git merged is in both sides of the text
    assert LOCK.read_bytes() == whole


def test_nothing_to_merge(built: Path) -> None:
    """Exit 0, and the lock is not written."""
    before = LOCK.stat().st_mtime_ns
    said = embspec("lock", "--merge")
    assert (said.exit, said.both) == (0, f"~ {LOCK} has no conflict: there is nothing to merge\n")
    assert embspec("lock", "--merge", "--json").json["stages"] == [] and LOCK.stat().st_mtime_ns == before


def test_a_side_that_has_no_lock(repository: Path) -> None:
    """Theirs deleted it, ours built: what ours says is kept, and nothing is left to do."""
    git("checkout", "-qb", "theirs")
    git("rm", "-q", str(LOCK))
    git("commit", "-qm", "theirs")
    git("checkout", "-q", "main")
    edit(SPEC, GATE, "recall@10 of bm25 >= 0.6")
    assert embspec("build", "-q").exit == 0
    before = LOCK.read_bytes()
    git("commit", "-qam", "ours")
    git("merge", "-q", "theirs", code=1)
    assert embspec("lock", "--merge").exit == 0 and LOCK.read_bytes() == before


def test_the_merge_driver(repository: Path) -> None:
    """With the two lines of config git itself merges the lock by blocks; what is wrong in it, a build finds."""
    Path(".gitattributes").write_text("*.lock merge=embspec\n")
    git("config", "merge.embspec.driver", f"{sys.executable} -m embspec lock --driver %O %A %B")
    git("add", "-A")
    git("commit", "-qm", "driver")
    branches(code=0)
    assert embspec("lock", "--check").exit == 11
    said = embspec("build", "--json").json
    assert [stage["name"] for stage in said["stages"] if stage["state"] == "run"] == ["gates", "report"]
    git("commit", "-qam", "built")
    assert embspec("build", "--locked").exit == 0


def test_a_side_that_the_driver_cannot_read_is_a_conflict_for_git(repository: Path) -> None:
    """The error is said, and the file stays ours."""
    Path("base").write_text("")
    Path("theirs").write_text("lock: 2\n")
    before = LOCK.read_bytes()
    said = embspec("lock", "--driver", "base", LOCK, "theirs")
    assert said.exit == 12 and "theirs:1: this lock has format 2" in said.err and LOCK.read_bytes() == before
    said = embspec("lock", "--driver", "gone", LOCK, "theirs")
    assert said.exit == 2 and "`gone` cannot be read" in said.err


def test_an_environment_that_a_merge_took_out_comes_back(built: Path) -> None:
    """From the record in the store, by `--merge` and by a build; where there is no record its name stays."""
    before = LOCK.read_text(encoding="utf-8")
    env = blocks()["split"].env
    head, _, rest = before.partition(f"\n{env}:\n")
    torn = head + ("\n" + rest.partition("\n\n")[2] if "\n\n" in rest else "")
    for words in (["build"], ["lock", "--merge"]):
        LOCK.write_text(torn, encoding="utf-8")
        assert f"{env}:\n" not in torn and embspec(*words).exit == 0
        assert LOCK.read_text(encoding="utf-8") == before
    shutil.rmtree(Path(os.environ["EMBSPEC_STORE"]) / "act")
    LOCK.write_text(torn, encoding="utf-8")
    assert embspec("lock", "--merge").exit == 0 and LOCK.read_text(encoding="utf-8") == torn


def test_figures_that_a_hand_changed_come_back(built: Path) -> None:
    """They inform and decide nothing; a build that writes the lock anyway takes them from the records."""
    before = LOCK.read_text(encoding="utf-8")
    rewrite("test.clusters: ", "test.clusters: 9")
    assert embspec("build").exit == 0 and LOCK.read_text(encoding="utf-8") != before
    edit(SPEC, GATE, "recall@10 of bm25 >= 0.6")
    embspec("build", "-q")
    assert "test.clusters: 9" not in LOCK.read_text(encoding="utf-8")


def test_what_could_be_upgraded(built: Path) -> None:
    """Each with what it is and what it would be; the format last."""
    said = embspec("lock", "--upgrade", "--json").json["fields"]
    assert [one["field"] for one in said] == [
        "snapshot", "split.threshold.test", "split.threshold.validation", "split.dropped", "split.terms", "split.test",
        "format"]
    threshold = blocks()["split"].pin["threshold.test"]
    assert said[1] == {"field": "split.threshold.test", "then": threshold, "now": "as the next build finds it",
                       "stages": ["split"]}
    lines = embspec("lock", "--upgrade").out.splitlines()
    assert f"split.threshold.test: {threshold} → as the next build finds it  (split)" in lines
    assert lines[-1] == "format: 1, nothing newer is known"


def test_an_upgrade_takes_a_pin_anew(built: Path) -> None:
    """What runs next is said with the pin as its reason; the next build finds it again."""
    before = LOCK.read_text(encoding="utf-8")
    threshold = blocks()["split"].pin["threshold.test"]
    said = embspec("lock", "--upgrade", "split.threshold.test", SPEC)
    assert said.exit == 0
    assert said.out.startswith("+ split            run\n    pin threshold.test: " + threshold + " → found by the run\n")
    assert "threshold.test" not in blocks()["split"].pin and "threshold.validation" in blocks()["split"].pin
    assert embspec("lock", "--check").exit == 11
    assert embspec("build", "-q").exit == 0 and LOCK.read_text(encoding="utf-8") == before


@pytest.mark.parametrize("wrong", ["foo", "nan", "1e999"])
def test_a_pin_that_is_no_number_is_the_fault_of_the_lock(wrong: str, built: Path) -> None:
    """Exit 12 with the command that mends it, and no failed stage."""
    before = LOCK.read_text(encoding="utf-8")
    line = "threshold.validation: {}\n"
    rewrite(line.format(blocks()["split"].pin["threshold.validation"]), line.format(wrong))
    said = embspec("build")
    assert said.exit == 12 and f"pins threshold.validation of split as `{wrong}`" in said.err
    assert embspec("lock", "--upgrade", "split.threshold.validation").exit == 0
    assert embspec("build", "-q").exit == 0 and LOCK.read_text(encoding="utf-8") == before


def test_a_name_stands_for_all_below_it(built: Path) -> None:
    """`split.threshold` is both thresholds; `snapshot` moves to the live documents."""
    assert embspec("lock", "--upgrade", "split.threshold", "-q").both == ""
    assert set(blocks()["split"].pin) == {"dropped", "terms", "test"}
    assert embspec("build", "-q").exit == 0
    Path("specs/docs/ice.md").write_text("# Ice\n\nSalt is spread before dawn.\n", encoding="utf-8")
    assert embspec("build", "-q").exit == 0
    old, live = blocks()["snapshot"].pin["manifest"], blocks()["corpus"].out["manifest"]
    assert old != live
    said = embspec("lock", "--upgrade", "snapshot")
    assert said.exit == 0 and "+ snapshot" in said.out
    assert embspec("build", "-q").exit == 0 and blocks()["snapshot"].pin["manifest"] == live


def test_what_is_as_new_as_can_be_known_stays(built: Path) -> None:
    """The lock is not written, and a line says why."""
    before = LOCK.stat().st_mtime_ns
    said = embspec("lock", "--upgrade", "snapshot")
    assert (said.exit, said.both) == (0, f"~ {LOCK} stays as it is: nothing newer is known of snapshot\n")
    assert embspec("lock", "--upgrade", "format").exit == 0 and LOCK.stat().st_mtime_ns == before


@pytest.mark.parametrize("field", ["baseline", "recipes", "split.thresh", "numerics.threads"])
def test_what_the_lock_does_not_keep_is_refused_by_name(field: str, built: Path) -> None:
    """With all that it does keep."""
    said = embspec("lock", "--upgrade", field)
    assert said.exit == 2 and f"the lock keeps nothing that is called `{field}`" in said.err
    assert "what it keeps: snapshot, split.threshold.test" in said.err




def test_rekey_gives_a_lock_of_an_older_scheme_todays_keys(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing runs, the records are found under the new keys, and a key of no scheme is named and left (11)."""
    assert embspec("lock", "--rekey").both == f"~ {LOCK}: 0 stages rekeyed, 8 had today's key already\n"
    before = LOCK.read_text(encoding="utf-8")
    monkeypatch.setattr(keys, "SCHEME", "2")
    monkeypatch.setattr(keys, "OLDER", {"1": lambda named: short_hash(
        {**named, "scheme": "1"} if "scheme" in named else named)})
    assert embspec("lock", "--check").exit == 11
    said = embspec("lock", "--rekey", "--json").json
    assert said["rekeyed"] == ["corpus", "survey", "pairs.gold", "split", "lexical", "evaluate", "gates"]
    assert said["already"] == ["snapshot"]
    assert LOCK.read_text(encoding="utf-8") != before and embspec("lock", "--check").exit == 0
    assert [b._replace(key="") for b in blocks().values()] == [
        b._replace(key="") for b in read(before, "").blocks.values()]
    shutil.copy(LOCK, "whole")
    LOCK.unlink()
    ran = [s["name"] for s in embspec("build", "--json").json["stages"] if s["state"] == "run"]
    assert ran == ["snapshot", "split", "report"]  # its pins are taken anew without a lock; the rest are records
    shutil.copy("whole", LOCK)
    rewrite(f"key: {blocks()['lexical'].key}", "key: 0123456789abcdef0123456789abcdef")
    said_all = embspec("lock", "--rekey")
    assert said_all.exit == 11 and "lexical: its key is right under no scheme" in said_all.err
