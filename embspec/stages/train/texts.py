"""Texts as the model's tokenizer reads them, each read once for all epochs and checkpoints."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BLOCK = 512  # texts tokenized at a time

Read = Mapping[str, NDArray[np.int64]]


class Texts:
    """The tokens of texts, and any of them as one padded batch (for a static table: as one flat list)."""

    def __init__(self, model: Any, texts: Sequence[str], prompt: str | None) -> None:
        self._tokens: list[Read] = []
        self._shared: dict[str, Any] = {}  # what is said of a batch as a whole, as where its prompt ends
        self._pad: dict[str, int] = {}
        self._left = False
        self._flat = False
        for start in range(0, len(texts), BLOCK):
            self._read(model.preprocess(list(texts[start : start + BLOCK]), prompt=prompt or None))
        if self._tokens and not self._flat:
            self._left = model.tokenizer.padding_side == "left"
            self._pad = {"input_ids": model.tokenizer.pad_token_id or 0}

    def __len__(self) -> int:
        return len(self._tokens)

    @property
    def lengths(self) -> list[int]:
        """Tokens of each text."""
        return [len(tokens["input_ids"]) for tokens in self._tokens]

    def batch(self, chosen: Sequence[int]) -> dict[str, Any]:
        """These texts as the model takes them."""
        some = [self._tokens[at] for at in chosen]
        if self._flat:
            ends = np.cumsum([len(tokens["input_ids"]) for tokens in some])
            starts = np.concatenate(([0], ends[:-1]))
            ids = np.concatenate([tokens["input_ids"] for tokens in some])
            return {"input_ids": torch.from_numpy(ids), "offsets": torch.from_numpy(starts), **self._shared}
        width = max(len(tokens["input_ids"]) for tokens in some)
        return {name: self._padded(name, some, width) for name in some[0]} | self._shared

    def blocks(self, size: int, count: int) -> Iterator[tuple[list[int], dict[str, Any]]]:
        """The first `count` texts in batches of like length."""
        order = sorted(range(count), key=lambda at: (-len(self._tokens[at]["input_ids"]), at))
        for start in range(0, len(order), size):
            yield order[start : start + size], self.batch(order[start : start + size])

    def _read(self, features: Mapping[str, Any]) -> None:
        if "offsets" in features:
            self._flat = True
            parts = np.split(features["input_ids"].numpy(), features["offsets"].numpy()[1:])
            self._tokens += [{"input_ids": part.copy()} for part in parts]
            self._shared = {name: value for name, value in features.items() if name not in ("input_ids", "offsets")}
            return
        mask = features["attention_mask"].numpy().astype(bool)
        columns = {name: value.numpy() for name, value in features.items() if _by_token(value, mask)}
        self._shared = {name: _plain(value) for name, value in features.items() if name not in columns}
        # The mask tells what is a token and what is padding to the longest of a block.
        self._tokens += [{name: value[at][mask[at]] for name, value in columns.items()} for at in range(len(mask))]

    def _padded(self, name: str, some: Sequence[Read], width: int) -> Tensor:
        rows = np.full((len(some), width), self._pad.get(name, 0), some[0][name].dtype)
        for row, tokens in zip(rows, some, strict=True):
            own = tokens[name]
            row[width - len(own) if self._left else 0 : width if self._left else len(own)] = own
        return torch.from_numpy(rows)


def _by_token(value: Any, mask: NDArray[np.bool_]) -> bool:
    return isinstance(value, Tensor) and value.shape == mask.shape


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, Tensor) and value.numel() == 1 else value
