"""The base stage: one layout from whatever a base comes as, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from embspec.errors import INVALID, NOWHERE, EmbspecError
from embspec.stages.live import base_files, base_sticky
from embspec.store.live import find
from tests.support.bases import build, hub, listing, params, portable, said
from tests.support.tiny import pooling, tiny_static, tiny_static_files, tiny_transformer

MODELS = "sentence_transformers.models."


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The folder of a spec, with a transformer and a static table beside it."""
    folder = tmp_path / "specs"
    tiny_transformer(folder / "bert")
    tiny_static(folder / "table")
    return folder


def edit(folder: Path, name: str, **values: Any) -> None:
    """Change keys of a JSON file; None takes a key out."""
    path = folder / name
    now = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    now = {key: value for key, value in {**now, **values}.items() if value is not None}
    path.write_text(json.dumps(now), encoding="utf-8")


def refused(here: Path, given: dict[str, Any], out: Path) -> EmbspecError:
    """The error that the stage ends in."""
    with pytest.raises(EmbspecError) as caught:
        build(here, given, out)
    assert len(caught.value.problems) == 1
    return caught.value


def test_the_layout_of_a_transformer(here: Path, tmp_path: Path) -> None:
    """File by file, key by key: this is what older and newer versions load alike."""
    given = params("./bert", prompts__query="q: ", max_seq_length=48, similarity_fn_name="dot")
    made = build(here, given, tmp_path / "out")
    folder = tmp_path / "out" / "base"
    assert sorted(listing(folder)) == [
        "1_Pooling/config.json", "config.json", "config_sentence_transformers.json", "model.safetensors",
        "modules.json", "sentence_bert_config.json", "special_tokens_map.json", "tokenizer.json",
        "tokenizer_config.json", "vocab.txt",
    ]
    assert said(folder, "modules.json") == [
        {"idx": 0, "name": "0", "path": "", "type": MODELS + "Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": MODELS + "Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": MODELS + "Normalize"},
    ]
    assert said(folder, "1_Pooling/config.json") == {
        "word_embedding_dimension": 32, "pooling_mode_cls_token": False, "pooling_mode_max_tokens": False,
        "pooling_mode_mean_tokens": True, "pooling_mode_mean_sqrt_len_tokens": False,
        "pooling_mode_weightedmean_tokens": False, "pooling_mode_lasttoken": False, "include_prompt": True,
    }
    assert said(folder, "sentence_bert_config.json") == {"max_seq_length": 48, "do_lower_case": False}
    assert said(folder, "config_sentence_transformers.json") == {
        "__version__": {"sentence_transformers": "5.0.0"}, "prompts": {"query": "q: ", "document": ""},
        "default_prompt_name": None, "similarity_fn_name": "dot",
    }
    assert said(folder, "config.json")["torch_dtype"] == "float32"
    for name in ("model.safetensors", "tokenizer.json", "vocab.txt"):
        assert (folder / name).read_bytes() == (here / "bert" / name).read_bytes()
    assert {oct(path.stat().st_mode & 0o777) for path in folder.rglob("*") if path.is_file()} == {"0o644"}
    assert (made.stat, made.pins) == ({"dim": 32, "kind": "transformer", "max_seq_length": 48}, {"revision": None})


def test_the_layout_of_a_table(here: Path, tmp_path: Path) -> None:
    """A folder and its two loose files give the same model, float32 whatever they were."""
    made = build(here, params("./table"), tmp_path / "out")
    folder = tmp_path / "out" / "base"
    assert sorted(listing(folder)) == [
        "0_StaticEmbedding/model.safetensors", "0_StaticEmbedding/tokenizer.json",
        "config_sentence_transformers.json", "modules.json",
    ]
    assert said(folder, "modules.json") == [
        {"idx": 0, "name": "0", "path": "0_StaticEmbedding", "type": MODELS + "StaticEmbedding"}]
    assert (made.stat["kind"], made.stat["dim"], made.stat["max_seq_length"]) == ("static", 64, None)
    tiny_static_files(here / "w.safetensors", here / "t.json", name="embeddings")
    loose = params(base__static__weights="w.safetensors", base__static__tokenizer="./t.json")
    assert listing(portable(here, loose, tmp_path / "loose")) == listing(folder)
    tiny_static_files(here / "half.safetensors", here / "t.json", dtype="float16")
    given = {**loose, "model.base.static.weights": "half.safetensors"}
    halves = load_file(portable(here, given, tmp_path / "half") / "0_StaticEmbedding" / "model.safetensors")
    exact = load_file(here / "half.safetensors")["embedding.weight"]
    assert halves["embedding.weight"].dtype == np.float32 and np.array_equal(halves["embedding.weight"], exact)


