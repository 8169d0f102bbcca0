"""Where documents are searched, which no byte shows."""
from __future__ import annotations

import os

import numpy as np

from embspec.plan.protocol import Params
from embspec.retrieval import propose
from embspec.retrieval.propose import CPU, CUDA, Place

DEVICE, THREADS = "numerics.device", "pin.numerics.threads"
_VISIBLE = "CUDA_VISIBLE_DEVICES"  # of this process; empty where a build found none
_SIDE = 64  # of the product that is tried


def searching(params: Params) -> Place:
    """Where documents are compared: on the GPU that this process may use, but for `cpu`; the bytes are the same."""
    return Place(_device(params), int(params.get(THREADS) or 1))


def _device(params: Params) -> str:
    if params.get(DEVICE, CPU) == CPU or os.environ.get(_VISIBLE) == "":
        return CPU  # and torch, which takes seconds to import, is not asked
    import torch

    return CUDA if torch.cuda.is_available() and _works() else CPU


def _works() -> bool:
    """Whether the GPU makes a small product: one that is seen may be full, another's alone, or too old for torch."""
    try:
        device = propose.device(CUDA)
        held = device.put(np.eye(_SIDE, dtype=np.float32))
        device.highest(device.products(held, held), 1)  # brought back, since a GPU says what went wrong only then
    except RuntimeError:
        return False
    return True
