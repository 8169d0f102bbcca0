"""The encoder: the vectors that sentence-transformers gives, in bits that hang on model and text alone."""
from __future__ import annotations

import json
import random
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

from embspec.errors import EmbspecError
from embspec.stages import encoder
from embspec.stages.encoder import opened
from tests.support.desk import Bank, Desk
from tests.support.threads import threads
from tests.support.tiny import HIDDEN, WORDS, pooling, tiny_static, tiny_transformer

TEXTS = ("the pump is broken", "how do I restart the engine of the boat?", "", " ", "Invoice 7, page two " * 30, "Ü!",
         "The PUMP is broken", "a")


def words(number: int, seed: int = 0) -> list[str]:
    """Texts of all lengths, up to more tokens than a tiny model takes."""
    drawn = random.Random(seed)
    return [" ".join(drawn.choices(WORDS.split(), k=drawn.choice((1, 3, 14, 15, 20, 30, 46, 62, 80))))
            for _ in range(number)]


def vectors(folder: Path, texts: Sequence[str], at: Path) -> NDArray[np.float32]:
    """The texts as documents, on an empty desk."""
    return opened(folder, "sha256:1", Desk(at)).documents(texts)


def elsewhere(folder: Path) -> Any:
    """The same folder in sentence-transformers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what importing says is the libraries' own business
        from sentence_transformers import SentenceTransformer
    return SentenceTransformer(str(folder), device="cpu")


def edit(path: Path, **changed: Any) -> None:
    """Change a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


def dense(folder: Path, out: int, activation: str) -> None:
    """Put a Dense between pooling and normalisation."""
    types = "sentence_transformers.models."
    rows = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense"), ("3_Normalize", "Normalize")]
    (folder / "modules.json").write_text(json.dumps(
        [{"idx": n, "name": str(n), "path": path, "type": types + kind} for n, (path, kind) in enumerate(rows)]))
    for name in ("2_Dense", "3_Normalize"):
        (folder / name).mkdir()
    (folder / "2_Dense" / "config.json").write_text(json.dumps({
        "in_features": HIDDEN, "out_features": out, "bias": True,
        "activation_function": f"torch.nn.modules.activation.{activation}"}))
    drawn = np.random.default_rng(9)
    save_file({"linear.weight": drawn.standard_normal((out, HIDDEN)).astype(np.float32),
               "linear.bias": drawn.standard_normal(out).astype(np.float32)}, folder / "2_Dense" / "model.safetensors")


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    """A tiny transformer."""
    return tiny_transformer(tmp_path / "bert")


@pytest.fixture
def static(tmp_path: Path) -> Path:
    """A tiny static model."""
    return tiny_static(tmp_path / "static")


@pytest.mark.parametrize("mode", ["mean", "cls", "max", "mean_sqrt_len", "weightedmean", "lasttoken", "cls+mean+max"])
def test_a_transformer_gives_what_it_gives_elsewhere(bert: Path, tmp_path: Path, mode: str) -> None:
    """Within 1e-6, whatever its pooling, of texts too long and empty too."""
    pooling(mode, bert)
    if mode != "mean":
        (bert / "modules.json").write_text(json.dumps(json.loads((bert / "modules.json").read_text())[:2]))
    found, right = vectors(bert, TEXTS, tmp_path / "desk"), elsewhere(bert).encode(list(TEXTS))
    assert found.dtype == np.float32 and found.shape == right.shape
    assert np.abs(found - right).max() <= 1e-6


@pytest.mark.parametrize(("file", "changed"), [
    ("sentence_bert_config.json", {"max_seq_length": 9}),
    ("sentence_bert_config.json", {"max_seq_length": None}),
    ("sentence_bert_config.json", {"do_lower_case": True}),
    ("tokenizer_config.json", {"padding_side": "left"}),
    ("tokenizer_config.json", {"truncation_side": "left"}),
    ("tokenizer_config.json", {"model_input_names": ["input_ids", "attention_mask"]}),
    ("tokenizer_config.json", {"model_max_length": 11}),
    ("config.json", {"dtype": "float16"}),
])
def test_settings_of_a_folder_mean_what_they_mean_elsewhere(
    bert: Path, tmp_path: Path, file: str, changed: dict[str, Any]
) -> None:
    """Lengths, case, sides and inputs; compared text by text, since padding before a text moves its positions."""
    edit(bert / file, **changed)
    other = elsewhere(bert)
    model = opened(bert, "sha256:1", Desk(tmp_path / "desk"))
    assert np.abs(model.documents(TEXTS) - other.float().encode(list(TEXTS), batch_size=1)).max() <= 1e-6
    assert model.max_seq_length == other.max_seq_length


