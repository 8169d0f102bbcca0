"""The models that a portable folder can hold: which modules they are made of, and how texts run through them."""
from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from embspec.errors import EmbspecError, Where, fail
from embspec.retrieval import knn
from embspec.retrieval.encode import Numbers, Padding, encode, one_thread
from embspec.retrieval.pieces import Pieces, rules

Vectors = NDArray[np.float32]
Run = Callable[[Sequence[str]], Vectors]
Pool = Callable[[Vectors], NDArray[np.float64]]

STATIC = "StaticEmbedding"
SOME = 256  # texts that a table of words is asked for at once
ROWS = 16  # of every matrix product behind the pooling: with another number torch may take a path of other bits
MODES: Mapping[str, str] = {  # of pooling, with their keys in a config, in the order in which several are joined
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}
# Sums are made in float64, one text after the other: the batch cannot be seen in them.
POOLINGS: Mapping[str, Pool] = {
    "cls": lambda states: states[0].astype(np.float64),
    "max": lambda states: states.max(axis=0).astype(np.float64),
    "mean": lambda states: states.sum(axis=0, dtype=np.float64) / len(states),
    "mean_sqrt_len_tokens": lambda states: states.sum(axis=0, dtype=np.float64) / len(states) ** 0.5,
    "weightedmean": lambda states: _weighted_mean(states),
    "lasttoken": lambda states: states[-1].astype(np.float64),
}
ACTIVATIONS = ("Identity", "Tanh", "ReLU", "GELU", "Sigmoid", "SiLU")


class Engine(Protocol):
    """A model whose weights are read when the first text needs them."""

    dim: int
    max_seq_length: int | None

    def encode(self, texts: Sequence[str]) -> Vectors: ...
    def release(self) -> None: ...


class Part(NamedTuple):
    """One of the modules that a folder says it is made of."""

    kind: str
    folder: Path


def engine(folder: Path) -> Engine:
    """The model in a portable folder."""
    made_of = parts(folder)
    kinds = [part.kind for part in made_of]
    if kinds[:1] == [STATIC]:
        return Static(made_of[0].folder, Tail(made_of[1:]))
    if kinds[:2] == ["Transformer", "Pooling"]:
        return Transformer(made_of[0].folder, made_of[1].folder, Tail(made_of[2:]))
    raise refused(folder / "modules.json", f"texts cannot be encoded by the modules {', '.join(kinds) or 'of no name'}",
                  "use a model that starts with StaticEmbedding, or with Transformer and Pooling")


def parts(folder: Path) -> list[Part]:
    """The modules of a portable folder, in order."""
    return [Part(row["type"].rpartition(".")[2], folder / row["path"]) for row in read(folder / "modules.json")]


def modes(pooling: Mapping[str, Any]) -> list[str]:
    """The modes that the config of a pooling asks for, in the order in which they are joined."""
    return [mode for mode, key in MODES.items() if pooling.get(key)]


def read(path: Path) -> Any:
    """A JSON file of the folder."""
    return json.loads(path.read_bytes())


def optional(path: Path) -> dict[str, Any]:
    """A JSON file that not every model has."""
    return dict(read(path)) if path.exists() else {}


def refused(path: Path, text: str, fix: str) -> EmbspecError:
    """A model that would not run here the way it runs elsewhere."""
    return fail("input.model", text, Where(str(path)), fix)


