"""A transformer as ONNX: encoder, pooling and normalisation in one graph."""
from __future__ import annotations

import inspect
import logging
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.jit import TracerWarning  # type: ignore[attr-defined]
from transformers import AutoModel, AutoTokenizer

from embspec.errors import fail
from embspec.stages.engines import modes, parts, quiet, read

MOST_OPSET = 20  # of the exporter whose files hold no local path
# What torch says of every transformer: of this exporter, and of indices that are never negative in a mask.
SAID = (
    "You are using the legacy TorchScript-based ONNX export",
    "The feature will be removed",
    "Exporting aten::index operator of advanced indexing",
)


class Pooling(nn.Module):
    """One vector of the tokens' vectors."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.modes = modes(config)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Pool by each mode, side by side."""
        marks = mask.unsqueeze(-1).to(tokens.dtype)
        places = torch.cumsum(torch.ones_like(mask), 1)  # not arange: the length stays open in the graph
        return torch.cat([_pooled(mode, tokens, marks, places.unsqueeze(-1)) for mode in self.modes], 1)


def _pooled(mode: str, tokens: Tensor, marks: Tensor, places: Tensor) -> Tensor:
    if mode == "cls":
        return tokens[:, 0]
    if mode == "max":
        return torch.where(marks > 0, tokens, torch.full_like(tokens, -1e9)).amax(1)
    if mode == "lasttoken":
        last = places * marks == (places * marks).amax(1, keepdim=True)
        return (tokens * last.to(tokens.dtype)).sum(1)
    weights = marks * places if mode == "weightedmean" else marks
    count = weights.sum(1).clamp(min=1e-9)
    return (tokens * weights).sum(1) / (count.sqrt() if mode == "mean_sqrt_len_tokens" else count)


class Dense(nn.Module):
    """A linear layer with its activation."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        tensors = load_file(folder / "model.safetensors")
        wide, narrow = tensors["linear.weight"].shape
        self.linear = nn.Linear(narrow, wide, bias="linear.bias" in tensors)
        self.load_state_dict(tensors)
        name = read(folder / "config.json").get("activation_function", "Tanh")
        self.activation = getattr(nn, name.rpartition(".")[2])()

    def forward(self, vectors: Tensor) -> Tensor:
        """Map vectors."""
        return self.activation(self.linear(vectors))  # type: ignore[no-any-return]


class Normalize(nn.Module):
    """Vectors of length 1."""

    def forward(self, vectors: Tensor) -> Tensor:
        """Divide by the length."""
        return nn.functional.normalize(vectors, p=2.0, dim=1)


class Whole(nn.Module):
    """From token ids to the vector of a text."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        first, pooling, *rest = made_of = parts(folder)
        kinds = [part.kind for part in made_of]
        if kinds[:2] != ["Transformer", "Pooling"] or not set(kinds[2:]) <= {"Dense", "Normalize"}:
            raise fail("stage.onnx", f"a model with the modules {', '.join(kinds)} cannot be written as ONNX",
                       fix="leave out `export.onnx`", field="export.onnx")
        # Eager attention is plain matrix products: the others trace to operators that not every runtime has.
        with _quiet():
            self.encoder = AutoModel.from_pretrained(
                str(first.folder), local_files_only=True, attn_implementation="eager", dtype=torch.float32
            )
        self.pooling = Pooling(read(pooling.folder / "config.json"))
        self.after = nn.Sequential(*(Dense(part.folder) if part.kind == "Dense" else Normalize() for part in rest))
        tokenizer = AutoTokenizer.from_pretrained(str(first.folder), local_files_only=True)
        given = set(tokenizer.model_input_names) & set(inspect.signature(self.encoder.forward).parameters)
        self.names = ["input_ids", "attention_mask", *(["token_type_ids"] if "token_type_ids" in given else [])]

    def forward(self, *values: Tensor) -> Tensor:
        """The vector of each text of a batch."""
        given = dict(zip(self.names, values, strict=True))
        tokens = self.encoder(**given, return_dict=True).last_hidden_state
        return self.after(self.pooling(tokens, given["attention_mask"]))  # type: ignore[no-any-return]


def write(folder: Path, path: Path, opset: int) -> None:
    """The model in float32; the same bytes in every process."""
    if opset > MOST_OPSET:
        raise fail("spec.range", f"a transformer is written with opset {MOST_OPSET} at most, not {opset}",
                   fix=f"write a number from 14 to {MOST_OPSET}, or leave it out", field="export.onnx.opset")
    model = Whole(folder).eval()
    ids = torch.tensor([[1, 2, 3, 4], [1, 2, 3, 4]])
    given = {"input_ids": ids, "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]),
             "token_type_ids": torch.zeros_like(ids)}
    open_sizes = {0: "batch_size", 1: "sequence_length"}
    with _quiet(), torch.no_grad():
        torch.onnx.export(
            model, tuple(given[name] for name in model.names), str(path), input_names=model.names,
            output_names=["sentence_embedding"], opset_version=opset, dynamo=False,
            dynamic_axes={**dict.fromkeys(model.names, open_sizes), "sentence_embedding": {0: "batch_size"}},
        )


def write_int8(source: Path, path: Path, scratch: Path, per_channel: bool) -> None:
    """The model with its weights in int8; activations get their scale while it runs."""
    from onnxruntime.quantization import QuantType, quantize_dynamic  # type: ignore[import-untyped]

    # The quantiser leaves files beside its source while it works: the source is not to have any.
    with TemporaryDirectory(dir=scratch) as folder, _quiet():
        copy = shutil.copyfile(source, Path(folder) / source.name)
        quantize_dynamic(copy, path, per_channel=per_channel, weight_type=QuantType.QInt8)


@contextmanager
def _quiet() -> Iterator[None]:
    """What loader, exporter and quantiser say on every run, and nothing else; the parity check is what holds them."""
    root = logging.getLogger()

    def unknown(record: logging.LogRecord) -> bool:
        return "Please consider to run pre-processing before quantization" not in record.getMessage()

    root.addFilter(unknown)
    with quiet(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=TracerWarning)
        for text in SAID:
            warnings.filterwarnings("ignore", text)
        try:
            yield
        finally:
            root.removeFilter(unknown)
