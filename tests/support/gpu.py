"""A GPU that is none: what asks for one gets the way to search there, and the processor does it."""
from __future__ import annotations

import pytest
import torch

from embspec.retrieval import propose


def pretended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Torch says that it sees one; the devices that searches asked for, as they do."""
    asked: list[str] = []

    def device(name: str) -> propose.Device:
        asked.append(name)
        return propose.Gpu("cpu") if name == "cuda" else propose.Processor()

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(propose, "device", device)
    return asked
