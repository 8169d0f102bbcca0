"""Contexts by a program, as a user meets them: asked for once, kept with the lock, run only where that is allowed."""
from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from embspec.lock.text import Lock, read, write
from embspec.plan.values import Block, digest_of
from embspec.store.objects import Objects
from tests.support.command import Said, embspec
from tests.support.harbour import LOCK, SPEC, edit
from tests.support.repository import Repository
from tests.support.tiny import tiny_static

PROGRAM = Path("specs/tools/say.py")
CODE = """\
import json, sys

for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps({"id": asked["id"], "contexts": [asked["title"] + " of the harbour"] * len(asked["chunks"])}))
"""


@pytest.fixture
def talking(harbour: Path) -> Path:
    """The harbour with chunks, over each of which a program says where it is from."""
    tiny_static(Path("specs/base"))
    PROGRAM.parent.mkdir()
    PROGRAM.write_text(CODE, encoding="utf-8")
    command = f"{sys.executable} tools/say.py"
    chunking = f"{{strategy: structure, tokens: 24, overlap: 0, context: {{command: {command}, tokens: 9}}}}"
    edit(SPEC, "corpus:\n", f"model: {{base: ./base}}\ncorpus:\n  chunking: {chunking}\n")
    return harbour


def build(*more: str) -> Said:
    """The corpus alone: nothing is trained."""
    return embspec("build", "--to", "corpus", "--json", *more)


def counts(said: Said) -> Any:
    """How much work the corpus was."""
    return next(stage["counts"] for stage in said.json["stages"] if stage["name"] == "corpus")


def pinned() -> str:
    """What the lock says of the answers."""
    return read(LOCK.read_text(encoding="utf-8"), str(LOCK)).blocks["corpus"].pin["contexts"]


def lost() -> None:
    """The store forgets the answers."""
    os.remove(Objects(os.environ["EMBSPEC_STORE"]).path(digest_of(pinned())))


def test_asked_once_and_where_that_is_allowed(talking: Path) -> None:
    """A check asks nobody; a build asks where it may, about each document once, and then about what changed alone."""
    documents = len(list(Path("specs/docs").glob("*.md")))
    assert embspec("check", "-q").exit == 0
    refused = build()
    assert (refused.exit, refused.codes) == (2, ["usage.allow-code"])
    (error,) = refused.json["errors"]
    assert (error["file"], error["line"]) == (str(SPEC), 5) and f"for {documents} documents" in error["text"]
    assert "corpus" not in read(LOCK.read_text(encoding="utf-8"), str(LOCK)).blocks
    first = build("--allow-code")
    assert first.exit == 0 and counts(first)["calls"] == documents
    assert counts(build())["calls"] == 0
    before = LOCK.read_bytes()
    assert counts(build("--refresh", "corpus"))["calls"] == 0 and LOCK.read_bytes() == before
    with open("specs/docs/fire.md", "a", encoding="utf-8") as file:
        file.write("\nSand stands in red buckets.\n")
    assert "for 1 document," in build().json["errors"][0]["text"]
    assert counts(build("--allow-code"))["calls"] == 1
    edit(PROGRAM, "of the harbour", "of the port")
    assert "program:tools/say.py" in embspec("plan").out
    assert counts(build("--allow-code"))["calls"] == documents


def test_what_was_said_is_read(talking: Path) -> None:
    """The rows carry it, and what ranks them reads it; the lock names the answers, which a reproduction takes."""
    assert build("--allow-code").exit == 0
    block = read(LOCK.read_text(encoding="utf-8"), str(LOCK)).blocks["corpus"]
    text = Objects(os.environ["EMBSPEC_STORE"]).text(digest_of(block.out["documents.jsonl"]))
    assert text
    rows = [json.loads(line) for line in text.splitlines()]
    assert len(rows) > 22 and all(row["context"] == f"{row['title']} of the harbour" for row in rows)
    said = embspec("reproduce", "--stage", "corpus", "--json")  # which runs no command of a spec
    assert said.exit == 0 and said.json["stages"][0]["equal"] is True


