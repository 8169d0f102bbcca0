"""What a training is between two steps, taken apart into plain values and tensors, and put together again."""
from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from embspec.plan.protocol import Desk, Progress
from embspec.stages.train.points import Point, Points, copy

# An evaluation is work that nobody wants to see done twice, so a checkpoint follows it before its time has come. The
# time it took to write the last one is kept to this share, and half of the usual wait has to be over: a checkpoint of
# MiniLM takes about a second, and one of a larger model as many more as it is larger.
SHARE = 0.01
EARLY = 0.5


class Engine(NamedTuple):
    """What moves while training: the loss with the model in it, the optimizer, its schedule."""

    loss: nn.Module
    optimizer: Any
    scheduler: Any


class Keeper:
    """Goes on from what an earlier run left, and leaves the same for the next, as often as the spec says."""

    def __init__(self, desk: Desk, minutes: float, last: int) -> None:
        self._desk, self._every, self._cost = desk, 60 * minutes, 0.0
        self._points = Points(desk.kept) if desk.kept else None
        self._kept_at = desk.seconds()
        self.found = self._newest(last)

    def due(self, measured: bool) -> bool:
        """Whether it is time to keep the training, which has just been measured or has not."""
        if self._points is None:
            return False
        since = self._desk.seconds() - self._kept_at
        return since >= self._every or (measured and since >= max(EARLY * self._every, self._cost / SHARE))

    def keep(self, step: int, engine: Engine, facts: Mapping[str, Any], trace: bytes, best: tuple[int, Path] | None
             ) -> None:
        """Write a checkpoint, which draws no random number; where the disk refuses, training goes on without."""
        assert self._points
        start = self._desk.seconds()
        tensors = {**_tensors(engine), "trace": torch.from_numpy(np.frombuffer(trace, np.uint8).copy())}
        parts = {"tensors": (f"step-{step}.safetensors", lambda path: save_file(tensors, path))}
        if best:
            parts["best"] = (f"best-{best[0]}.safetensors", copy(best[1]))
        try:
            self._points.put(step, {**facts, **_plain(engine)}, parts)
        except (OSError, SafetensorError) as error:
            self._desk.tell(Progress(f"no checkpoint could be kept at step {step}, training goes on: {error}", step))
        self._kept_at = self._desk.seconds()
        self._cost = self._kept_at - start

    def _newest(self, last: int) -> Point | None:
        if self._points is None:
            return None
        found, damaged = self._points.newest(last)
        further = f"training goes on from step {found.step}" if found else "training starts anew"
        if damaged:
            which = ", ".join(map(str, damaged))
            self._desk.tell(Progress(f"the checkpoint of step {which} is damaged and is not used: {further}"))
        elif found:
            self._desk.tell(Progress(further, found.step, last))
        return found


def _tensors(engine: Engine) -> dict[str, Tensor]:
    """Weights, what the optimizer remembers, and the state of torch's generators."""
    found = {f"loss.{name}": tensor for name, tensor in _weights(engine.loss)}
    for number, state in engine.optimizer.state_dict()["state"].items():
        found |= {f"optimizer.{number}.{name}": tensor for name, tensor in state.items()}
    found["generator.cpu"] = torch.get_rng_state()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        found["generator.cuda"] = torch.cuda.get_rng_state()
    return {name: tensor.detach().cpu().contiguous() for name, tensor in found.items()}


def _weights(loss: nn.Module) -> list[tuple[str, Tensor]]:
    """Each parameter and buffer once, the model's among them."""
    return [*loss.named_parameters(), *loss.named_buffers()]


def _plain(engine: Engine) -> dict[str, Any]:
    name, words, *rest = np.random.get_state(legacy=True)
    return {
        "groups": engine.optimizer.state_dict()["param_groups"],
        "scheduler": engine.scheduler.state_dict(),
        "random": random.getstate(),
        "numpy": [name, [int(word) for word in words], *rest],
    }


def bring_back(point: Point, engine: Engine) -> bytes:
    """Make the training what it was; its trace up to there comes back. The generators are set last."""
    tensors, facts = load_file(point.parts["tensors"]), point.facts
    with torch.no_grad():
        for name, tensor in _weights(engine.loss):
            tensor.copy_(tensors[f"loss.{name}"])
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, number, field = name.split(".", 2)
            state.setdefault(int(number), {})[field] = tensor.clone()
    engine.optimizer.load_state_dict({"state": state, "param_groups": facts["groups"]})
    engine.scheduler.load_state_dict(dict(facts["scheduler"]))
    version, words, gauss = facts["random"]
    random.setstate((version, tuple(words), gauss))
    np.random.set_state((facts["numpy"][0], np.array(facts["numpy"][1], np.uint32), *facts["numpy"][2:]))
    torch.set_rng_state(tensors["generator.cpu"].clone())
    if "generator.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["generator.cuda"].clone())
    return tensors["trace"].numpy().tobytes()
