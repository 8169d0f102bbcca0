"""Rounds of mining and training: stages of their own, each of which is built on the one before."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embspec.plan.nodes import Node, expand
from embspec.plan.protocol import last_round
from embspec.spec.load import load
from embspec.stages.street import MOST_ROUNDS, ROUNDS, STREET, handed
from tests.support.everything import BASE

NAMES = st.lists(st.sampled_from(["train", "train.2", "train.10", "training.3", "pairs.train", "train.x"]))


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """A whole spec with a model."""
    folder = tmp_path_factory.mktemp("rounds")
    (folder / "s.yaml").write_text(BASE, encoding="utf-8")
    return load(str(folder / "s.yaml"), (), root=str(folder)).values


def nodes(values: Mapping[str, Any], rounds: int) -> dict[str, Node]:
    """The stages of the spec with so many rounds."""
    return {node.name: node for node in expand(STREET, {**values, "negatives.rounds": rounds})}


def needs(found: Mapping[str, Node], name: str) -> tuple[str, ...]:
    """What a stage opens."""
    return found[name].stage.needs(found[name].params, list(found))


def test_each_round_mines_with_the_model_before_it(values: Mapping[str, Any]) -> None:
    """Negatives of the first round come from the base, those of the third from what the second trained; its training
    goes on from there, and has the base to be merged with."""
    found = nodes(values, 3)
    order = [name for name in found if name.split(".")[0] in ("negatives", "train")]
    assert order == ["negatives", "train", "negatives.2", "train.2", "negatives.3", "train.3"]
    assert "base/base" in needs(found, "negatives") and "train/model" in needs(found, "negatives.2")
    assert "train.2/model" in needs(found, "negatives.3") and "base/base" not in needs(found, "negatives.3")
    assert [role for role in needs(found, "train.3") if role.startswith(("base", "negatives"))] == [
        "negatives.3/examples.jsonl", "base/base"]
    assert [role for name in ("train", "train.3") for role in needs(found, name) if role.startswith("train")] == [
        "train.2/model"]


@pytest.mark.parametrize("rounds", [1, 2, MOST_ROUNDS])
def test_the_last_model_is_the_spec_s(values: Mapping[str, Any], rounds: int) -> None:
    """It alone is published, exported, measured and served; the others are what the next round begins with."""
    found = nodes(values, rounds)
    last = "train" if rounds == 1 else f"train.{rounds}"
    assert [name for name, node in found.items() if "model" in node.out] == [last]
    for name, node in found.items():
        trained = {r.split("/")[0] for r in needs(found, name) if r.startswith("train")}
        if name.split(".")[0] not in ROUNDS:
            assert trained <= {last}
        assert node.ships == (node.stage.ships and (node.stage.name.split(".")[0] != "train" or name == last))


def test_another_round_leaves_those_before_as_they_are(values: Mapping[str, Any]) -> None:
    """How many rounds there are is no ingredient of any of them."""
    one, three = nodes(values, 1), nodes(values, 3)
    for name in ("negatives", "train"):
        assert one[name].params == three[name].params and needs(one, name) == needs(three, name)


@given(NAMES, st.sampled_from(["train/model", "train/trace"]))
def test_the_last_round_is_the_largest_number(names: list[str], role: str) -> None:
    """By number, not by letter; names that only look alike are no rounds."""
    rounds = [name for name in ("train.10", "train.2") if name in names]
    assert last_round(role, names) == role.replace("train", rounds[0] if rounds else "train")


def test_a_stage_is_handed_what_it_knows_by_name() -> None:
    """A later round's artefact has the name of the first; a pair source that is called 2 keeps its own."""
    assert handed("train.2/model") == "train/model" and handed("negatives.10/ledger.jsonl") == "negatives/ledger.jsonl"
    for role in ("train/model", "pairs.2/pairs.jsonl", "split/train.jsonl", "base/base"):
        assert handed(role) == role


def test_the_model_of_a_lock_is_that_of_its_last_round() -> None:
    """It is what `get model` brings, and what is built again where it is lost."""
    from embspec.plan.values import Block
    from embspec.serve.fetch import bringing, named

    blocks = {"train": Block(out={"model": "tree sha256:1"}), "train.2": Block(out={"model": "tree sha256:2"})}
    assert named(blocks)["train/model"] == "tree sha256:2"
    assert bringing("model", blocks).bring == {"train.2/model"} and bringing("model", blocks).to == "train.2"