def test_lost_answers(talking: Path) -> None:
    """What no store has may be asked for again, and has to be the same, until the lock lets go of it."""
    assert build("--allow-code").exit == 0
    before, was = LOCK.read_bytes(), pinned()
    lost()
    said = build("--refresh", "corpus")
    assert (said.exit, said.codes) == (32, ["nowhere.answers"])
    assert was in said.json["errors"][0]["text"]
    assert build("--refresh", "corpus", "--allow-code").exit == 0 and LOCK.read_bytes() == before
    lost()
    edit(PROGRAM, "of the harbour", "of the port")
    said = build("--allow-code")
    assert (said.exit, said.codes) == (32, ["nowhere.answers"]) and LOCK.read_bytes() == before
    assert embspec("lock", "--upgrade", "corpus.contexts", "-q").exit == 0
    after = build("--allow-code")
    assert after.exit == 0 and counts(after)["calls"] == 0 and pinned() != was  # what was answered just now is kept


def test_a_program_that_falls_over(talking: Path) -> None:
    """Its last words and its log are told, what it answered is kept, and the lock is as it was."""
    assert build("--allow-code").exit == 0
    before = LOCK.read_bytes()
    falling = "    if asked['id'] > 'docs/m': raise SystemExit('no money')\n    print"
    PROGRAM.write_text(CODE.replace("    print", falling), encoding="utf-8")
    said = build("--allow-code")
    (error,) = said.json["errors"]
    assert (said.exit, error["code"]) == (40, "stage.program") and error["text"].endswith("exit code 1: no money")
    assert Path(error["file"]).read_text(encoding="utf-8") == "no money\n" and LOCK.read_bytes() == before
    kept = list(Path(".embspec/asked").rglob("said.jsonl"))
    assert [len(path.read_text(encoding="utf-8").splitlines()) > 3 for path in kept] == [True]
    PROGRAM.write_text(CODE, encoding="utf-8")
    assert counts(build())["calls"] == 0 and LOCK.read_bytes() == before  # the lock's own answers are still those


def test_a_lock_that_cannot_be_written(talking: Path) -> None:
    """Somebody merges meanwhile, and the lock has both sides in it: what was answered is not asked again."""
    merging = CODE + "open('harbour.lock', 'w').write('<<<<<<< ours\\n=======\\n>>>>>>> theirs\\n')\n"
    PROGRAM.write_text(merging, encoding="utf-8")
    said = build("--allow-code")
    assert (said.exit, said.codes) == (12, ["lock.conflict"])
    LOCK.unlink()
    assert counts(build())["calls"] == 0 and not list(Path(".embspec/asked").rglob("*.jsonl"))


def test_a_command_that_is_no_program(talking: Path) -> None:
    """It is told where it stands in the spec."""
    edit(SPEC, f"{sys.executable} tools/say.py", "no-such-program tools/say.py")
    said = build("--allow-code")
    (error,) = said.json["errors"]
    assert (said.exit, error["code"], error["line"]) == (3, "spec.command", 5)


def test_a_lost_snapshot_is_found_with_what_was_answered_then(talking: Path) -> None:
    """Documents moved on, and what the model saw is lost: git has the texts, the store the answers of then."""
    (talking / ".git").rmdir()
    repository = Repository(talking)
    (talking / ".gitignore").write_text("out/\n.embspec/\n", encoding="utf-8")
    assert embspec("build", "--to", "pairs.gold", "--allow-code", "-q").exit == 0
    lock = read(LOCK.read_text(encoding="utf-8"), str(LOCK))
    stands = Lock({**lock.blocks, "train": Block("1")}, lock.envs)  # on which the snapshot stays
    LOCK.write_text(write(stands, [*lock.blocks, "train"]), encoding="utf-8")
    repository.commit("built")
    then, snapshot = pinned(), lock.blocks["snapshot"].pin
    edit(Path("specs/docs/fire.md"), "\n\n", "\n\nSand stands in red buckets. ")
    assert build("--allow-code").exit == 0 and pinned() != then
    repository.commit("edited")
    refresh = ("build", "--to", "pairs.gold", "--refresh", "pairs.gold", "--json")
    for answers in (True, False):
        for text in (snapshot["documents.jsonl"], snapshot["manifest"], *(() if answers else (then,))):
            os.remove(Objects(os.environ["EMBSPEC_STORE"]).path(digest_of(text)))
        said = embspec(*refresh)
        assert read(LOCK.read_text(encoding="utf-8"), str(LOCK)).blocks["snapshot"].pin == snapshot
        if answers:
            assert said.exit == 0
        else:
            assert (said.exit, set(said.codes)) == (32, {"nowhere.artefact"})
            assert "say.py` answered about the older documents is not there" in said.json["errors"][0]["text"]
