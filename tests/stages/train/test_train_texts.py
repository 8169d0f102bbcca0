"""Texts are tokenized once; any of them make the batch that the tokenizer would make."""
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from embspec.stages.train.model import load
from embspec.stages.train.texts import Texts
from tests.support.tiny import tiny_static, tiny_transformer

TEXTS = ["the pump is broken", "oil", "", "where is the key of the boat", "a", "steel " * 90]


@pytest.mark.parametrize("kind", [tiny_transformer, tiny_static])
@pytest.mark.parametrize("prompt", ["", "search: "])
def test_any_batch_is_the_tokenizers(tmp_path: Path, kind: Callable[[Path], Path], prompt: str) -> None:
    """Any choice of texts, in any order, has the tokens, the padding and the prompt that the model's own call gives."""
    model = load(kind(tmp_path / "base"))
    texts = Texts(model, TEXTS, prompt)
    for chosen in ([0], [3, 1], [5, 4, 2, 0, 1, 3], [2]):
        ours = texts.batch(chosen)
        theirs = model.preprocess([TEXTS[at] for at in chosen], prompt=prompt or None)
        assert ours.keys() == theirs.keys()
        for name, value in theirs.items():
            same = torch.equal(ours[name], value) if isinstance(value, torch.Tensor) else ours[name] == value
            assert same, name


def test_padding_on_the_left_stays_there(tmp_path: Path) -> None:
    """A tokenizer that pads on the left is obeyed, for its model reads the last token."""
    folder = tiny_transformer(tmp_path / "base")
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"padding_side": "left"}), encoding="utf-8")
    model = load(folder)
    ours, theirs = Texts(model, TEXTS, None).batch([0, 1, 3]), model.preprocess([TEXTS[at] for at in (0, 1, 3)])
    assert not theirs["attention_mask"][1, 0]
    assert torch.equal(ours["input_ids"], theirs["input_ids"])
    with torch.no_grad():
        vectors = [model.eval()(features)["sentence_embedding"] for features in (ours, theirs)]
    assert torch.equal(*vectors)


def test_blocks_hold_each_text_once_by_length(tmp_path: Path) -> None:
    """Blocks of the first texts have all of them, the longest first."""
    texts = Texts(load(tiny_static(tmp_path / "base")), TEXTS, None)
    order = [at for chosen, _ in texts.blocks(2, 5) for at in chosen]
    assert sorted(order) == [0, 1, 2, 3, 4]
    lengths = [texts.lengths[at] for at in order]
    assert lengths == sorted(lengths, reverse=True) and lengths[-1] == 0
