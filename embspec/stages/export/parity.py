"""Whether an ONNX model gives the vectors of the model it was made from."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from embspec.stages.engines import STATIC, optional, parts

BATCH = 8

Floats = NDArray[np.float32]


class Likeness(NamedTuple):
    """How near two sets of vectors are: the lowest cosine, and the largest difference of two numbers."""

    cosine: float
    difference: float


class Runtime:
    """An ONNX model and its tokenizer, as a service would run them."""

    def __init__(self, path: Path, folder: Path, max_length: int | None) -> None:
        import onnxruntime  # type: ignore[import-untyped]

        kind, folder = parts(folder)[0]
        self._tokens = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._specials = kind != STATIC
        self._lower = optional(folder / "sentence_bert_config.json").get("do_lower_case", False)
        self._tokens.no_truncation()
        if max_length is not None:
            self._tokens.enable_truncation(max_length)
        said = optional(folder / "tokenizer_config.json")
        pad = said.get("pad_token")
        number = self._tokens.token_to_id(pad["content"] if isinstance(pad, dict) else pad) if pad else None
        self._tokens.enable_padding(direction=said.get("padding_side", "right"), pad_id=number or 0)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.inputs = [given.name for given in self._session.get_inputs()]

    def encode(self, texts: Sequence[str]) -> Floats:
        """The vectors of one batch."""
        put = [text.lower() if self._lower else text for text in texts]
        rows = self._tokens.encode_batch(put, add_special_tokens=self._specials)
        values = {
            "input_ids": [row.ids for row in rows],
            "attention_mask": [row.attention_mask for row in rows],
            "token_type_ids": [row.type_ids for row in rows],
        }
        given = {name: np.array(values[name], np.int64).reshape(len(rows), -1) for name in self.inputs}
        return np.asarray(self._session.run(["sentence_embedding"], given)[0], np.float32)


def likeness(runtime: Runtime, texts: Sequence[str], vectors: Floats) -> Likeness:
    """Run texts alone and in padded batches, shortest beside longest."""
    cosine, difference = 1.0, 0.0
    for rows in _batches(texts):
        found = runtime.encode([texts[row] for row in rows]).astype(np.float64)
        wanted = vectors[rows].astype(np.float64)
        size = np.linalg.norm(found, axis=1) * np.linalg.norm(wanted, axis=1)
        same = (found == wanted).all(axis=1)  # all zeros have no direction
        cosines = np.where(same, 1.0, (found * wanted).sum(axis=1) / np.where(size > 0, size, np.inf))
        # Not `min`, which passes over a number that is none.
        cosine = float(np.minimum(cosine, cosines.min()))
        difference = float(np.maximum(difference, np.abs(found - wanted).max()))
    return Likeness(cosine, difference)


def _batches(texts: Sequence[str]) -> Iterator[list[int]]:
    order = sorted(range(len(texts)), key=lambda row: (len(texts[row]), row))
    for place in sorted({0, len(order) // 4, len(order) // 2, 3 * len(order) // 4, len(order) - 1}):
        yield [order[place]]
    step = max(1, -(-len(order) // BATCH))
    for start in range(step):
        yield order[start::step]
