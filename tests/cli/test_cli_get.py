"""What a lock names, from the command line: into a folder, the work tree untouched."""
from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from embspec.errors import CORRUPT, NOWHERE, USAGE
from embspec.lock.text import Lock, read, write
from tests.support.command import embspec
from tests.support.harbour import LOCK, SPEC, edit, tree
from tests.support.repository import Repository
from tests.support.shelves import MODEL, Shelf, shelf


@pytest.fixture
def shipped(built: Path) -> Shelf:
    """The project after a build, its lock naming a model, ONNX and an index too: in git, and moved on since."""
    (built / ".git").rmdir()
    repo = Repository(built)
    here = shelf(Path(os.environ["EMBSPEC_STORE"]))
    lock = read(LOCK.read_text(encoding="utf-8"), str(LOCK))
    made = {name: block for name, block in here.blocks.items() if name != "gates"}
    blocks = {**lock.blocks, **made}
    LOCK.write_text(write(Lock(blocks, lock.envs), list(blocks)), encoding="utf-8")
    repo.commit("shipped")
    repo.git("tag", "v1")
    edit(LOCK, blocks["train"].out["model"], "tree sha256:" + "0" * 64 + " 9")
    repo.commit("another model")
    return here


def test_a_model_of_a_revision(shipped: Shelf) -> None:
    """By tag and by lock file, in a folder of that name or another; work tree, lock and out/ stay as they are."""
    before = tree(Path("specs")), tree(Path("out"))
    said = embspec("get", "v1")
    assert (said.exit, said.out) == (0, "harbour-model-v1\n")
    held = {name: data.decode() for name, data in tree(Path("harbour-model-v1")).items()}
    assert held == {**MODEL, "golden.safetensors": "golden"}
    assert embspec("get", SPEC, "v1", "-o", "there/m", "-q").err == "" and tree(Path("there/m")) == tree(
        Path("harbour-model-v1"))
    assert "it lay there already" in embspec("get", "v1").err
    assert (tree(Path("specs")), tree(Path("out"))) == before
    found = embspec("get", "v1", "--what", "index", "--json").json
    assert (found["exit"], found["what"], found["folder"], found["files"], found["fresh"]) == (
        0, "index", "harbour-index-v1", 4, True)


def test_what_the_store_lacks(shipped: Shelf) -> None:
    """The lock of the work tree names a model that nobody has, nor a spec that makes one: 32, and no folder."""
    said = embspec("get", "--json", "--no-run")
    assert (said.exit, said.codes) == (NOWHERE, ["nowhere.object"])
    assert "0" * 64 in said.json["errors"][0]["text"] and not Path("harbour-model").exists()
    said = embspec("get", "--json")
    assert (said.exit, said.codes) == (NOWHERE, ["nowhere.spec"])
    assert "this spec has no stage `export`" in said.json["errors"][0]["text"] and not Path("harbour-model").exists()
    assert embspec("get", "nowhere").exit == USAGE
    assert embspec("get", "v1", "more").exit == USAGE
    Path("taken").mkdir()
    Path("taken/mine").write_text("mine", encoding="utf-8")
    assert embspec("get", "v1", "-o", "taken").exit == USAGE and list(tree(Path("taken"))) == ["mine"]


def test_the_report(shipped: Shelf) -> None:
    """Today's is what lies in out/; an older one is what was published then, whatever the spec says now."""
    then = tree(Path("out/harbour/report"))
    assert embspec("get", "--what", "report", "-o", "now").exit == 0 and tree(Path("now")) == then
    edit(SPEC, "  - recall@10 of bm25 >= 0.5\n", "  - recall@10 of bm25 >= 0.4\n")
    edit(SPEC, "embspec: 1\n", "embspec: 1\nversion: 2.0.0\n")
    said = embspec("get", "--what", "report")
    assert said.exit == NOWHERE and "embspec build" in said.err
    assert embspec("get", "--what", "report", "v1", "-o", "old").exit == 0 and tree(Path("old")) == then


def test_a_lock_that_names_no_model(built: Path) -> None:
    """A spec without a model: usage, saying what there is."""
    said = embspec("get")
    assert said.exit == USAGE and "names no model" in said.err


def test_a_folder_is_verified(shipped: Shelf) -> None:
    """Against the lock of the revision it came from; a byte, a file more, another lock: 50 naming each."""
    embspec("get", "v1", "-o", "m")
    said = embspec("verify", "m", "v1", SPEC)
    assert said.exit == 0 and said.out.startswith("m: 5 files are what the lock names (model tree sha256:")
    found = embspec("verify", "m", "v1", "--json").json
    assert (found["exit"], found["kind"], found["files"], found["notes"]) == (0, "model", 5, [])
    Path("m/config.json").write_text("{ }", encoding="utf-8")
    Path("m/more.bin").write_bytes(b"")
    said = embspec("verify", "m", "v1", "--json")
    assert (said.exit, said.codes) == (CORRUPT, ["corrupt.file"] * 2)
    assert [error["file"] for error in said.json["errors"]] == ["m/config.json", "m/more.bin"]
    shutil.rmtree("m")
    embspec("get", "v1", "-o", "m")
    assert embspec("verify", "m").exit == CORRUPT
    assert embspec("verify").exit == embspec("verify", "docs-that-are-not").exit == USAGE


def test_an_index_is_verified_with_its_model(shipped: Shelf) -> None:
    """Whole, it is still refused beside a lock whose model is another."""
    embspec("get", "v1", "--what", "index", "-o", "i")
    assert embspec("verify", "i", "v1").exit == 0
    said = embspec("verify", "i")
    assert said.exit == CORRUPT and "vectors of two models cannot be compared" in said.err
    manifest = json.loads(Path("i/manifest.json").read_text(encoding="utf-8"))
    Path("i", manifest["shards"][0]["file"]).write_bytes(b"other")
    assert "other bytes than the manifest says" in embspec("verify", "i", "v1").err