@pytest.mark.parametrize("activation", ["Tanh", "ReLU", "GELU"])
def test_a_dense_layer_gives_what_it_gives_elsewhere(bert: Path, tmp_path: Path, activation: str) -> None:
    """Its columns are the model's."""
    dense(bert, 24, activation)
    model = opened(bert, "sha256:1", Desk(tmp_path / "desk"))
    assert model.dim == 24
    assert np.abs(model.documents(TEXTS) - elsewhere(bert).encode(list(TEXTS))).max() <= 1e-6


@pytest.mark.parametrize("cut", [None, 3])
@pytest.mark.parametrize("normalised", [False, True])
def test_a_static_model_gives_what_it_gives_elsewhere(static: Path, tmp_path: Path, normalised: bool, cut: int | None
                                                      ) -> None:
    """The mean of its tokens, zeros for a text without one, cut where its tokenizer cuts."""
    if normalised:
        rows = json.loads((static / "modules.json").read_text())
        rows.append({"idx": 1, "name": "1", "path": "1_Normalize", "type": "sentence_transformers.models.Normalize"})
        (static / "modules.json").write_text(json.dumps(rows))
        (static / "1_Normalize").mkdir()
    if cut:
        edit(static / "0_StaticEmbedding" / "tokenizer.json", truncation={
            "direction": "Right", "max_length": cut, "strategy": "LongestFirst", "stride": 0})
    model = opened(static, "sha256:1", Desk(tmp_path / "desk"))
    found = model.documents(TEXTS)
    assert np.abs(found - elsewhere(static).encode(list(TEXTS))).max() <= 1e-6
    assert not found[2].any() and found[0].any()
    assert model.max_seq_length == cut


def test_each_side_has_its_prompt(bert: Path, tmp_path: Path) -> None:
    """As `encode_query` and `encode_document` put them before a text."""
    edit(bert / "config_sentence_transformers.json", prompts={"query": "question: ", "document": "note: "})
    model, other = opened(bert, "sha256:1", Desk(tmp_path / "desk")), elsewhere(bert)
    assert np.abs(model.queries(TEXTS) - other.encode_query(list(TEXTS))).max() <= 1e-6
    assert np.abs(model.documents(TEXTS) - other.encode_document(list(TEXTS))).max() <= 1e-6
    assert not np.array_equal(model.queries(TEXTS), model.documents(TEXTS))


