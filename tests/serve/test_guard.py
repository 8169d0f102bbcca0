"""What a service asks before it answers."""
from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from embspec.errors import REFUSED, EmbspecError
from embspec.serve.guard import check_endpoint, golden, guard
from embspec.serve.manifest import manifest, model_digest
from embspec.store.objects import Objects
from tests.support.tiny import tiny_static


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A published model folder, with what is published beside the model."""
    folder = tiny_static(tmp_path / "model")
    (folder / "README.md").write_text("a card")
    (folder / "golden.safetensors").write_bytes(b"golden")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"graph")
    (folder / ".DS_Store").write_bytes(b"left by a file manager")
    return folder


def index(folder: Path, model: str, **more: Any) -> Path:
    """An index folder that names this model."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {
        "model": model, "corpus": "sha256:" + "0" * 64, "recipe": 1, "prompts": {"query": "q: ", "document": ""},
        "dim": 64, "precision": "float32", "count": 2, "reindex": "sha256:" + "1" * 64,
        "shards": [{"file": "rows/000.jsonl", "sha256": "ab", "rows": 2}], **more,
    }
    (folder / "manifest.json").write_text(json.dumps(found))
    (folder / "retrieval.json").write_text(json.dumps({"dim": 64, "prompts": {"query": "q: "}}))
    return folder


def test_the_digest_is_the_stores(tmp_path: Path, model: Path) -> None:
    """A folder's digest is what the lock says of the tree that was published there."""
    plain = tiny_static(tmp_path / "plain")
    (tmp_path / "store" / "tmp").mkdir(parents=True)
    adopted = Objects(str(tmp_path / "store")).adopt(str(plain))
    assert model_digest(str(model)) == adopted.rsplit(" ", 1)[0]


def test_an_index_of_this_model_is_opened(tmp_path: Path, model: Path) -> None:
    """Three lines: the model, its index, and how to ask it."""
    served = guard(index(tmp_path / "index", model_digest(str(model))), model)
    assert served.retrieval["prompts"]["query"] == "q: "
    assert served.manifest.rows == 2
    assert served.manifest.shards[0].file == "rows/000.jsonl"


@pytest.mark.parametrize("file", ["0_StaticEmbedding/model.safetensors", "0_StaticEmbedding/tokenizer.json",
                                  "config_sentence_transformers.json", "modules.json"])
def test_another_model_is_refused(tmp_path: Path, model: Path, file: str) -> None:
    """Weights, tokenizer or prompts that changed give other vectors: the index is not asked with them."""
    folder = index(tmp_path / "index", model_digest(str(model)))
    with open(model / file, "ab") as changed:
        changed.write(b" ")
    with pytest.raises(EmbspecError) as caught:
        guard(folder, model)
    assert caught.value.problems[0].code == "guard.model"
    assert caught.value.exit == REFUSED
    assert str(folder) in str(caught.value) and str(model) in str(caught.value)


def test_a_file_more_is_another_model(tmp_path: Path, model: Path) -> None:
    """A folder that is not the one that was built is not believed to be it."""
    folder = index(tmp_path / "index", model_digest(str(model)))
    (model / "adapter.safetensors").write_bytes(b"more")
    with pytest.raises(EmbspecError, match="another model"):
        guard(folder, model)


def test_a_folder_without_a_model_says_so(tmp_path: Path, model: Path) -> None:
    """The wrong folder is told from the wrong model."""
    folder = index(tmp_path / "index", model_digest(str(model)))
    with pytest.raises(EmbspecError) as caught:
        guard(folder, tmp_path)
    assert caught.value.problems[0].code == "input.model"


def test_a_folder_without_an_index_says_so(tmp_path: Path, model: Path) -> None:
    """A missing manifest is an error with what to do, not a traceback."""
    with pytest.raises(EmbspecError) as caught:
        guard(tmp_path, model)
    assert caught.value.problems[0].code == "input.manifest"


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"shards": 3}', "\xff"])
def test_a_broken_manifest_says_where(tmp_path: Path, text: str) -> None:
    """A manifest that was cut or edited names its file."""
    (tmp_path / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(EmbspecError) as caught:
        manifest(str(tmp_path))
    problem = caught.value.problems[0]
    assert problem.code == "input.manifest"
    assert problem.where is not None and problem.where.file == str(tmp_path / "manifest.json")


def test_a_linked_folder_is_the_same_model(tmp_path: Path, model: Path) -> None:
    """A service that serves through a link, as deployments do, is not refused."""
    (tmp_path / "current").symlink_to(model)
    assert model_digest(str(tmp_path / "current")) == model_digest(str(model))


def test_the_folders_name_is_not_the_model(tmp_path: Path, model: Path) -> None:
    """A copy elsewhere is the same model."""
    shutil.copytree(model, tmp_path / "elsewhere")
    assert model_digest(str(tmp_path / "elsewhere")) == model_digest(str(model))


@pytest.fixture
def expected(model: Path) -> Path:
    """Golden vectors of three texts, one of them without a known word."""
    vectors = np.array([[1, 0], [0, 2], [0, 0]], np.float32)
    save_file({"vectors": vectors}, model / "golden.safetensors", {"texts": json.dumps(["d: a", "d: b", ""])})
    return model


def test_an_endpoint_that_serves_the_model_passes(expected: Path) -> None:
    """Texts are sent as they are, and lengths do not matter: an endpoint may normalise."""
    sent: list[str] = []

    def encode(texts: list[str]) -> list[list[float]]:
        sent.extend(texts)
        return [[0.5, 0.0], [0.001, 1.0], [0.0, 0.0]]

    worst = check_endpoint(encode, golden(expected))
    assert sent == ["d: a", "d: b", ""]
    assert 0.999 < worst < 1.0


@pytest.mark.parametrize(("vectors", "said"), [
    ([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]], "'d: b'"),
    ([[1.0, 0.0], [0.0, 1.0]], "2 vectors for 3 texts"),
    ([[1.0], [1.0], [0.0]], "1 dimensions"),
    ([[float("nan"), 0.0], [0.0, 1.0], [0.0, 0.0]], "'d: a'"),
    ([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], "''"),
    ([[0.0, 0.0], [0.0, 1.0], [0.0, 0.0]], "'d: a'"),
])
def test_another_endpoint_is_refused(expected: Path, vectors: list[list[float]], said: str) -> None:
    """Another model, order, prompt or pooling is found before it answers anybody."""
    with pytest.raises(EmbspecError) as caught:
        check_endpoint(lambda texts: vectors, golden(expected))
    assert caught.value.problems[0].code == "guard.endpoint"
    assert said in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"no tensors here"])
def test_golden_vectors_that_are_not_there(model: Path, content: bytes | None) -> None:
    """A folder without golden vectors, or with something else under their name, says so."""
    path = model / "golden.safetensors"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EmbspecError) as caught:
        golden(model)
    assert caught.value.problems[0].code == "input.golden"


def test_the_digest_is_that_of_a_plain_listing(model: Path) -> None:
    """The listing behind the digest is the one `sha256sum` would give."""
    lines = []
    for path in sorted(p for p in model.rglob("*") if p.is_file()):
        name = path.relative_to(model).as_posix()
        if name not in ("README.md", "golden.safetensors", "onnx/model.onnx", ".DS_Store"):
            data = path.read_bytes()
            lines.append(f"{hashlib.sha256(data).hexdigest()} {len(data)} {name}\n")
    assert model_digest(str(model)) == f"tree sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"
