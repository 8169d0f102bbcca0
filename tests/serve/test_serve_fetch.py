"""What a lock names comes into a folder: complete, or not there at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from embspec.errors import CORRUPT, NOWHERE, USAGE, EmbspecError
from embspec.plan.keys import ingredients, key
from embspec.plan.nodes import expand
from embspec.plan.plan import Recipes
from embspec.plan.protocol import Stage
from embspec.plan.values import Block, Record, digest_of
from embspec.serve.fetch import WHAT, bring, default_folder, pages
from tests.support.shelves import MODEL, ONNX, Shelf, adopt, emptied, lay, shelf


@pytest.fixture
def here(tmp_path: Path) -> Shelf:
    """A store and a lock."""
    return shelf(tmp_path / "objects")


def held(folder: Path) -> dict[str, str]:
    """What lies in a folder."""
    return {str(p.relative_to(folder)): p.read_text(encoding="utf-8") for p in folder.rglob("*") if p.is_file()}


def test_each_thing_that_can_be_asked_for(here: Shelf, tmp_path: Path) -> None:
    """The model with its golden vectors, its ONNX, its index: their files, writable, and nothing else."""
    expected = {"model": {**MODEL, "golden.safetensors": "golden"}, "onnx": ONNX}
    for what, files in expected.items():
        got = bring(what, here.roles, here.objects, str(tmp_path / what))
        assert held(tmp_path / what) == files
        assert (got.files, got.bytes, got.fresh) == (len(files), sum(map(len, files.values())), True)
        assert all(os.access(p, os.W_OK) and p.stat().st_mode & 0o777 == 0o644
                   for p in (tmp_path / what).rglob("*") if p.is_file())
    assert set(held(Path(bring("index", here.roles, here.objects, str(tmp_path / "deep" / "index")).folder))) == {
        "manifest.json", "retrieval.json", "rows/000.jsonl", "vectors/000.safetensors"}


def test_a_folder_that_is_there(here: Shelf, tmp_path: Path) -> None:
    """The same bytes are fine, an empty folder is filled, anything else stays as it is and is refused."""
    folder = tmp_path / "model"
    folder.mkdir()
    assert bring("model", here.roles, here.objects, str(folder)).fresh
    assert not bring("model", here.roles, here.objects, str(folder)).fresh
    for more in ({"config.json": "{ }"}, {"other": ""}):
        lay(folder, more)
        before = held(folder)
        with pytest.raises(EmbspecError) as caught:
            bring("model", here.roles, here.objects, str(folder))
        assert caught.value.exit == USAGE and held(folder) == before
        lay(folder, {"config.json": "{}"})
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(EmbspecError):
        bring("model", here.roles, here.objects, str(tmp_path / "file"))
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


def test_what_the_store_lacks_is_said_at_once(here: Shelf, tmp_path: Path) -> None:
    """Each file by its digest, and what to do, here and for an older revision; no folder is left behind."""
    folder = tmp_path / "to" / "model"
    digests = [f"sha256:{d}" for d in _shas(here, "train/model")]
    for digest in digests[:2]:
        Path(here.objects.path(digest)).unlink()
    with pytest.raises(EmbspecError) as caught:
        bring("model", here.roles, here.objects, str(folder))
    assert caught.value.exit == NOWHERE and len(caught.value.problems) == 2
    assert all(any(d in p.text for p in caught.value.problems) for d in digests[:2])
    assert "leave out --no-run" in str(caught.value)
    with pytest.raises(EmbspecError) as caught:
        bring("index", emptied(here).roles, here.objects, str(folder), "v1")
    assert caught.value.exit == NOWHERE and "built again as of v1" in str(caught.value)
    assert not (tmp_path / "to").exists()


def _shas(here: Shelf, role: str) -> list[str]:
    text = here.objects.text(digest_of(here.roles[role]))
    assert text
    return sorted({line.split(" ")[0] for line in text.splitlines()})


def test_a_corrupt_object_leaves_no_folder(here: Shelf, tmp_path: Path) -> None:
    """Copied and verified beside the place; what was half done is gone."""
    path = Path(here.objects.path(f"sha256:{_shas(here, 'train/model')[-1]}"))
    path.chmod(0o644)
    path.write_text("other", encoding="utf-8")
    (tmp_path / "to").mkdir()
    with pytest.raises(EmbspecError) as caught:
        bring("model", here.roles, here.objects, str(tmp_path / "to" / "model"))
    assert caught.value.exit == CORRUPT
    assert list((tmp_path / "to").iterdir()) == []


def test_a_lock_that_names_no_such_thing(here: Shelf, tmp_path: Path) -> None:
    """A spec without a model has no model to bring; golden vectors may lack."""
    less = {role: text for role, text in here.roles.items() if not role.startswith("export/")}
    bring("model", less, here.objects, str(tmp_path / "model"))
    assert held(tmp_path / "model") == MODEL
    with pytest.raises(EmbspecError) as caught:
        bring("onnx", less, here.objects, str(tmp_path / "onnx"), "v1")
    assert caught.value.exit == USAGE and "the lock of v1 names no onnx" in str(caught.value)


def test_default_folders() -> None:
    """A name a person recognises, whatever the revision is called."""
    assert default_folder("handbook", "model", "") == "handbook-model"
    assert default_folder("handbook", "index", "origin/main~2") == "handbook-index-origin-main-2"
    assert default_folder("handbook", "model", "specs/old.lock") == "handbook-model-specs-old.lock"
    assert list(WHAT) == ["model", "onnx", "index", "report"]


REPORT = Stage(name="report", recipe=2, params=("name",), makes=("report.md", "report.json"), make="",
               needs=lambda params, names: tuple(r for r in ("evaluate/scores", "snapshot/manifest") if
                                                 r.split("/")[0] in names), locked=False)
RECIPES = Recipes({}, {})


def test_a_report_is_found_by_what_it_was_written_from(here: Shelf) -> None:
    """It has no block in the lock: its record has the same parameters and the lock's artefacts."""
    nodes = expand([Stage(name="snapshot", recipe=1, params=(), makes=("manifest",), make=""),
                    Stage(name="evaluate", recipe=1, params=(), makes=("scores",), make=""), REPORT], {"name": "a"})
    blocks = {"snapshot": Block(pin={"definition": "x", "manifest": "sha256:1 2"}),
              "evaluate": Block(out={"scores": "sha256:3 4"})}
    needs = {"evaluate/scores": "sha256:3", "snapshot/manifest": "sha256:1"}
    said = ingredients("report", "2", {}, {"name": "a"}, {}, needs, {})
    outs = {"report.md": adopt(here.objects, "page"), "report.json": adopt(here.objects, "{}")}
    known = {key(said): [Record(said, "2", {}, {}, outs, {}, {})]}
    found = pages(nodes, blocks, lambda k: known.get(k, []), RECIPES, "")
    assert found == {f"report/{name}": text for name, text in outs.items()}
    other = {**blocks, "evaluate": Block(out={"scores": "sha256:5 4"})}
    with pytest.raises(EmbspecError) as caught:
        pages(nodes, other, lambda k: known.get(k, []), RECIPES, "v1")
    assert caught.value.exit == NOWHERE and "v1" in str(caught.value)
