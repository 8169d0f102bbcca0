"""ONNX files give the model's vectors, in the same bytes everywhere, or are refused."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from safetensors.numpy import load_file, save_file

from embspec.errors import INVALID, STAGE_FAILED, EmbspecError
from embspec.plan.protocol import Made
from embspec.stages import encoder
from embspec.stages.export import make as module
from embspec.stages.export import static, transformer
from embspec.stages.export.parity import Likeness, Runtime, likeness
from tests.support.desk import Desk
from tests.support.shipping import ExportBench
from tests.support.tiny import pooling, tiny_static, tiny_transformer

TEXTS = ("the pump is broken", "how to reset the valve of the motor " * 9, "zzzz qqqq", "", "a", "gate " * 70)
DIMS: dict[str, Any] = {"loss__matryoshka__dims": None, "eval__dims": "auto", "index__truncate_dim": None}
ONNX = {"export__onnx__opset": 17, "export__onnx__int8": False}
INT8 = {"export__onnx__opset": 17, "export__onnx__int8__per_channel": True}


def sentence_transformers(folder: Path, texts: Sequence[str]) -> Any:
    """The vectors that the library itself gives."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu").encode(list(texts))


def made(bench: ExportBench, **changed: Any) -> tuple[Made, Desk]:
    """Run the stage and hear what it says."""
    desk = bench.desk()
    return bench.make(desk=desk, **{**DIMS, **changed}), desk


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> ExportBench:
    """A tiny transformer in all its forms."""
    folder = tmp_path_factory.mktemp("bert")
    bench = ExportBench(folder, tiny_transformer(folder / "model"))
    for path in (p for p in folder.rglob("*") if p.is_file()):
        path.chmod(0o444)
    done, desk = made(bench, **INT8)
    assert done.stat == {"golden": 4, "dims": [32], "opset": 17}
    assert [p.name for p in sorted((folder / "out" / "onnx").iterdir())] == ["model.onnx", "model_quantized.onnx"]
    assert any("int8 has cosine 0.99" in event.text for event in desk.told)
    return bench


def test_a_transformer_in_onnx_is_the_model(whole: ExportBench) -> None:
    """Pooling and normalisation lie in the graph; texts of every length, alone and padded, get their vectors."""
    runtime = Runtime(whole.folder / "out" / "onnx" / "model.onnx", whole.model, 64)
    assert runtime.inputs == ["input_ids", "attention_mask", "token_type_ids"]
    found = likeness(runtime, TEXTS, sentence_transformers(whole.model, TEXTS))
    assert found.cosine >= 0.9999 and found.difference < 1e-5


def test_a_transformer_in_int8_is_near(whole: ExportBench) -> None:
    """The quantised model is a quarter of the weights and points the same way."""
    folder = whole.folder / "out" / "onnx"
    runtime = Runtime(folder / "model_quantized.onnx", whole.model, 64)
    assert 0.95 < likeness(runtime, TEXTS, sentence_transformers(whole.model, TEXTS)).cosine < 0.99999
    kinds = {n.op_type for n in onnx.load(folder / "model_quantized.onnx").graph.node}
    assert "MatMulInteger" in kinds
    assert (folder / "model_quantized.onnx").stat().st_size < (folder / "model.onnx").stat().st_size


def test_another_process_writes_the_same_onnx(whole: ExportBench, tmp_path: Path) -> None:
    """Neither folder, hash seed nor threads reach a byte of either file."""
    code = (
        "import sys; from pathlib import Path\n"
        "import torch; torch.set_num_threads(2)\n"
        "from embspec.stages.export import transformer\n"
        "model, out = Path(sys.argv[1]), Path(sys.argv[2])\n"
        "transformer.write(model, out / 'model.onnx', 17)\n"
        "transformer.write_int8(out / 'model.onnx', out / 'model_quantized.onnx', out, True)\n"
    )
    project, out = str(Path(__file__).parents[3]), tmp_path / "out"
    env = {**os.environ, "PYTHONHASHSEED": "123", "PYTHONPATH": project}
    out.mkdir()
    subprocess.run([sys.executable, "-c", code, str(whole.model), str(out)], check=True, env=env, cwd=out)
    for name in ("model.onnx", "model_quantized.onnx"):
        data = (whole.folder / "out" / "onnx" / name).read_bytes()
        assert (out / name).read_bytes() == data
        assert [path for path in (str(whole.folder), project, "site-packages") if path.encode() in data] == []
    assert sorted(p.name for p in out.iterdir()) == ["model.onnx", "model_quantized.onnx"]


