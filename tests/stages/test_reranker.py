"""The cross-encoder that scores pairs: against another implementation, and by nothing but model and pair."""
from __future__ import annotations

import json
import random
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from embspec.errors import EmbspecError
from embspec.stages.reranker import Reranker
from tests.support.desk import Bank, Desk
from tests.support.tiny import MAX_LENGTH, WORDS, tiny_cross_encoder

SIGMOID, IDENTITY = "torch.nn.modules.activation.Sigmoid", "torch.nn.modules.linear.Identity"
HALF = json.loads('"\\ud800 valve"')  # half a surrogate pair, as JSON can spell it


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-encoder that names no activation; the tests of this file only read it."""
    return tiny_cross_encoder(tmp_path_factory.mktemp("judge"), 3)


def some_pairs(count: int, seed: int = 5) -> list[tuple[str, str]]:
    """Pairs of all lengths, many of them longer than the model takes."""
    drawn, words = random.Random(seed), WORDS.split()
    lengths = [(drawn.randint(0, 12), drawn.randint(0, 90)) for _ in range(count)]
    return [(" ".join(drawn.choices(words, k=some)), " ".join(drawn.choices(words, k=many))) for some, many in lengths]


def scores(folder: Path, pairs: list[tuple[str, str]], scratch: Path, bank: Bank | None = None) -> list[float]:
    """Scored on a desk of their own."""
    return Reranker(folder, "tree sha256:judge", Desk(scratch, bank=bank)).scores(pairs)


@pytest.mark.parametrize("activation", [None, SIGMOID, IDENTITY])
def test_scores_are_those_of_sentence_transformers(tmp_path: Path, activation: str | None) -> None:
    """The same pairs through its CrossEncoder: types of tokens, truncation and activation are as it has them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sentence_transformers import CrossEncoder

        other = CrossEncoder(str(tiny_cross_encoder(tmp_path / "judge", 4, activation)), device="cpu")
    pairs = [*some_pairs(60), ("pump " * 80, "valve " * 80), ("pump " * 80, "valve"), ("", "")]
    found = scores(tmp_path / "judge", pairs, tmp_path / "scratch")
    expected = other.predict(pairs)
    assert np.abs(np.array(found) - expected).max() < 1e-5
    assert np.ptp(expected) > 0.05 and (activation == IDENTITY) == bool((expected < 0).any() or (expected > 1).any())


def test_a_score_hangs_on_its_pair_alone(folder: Path, tmp_path: Path) -> None:
    """Alone, in any order, in a subset and with two threads: the same bits of the model's own output."""
    pairs = some_pairs(70)
    bank = Bank()
    whole = scores(folder, pairs, tmp_path, bank)
    kept = next(iter(bank.spaces.values()))
    mixed = random.Random(1).sample(pairs, len(pairs))
    before = torch.get_num_threads()
    for some, threads in ((mixed, 1), (mixed[:9], 1), (mixed[:1], 1), (mixed[3:20], 2)):
        torch.set_num_threads(threads)
        try:
            other = Bank()
            assert scores(folder, some, tmp_path, other) == [whole[pairs.index(pair)] for pair in some]
        finally:
            torch.set_num_threads(before)
        assert next(iter(other.spaces.values())).items() <= kept.items()


def test_nothing_is_scored_twice(folder: Path, tmp_path: Path) -> None:
    """Equal pairs once, and none that the desk has; the order of query and passage is part of a pair."""
    bank, desk = Bank(), Desk(tmp_path)
    pairs = [("pump", "valve"), ("valve", "pump"), ("pump", "valve"), ("pu", "mpvalve")]
    first = Reranker(folder, "tree one", Desk(tmp_path, bank=bank))
    found = first.scores(pairs)
    assert first.scored == 3 and found[0] == found[2] != found[1]
    again = Reranker(folder, "tree one", Desk(tmp_path, bank=bank))
    assert again.scores(pairs[::-1]) == found[::-1] and again.scored == 0
    other = Reranker(folder, "tree two", Desk(tmp_path, bank=bank))
    assert other.scores(pairs[:1]) == found[:1] and other.scored == 1
    assert Reranker(folder, "tree one", desk).scores([]) == []


def test_scores_have_six_digits_and_odd_texts_have_one(folder: Path, tmp_path: Path) -> None:
    """Rounded, so that no last bit decides; half a character and an empty text are scored too."""
    found = scores(folder, [*some_pairs(20), (HALF, HALF), ("", ""), ("?", "x" * 4 * MAX_LENGTH)], tmp_path)
    assert all(score == round(score, 6) and 0 <= score <= 1 for score in found)


def test_a_model_without_a_head_scores_nothing(folder: Path, tmp_path: Path) -> None:
    """Weights that are not there would be drawn at random: an error that names them."""
    copy = tiny_cross_encoder(tmp_path / "copy")
    rest = {name: one for name, one in load_file(copy / "model.safetensors").items() if "classifier" not in name}
    save_file(rest, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(EmbspecError) as caught:
        scores(copy, [("pump", "valve")], tmp_path / "scratch")
    assert caught.value.problems[0].code == "input.model" and "classifier.bias" in str(caught.value)


def test_what_is_no_number_is_an_error(tmp_path: Path) -> None:
    """A score that is NaN would compare as if it were under everything."""
    copy = tiny_cross_encoder(tmp_path / "copy")
    broken = load_file(copy / "model.safetensors")
    broken["classifier.weight"][:] = np.nan
    save_file(broken, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(EmbspecError) as caught:
        scores(copy, [("pump", "valve")], tmp_path / "scratch")
    assert caught.value.problems[0].code == "stage.not-a-number"
