"""The portable folder in sentence-transformers: the vectors of its source, and not a word of warning."""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.bases import hub, params, portable, said
from tests.support.tiny import HIDDEN, pooling, tiny_static, tiny_transformer

TEXTS = ["the pump is broken", "how do I restart the engine of the boat?", "", "Invoice number 7, page two " * 30, "ü"]
WORDLLAMA = {"weights": "package:wordllama/weights/l2_supercat_256.safetensors",
             "tokenizer": "package:wordllama/tokenizers/l2_supercat_tokenizer_config.json"}


def model(folder: Path | str, **more: Any) -> Any:
    """A model, loaded on one core."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what importing says is the libraries' own business
        from sentence_transformers import SentenceTransformer
    return SentenceTransformer(str(folder), device="cpu", **more)


def vectors(model: Any, texts: Sequence[str] = TEXTS) -> NDArray[np.float32]:
    """Queries and documents."""
    both = [model.encode_query(list(texts)), model.encode_document(list(texts))]
    return np.concatenate(both)


def same(source: Any, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The folder loads without a warning, and gives the vectors of its source."""
    expected = vectors(source)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        found = vectors(model(folder))
    assert [record.message for record in caplog.records] == []
    assert found.dtype == np.float32 and found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-6
    assert np.abs(found).max() > 0.01


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    """A tiny transformer beside a spec."""
    return tiny_transformer(tmp_path / "bert")


@pytest.mark.parametrize("mode", ["mean", "cls+max"])
def test_a_folder(bert: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: str) -> None:
    """Whatever its pooling."""
    pooling(mode, bert)
    same(model(bert), portable(tmp_path, params("./bert"), tmp_path / "out"), caplog)


def test_a_folder_saved_by_the_newest_version(bert: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """New names of modules and keys come back to the old ones, with a dense layer between them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.base.modules import Dense
    loaded = model(bert)
    source = SentenceTransformer(
        modules=[loaded[0], loaded[1], Dense(HIDDEN, 12, bias=False), loaded[2]], device="cpu",
        prompts={"query": "the question: ", "document": "page: "}, similarity_fn_name="dot")
    source.max_seq_length = 20
    source.save(str(tmp_path / "new"))
    assert "base.modules" in (tmp_path / "new" / "modules.json").read_text(encoding="utf-8")
    out = portable(tmp_path, params("./new"), tmp_path / "out")
    assert [row["type"].rpartition(".")[0] for row in said(out, "modules.json")] == ["sentence_transformers.models"] * 4
    assert said(out, "sentence_bert_config.json") == {"max_seq_length": 20, "do_lower_case": False}
    assert {"dtype", "backend"}.isdisjoint({**said(out, "config.json"), **said(out, "tokenizer_config.json")})
    same(source, out, caplog)


def test_a_table_saved_by_the_newest_version(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It lies in the root there, and in a folder of its own here."""
    source = model(tiny_static(tmp_path / "table"))
    source.save(str(tmp_path / "new"))
    assert (tmp_path / "new" / "tokenizer.json").exists()
    same(source, portable(tmp_path, params("./new"), tmp_path / "out"), caplog)


def test_a_folder_of_plain_transformers(bert: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Mean pooling and no normalisation, as it would be loaded with."""
    for name in ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"):
        (bert / name).unlink()
    shutil.rmtree(bert / "1_Pooling")
    caplog.set_level(logging.ERROR)
    source = model(bert)
    out = portable(tmp_path, params("./bert"), tmp_path / "out")
    assert [row["path"] for row in said(out, "modules.json")] == ["", "1_Pooling"]
    assert said(out, "sentence_bert_config.json")["max_seq_length"] == source.max_seq_length == 512
    same(source, out, caplog)


def test_the_hub(bert: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """From links into the cache, offline."""
    hub(tmp_path / "hub", bert, "a" * 40)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    same(model(bert), portable(tmp_path, params("acme/tiny"), tmp_path / "out"), caplog)


def test_settings_of_the_spec(bert: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Length, prompts and similarity are in the folder: whoever loads it says nothing more."""
    source = model(bert, prompts={"query": "find: ", "document": ""})
    source.max_seq_length = 7
    given = params("./bert", max_seq_length=7, prompts__query="find: ", similarity_fn_name="dot")
    out = portable(tmp_path, given, tmp_path / "out")
    same(source, out, caplog)
    assert model(out).similarity_fn_name == "dot"


def test_wordllama(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Two files of an installed package, fp16 there and float32 here."""
    import torch
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    from embspec.store.live import package_folders

    (package,) = package_folders("wordllama")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    weights, tokenizer = (f"{package}/{file.removeprefix('package:wordllama/')}" for file in WORDLLAMA.values())
    (rows,) = load_file(weights).values()
    table = StaticEmbedding(Tokenizer.from_file(tokenizer), torch.from_numpy(rows).float())
    given = params(**{f"base__static__{part}": path for part, path in WORDLLAMA.items()})
    same(SentenceTransformer(modules=[table], device="cpu"), portable(tmp_path, given, tmp_path / "out"), caplog)
