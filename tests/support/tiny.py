"""Tiny models in the portable layout, made from numbers alone: no download, the same bytes in every process."""
from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

HIDDEN, HEADS, LAYERS, INNER, POSITIONS = 32, 4, 2, 64, 512
MAX_LENGTH = 64
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
WORDS = (
    "the of and to in is are was be it that this for on with as at by from or an not have has had do does did what "
    "when where which who why how can could should would will may must if then than there here they we you he she i "
    "my your our their its his her all any each more most some such no one two three four five six seven eight nine "
    "ten first last next new old good bad big small long short high low open close start stop turn on off up down "
    "left right front back top red green blue black white light dark hot cold water oil air fire stone wood iron "
    "steel pump valve motor engine belt wheel gate door key lock lamp bell rope chain boat ship harbour crane dock "
    "tide wind rain snow storm morning evening night day week month year hour minute time date name number list page "
    "book note letter form order price cost bill pay paid invoice account money bank tax leave holiday sick work "
    "office store room house kitchen road train car truck load lift weight speed heat noise error code fault reset "
    "restart install update file folder server network password user group team manager customer driver crew cat dog "
    "fish bird horse tree river sea hill map test check repair clean replace report question answer how many much "
    "broken safe danger warning press button screen printer paper machine tool part screw filter tank pipe leak gas"
)
VOCABULARY = tuple(dict.fromkeys((*SPECIALS, *LETTERS, *("##" + letter for letter in LETTERS), *".,:;?!-'()/",
                                  *WORDS.split())))
_TYPES = "sentence_transformers.models."


def tiny_transformer(folder: Path, seed: int = 0, dropout: float = 0.1) -> Path:
    """A two-layer BERT of 32 columns with mean pooling and normalisation, at most 64 tokens."""
    _json(folder / "modules.json", [
        {"idx": 0, "name": "0", "path": "", "type": _TYPES + "Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": _TYPES + "Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": _TYPES + "Normalize"},
    ])
    pooling("mean", folder)
    (folder / "2_Normalize").mkdir(exist_ok=True)
    _json(folder / "sentence_bert_config.json", {"max_seq_length": MAX_LENGTH, "do_lower_case": False})
    _json(folder / "config_sentence_transformers.json", _settings())
    _json(folder / "config.json", _bert(dropout))
    _tokenizer(folder, POSITIONS)
    save_file(_weights(seed), folder / "model.safetensors", {"format": "pt"})
    return folder


def tiny_cross_encoder(folder: Path, seed: int = 0, activation: str | None = None) -> Path:
    """The same BERT with one output for a pair, as sentence-transformers keeps a cross-encoder, of 64 tokens."""
    named = {} if activation is None else {"sentence_transformers": {"activation_fn": activation, "version": "6.2.0"}}
    one = {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"},
           "label2id": {"LABEL_0": 0}, **named}
    _json(folder / "config.json", {**_bert(0.1), **one})
    _tokenizer(folder, MAX_LENGTH)
    head = np.random.default_rng([seed, 1])
    made = {f"bert.{name}": tensor for name, tensor in _weights(seed).items()}
    made["classifier.weight"] = head.standard_normal((1, HIDDEN)).astype(np.float32)
    made["classifier.bias"] = np.zeros(1, np.float32)
    save_file(made, folder / "model.safetensors", {"format": "pt"})
    return folder


def _tokenizer(folder: Path, length: int) -> None:
    _json(folder / "tokenizer.json", _wordpiece())
    named = {f"{word.strip('[]').lower()}_token": word for word in SPECIALS}
    _json(folder / "special_tokens_map.json", named)
    _json(folder / "tokenizer_config.json", {
        "do_lower_case": True, "model_max_length": length, "strip_accents": None, "tokenize_chinese_chars": True,
        "tokenizer_class": "BertTokenizer", **named,
    })
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")


def pooling(mode: str, folder: Path) -> None:
    """Write how the tokens of a transformer become one vector; several modes are joined by `+`."""
    keys = {"cls": "cls_token", "mean": "mean_tokens", "max": "max_tokens", "mean_sqrt_len": "mean_sqrt_len_tokens",
            "weightedmean": "weightedmean_tokens", "lasttoken": "lasttoken"}
    asked = {f"pooling_mode_{key}": name in mode.split("+") for name, key in keys.items()}
    _json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": HIDDEN, **asked, "include_prompt": True})


