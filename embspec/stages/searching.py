"""Where documents are searched, which no byte shows."""
from __future__ import annotations

import numpy as np

from embspec.plan.protocol import Params
from embspec.retrieval import propose
from embspec.retrieval.propose import CPU, CUDA

DEVICE = "numerics.device"
_SIDE = 64  # of the product that is tried


def searching(params: Params) -> str:
    """Where documents are compared: on the GPU that this process may use, but for `cpu`; the bytes are the same."""
    import torch

    return CUDA if params.get(DEVICE, CPU) != CPU and torch.cuda.is_available() and _works() else CPU


def _works() -> bool:
    """Whether the GPU makes a small product: one that is seen may be full, another's alone, or too old for torch."""
    try:
        device = propose.device(CUDA)
        held = device.put(np.eye(_SIDE, dtype=np.float32))
        device.highest(device.products(held, held), 1)  # brought back, since a GPU says what went wrong only then
    except RuntimeError:
        return False
    return True