def test_a_table_of_model2vec_is_unfolded(here: Path, tmp_path: Path) -> None:
    """Rows shared by tokens, weights beside them, and the normalisation that follows."""
    folder = here / "table"
    (folder / "modules.json").write_text(json.dumps([
        {"idx": 0, "name": "0", "path": ".", "type": MODELS + "StaticEmbedding"},
        {"idx": 1, "name": "1", "path": "1_Normalize", "type": MODELS + "Normalize"}]), encoding="utf-8")
    shutil.move(folder / "0_StaticEmbedding" / "tokenizer.json", folder)
    rows = load_file(folder / "0_StaticEmbedding" / "model.safetensors")["embedding.weight"]
    count = len(rows)
    mapping = np.arange(count)[::-1].copy() // 2
    scale = np.linspace(0.5, 2, count).astype(np.float32)
    save_file({"embeddings": rows[:count // 2 + 1], "mapping": mapping, "weights": scale}, folder / "model.safetensors")
    out = portable(here, params("./table"), tmp_path / "out")
    table = load_file(out / "0_StaticEmbedding" / "model.safetensors")["embedding.weight"]
    assert np.array_equal(table, rows[mapping] * scale[:, None])
    assert [row["path"] for row in said(out, "modules.json")] == ["0_StaticEmbedding", "1_Normalize"]


def test_what_stands_beside_a_base_is_no_part_of_it(here: Path, tmp_path: Path) -> None:
    """Cards, other formats, Python and caches change neither the pin nor the model."""
    before = listing(portable(here, params("./bert"), tmp_path / "before"))
    names = [f.name for f in find(str(here), base_files(params("./bert")))]
    for name in ("README.md", ".gitattributes", "onnx/model.onnx", "openvino/openvino_model.bin", "pytorch_model.bin",
                 "training_args.bin", "data_config.json", "tf_model.h5", "flax_model.msgpack", "model_fp16.safetensors",
                 "modeling.py", "__pycache__/modeling.pyc", "1_Pooling/notes.md", "eval/config.json"):
        (here / "bert" / name).parent.mkdir(exist_ok=True)
        (here / "bert" / name).write_text("other", encoding="utf-8")
    assert [f.name for f in find(str(here), base_files(params("./bert")))] == names
    assert listing(portable(here, params("./bert"), tmp_path / "after")) == before


def test_weights_in_parts_and_halves_become_one_file_of_float32(here: Path, tmp_path: Path) -> None:
    """Shards are joined, fp16 and bf16 widened exactly, whole numbers stay as they are."""
    weights = load_file(here / "bert" / "model.safetensors")
    before = portable(here, params("./bert"), tmp_path / "before")
    names = sorted(weights)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, inside in parts.items():
        save_file({n: weights[n] for n in inside} | {f"ids {file}": np.arange(3)}, here / "bert" / file)
    (here / "bert" / "model.safetensors").unlink()
    edit(here / "bert", "model.safetensors.index.json", weight_map={n: f for f, ns in parts.items() for n in ns})
    after = portable(here, params("./bert"), tmp_path / "after")
    now = load_file(after / "model.safetensors")
    assert sorted(listing(after)) == sorted(listing(before))
    assert all(np.array_equal(now[n], weights[n]) for n in names)
    assert all(now[f"ids {file}"].dtype == np.int64 for file in parts)
    (here / "bert" / "model-00002-of-00002.safetensors").unlink()
    error = refused(here, params("./bert"), tmp_path / "less")
    assert "model-00002-of-00002.safetensors" in str(error) and error.exit == INVALID


@pytest.mark.parametrize("kind", ["F16", "BF16", "F64"])
def test_other_widths_are_widened_exactly(here: Path, tmp_path: Path, kind: str) -> None:
    """Each of the floating point formats has the value it says; bf16 is the upper half of a float32."""
    weights = load_file(here / "bert" / "model.safetensors")
    whole = {name: (value.view(np.uint32) >> 16 << 16).view(np.float32) for name, value in weights.items()}
    if kind == "BF16":
        halves = {name: (value.view(np.uint32) >> 16).astype("<u2") for name, value in whole.items()}
        _raw(here / "bert" / "model.safetensors", halves)
    else:
        as_kind = {name: value.astype({"F16": "<f2", "F64": "<f8"}[kind]) for name, value in whole.items()}
        save_file(as_kind, here / "bert" / "model.safetensors")
        whole = {name: value.astype(np.float32) for name, value in as_kind.items()}
    now = load_file(portable(here, params("./bert"), tmp_path / "out") / "model.safetensors")
    assert {n: v.dtype for n, v in now.items()} == dict.fromkeys(whole, np.float32)
    assert all(np.array_equal(now[name], value) for name, value in whole.items())


def _raw(path: Path, halves: dict[str, np.ndarray[Any, Any]]) -> None:
    """A safetensors file of bf16, which numpy has no name for."""
    rows: dict[str, Any] = {}
    for name, value in halves.items():
        at = sum(v.nbytes for v in list(halves.values())[:len(rows)])
        rows[name] = {"dtype": "BF16", "shape": list(value.shape), "data_offsets": [at, at + value.nbytes]}
    header = json.dumps(rows).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"".join(v.tobytes() for v in halves.values()))


@pytest.mark.parametrize(("own", "asked", "expected"), [
    ({"query": "q: ", "document": "d: "}, {}, {"query": "q: ", "document": "d: "}),
    ({"query": "q: ", "passage": "p: "}, {}, {"query": "q: ", "document": "p: "}),
    ({"query": "q: ", "document": ""}, {"prompts__query": ""}, {"query": "", "document": ""}),
    ({"x": "x: "}, {"prompts__document": "d: "}, {"query": "", "document": "d: "}),
])
def test_prompts(here: Path, tmp_path: Path, own: dict[str, str], asked: dict[str, str], expected: Any) -> None:
    """What the spec says, else the model's own by the names that it would use for queries and documents."""
    edit(here / "bert", "config_sentence_transformers.json", prompts=own)
    out = portable(here, params("./bert", **asked), tmp_path / "out")
    assert said(out, "config_sentence_transformers.json")["prompts"] == expected


def test_a_default_prompt_stands_for_both_sides(here: Path, tmp_path: Path) -> None:
    """It is what the model would put before any text, so it is baked in where nothing else is said."""
    edit(here / "bert", "config_sentence_transformers.json", prompts={"x": "x: ", "query": "q: "},
         default_prompt_name="x")
    out = portable(here, params("./bert"), tmp_path / "out")
    now = said(out, "config_sentence_transformers.json")
    assert (now["prompts"], now["default_prompt_name"]) == ({"query": "q: ", "document": "x: "}, None)


@pytest.mark.parametrize(("values", "own", "expected"), [
    ({}, {"max_seq_length": 64}, 64),
    ({}, {}, 512),
    ({"max_position_embeddings": 40}, {"max_seq_length": 64}, 40),
    ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, {}, 512),
])
def test_the_length_is_the_models_own(
    here: Path, tmp_path: Path, values: dict[str, Any], own: dict[str, Any], expected: int
) -> None:
    """What the model says, at most what it has positions for; some types lose the first positions to padding."""
    edit(here / "bert", "config.json", **values)
    (here / "bert" / "sentence_bert_config.json").write_text(json.dumps(own), encoding="utf-8")
    made = build(here, params("./bert"), tmp_path / "out")
    assert made.stat["max_seq_length"] == expected


def test_a_length_beyond_the_positions_is_refused(here: Path, tmp_path: Path) -> None:
    """The field is named; as many as there are is fine."""
    assert build(here, params("./bert", max_seq_length=512), tmp_path / "most").stat["max_seq_length"] == 512
    error = refused(here, params("./bert", max_seq_length=513), tmp_path / "more")
    assert (error.problems[0].code, error.problems[0].field) == ("spec.range", "model.max_seq_length")
    assert "512" in error.problems[0].text
    error = refused(here, params("./table", max_seq_length=100), tmp_path / "table")
    assert (error.problems[0].code, error.problems[0].field) == ("spec.conflict", "model.max_seq_length")


def test_other_poolings_keep_their_names(here: Path, tmp_path: Path) -> None:
    """Old keys and new ones come to the same, several at once too."""
    for mode in ("cls", "lasttoken", "cls+max"):
        pooling(mode, here / "bert")
        old = said(portable(here, params("./bert"), tmp_path / f"old-{mode}"), "1_Pooling/config.json")
        modes = mode.split("+")
        new = {"embedding_dimension": 32, "pooling_mode": modes if len(modes) > 1 else mode, "include_prompt": True}
        (here / "bert" / "1_Pooling" / "config.json").write_text(json.dumps(new), encoding="utf-8")
        made = build(here, params("./bert"), tmp_path / f"new-{mode}")
        assert said(tmp_path / f"new-{mode}" / "base", "1_Pooling/config.json") == old
        assert made.stat["dim"] == 32 * len(modes)


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("config.json", {"auto_map": {"AutoModel": "modeling.Mine"}}, "auto_map"),
    ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": "tokens.Mine"}}, "auto_map"),
    ("config.json", {"is_encoder_decoder": True}, "decoder"),
    ("config.json", {"quantization_config": {"bits": 4}}, "quantised"),
    ("config_sentence_transformers.json", {"model_type": "CrossEncoder"}, "CrossEncoder"),
    ("sentence_bert_config.json", {"transformer_task": "fill-mask"}, "transformer_task"),
    ("sentence_bert_config.json", {"tokenizer_args": {"use_fast": False}}, "tokenizer_args"),
]


