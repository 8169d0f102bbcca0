"""The model in training: sentence-transformers', run in groups of like length."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from packaging.version import Version
from sentence_transformers import SentenceTransformer
from torch import Tensor

GROUP = 16  # texts that run together


class GroupedModel(SentenceTransformer):
    """Runs a batch in groups of 16 rows, each padded to its own longest.

    The same mathematics as one padded forward, without the work on padding; who sorts the rows by length first gains
    most. A static table has no padding and runs as it is.
    """

    ran = 0  # rows put through so far

    def forward(self, input: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """The features with `sentence_embedding`, in the order of the rows."""
        mask = input.get("attention_mask")
        if mask is None:
            self.ran += len(input["offsets"])
            return super().forward(input, **kwargs)
        self.ran += len(mask)
        groups = [_group(input, mask, start) for start in range(0, len(mask), GROUP)]
        vectors = [super(GroupedModel, self).forward(one, **kwargs)["sentence_embedding"] for one in groups]
        return {**input, "sentence_embedding": vectors[0] if len(vectors) == 1 else torch.cat(vectors)}


def on(device: torch.device, features: Mapping[str, Any]) -> dict[str, Any]:
    """The features where the model is."""
    return {name: value.to(device) if isinstance(value, Tensor) else value for name, value in features.items()}


def _group(features: Mapping[str, Any], mask: Tensor, start: int) -> dict[str, Any]:
    used = mask[start : start + GROUP].any(dim=0).nonzero()
    low, high = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, mask.shape[1])
    return {
        name: value[start : start + GROUP, low:high]
        if isinstance(value, Tensor) and value.shape == mask.shape
        else value
        for name, value in features.items()
    }


def load(folder: Path) -> GroupedModel:
    """The folder's model in float32, whatever its weights are stored in."""
    # transformers would else train in the half precision that a config may name.
    dtype = "dtype" if Version(transformers.__version__) >= Version("4.56") else "torch_dtype"
    plain = SentenceTransformer(str(folder), device="cpu", local_files_only=True, model_kwargs={dtype: torch.float32})
    # Loaded under its own name: some versions take a subclass for another kind of model and rebuild its modules.
    model = GroupedModel(modules=list(plain), device="cpu", prompts=plain.prompts,  # type: ignore[arg-type]
                         similarity_fn_name=plain.similarity_fn_name)
    return model.float()