@pytest.mark.parametrize("layers", ["mean", "dense"])
@pytest.mark.parametrize("number", [1, 2, 8])
def test_bits_do_not_hang_on_batch_order_subset_or_threads(
    bert: Path, tmp_path: Path, number: int, layers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches of 1, 7 and 32, every order, any part of the texts, one thread or eight: no bit is another."""
    if layers == "dense":
        dense(bert, 20, "GELU")
    texts = words(90)
    with threads(1):
        right = vectors(bert, texts, tmp_path / "right")
    drawn = random.Random(number)
    with threads(number):
        for size in (1, 7, 32):
            monkeypatch.setattr(encoder, "BLOCK", size)
            assert same_bits(vectors(bert, texts, tmp_path / f"{size}"), right)
        monkeypatch.undo()
        for turn in range(6):
            some = drawn.sample(range(90), drawn.choice((2, 5, 19, 60, 90)))
            assert same_bits(vectors(bert, [texts[n] for n in some], tmp_path / f"some {turn}"), right[some])


def same_bits(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Equal to the last bit, zeros with their sign."""
    return one.tobytes() == other.tobytes()


def test_encoding_leaves_torch_as_it_was(bert: Path, tmp_path: Path) -> None:
    """Training around it goes on with its threads and its numbers drawn."""
    with threads(3):
        torch.manual_seed(5)
        vectors(bert, words(20), tmp_path / "desk")
        after = torch.rand(3)
        torch.manual_seed(5)
        assert torch.equal(torch.rand(3), after)
        assert torch.get_num_threads() == 3 and torch.is_grad_enabled()


@pytest.mark.parametrize("kind", ["bert", "static"])
def test_a_warm_bank_gives_the_same_bytes_and_encodes_nothing(kind: str, tmp_path: Path, request: Any) -> None:
    """Weights are not even read: without them the vectors are there all the same."""
    folder, bank = request.getfixturevalue(kind), Bank()
    cold = opened(folder, "sha256:1", Desk(tmp_path / "a", bank=bank))
    right = cold.documents(words(30))
    for path in folder.rglob("model.safetensors") if kind == "bert" else ():
        path.unlink()
    warm = opened(folder, "sha256:1", Desk(tmp_path / "b", bank=bank))
    assert same_bits(warm.documents(words(30)), right)
    assert (cold.encoded, warm.encoded) == (len(set(words(30))), 0)


def test_another_model_prompt_or_length_has_rows_of_its_own(bert: Path, tmp_path: Path) -> None:
    """What a row hangs on tells spaces apart; equal prompts of both sides share one."""
    bank = Bank()
    opened(bert, "sha256:1", Desk(tmp_path / "a", bank=bank)).documents(TEXTS)
    assert opened_and_counted(bert, "sha256:1", tmp_path / "b", bank) == 0
    assert opened_and_counted(bert, "sha256:2", tmp_path / "c", bank) == len(TEXTS)
    edit(bert / "config_sentence_transformers.json", prompts={"query": "question: ", "document": ""})
    assert opened_and_counted(bert, "sha256:1", tmp_path / "d", bank) == len(TEXTS)
    edit(bert / "sentence_bert_config.json", max_seq_length=5)
    assert opened_and_counted(bert, "sha256:1", tmp_path / "e", bank) == len(TEXTS)


def opened_and_counted(folder: Path, digest: str, at: Path, bank: Bank) -> int:
    """How many queries a desk with this bank encodes."""
    model = opened(folder, digest, Desk(at, bank=bank))
    model.queries(TEXTS)
    return model.encoded


def test_a_row_of_another_length_is_made_anew(static: Path, tmp_path: Path) -> None:
    """What a bank holds is believed only where it can be a vector of the model."""
    bank = Bank()
    right = opened(static, "sha256:1", Desk(tmp_path / "a", bank=bank)).documents(TEXTS)
    for rows in bank.spaces.values():
        rows.update(dict.fromkeys(rows, b"1234"))
    assert same_bits(opened(static, "sha256:1", Desk(tmp_path / "b", bank=bank)).documents(TEXTS), right)


def test_texts_stream_in_blocks_and_equal_ones_are_encoded_once(
    static: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than a block lies in a file that is mapped, and is the same as all at once."""
    texts = words(40) + words(40)
    right = vectors(static, texts, tmp_path / "a")
    monkeypatch.setattr(encoder, "BLOCK", 16)
    desk = Desk(tmp_path / "b")
    model = opened(static, "sha256:1", desk)
    first, second = model.documents(iter(texts)), model.documents(iter(texts[:20]))
    assert isinstance(first, np.memmap) and same_bits(first, right) and same_bits(second, right[:20])
    assert model.encoded == len(set(texts))
    assert [len(block) for block in model.blocks(iter(texts))] == [16, 16, 16, 16, 16]
    assert desk.told and desk.told[0].done == 16


@pytest.mark.parametrize("number", [0, 16, 17])
def test_a_block_that_is_just_full_is_all(static: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
                                          ) -> None:
    """No row is lost or made up at the seams."""
    monkeypatch.setattr(encoder, "BLOCK", 16)
    texts = [f"pump {n}" for n in range(number)]
    assert opened(static, "sha256:1", Desk(tmp_path / "a")).documents(iter(texts)).shape == (number, 64)


def test_half_a_surrogate_pair_is_encoded(static: Path, tmp_path: Path) -> None:
    """JSON can hold one, no tokenizer takes it."""
    assert vectors(static, ["pump \ud800 belt"], tmp_path / "a").any()


def test_a_model_of_broken_numbers_is_told(static: Path, tmp_path: Path) -> None:
    """Instead of a ranking at random."""
    path = static / "0_StaticEmbedding" / "model.safetensors"
    save_file({"embedding.weight": np.full((400, 64), np.nan, np.float32)}, path)
    with pytest.raises(EmbspecError, match="gives no numbers for the text 'pump'") as caught:
        vectors(static, ["", "pump"], tmp_path / "a")
    assert caught.value.problems[0].code == "stage.not-a-number"


@pytest.mark.parametrize(("file", "change", "says"), [
    ("modules.json", [{"type": "sentence_transformers.models.WordEmbeddings", "path": "0_StaticEmbedding"}],
     "cannot be encoded by the modules WordEmbeddings"),
    ("modules.json", [{"type": "sentence_transformers.models.StaticEmbedding", "path": "0_StaticEmbedding"},
                      {"type": "sentence_transformers.models.LSTM", "path": "1"}], "the module LSTM"),
    ("config_sentence_transformers.json", {"similarity_fn_name": "manhattan"}, "compared by manhattan"),
])
def test_what_would_run_in_another_way_is_refused(static: Path, tmp_path: Path, file: str, change: Any, says: str
                                                  ) -> None:
    """A module or a likeness that is not known is named, never left out."""
    (static / file).write_text(json.dumps(change))
    with pytest.raises(EmbspecError, match=says) as caught:
        opened(static, "sha256:1", Desk(tmp_path / "a"))
    assert caught.value.problems[0].code == "input.model"


@pytest.mark.parametrize(("file", "changed", "says"), [
    ("1_Pooling/config.json", {"include_prompt": False}, "leaves out the prompt"),
    ("config.json", {"is_encoder_decoder": True}, "decoder of its own"),
])
def test_a_transformer_that_would_run_in_another_way_is_refused(
    bert: Path, tmp_path: Path, file: str, changed: dict[str, Any], says: str
) -> None:
    """Before a text is encoded."""
    edit(bert / file, **changed)
    with pytest.raises(EmbspecError, match=says):
        opened(bert, "sha256:1", Desk(tmp_path / "a"))


@pytest.mark.parametrize("changed", [{"activation_function": "torch.nn.modules.activation.Softplus"},
                                     {"use_residual": True}])
def test_a_dense_layer_that_would_run_in_another_way_is_refused(bert: Path, tmp_path: Path, changed: dict[str, Any]
                                                                ) -> None:
    """Its activation is in a table, and there is no residual."""
    dense(bert, 8, "Tanh")
    edit(bert / "2_Dense" / "config.json", **changed)
    with pytest.raises(EmbspecError, match="a Dense with"):
        vectors(bert, TEXTS, tmp_path / "a")


def imported(model: Path, scratch: Path) -> set[str]:
    """What a process of its own has imported that encodes a text, and says nothing."""
    script = (
        "import sys; from pathlib import Path; from embspec.stages.encoder import opened\n"
        "from tests.support.desk import Desk\n"
        f"assert opened(Path({str(model)!r}), 'sha256:1', Desk(Path({str(scratch)!r}))).documents(['pump']).any()\n"
        "print(*sys.modules)"
    )
    root = Path(__file__).parents[2]
    ran = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert ran.stderr == "" and "embspec.stages.encoder" in ran.stdout
    return set(ran.stdout.split())


def test_a_static_model_needs_no_torch(static: Path, tmp_path: Path) -> None:
    """Nor transformers: a changed document is encoded in the time that these take to import."""
    assert not {"torch", "transformers", "sentence_transformers"} & imported(static, tmp_path)


def test_a_transformer_does_not_need_sentence_transformers(bert: Path, tmp_path: Path) -> None:
    """It takes six seconds to import, and is silent here."""
    assert "sentence_transformers" not in imported(bert, tmp_path)
