"""The cross-encoder's stage: one folder from whatever it comes as, and what is refused."""
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

from embspec.errors import EmbspecError
from embspec.plan.nodes import expand
from embspec.plan.protocol import Made
from embspec.stages.base.cross_encoder import make
from embspec.stages.live import CROSS_ENCODER, cross_encoder_files, cross_encoder_sticky
from embspec.stages.street import STREET
from embspec.store.live import LiveTree, find
from tests.support.bases import hub, listing, said
from tests.support.desk import Desk
from tests.support.tiny import tiny_cross_encoder, tiny_transformer

SIGMOID, IDENTITY = "torch.nn.modules.activation.Sigmoid", "torch.nn.modules.linear.Identity"
FILES = ["config.json", "model.safetensors", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json",
         "vocab.txt"]


def build(here: Path, model: str, out: Path, pin: str | None = None) -> Made:
    """Run the stage on a model named from a folder."""
    out.mkdir(parents=True, exist_ok=True)
    params = {CROSS_ENCODER: model, "pin.revision": pin}
    tree = LiveTree(find(str(here), cross_encoder_files(params)))
    return make(params, {"live": tree}, out, Desk(out / "scratch"))


def change(folder: Path, name: str, **values: Any) -> None:
    """Change keys of a JSON file, which may be new."""
    path = folder / name
    now = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**now, **values}), encoding="utf-8")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A cross-encoder in a folder `judge`."""
    return tiny_cross_encoder(tmp_path / "judge", 3)


def test_the_folder_is_config_tokenizer_and_weights(model: Path, tmp_path: Path) -> None:
    """Nothing else of the model's folder comes along; weights byte for byte; length and activation are said."""
    (model / "README.md").write_text("trained in 3 hours")
    (model / "pytorch_model.bin").write_bytes(b"pickle")
    made = build(tmp_path, "./judge", tmp_path / "out")
    folder = tmp_path / "out" / "cross_encoder"
    assert sorted(listing(folder)) == FILES
    assert (folder / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()
    config = said(folder, "config.json")
    assert config["sentence_transformers"] == {"activation_fn": SIGMOID}
    assert config["sbert_ce_default_activation_function"] == SIGMOID and config["torch_dtype"] == "float32"
    assert said(folder, "tokenizer_config.json")["model_max_length"] == 64
    assert (made.stat, made.pins) == ({"kind": "bert", "max_length": 64}, {"revision": None})


def test_one_that_sentence_transformers_saved_is_the_same_model(model: Path, tmp_path: Path) -> None:
    """Half-precision weights become float32; the activation is found in each place where versions wrote it."""
    build(tmp_path, "./judge", tmp_path / "plain")
    names = {"sbert_ce_default_activation_function": IDENTITY}
    for number, (name, values) in enumerate((
        ("config.json", names), ("config.json", {"sentence_transformers": {"activation_fn": IDENTITY}}),
        ("config_sentence_transformers.json", {"model_type": "CrossEncoder", "activation_fn": IDENTITY}),
    )):
        other = tiny_cross_encoder(tmp_path / str(number), 3)
        change(other, name, **values)
        (other / "modules.json").write_text(json.dumps([
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"}]))
        halves = {n: t.astype("float16") for n, t in load_file(other / "model.safetensors").items()}
        save_file(halves, other / "model.safetensors", {"format": "pt"})
        out = tmp_path / f"out{number}"
        build(tmp_path, f"./{number}", out)
        assert said(out / "cross_encoder", "config.json")["sentence_transformers"]["activation_fn"] == IDENTITY
        kinds = {t.dtype.name for t in load_file(out / "cross_encoder" / "model.safetensors").values()}
        assert kinds == {"float32"}


REFUSED: list[tuple[Callable[[Path], object], str, str]] = [
    (lambda m: (m / "config.json").unlink(), "input.missing", "`config.json` is not there"),
    (lambda m: change(m, "config.json", architectures=["BertModel"]), "input.model", "scores no pairs"),
    (lambda m: change(m, "config.json", id2label={"0": "no", "1": "yes"}), "input.model", "has 2 outputs"),
    (lambda m: change(m, "config.json", id2label=None), "input.model", "has 2 outputs"),
    (lambda m: change(m, "config.json", auto_map={"AutoModel": "x.py"}), "input.model", "Python code"),
    (lambda m: change(m, "config.json", quantization_config={"bits": 4}), "input.model", "quantised"),
    (lambda m: change(m, "config.json", vocab_size=9), "input.model", "and the model knows 9"),
    (lambda m: change(m, "config.json", sentence_transformers={"activation_fn": "my.Own"}), "input.model", "my.Own"),
    (lambda m: (m / "model.safetensors").rename(m / "pytorch_model.bin"), "input.missing", "other formats"),
    (lambda m: (m / "model.safetensors").write_bytes(b"not a model"), "input.weights", "not a whole safetensors file"),
    (lambda m: (m / "tokenizer.json").unlink(), "input.model", "`tokenizer.json` is not there"),
    (lambda m: (m / "tokenizer.json").write_text("{}"), "input.model", "this is no tokenizer"),
    (lambda m: change(m, "config_sentence_transformers.json", prompts={"q": "ask: "}, default_prompt_name="q"),
     "input.model", "prompts of a cross-encoder"),
    (lambda m: change(m, "sentence_bert_config.json", do_lower_case=True), "input.model", "do_lower_case"),
    (lambda m: (m / "modules.json").write_text(
        '[{"type": "sentence_transformers.models.Transformer"}, {"type": "sentence_transformers.models.Dense"}]'),
     "input.model", "Transformer, Dense"),
]


@pytest.mark.parametrize(("spoil", "code", "text"), REFUSED, ids=[text for _, _, text in REFUSED])
def test_what_is_no_cross_encoder_is_refused(
    model: Path, tmp_path: Path, spoil: Callable[[Path], object], code: str, text: str
) -> None:
    """Each with its own words, the file or the field that shows it, and what to do."""
    spoil(model)
    with pytest.raises(EmbspecError) as caught:
        build(tmp_path, "./judge", tmp_path / "out")
    (problem,) = caught.value.problems
    assert problem.code == code and text in str(problem) and problem.fix
    assert problem.where or problem.field == CROSS_ENCODER


def test_a_model_that_is_nowhere_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder, a package and a name of the hub, each in its own way."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    for name, code in (("./none", "input.missing"), ("package:no_such/x", "nowhere.package"), ("a/b", "nowhere.base")):
        with pytest.raises(EmbspecError) as caught:
            build(tmp_path, name, tmp_path / "out")
        assert (caught.value.problems[0].code, caught.value.problems[0].field) == (code, CROSS_ENCODER)


def test_a_model_of_the_hub_is_pinned_by_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `main` was at the first build is read for ever after; another model is looked at anew."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    first, second = "a" * 40, "b" * 40
    hub(tmp_path / "cache", tiny_cross_encoder(tmp_path / "one", 1), first)
    made = build(tmp_path, "acme/tiny", tmp_path / "out")
    pin = made.pins["revision"]
    assert pin == f"{first} acme/tiny@auto" and cross_encoder_sticky({CROSS_ENCODER: "acme/tiny"})
    hub(tmp_path / "cache", tiny_cross_encoder(tmp_path / "two", 2), second)
    build(tmp_path, "acme/tiny", tmp_path / "again", pin)
    assert listing(tmp_path / "again" / "cross_encoder") == listing(tmp_path / "out" / "cross_encoder")
    assert build(tmp_path, "acme/tiny", tmp_path / "anew").pins["revision"] == f"{second} acme/tiny@auto"


def test_the_stage_is_there_where_the_field_is_set() -> None:
    """A spec without a cross-encoder has no such stage, and `negatives` then needs none."""
    values = {"pairs.gold.trust": "gold", "model.method": "full", "negatives.rounds": 1, "numerics.device": "auto",
              "numerics.profile": "auto", "numerics.threads": "auto", "negatives.miners.1.kind": "dense",
              "eval.bm25.tokenizer": "words", "eval.bm25.language": "en",
              "eval.bm25.stem": False}
    for given, there in ((None, False), ("a/b", True)):
        stages = [stage for stage in STREET if stage.name in ("cross_encoder", "candidates", "negatives")]
        nodes = {node.name: node for node in expand(stages, {**values, CROSS_ENCODER: given})}
        assert list(nodes) == (["cross_encoder", "negatives"] if there else ["negatives"])
        needs = nodes["negatives"].stage.needs(nodes["negatives"].params, list(nodes))
        assert ("cross_encoder/cross_encoder" in needs) == there and "candidates/given.jsonl" not in needs


def test_a_model_of_vectors_is_none(tmp_path: Path) -> None:
    """A base in the place of a cross-encoder is the likeliest mistake."""
    tiny_transformer(tmp_path / "base")
    with pytest.raises(EmbspecError) as caught:
        build(tmp_path, "./base", tmp_path / "out")
    assert "a cross-encoder of one Transformer" in str(caught.value)
