"""Golden vectors and ranges: what is written, from which texts, and that nothing else moves it."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embspec.errors import EmbspecError
from embspec.serve.guard import check_endpoint, golden
from embspec.stages import encoder
from embspec.stages.export.make import by_hash, ranged
from embspec.stages.snapshot import Document
from tests.support.desk import Bank, Desk
from tests.support.shipping import EXPORT, ExportBench


def prompts(model: Path, document: str) -> None:
    """Give a model another document prompt."""
    path = model / "config_sentence_transformers.json"
    said = json.loads(path.read_bytes()) | {"prompts": {"query": "query: ", "document": document}}
    path.write_text(json.dumps(said))


def test_golden_vectors_are_the_models(tmp_path: Path) -> None:
    """As many texts as asked for, by the hash of their id, with the vectors that the model gives them."""
    bench = ExportBench(tmp_path)
    made = bench.make()
    found, rows = golden(tmp_path / "out" / "golden.safetensors"), bench.hashed()[:4]
    assert list(found.texts) == [f"{row['title']} {row['text']}".strip() for row in rows]
    assert np.array_equal(np.array(found.vectors, np.float32), bench.vectors(rows))
    assert made.stat == {"golden": 4, "dims": [64, 32, 24, 16]}
    assert made.counts == {"encoded": 30}


def test_golden_texts_have_the_prompt_in_front(tmp_path: Path) -> None:
    """An endpoint is sent what the model was given, to the letter: the check needs to know of no prompt."""
    bench = ExportBench(tmp_path)
    prompts(bench.model, "passage: ")
    bench.make()
    found = golden(tmp_path / "out" / "golden.safetensors")
    assert all(text.startswith("passage: ") for text in found.texts)
    prompts(bench.model, "")
    plain = encoder.opened(bench.model, "plain", Desk(tmp_path / "plain"))
    assert check_endpoint(lambda texts: plain.documents(texts).tolist(), found) > 0.999999


@pytest.mark.parametrize("asked", [0, 1, 30, 500])
def test_as_many_golden_vectors_as_there_are(tmp_path: Path, asked: int) -> None:
    """None is a number too, and a small corpus gives all it has."""
    bench = ExportBench(tmp_path)
    made = bench.make(export__golden_vectors=asked)
    found = golden(tmp_path / "out" / "golden.safetensors")
    assert len(found.texts) == len(found.vectors) == made.stat["golden"] == min(asked, 30)


def test_ranges_are_the_ends_of_each_column(tmp_path: Path) -> None:
    """For every dimension: the least and the largest number after the cut, at length 1; as exact as float32 is."""
    bench = ExportBench(tmp_path)
    bench.make()
    found = json.loads((tmp_path / "out" / "ranges.json").read_bytes())["dims"]
    assert list(found) == ["64", "32", "24", "16"]
    for name, ends in found.items():
        cut = bench.vectors(bench.rows)[:, : int(name)].astype(np.float64)
        cut /= np.linalg.norm(cut, axis=1, keepdims=True)
        assert np.allclose(ends["low"], cut.min(axis=0), atol=1e-7)
        assert np.allclose(ends["high"], cut.max(axis=0), atol=1e-7)
        assert all(float(np.float32(value)) == value for side in ends.values() for value in side)


def test_dot_products_are_not_brought_to_length_one(tmp_path: Path) -> None:
    """A model that compares by dot product is cut and nothing else."""
    bench = ExportBench(tmp_path)
    path = bench.model / "config_sentence_transformers.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"similarity_fn_name": "dot"}))
    bench.make()
    found = json.loads((tmp_path / "out" / "ranges.json").read_bytes())["dims"]["16"]
    assert found["low"] == bench.vectors(bench.rows)[:, :16].min(axis=0).tolist()


def test_more_texts_than_are_measured(tmp_path: Path) -> None:
    """Two thousand texts are enough for ranges; the texts with the smallest hashes are taken."""
    bench = ExportBench(tmp_path, count=2100)
    assert bench.make().counts == {"encoded": 2000}
    low = json.loads((tmp_path / "out" / "ranges.json").read_bytes())["dims"]["64"]["low"]
    cut = bench.vectors(bench.hashed()[:2000])
    assert np.allclose(low, (cut / np.linalg.norm(cut, axis=1, keepdims=True)).min(axis=0), atol=1e-7)
    assert bench.make("more", export__golden_vectors=2100).counts == {"encoded": 2100}
    assert (tmp_path / "more" / "ranges.json").read_bytes() == (tmp_path / "out" / "ranges.json").read_bytes()


@given(st.sets(st.text(st.characters(exclude_categories=["Cs"]))), st.integers(0, 12), st.randoms())
def test_texts_that_come_and_go_leave_the_others_chosen(ids: set[str], most: int, order: Any) -> None:
    """The choice is by the id alone: neither the order of the file nor other documents change who comes first."""
    found = [Document(id, "", "") for id in ids]
    chosen = [d.id for d in by_hash(found, most)]
    order.shuffle(found)
    assert [d.id for d in by_hash(found, most)] == chosen
    fewer = [d for d in found if d.id not in chosen[:1]]
    assert [d.id for d in by_hash(fewer, most)][: max(most - 1, 0)] == chosen[1:]


@pytest.mark.parametrize(("changed", "sizes"), [
    ({}, [64, 32, 24, 16]),
    ({"index.truncate_dim": None}, [64, 32, 16]),
    ({"loss.matryoshka.dims": None, "eval.dims": "auto", "index.truncate_dim": None}, [64]),
    ({"loss.matryoshka.dims": "auto", "eval.dims": "auto", "index.truncate_dim": None}, [64]),
    ({"loss.matryoshka.dims": [16], "eval.dims": "auto", "index.truncate_dim": 64}, [64, 16]),
])
def test_every_dimension_that_may_ship_is_measured(changed: Mapping[str, Any], sizes: list[int]) -> None:
    """Those that were trained, those that are tested, the one that ships, and the whole."""
    assert ranged({**EXPORT, **changed}, 64) == sizes


def test_a_dimension_chosen_later_has_its_ranges() -> None:
    """Where validation chooses the dimension, all that it can choose are measured."""
    params = {"loss.matryoshka.dims": "auto", "eval.dims": [384], "index.truncate_dim.smallest.metric": "ndcg@10"}
    assert ranged(params, 384) == [384, 192, 96]


@pytest.mark.parametrize("field", ["loss.matryoshka.dims", "eval.dims", "index.truncate_dim"])
def test_a_dimension_that_the_model_lacks(field: str) -> None:
    """The error names the field that asks for too much."""
    asked: Any = 65 if field == "index.truncate_dim" else [65]
    with pytest.raises(EmbspecError) as caught:
        ranged({**EXPORT, field: asked}, 64)
    problem = caught.value.problems[0]
    assert (problem.code, problem.field) == ("spec.range", field)


def test_a_warm_bank_gives_the_same_bytes(tmp_path: Path) -> None:
    """What was encoded before is looked up, and nothing that is written shows it."""
    bench, bank = ExportBench(tmp_path), Bank()
    bench.make(desk=bench.desk(bank))
    assert bench.make("warm", bench.desk(bank), export__golden_vectors=4).counts == {"encoded": 0}
    for name in ("golden.safetensors", "ranges.json"):
        assert (tmp_path / "warm" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_another_process_writes_the_same_bytes_without_torch(tmp_path: Path) -> None:
    """Hash seeds reach no byte, and a static model is exported, ONNX included, by a process that has no torch."""
    bench = ExportBench(tmp_path)
    onnx: dict[str, Any] = {"export__onnx__opset": 17, "export__onnx__int8__per_channel": True}
    bench.make(**onnx)
    code = (
        "import sys; from pathlib import Path\n"
        "from tests.support.shipping import ExportBench\n"
        "assert 'torch' not in sys.modules\n"
        "folder = Path(sys.argv[1]); bench = ExportBench(folder, folder / 'model')\n"
        f"bench.make('again', **{onnx!r})\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules, 'torch was imported'\n"
    )
    env = {**os.environ, "PYTHONHASHSEED": "123", "PYTHONPATH": str(Path(__file__).parents[3])}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, env=env, cwd=tmp_path)
    names = ("golden.safetensors", "ranges.json", "onnx/model.onnx", "onnx/model_quantized.onnx")
    assert [n for n in names if (tmp_path / "again" / n).read_bytes() != (tmp_path / "out" / n).read_bytes()] == []