@pytest.mark.parametrize("mode", ["cls", "max", "mean_sqrt_len", "weightedmean", "lasttoken", "cls+mean"])
def test_every_pooling(tmp_path: Path, mode: str) -> None:
    """However tokens become one vector, the graph does it too, padding or not."""
    model = tiny_transformer(tmp_path / "model")
    pooling(mode, model)
    transformer.write(model, tmp_path / "model.onnx", 17)
    runtime = Runtime(tmp_path / "model.onnx", model, 64)
    vectors = encoder.opened(model, "model", Desk(tmp_path / "desk")).documents(TEXTS)
    found = likeness(runtime, TEXTS, vectors)
    assert vectors.shape[1] == (64 if "+" in mode else 32)
    assert found.cosine >= 0.9999 and found.difference < 1e-5


def test_a_dense_module_lies_in_the_graph(tmp_path: Path) -> None:
    """A linear layer behind the pooling, with its activation, is part of the model."""
    model = tiny_transformer(tmp_path / "model")
    modules = json.loads((model / "modules.json").read_bytes())
    modules[2:] = [{"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"}]
    (model / "modules.json").write_text(json.dumps(modules))
    (model / "2_Dense").mkdir()
    (model / "2_Dense" / "config.json").write_text(json.dumps({
        "in_features": 32, "out_features": 8, "bias": True, "activation_function": "torch.nn.modules.activation.Tanh",
    }))
    drawn = np.random.default_rng(0)
    save_file({"linear.weight": drawn.standard_normal((8, 32)).astype(np.float32),
               "linear.bias": drawn.standard_normal(8).astype(np.float32)}, model / "2_Dense" / "model.safetensors")
    transformer.write(model, tmp_path / "model.onnx", 17)
    found = likeness(Runtime(tmp_path / "model.onnx", model, 64), TEXTS, sentence_transformers(model, TEXTS))
    assert found.cosine >= 0.9999 and found.difference < 1e-5


@pytest.mark.parametrize("opset", [14, 20])
def test_the_opset_that_was_asked_for(whole: ExportBench, tmp_path: Path, opset: int) -> None:
    """The file says the operator set of the spec, and runs with it."""
    transformer.write(whole.model, tmp_path / "model.onnx", opset)
    assert [s.version for s in onnx.load(tmp_path / "model.onnx").opset_import] == [opset]
    runtime = Runtime(tmp_path / "model.onnx", whole.model, 64)
    vectors = encoder.opened(whole.model, "model", Desk(tmp_path / "desk")).documents(TEXTS)
    assert likeness(runtime, TEXTS, vectors).cosine >= 0.9999


def test_an_opset_that_the_exporter_lacks(whole: ExportBench) -> None:
    """A number that the spec allows and a transformer cannot have is refused with its field."""
    from torch.onnx import _constants

    assert transformer.MOST_OPSET == _constants.ONNX_TORCHSCRIPT_EXPORTER_MAX_OPSET
    with pytest.raises(EmbspecError) as caught:
        whole.make("refused", **{**DIMS, **ONNX, "export__onnx__opset": 21})
    assert caught.value.problems[0].field == "export.onnx.opset"
    assert caught.value.exit == INVALID


