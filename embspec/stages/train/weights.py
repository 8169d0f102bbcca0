"""Weights in and out of a model: what may be trained, what a checkpoint keeps, the folder that is the artefact."""
from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from embspec.stages.train.model import GroupedModel

FILE = "model.safetensors"


class Part(NamedTuple):
    """A module with weights: its file below the folder, and the tensors that it runs with."""

    file: Path
    module: nn.Module

    def state(self) -> Mapping[str, Tensor]:
        """Its tensors by the names that its own library gives them."""
        return self.module.state_dict()

    def find(self, name: str) -> Tensor | None:
        """The tensor that a name of the file stands for; files of a head's model write the base before it."""
        state = self.state()
        return state.get(name, state.get(name.removeprefix(f"{getattr(self.module, 'base_model_prefix', '')}.")))


def parts(model: GroupedModel, folder: Path) -> Iterator[Part]:
    """The modules that the folder has weights of."""
    for at, module in enumerate(json.loads((folder / "modules.json").read_bytes())):
        file = Path(module["path"], FILE)
        if (folder / file).exists():
            yield Part(file, getattr(model[at], "auto_model", model[at]))


def freeze_unwritten(model: GroupedModel, base: Path) -> None:
    """Keep what the base's files do not name from training: it could not be written under a name of theirs.

    In practice that is a pooler that transformers adds and nothing uses.
    """
    named: set[int] = set()
    for part in parts(model, base):
        with safe_open(base / part.file, "pt") as tensors:
            found = [part.find(name) for name in list(tensors.keys())]
        named.update(one.data_ptr() for one in found if one is not None)
    for parameter in model.parameters():
        if parameter.data_ptr() not in named:
            parameter.requires_grad_(False)


def keep(model: GroupedModel, path: Path) -> None:
    """Write a checkpoint."""
    save_file({name: tensor.detach().to("cpu", copy=True) for name, tensor in model.state_dict().items()}, path)


def bring_back(model: GroupedModel, path: Path) -> None:
    """Take the weights of a checkpoint."""
    model.load_state_dict(load_file(path))


def write(model: GroupedModel, base: Path, out: Path, share: float | None) -> None:
    """The base's folder with the model's weights in float32, or with a mean of both: `share` is the model's part."""
    ours = {part.file: part for part in parts(model, base)}
    for source in sorted(path for path in base.rglob("*") if path.is_file()):
        target = out / source.relative_to(base)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.relative_to(base) in ours:
            _write_weights(ours[source.relative_to(base)], source, target, share)
        elif source.relative_to(base) == Path("config.json"):
            _write_config(source, target)
        else:
            shutil.copyfile(source, target)
        target.chmod(0o644)


def _write_weights(part: Part, source: Path, target: Path, share: float | None) -> None:
    tensors: dict[str, Tensor] = {}
    with safe_open(source, "pt") as base:
        metadata = base.metadata() or {}
        for name in list(base.keys()):
            old, new = base.get_tensor(name), part.find(name)
            tensors[name] = old.clone() if new is None else _merged(new, old, share)
    # More than one entry would be written in random order.
    save_file(tensors, target, {"format": "pt"} if "format" in metadata else None)


def _merged(new: Tensor, old: Tensor, share: float | None) -> Tensor:
    if not old.is_floating_point():
        return old.clone()
    if share is None:
        return new.detach().to(torch.float32).clone().contiguous()
    mean = share * new.detach().to(torch.float64) + (1 - share) * old.to(torch.float64)
    return mean.to(torch.float32).contiguous()


def _write_config(source: Path, target: Path) -> None:
    """The config as it is, except that it may not call the weights by another precision than theirs."""
    config: dict[str, Any] = json.loads(source.read_bytes())
    other = {key: "float32" for key in ("dtype", "torch_dtype") if config.get(key, "float32") != "float32"}
    if other:
        target.write_text(json.dumps(config | other, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    else:
        shutil.copyfile(source, target)