@pytest.mark.parametrize(("name", "values", "word"), BAD)
def test_what_is_not_built_is_refused_by_name(
    here: Path, tmp_path: Path, name: str, values: dict[str, Any], word: str
) -> None:
    """The file and the key that ask for it are named: nothing is loaded half."""
    edit(here / "bert", name, **values)
    error = refused(here, params("./bert"), tmp_path / "out")
    assert word in str(error) and error.exit == INVALID
    assert str(error.problems[0].where) == f"bert/{name}"


@pytest.mark.parametrize(("kinds", "word"), [
    (["CLIPModel"], "CLIPModel"),
    (["Transformer", "Pooling", "Router"], "Router"),
    (["Transformer"], "Transformer in this order"),
    (["Transformer", "Pooling", "Normalize", "Dense"], "Normalize Dense"),
    (["mine.Transformer"], "mine.Transformer"),
])
def test_modules_that_are_not_built(here: Path, tmp_path: Path, kinds: list[str], word: str) -> None:
    """An unknown module, a module of the model's own, or known ones in an order that nothing computes."""
    rows = [{"idx": i, "name": str(i), "path": "", "type": k if "." in k else MODELS + k} for i, k in enumerate(kinds)]
    (here / "bert" / "modules.json").write_text(json.dumps(rows), encoding="utf-8")
    error = refused(here, params("./bert"), tmp_path / "out")
    assert word in str(error) and str(error.problems[0].where) == "bert/modules.json"