def test_the_exporter_is_quiet(whole: ExportBench, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What torch says of every model is not said to people; any other warning still is."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        transformer.write(whole.model, tmp_path / "model.onnx", 17)
        transformer.write_int8(tmp_path / "model.onnx", tmp_path / "small.onnx", tmp_path, True)
        with pytest.raises(UserWarning, match="other"), transformer._quiet():
            warnings.warn("other", UserWarning, stacklevel=1)
    assert "".join(capfd.readouterr()) == ""


@pytest.mark.parametrize("opset", [14, 17, 24])
def test_a_static_model_in_onnx_is_the_model(tmp_path: Path, opset: int) -> None:
    """Gather and masked mean, no offsets; a text without a known word is all zeros, alone and in a batch."""
    bench = ExportBench(tmp_path)
    done, _ = made(bench, export__onnx__opset=opset, export__onnx__int8=False)
    path = tmp_path / "out" / "onnx" / "model.onnx"
    assert [p.name for p in path.parent.iterdir()] == ["model.onnx"]
    onnx.checker.check_model(str(path), full_check=True)
    runtime = Runtime(path, bench.model, None)
    assert runtime.inputs == ["input_ids", "attention_mask"]
    found = likeness(runtime, TEXTS, sentence_transformers(bench.model, TEXTS))
    assert found.cosine >= 0.9999 and found.difference < 1e-5
    assert not runtime.encode([""]).any()
    assert done.stat["opset"] == opset


def test_a_static_model_in_int8(tmp_path: Path) -> None:
    """A quarter of the table, with a scale for each row or one for all; a scale for each row is nearer."""
    model = tiny_static(tmp_path / "model")
    table = static.read(model).table.copy()
    table[::2] *= 0.01
    save_file({"embedding.weight": table}, model / "0_StaticEmbedding" / "model.safetensors")
    vectors, cosines = sentence_transformers(model, TEXTS), []
    for per_channel in (True, False):
        static.write_int8(static.read(model), tmp_path / "small.onnx", 17, per_channel)
        onnx.checker.check_model(str(tmp_path / "small.onnx"), full_check=True)
        cosines.append(likeness(Runtime(tmp_path / "small.onnx", model, None), TEXTS, vectors).cosine)
        weight = next(t for t in onnx.load(tmp_path / "small.onnx").graph.initializer if t.name == "table")
        assert weight.data_type == onnx.TensorProto.INT8
        assert (tmp_path / "small.onnx").stat().st_size < table.nbytes / 3
    assert cosines[0] > 0.9999 > cosines[1] > 0.5


def test_a_row_of_zeros_stays_zero_in_int8(tmp_path: Path) -> None:
    """A word whose vector is nothing does not divide by nothing."""
    table = static.Static(np.zeros((3, 8), np.float32), False)
    static.write_int8(table, tmp_path / "small.onnx", 17, True)
    found = onnx.load(tmp_path / "small.onnx")
    assert all(np.isfinite(onnx.numpy_helper.to_array(t)).all() for t in found.graph.initializer)


def test_a_static_model_that_ends_in_length_one(tmp_path: Path) -> None:
    """A Normalize module lies in the graph too."""
    model = tiny_static(tmp_path / "model")
    modules = json.loads((model / "modules.json").read_bytes())
    modules.append({"idx": 1, "name": "1", "path": "1_Normalize", "type": "sentence_transformers.models.Normalize"})
    (model / "modules.json").write_text(json.dumps(modules))
    static.write(static.read(model), tmp_path / "model.onnx", 17)
    found = likeness(Runtime(tmp_path / "model.onnx", model, None), TEXTS, sentence_transformers(model, TEXTS))
    assert found.cosine >= 0.9999 and found.difference < 1e-5


def test_modules_that_no_graph_has(tmp_path: Path) -> None:
    """A static model with more behind it is refused by name, not written without it."""
    model = tiny_static(tmp_path / "model")
    modules = json.loads((model / "modules.json").read_bytes())
    modules.append({"idx": 1, "name": "1", "path": "1_Dense", "type": "sentence_transformers.models.Dense"})
    (model / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(EmbspecError, match="StaticEmbedding, Dense"):
        static.read(model)


@pytest.mark.parametrize("cosine", [0.9998, float("nan")])
def test_an_onnx_model_that_is_another_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cosine: float
) -> None:
    """Files that do not give the model's vectors are never artefacts."""
    monkeypatch.setattr(module, "likeness", lambda *args: Likeness(cosine, 0.1))
    with pytest.raises(EmbspecError) as caught:
        made(ExportBench(tmp_path), **ONNX)
    assert caught.value.problems[0].code == "stage.parity"
    assert caught.value.exit == STAGE_FAILED


def test_likeness_sees_one_wrong_vector(tmp_path: Path) -> None:
    """The lowest cosine of all texts counts, and a vector of no numbers is not passed over."""
    model = tiny_static(tmp_path / "model")
    static.write(static.read(model), tmp_path / "model.onnx", 17)
    runtime = Runtime(tmp_path / "model.onnx", model, None)
    vectors = np.array(encoder.opened(model, "model", Desk(tmp_path / "desk")).documents(TEXTS))
    assert likeness(runtime, TEXTS, vectors).cosine > 0.9999
    turned = vectors.copy()
    turned[5] = -turned[5]
    assert likeness(runtime, TEXTS, turned).cosine < -0.99
    turned[5, 0] = np.nan
    assert np.isnan(likeness(runtime, TEXTS, turned).cosine)


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_packages_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """Without its packages the stage says what to install, before it has done anything."""
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == missing else object())
    bench = ExportBench(tmp_path)
    desk = bench.desk()
    with pytest.raises(EmbspecError, match=r"pip install embspec\[onnx\]") as caught:
        bench.make(desk=desk, **{**DIMS, **ONNX})
    assert missing in caught.value.problems[0].text
    assert desk.bank.adds == 0


def test_golden_and_ranges_do_not_hang_on_onnx(tmp_path: Path) -> None:
    """Switching ONNX on adds files and moves none."""
    bench = ExportBench(tmp_path)
    bench.make(**DIMS)
    bench.make("onnx", **{**DIMS, **INT8})
    for name in ("golden.safetensors", "ranges.json"):
        assert (tmp_path / "onnx" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    assert not (tmp_path / "out" / "onnx").exists()
    assert load_file(tmp_path / "onnx" / "golden.safetensors")["vectors"].dtype == np.float32
