"""A folder is what the lock names, or every file that is not is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from embspec.errors import CORRUPT, USAGE, EmbspecError
from embspec.plan.values import Block, digest_of
from embspec.serve.fetch import bring
from embspec.serve.verify import verify
from tests.support.shelves import MODEL, ONNX, Shelf, adopt, emptied, index, lay, shelf


@pytest.fixture
def here(tmp_path: Path) -> Shelf:
    """A store and a lock."""
    return shelf(tmp_path / "objects")


@pytest.fixture
def published(here: Shelf, tmp_path: Path) -> Path:
    """A model folder as a build publishes it."""
    beside = {f"onnx/{name}": text for name, text in ONNX.items()}
    return lay(tmp_path / "model", {**MODEL, **beside, "golden.safetensors": "golden", "README.md": "a card"})


def wrong(folder: Path, here: Shelf) -> dict[str, str]:
    """What is said of each file."""
    with pytest.raises(EmbspecError) as caught:
        verify(str(folder), here.blocks, here.objects)
    assert caught.value.exit == CORRUPT
    assert caught.value.problems[-1].fix
    return {str(Path(p.where.file).relative_to(folder)): p.text for p in caught.value.problems if p.where}


def test_a_model_that_is_the_locks(here: Shelf, published: Path) -> None:
    """As published, as brought, and without what may lie beside it; the card is noted, not checked."""
    found = verify(str(published), here.blocks, here.objects)
    assert (found.kind, found.files, found.digest) == ("model", 8, digest_of(here.roles["train/model"]))
    assert len(found.notes) == 1 and "README.md" in found.notes[0]
    got = bring("model", here.roles, here.objects, str(published.parent / "got"))
    assert verify(got.folder, here.blocks, here.objects).notes == ()
    (published / ".DS_Store").write_text("x", encoding="utf-8")
    assert verify(str(published), here.blocks, here.objects).files == 8


def test_everything_that_is_wrong_with_a_model_at_once(here: Shelf, published: Path) -> None:
    """Tampered, missing and extra files, in the model and beside it."""
    lay(published, {"model.safetensors": "weighty", "extra.py": "import os", "onnx/model.onnx": "other",
                    "golden.safetensors": "brass", "onnx/more.onnx": ""})
    (published / "1_Pooling" / "config.json").unlink()
    (published / "onnx" / "model_quantized.onnx").unlink()
    found = wrong(published, here)
    assert {path: text.split(" (")[0] for path, text in found.items()} == {
        "model.safetensors": "has other bytes than the lock names",
        "extra.py": "is not part of what the lock names",
        "1_Pooling/config.json": "is missing",
        "onnx/model.onnx": "has other bytes than the lock names",
        "onnx/more.onnx": "is not part of what the lock names",
        "onnx/model_quantized.onnx": "is missing",
        "golden.safetensors": "has other bytes than the lock names",
    }


@pytest.mark.parametrize("name", sorted(MODEL))
def test_one_changed_byte_is_seen(here: Shelf, published: Path, name: str) -> None:
    """In any file of the model."""
    text = (published / name).read_text(encoding="utf-8")
    (published / name).write_text(text[:-1] + chr(ord(text[-1]) ^ 1), encoding="utf-8")
    assert list(wrong(published, here)) == [name]


def test_the_lock_alone_is_enough(here: Shelf, published: Path) -> None:
    """Without a store a whole folder is still proved; of a broken one it is said that which file cannot be said."""
    bare = emptied(here)
    assert verify(str(published), bare.blocks, bare.objects).files == 8
    lay(published, {"config.json": "{ }"})
    assert "which of them differ cannot be said" in wrong(published, bare)["."]


def test_what_the_lock_does_not_name_may_not_lie_there(here: Shelf, published: Path) -> None:
    """ONNX of a lock that exports none is an extra, and so are golden vectors."""
    less = Shelf(here.objects, {**here.blocks, "export": Block()})
    assert sorted(wrong(published, less)) == ["golden.safetensors", "onnx/model.onnx", "onnx/model_quantized.onnx"]


def test_onnx_alone(here: Shelf, tmp_path: Path) -> None:
    """As `get --what onnx` brings it."""
    folder = lay(tmp_path / "onnx", ONNX)
    assert verify(str(folder), here.blocks, here.objects).kind == "onnx"
    lay(folder, {"model.onnx": "other"})
    assert list(wrong(folder, here)) == ["model.onnx"]


def test_an_index(here: Shelf, tmp_path: Path) -> None:
    """By the lock's tree and by its own manifest."""
    folder = lay(tmp_path / "index", index(digest_of(here.roles["train/model"])))
    assert verify(str(folder), here.blocks, here.objects).kind == "index"
    lay(folder, {"vectors/000.safetensors": "other", "rows/001.jsonl": ""})
    (folder / "rows" / "000.jsonl").unlink()
    assert {path: text.split(":")[0] for path, text in wrong(folder, here).items()} == {
        "vectors/000.safetensors": "has other bytes than the manifest says",
        "rows/000.jsonl": "is missing", "rows/001.jsonl": "is not part of what the lock names"}
    bare = emptied(here)
    found = wrong(folder, bare)
    assert found["vectors/000.safetensors"] == "has other bytes than the manifest says"
    assert found["rows/000.jsonl"] == "is missing: the manifest names it"


def test_an_index_of_another_model_is_refused(here: Shelf, tmp_path: Path) -> None:
    """Whole in itself, and of no use beside this model: the sentence names both."""
    other, model = "tree sha256:" + "e" * 64, digest_of(here.roles["train/model"])
    folder = lay(tmp_path / "index", index(other))
    found = wrong(folder, here)["manifest.json"]
    assert "eeeeeeeeeeee…" in found and model.rpartition(":")[2][:12] in found
    mixed = Shelf(here.objects, {**here.blocks, "index": Block(out={"index": adopt(here.objects, index(other))})})
    assert list(wrong(folder, mixed)) == ["manifest.json"]


def test_the_last_green_index_beside_a_red_model(here: Shelf, tmp_path: Path) -> None:
    """While a gate is red the lock keeps the index of the last green build: that folder is what it names."""
    files = index("tree sha256:" + "e" * 64)
    red = Shelf(here.objects, {**here.blocks, "gates": Block(stat={"verdict": "red"}),
                               "index": Block(out={"index": adopt(here.objects, files)})})
    folder = lay(tmp_path / "index", files)
    (note,) = verify(str(folder), red.blocks, red.objects).notes
    assert "last green build" in note and "red" in note
    lay(folder, {"retrieval.json": "[]"})
    assert sorted(wrong(folder, red)) == ["manifest.json", "retrieval.json"]


def test_a_broken_manifest(here: Shelf, tmp_path: Path) -> None:
    """It is one more wrong file, not another kind of error."""
    folder = lay(tmp_path / "index", index(digest_of(here.roles["train/model"])))
    for text in ("{", "[]", json.dumps({"model": "x"})):
        lay(folder, {"manifest.json": text})
        assert list(wrong(folder, here)) == ["manifest.json"]


def test_what_is_no_folder_of_ours(here: Shelf, tmp_path: Path) -> None:
    """No folder, a folder of other things, a lock that names no model: usage, with what to do."""
    lay(tmp_path / "other", {"a": ""})
    lay(tmp_path / "model", MODEL)
    for folder, blocks in (("nowhere", here.blocks), ("other", here.blocks), ("model", {})):
        with pytest.raises(EmbspecError) as caught:
            verify(str(tmp_path / folder), blocks, here.objects)
        assert caught.value.exit == USAGE and caught.value.problems[0].fix