def test_code_that_comes_with_a_model_is_refused(here: Path, tmp_path: Path) -> None:
    """The field says so before anything is read."""
    error = refused(here, params("./bert", trust_remote_code=True), tmp_path / "out")
    assert error.problems[0].field == "model.trust_remote_code"


def test_other_distances_are_refused_unless_the_spec_says_one(here: Path, tmp_path: Path) -> None:
    """A model made for Euclidean distance is named with its field."""
    edit(here / "bert", "config_sentence_transformers.json", similarity_fn_name="euclidean")
    error = refused(here, params("./bert"), tmp_path / "out")
    assert error.problems[0].field == "model.similarity_fn_name" and "euclidean" in str(error)
    out = portable(here, params("./bert", similarity_fn_name="cosine"), tmp_path / "said")
    assert said(out, "config_sentence_transformers.json")["similarity_fn_name"] == "cosine"


def test_weights_that_are_not_read(here: Path, tmp_path: Path) -> None:
    """A pickle alone, half a file, a pointer of git-lfs: each its sentence and what to do."""
    path = here / "bert" / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:len(whole) // 2])
    assert "not a whole safetensors file" in str(refused(here, params("./bert"), tmp_path / "half"))
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", encoding="utf-8")
    assert "git lfs pull" in str(refused(here, params("./bert"), tmp_path / "pointer"))
    path.rename(here / "bert" / "pytorch_model.bin")
    assert "save_pretrained" in str(refused(here, params("./bert"), tmp_path / "pickle"))
    path.write_bytes(whole)
    (here / "bert" / "tokenizer.json").unlink()
    assert "save_pretrained" in str(refused(here, params("./bert"), tmp_path / "slow"))