def tiny_static(folder: Path, seed: int = 0, dim: int = 64) -> Path:
    """A table of one vector a word; a text is the mean of its words."""
    _json(folder / "modules.json", [
        {"idx": 0, "name": "0", "path": "0_StaticEmbedding", "type": _TYPES + "StaticEmbedding"},
    ])
    _json(folder / "config_sentence_transformers.json", _settings())
    inner = folder / "0_StaticEmbedding"
    inner.mkdir(exist_ok=True)
    tiny_static_files(inner / "model.safetensors", inner / "tokenizer.json", seed, dim)
    return folder


def tiny_static_files(weights: Path, tokenizer: Path, seed: int = 0, dim: int = 64, name: str = "embedding.weight",
                      dtype: str = "float32") -> None:
    """The same as two plain files, as `base: {static: {weights, tokenizer}}` takes them."""
    weights.parent.mkdir(parents=True, exist_ok=True)
    table = np.random.default_rng(seed).standard_normal((len(VOCABULARY), dim)).astype(dtype)
    save_file({name: table}, weights)
    _json(tokenizer, _word_level())


def _settings() -> Mapping[str, Any]:
    return {"__version__": {"sentence_transformers": "5.0.0"}, "prompts": {"query": "", "document": ""},
            "default_prompt_name": None, "similarity_fn_name": "cosine"}


def _bert(dropout: float) -> Mapping[str, Any]:
    return {
        "architectures": ["BertModel"], "model_type": "bert", "vocab_size": len(VOCABULARY), "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INNER, "hidden_act": "gelu",
        "hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout, "max_position_embeddings": POSITIONS,
        "type_vocab_size": 2, "layer_norm_eps": 1e-12, "pad_token_id": 0, "position_embedding_type": "absolute",
        "initializer_range": 0.02, "torch_dtype": "float32", "transformers_version": "4.48.0",
    }


def _weights(seed: int) -> dict[str, NDArray[np.float32]]:
    drawn = np.random.default_rng(seed)
    made: dict[str, NDArray[np.float32]] = {}

    def linear(name: str, rows: int, columns: int) -> None:
        made[f"{name}.weight"] = (0.1 * drawn.standard_normal((rows, columns))).astype(np.float32)
        made[f"{name}.bias"] = np.zeros(rows, np.float32)

    def norm(name: str) -> None:
        made[f"{name}.weight"] = np.ones(HIDDEN, np.float32)
        made[f"{name}.bias"] = np.zeros(HIDDEN, np.float32)

    for name, rows in (("word", len(VOCABULARY)), ("position", POSITIONS), ("token_type", 2)):
        scale = 1.0 if name == "word" else 0.1
        table = (scale * drawn.standard_normal((rows, HIDDEN))).astype(np.float32)
        made[f"embeddings.{name}_embeddings.weight"] = table
    norm("embeddings.LayerNorm")
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        for name in ("query", "key", "value"):
            linear(f"{at}.attention.self.{name}", HIDDEN, HIDDEN)
        linear(f"{at}.attention.output.dense", HIDDEN, HIDDEN)
        norm(f"{at}.attention.output.LayerNorm")
        linear(f"{at}.intermediate.dense", INNER, HIDDEN)
        linear(f"{at}.output.dense", HIDDEN, INNER)
        norm(f"{at}.output.LayerNorm")
    linear("pooler.dense", HIDDEN, HIDDEN)
    return made


def _wordpiece() -> Mapping[str, Any]:
    def special(id: str, kind: int) -> Mapping[str, Any]:
        return {"SpecialToken": {"id": id, "type_id": kind}}

    def sequence(id: str, kind: int) -> Mapping[str, Any]:
        return {"Sequence": {"id": id, "type_id": kind}}

    single = [special("[CLS]", 0), sequence("A", 0), special("[SEP]", 0)]
    marks = {word: {"id": word, "ids": [VOCABULARY.index(word)], "tokens": [word]} for word in ("[CLS]", "[SEP]")}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": _added(SPECIALS),
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": single,
                           "pair": [*single, sequence("B", 1), special("[SEP]", 1)], "special_tokens": marks},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": {word: at for at, word in enumerate(VOCABULARY)}},
    }


def _word_level() -> Mapping[str, Any]:
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": _added(("[UNK]",)),
        "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "unk_token": "[UNK]",
                  "vocab": {word: at for at, word in enumerate(VOCABULARY)}},
    }


def _added(words: tuple[str, ...]) -> list[Mapping[str, Any]]:
    return [{"id": VOCABULARY.index(word), "content": word, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True} for word in words]


def _json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