class Tail:
    """What comes after the tokens of a text have become one vector: Dense and Normalize."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        for part in parts:
            if part.kind not in ("Dense", "Normalize"):
                raise refused(part.folder, f"the module {part.kind} cannot be run here", "use a model without it")
        self._steps: list[Callable[[Vectors], Vectors]] | None = None

    def dim(self, dim: int) -> int:
        """How many columns come out where so many go in."""
        wide = [read(part.folder / "config.json")["out_features"] for part in self._parts if part.kind == "Dense"]
        return int(wide[-1]) if wide else dim

    def __call__(self, vectors: Vectors) -> Vectors:
        """The vectors behind the last module."""
        if self._steps is None:
            self._steps = [_normalized if part.kind == "Normalize" else _dense(part.folder) for part in self._parts]
        for step in self._steps:
            vectors = step(vectors)
        return vectors


class Static:
    """A table of one vector a token; a text is the mean of its tokens, zeros where it has none."""

    def __init__(self, folder: Path, tail: Tail) -> None:
        from safetensors import safe_open

        self._folder, self._tail = folder, tail
        with safe_open(folder / "model.safetensors", "numpy") as tensors:
            self.dim = tail.dim(tensors.get_slice("embedding.weight").get_shape()[1])
        cut = read(folder / "tokenizer.json")["truncation"]
        self.max_seq_length: int | None = cut["max_length"] if cut else None
        self._run: Run | None = None

    def encode(self, texts: Sequence[str]) -> Vectors:
        """The vectors of these texts, prompts included."""
        self._run = self._run or self._opened()
        return self._tail(self._run(texts))

    def release(self) -> None:
        """Let go of the weights; the next text has them read again."""
        self._run = None

    def _opened(self) -> Run:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        table = load_file(self._folder / "model.safetensors")["embedding.weight"].astype(np.float32, copy=False)
        tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        tokenizer.no_padding()
        if by_words := rules(tokenizer.to_str()):
            tokenizer.no_truncation()

        def whole(some: Sequence[str]) -> list[list[int]]:
            return [found.ids for found in tokenizer.encode_batch_fast(some, add_special_tokens=False)]

        pieces = Pieces(whole, by_words)

        def run(texts: Sequence[str]) -> Vectors:
            vectors = np.zeros((len(texts), table.shape[1]), np.float32)
            for start in range(0, len(texts), SOME):  # the words of all of them at once would be much memory
                for row, ids in enumerate(pieces(texts[start : start + SOME]), start):
                    if len(ids):
                        # One row added after the other in float32, as EmbeddingBag does: the same on every processor.
                        vectors[row] = table[ids].sum(axis=0) / np.float32(len(ids))
            return vectors

        return run


class Transformer:
    """A model of transformers whose last states are pooled."""

    def __init__(self, folder: Path, pooling: Path, tail: Tail) -> None:
        self._folder, self._tail = folder, tail
        config, pooled = read(folder / "config.json"), read(pooling / "config.json")
        if config.get("is_encoder_decoder"):
            raise refused(folder / "config.json", "a model with a decoder of its own cannot be run here",
                          "use an encoder")
        if not pooled.get("include_prompt", True):
            raise refused(pooling / "config.json", "pooling that leaves out the prompt cannot be run here",
                          "set include_prompt to true, or use another model")
        self._pools = [POOLINGS[mode] for mode in modes(pooled)]
        self.dim = tail.dim(len(self._pools) * int(pooled["word_embedding_dimension"]))
        positions = config.get("max_position_embeddings") or -1
        self._positions: int | None = positions if positions > 0 else None
        asked = optional(folder / "sentence_bert_config.json")
        self._lower = bool(asked.get("do_lower_case"))
        self.max_seq_length: int | None = asked.get("max_seq_length") or self._longest()
        self._run: Run | None = None

    def encode(self, texts: Sequence[str]) -> Vectors:
        """The vectors of these texts, prompts included."""
        self._run = self._run or self._opened()
        return self._tail(self._run(texts))

    def release(self) -> None:
        """Let go of the weights; the next text has them read again."""
        self._run = None

    def _longest(self) -> int | None:
        """Without a length of its own, a model takes what both its tokenizer and its positions take."""
        told = optional(self._folder / "tokenizer_config.json").get("model_max_length")
        known = [length for length in (told, self._positions) if length and length < 1 << 30]
        return int(min(known)) if known else None

    def _opened(self) -> Run:
        import torch
        from transformers import AutoModel, AutoTokenizer

        with quiet():
            model = AutoModel.from_pretrained(str(self._folder)).float().eval()
            tokenizer = AutoTokenizer.from_pretrained(str(self._folder))
        words = tokenizer.backend_tokenizer
        words.no_padding()
        words.no_truncation()
        if self.max_seq_length:
            words.enable_truncation(self.max_seq_length, direction=tokenizer.truncation_side)
        if self._lower:
            _lower_case(words)
        kinds = "token_type_ids" in tokenizer.model_input_names
        padding = Padding(tokenizer.pad_token_id or 0, self._positions)

        def forward(ids: Numbers, mask: Numbers) -> Vectors:
            with torch.inference_mode():
                asked = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
                if kinds:
                    asked["token_type_ids"] = torch.zeros_like(asked["input_ids"])
                states = model(**asked).last_hidden_state.numpy()
            return self._pooled(states, mask)

        def run(texts: Sequence[str]) -> Vectors:
            tokens = [found.ids for found in words.encode_batch_fast(list(texts))]
            return encode(tokens, forward, model.config.hidden_size * len(self._pools), padding)

        return run

    def _pooled(self, states: Vectors, mask: Numbers) -> Vectors:
        """One vector a text, from the states of its own tokens; zeros where it has none."""
        vectors = np.zeros((len(states), states.shape[2] * len(self._pools)), np.float32)
        for row, length in enumerate(mask.sum(axis=1).tolist()):
            if length:
                vectors[row] = np.concatenate([pool(states[row, :length]) for pool in self._pools])
        return vectors


def _weighted_mean(states: Vectors) -> NDArray[np.float64]:
    """Later tokens count more, the n-th n times."""
    weights = np.arange(1, len(states) + 1, dtype=np.float64)
    return np.asarray((states * weights[:, None]).sum(axis=0) / weights.sum())


def _normalized(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.maximum(knn.lengths(vectors), 1e-12)[:, None], np.float32)


def _dense(folder: Path) -> Callable[[Vectors], Vectors]:
    """A matrix product and what follows it, always for the same number of rows."""
    import torch
    from safetensors.torch import load_file

    config, tensors = read(folder / "config.json"), load_file(folder / "model.safetensors")
    name = config.get("activation_function", "Tanh").rpartition(".")[2]
    if name not in ACTIVATIONS or config.get("use_residual"):
        what = "a residual" if config.get("use_residual") else f"the activation {name}"
        raise refused(folder / "config.json", f"a Dense with {what} cannot be run here", "use another model")
    activation = getattr(torch.nn, name)()
    weight, bias = tensors["linear.weight"].float(), tensors.get("linear.bias")

    def run(vectors: Vectors) -> Vectors:
        found = np.zeros((len(vectors), weight.shape[0]), np.float32)
        with one_thread(), torch.inference_mode():
            for start in range(0, len(vectors), ROWS):
                rows = vectors[start : start + ROWS]
                block = torch.zeros(ROWS, weight.shape[1])
                block[: len(rows)] = torch.from_numpy(np.array(rows))
                made = activation(torch.nn.functional.linear(block, weight, None if bias is None else bias.float()))
                found[start : start + ROWS] = made.numpy()[: len(rows)]
        return found

    return run


def _lower_case(words: Any) -> None:
    from tokenizers.normalizers import Lowercase, Sequence

    words.normalizer = Lowercase() if words.normalizer is None else Sequence([Lowercase(), words.normalizer])


@contextmanager
def quiet() -> Iterator[None]:
    """Bars and hints of transformers are for people who load models by hand."""
    from transformers.utils import logging as untyped

    logging: Any = untyped
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