def test_a_tokenizer_that_is_not_the_tables_own(here: Path, tmp_path: Path) -> None:
    """A token without a row would read past the end."""
    tiny_static_files(here / "w.safetensors", here / "t.json")
    rows = load_file(here / "w.safetensors")["embedding.weight"]
    save_file({"embedding.weight": rows[:-1]}, here / "w.safetensors")
    given = params(base__static__weights="w.safetensors", base__static__tokenizer="t.json")
    assert f"the table has {len(rows) - 1} rows" in str(refused(here, given, tmp_path / "out"))
    save_file({"a": rows, "b": rows}, here / "w.safetensors")
    assert "no table of token vectors" in str(refused(here, given, tmp_path / "two"))


@pytest.mark.parametrize(("base", "code", "exit", "word"), [
    ("./nowhere", "input.missing", INVALID, "./nowhere"),
    ("package:no_such_thing/model", "nowhere.package", NOWHERE, "pip install no-such-thing"),
    ("package:embspec/model", "input.missing", INVALID, "embspec has no model"),
    ("acme/model", "nowhere.base", NOWHERE, "hf download acme/model"),
])
def test_a_base_that_is_not_here(here: Path, tmp_path: Path, base: str, code: str, exit: int, word: str) -> None:
    """A folder, a package and the hub each say what to do; nothing is downloaded."""
    error = refused(here, params(base), tmp_path / "out")
    assert (error.problems[0].code, error.exit, error.problems[0].field) == (code, exit, "model.base")
    assert word in str(error)


def test_a_static_file_that_is_not_here(here: Path, tmp_path: Path) -> None:
    """The field of the file that lacks is named."""
    tiny_static_files(here / "w.safetensors", here / "t.json")
    given = params(base__static__weights="w.safetensors", base__static__tokenizer="package:no_such_thing/t.json")
    error = refused(here, given, tmp_path / "out")
    assert (error.problems[0].field, error.problems[0].code) == ("model.base.static.tokenizer", "nowhere.package")


def test_a_base_from_the_hub(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline from the cache, by branch or commit; the commit is pinned and stays when the branch moves."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    first, second = "a" * 40, "b" * 40
    hub(tmp_path / "hub", here / "bert", first)
    given = params("acme/tiny")
    assert {f.name.rpartition("/")[0].split("/1_")[0] for f in find(str(here), base_files(given))} == {f"hub/{first}"}
    made = build(here, given, tmp_path / "out")
    assert made.pins == {"revision": f"{first} acme/tiny@auto"}
    assert listing(tmp_path / "out" / "base") == listing(portable(here, params("./bert"), tmp_path / "folder"))
    hub(tmp_path / "hub", tiny_transformer(tmp_path / "other", seed=1), second)
    pinned = {**given, "pin.revision": made.pins["revision"]}
    assert build(here, pinned, tmp_path / "kept").pins == made.pins
    assert listing(tmp_path / "kept" / "base") == listing(tmp_path / "out" / "base")
    pinned["pin.revision"] = f"{'c' * 40} acme/tiny@auto"
    assert f"hf download acme/tiny --revision {'c' * 40}" in str(refused(here, pinned, tmp_path / "gone"))
    assert build(here, given, tmp_path / "new").pins == {"revision": f"{second} acme/tiny@auto"}


def test_what_is_looked_at_again() -> None:
    """A base of the hub is pinned by its commit; folders, packages and files are looked at each time."""
    assert [base_sticky(params(base)) for base in ("acme/tiny", "bert-base-uncased")] == [True, True]
    assert [base_sticky(params(base)) for base in ("./x", "../x", "other//./x", "package:x/y")] == [False] * 4
    assert base_sticky(params(base__static__weights="w", base__static__tokenizer="t")) is False


def test_the_pin_of_another_base_is_not_believed() -> None:
    """An edit of base or revision asks the cache again, whatever the lock still holds."""
    pinned = {"pin.revision": f"{'a' * 40} acme/tiny@auto"}
    assert base_files({**params("acme/tiny"), **pinned})[0] == f"hub:acme/tiny@{'a' * 40}//modules.json"
    assert base_files({**params("acme/other"), **pinned})[0] == "hub:acme/other@main//modules.json"
    assert base_files({**params("acme/tiny", revision="v2"), **pinned})[0] == "hub:acme/tiny@v2//modules.json"


def test_the_same_bytes_from_another_place(here: Path, tmp_path: Path) -> None:
    """The folder's name, its place and the order of its files leave no trace in the model."""
    shutil.copytree(here / "bert", tmp_path / "elsewhere" / "deep" / "x[1]")
    there = portable(tmp_path / "elsewhere", params("deep//./x[1]"), tmp_path / "there")
    assert listing(there) == listing(portable(here, params("./bert"), tmp_path / "out"))
