"""Where documents are searched is in no key: the stages that search give the same bytes on a GPU."""
from __future__ import annotations

import random
from pathlib import Path

import pytest

from embspec.stages.street import STREET
from tests.support.gpu import pretended
from tests.support.mining import World, ask, mine, miner, params
from tests.support.tiny import WORDS, tiny_static

SEARCH = {"negatives", "choose", "evaluate"}


@pytest.mark.parametrize("device", ["auto", "cuda", "cpu"])
def test_mining_on_a_gpu_writes_the_same_bytes(tmp_path: Path, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples and ledger, by every miner that ranks; `cpu` stays on the processor."""
    draw = random.Random(4)
    words = WORDS.split()
    texts = {f"d{n:02d}": " ".join(draw.choices(words, k=6)) for n in range(60)}
    world = World(texts, [ask(f"q{n}", " ".join(draw.choices(words, k=3)), f"d{n:02d}") for n in range(8)])
    base, miners = tiny_static(tmp_path / "base"), [miner("dense", 3, 0, 20), miner("hybrid", 2, 0, 20)]
    here = mine(world, base, params(miners)).files
    asked = pretended(monkeypatch)
    assert mine(world, base, params(miners, numerics__device=device)).files == here
    assert asked and {*asked} == {"cpu" if device == "cpu" else "cuda"}


def test_only_training_has_the_device_in_its_key() -> None:
    """Stages that search are handed the field, and no key of theirs moves with it; each round of mining is one."""
    handed = {stage.name.partition(".")[0] for stage in STREET if "numerics.device" in stage.unkeyed}
    assert handed == SEARCH
    searching = [stage for stage in STREET if stage.name.partition(".")[0] in SEARCH]
    assert all("numerics.device" in stage.unkeyed and "knn" in stage.uses for stage in searching)
    assert not any(field.startswith("numerics") for stage in STREET for field in stage.params)
