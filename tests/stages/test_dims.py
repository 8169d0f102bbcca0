"""The dimensions of a model: halves, lists, and what can ship."""
from __future__ import annotations

from typing import Any

import pytest

from embspec.errors import EmbspecError
from embspec.stages.dims import dims, shippable


@pytest.mark.parametrize(("full", "wanted", "right"), [
    (384, None, [384]),
    (384, "auto", [384, 192, 96]),
    (1024, "auto", [1024, 512, 256, 128, 64]),
    (64, "auto", [64]),
    (32, "auto", [32]),
    (300, "auto", [300, 150, 75]),
    (384, [128, 384, 128], [384, 128]),
    (384, [100], [100]),
])
def test_dims(full: int, wanted: Any, right: list[int]) -> None:
    """`auto` halves down to 64, a list is sorted, nothing is full alone."""
    assert dims(full, wanted) == right


def test_more_than_the_model_has_is_an_error_at_its_field() -> None:
    """Told with both numbers."""
    with pytest.raises(EmbspecError, match="512 dimensions are asked for, the model has 384") as caught:
        dims(384, [512], "eval.dims")
    assert (caught.value.problems[0].code, caught.value.problems[0].field) == ("spec.range", "eval.dims")


SMALLEST = {"index.truncate_dim.smallest.metric": "ndcg@10", "index.truncate_dim.smallest.min_retention": 0.99}


@pytest.mark.parametrize(("params", "right"), [
    ({"index.truncate_dim": None}, [256]),
    ({"index.truncate_dim": 100}, [100]),
    (SMALLEST, [256, 128, 64]),
    ({**SMALLEST, "loss.matryoshka.dims": "auto"}, [256, 128, 64]),
    ({**SMALLEST, "loss.matryoshka.dims": [200, 50]}, [256, 200, 50]),
])
def test_what_can_ship(params: dict[str, Any], right: list[int]) -> None:
    """One where the spec says so; else those trained to serve alone, the full one among them."""
    assert shippable(256, params) == right


def test_a_model_cannot_ship_more_than_it_has() -> None:
    """The field is named."""
    with pytest.raises(EmbspecError) as caught:
        shippable(256, {"index.truncate_dim": 384})
    assert caught.value.problems[0].field == "index.truncate_dim"
