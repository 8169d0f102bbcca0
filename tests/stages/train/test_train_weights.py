"""The folder that is the model: the base's files with trained weights."""
from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from embspec.stages.train import weights
from embspec.stages.train.model import GroupedModel, load
from tests.support.tiny import pooling, tiny_static, tiny_transformer


def moved(model: GroupedModel) -> GroupedModel:
    """The model after a training that only adds a quarter to each weight."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.25)
    return model


def write(base: Path, out: Path, share: float | None = None) -> Path:
    """The folder of a model whose weights have moved."""
    weights.write(moved(load(base)), base, out, share)
    return out


def test_only_weights_differ_from_the_base(tmp_path: Path) -> None:
    """Every file is there with the same bytes, except the weights, which keep names and shapes."""
    for kind, file in ((tiny_transformer, "model.safetensors"), (tiny_static, "0_StaticEmbedding/model.safetensors")):
        base = kind(tmp_path / kind.__name__ / "base")
        out = write(base, tmp_path / kind.__name__ / "out")
        names = sorted(str(path.relative_to(base)) for path in base.rglob("*") if path.is_file())
        assert names == sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
        assert [name for name in names if (base / name).read_bytes() != (out / name).read_bytes()] == [file]
        old, new = load_file(base / file), load_file(out / file)
        assert old.keys() == new.keys()
        for name in old:
            assert np.array_equal(new[name], old[name] + np.float32(0.25)), name
        with safe_open(out / file, "np") as tensors:
            assert len(tensors.metadata() or {}) <= 1


def test_a_base_that_may_only_be_read(tmp_path: Path) -> None:
    """A folder of read-only files is copied into one whose files anybody may read and their owner write."""
    base = tiny_transformer(tmp_path / "base")
    for path in base.rglob("*"):
        if path.is_file():
            path.chmod(0o444)
    mask = os.umask(0o077)
    try:
        out = write(base, tmp_path / "out")
    finally:
        os.umask(mask)
    assert {path.stat().st_mode & 0o777 for path in out.rglob("*") if path.is_file()} == {0o644}


def test_a_share_of_the_base(tmp_path: Path) -> None:
    """Seven tenths of the model and three of the base, computed in double precision."""
    base = tiny_static(tmp_path / "base")
    out = write(base, tmp_path / "out", 0.7)
    file = "0_StaticEmbedding/model.safetensors"
    old = load_file(base / file)["embedding.weight"]
    new = old + np.float32(0.25)
    mean = (0.7 * new.astype(np.float64) + (1 - 0.7) * old.astype(np.float64)).astype(np.float32)
    assert np.array_equal(load_file(out / file)["embedding.weight"], mean)


def test_half_precision_becomes_float32(tmp_path: Path) -> None:
    """A base in float16 is trained and written in float32, and its config says so."""
    base = tiny_transformer(tmp_path / "base")
    half = {name: one.astype(np.float16) for name, one in load_file(base / "model.safetensors").items()}
    save_file(half, base / "model.safetensors", {"format": "pt"})
    config = json.loads((base / "config.json").read_text())
    del config["torch_dtype"]
    (base / "config.json").write_text(json.dumps(config | {"dtype": "float16"}))
    model = load(base)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    out = tmp_path / "out"
    weights.write(model, base, out, None)
    written = load_file(out / "model.safetensors")
    assert {str(one.dtype) for one in written.values()} == {"float32"}
    assert all(np.array_equal(written[name], half[name].astype(np.float32)) for name in half)
    assert json.loads((out / "config.json").read_text()) == config | {"dtype": "float32"}


def test_names_of_a_head_and_what_has_no_weights_stay(tmp_path: Path) -> None:
    """A file that writes `bert.` before its names keeps them; the head and whole numbers are the base's."""
    base = tiny_transformer(tmp_path / "base")
    old = load_file(base / "model.safetensors")
    named = {f"bert.{name}": one for name, one in old.items()}
    named["bert.embeddings.position_ids"] = np.arange(512, dtype=np.int64)[None]
    named["cls.predictions.bias"] = np.ones(7, np.float32)
    save_file(named, base / "model.safetensors", {"format": "pt"})
    new = load_file(write(base, tmp_path / "out") / "model.safetensors")
    assert new.keys() == named.keys()
    assert np.array_equal(new["bert.embeddings.position_ids"], named["bert.embeddings.position_ids"])
    assert np.array_equal(new["cls.predictions.bias"], named["cls.predictions.bias"])
    name = "encoder.layer.0.output.dense.weight"
    assert np.array_equal(new[f"bert.{name}"], old[name] + np.float32(0.25))


def test_what_the_base_does_not_name_is_not_trained(tmp_path: Path) -> None:
    """A pooler that the file lacks is frozen, everything that it has is trained."""
    base = tiny_transformer(tmp_path / "base")
    kept = {name: one for name, one in load_file(base / "model.safetensors").items() if "pooler" not in name}
    save_file(kept, base / "model.safetensors", {"format": "pt"})
    model = load(base)
    weights.freeze_unwritten(model, base)
    frozen = {name for name, one in model.named_parameters() if not one.requires_grad}
    assert len(frozen) == 2 and all("pooler" in name for name in frozen)


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    """Weights that were kept are taken again bit by bit."""
    model = load(tiny_transformer(tmp_path / "base"))
    before = {name: one.clone() for name, one in model.state_dict().items()}
    weights.keep(model, tmp_path / "kept")
    moved(model)
    weights.bring_back(model, tmp_path / "kept")
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())


def test_the_model_is_all_that_the_folder_says(tmp_path: Path) -> None:
    """Pooling, prompts, length and similarity of the folder are those of the model in training."""
    from sentence_transformers import SentenceTransformer

    base = tiny_transformer(tmp_path / "base")
    pooling("cls", base)
    path = base / "config_sentence_transformers.json"
    said = {"prompts": {"query": "search: ", "document": ""}, "similarity_fn_name": "dot"}
    path.write_text(json.dumps(json.loads(path.read_text()) | said))
    model, plain = load(base), SentenceTransformer(str(base), device="cpu")
    assert (model.prompts["query"], model.similarity_fn_name) == ("search: ", "dot")
    assert model.max_seq_length == plain.max_seq_length == 64
    for name in ("query", "document"):
        one, other = (each.encode(["the pump is broken"], prompt_name=name) for each in (model, plain))
        assert np.array_equal(one, other)


@pytest.mark.parametrize("share", [None, 0.5])
def test_the_folder_loads_with_the_same_vectors(tmp_path: Path, share: float | None) -> None:
    """sentence-transformers reads the written folder without a word and gives the vectors of the model in memory."""
    from sentence_transformers import SentenceTransformer

    texts = ["the pump is broken", "oil", "where is the key"]
    for kind in (tiny_transformer, tiny_static):
        base = kind(tmp_path / kind.__name__)
        model = moved(load(base))
        weights.write(model, base, tmp_path / f"{kind.__name__}-out", share)
        opened = SentenceTransformer(str(tmp_path / f"{kind.__name__}-out"), device="cpu")
        if share is not None:
            with torch.no_grad():
                for own in model.parameters():
                    own.sub_(0.125)
        assert np.abs(opened.encode(texts) - model.encode(texts)).max() < 1e-6
