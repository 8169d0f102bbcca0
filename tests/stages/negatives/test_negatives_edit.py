"""One document edited: what negatives do again, and that nothing of the past is in their bytes."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embspec.stages.negatives.miners import SOME, Scored, Space
from tests.support.desk import Bank
from tests.support.mining import World, ask, mine, miner, params
from tests.support.tiny import WORDS, tiny_static


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A static model; the tests of this file only read it."""
    return tiny_static(tmp_path_factory.mktemp("static"))


def world(**edited: str) -> World:
    """Forty documents of words in turn, some of them edited."""
    words = WORDS.split()
    texts = {f"d{n:02}": " ".join(words[(7 * n + at) % len(words)] for at in range(9)) for n in range(40)}
    train = tuple(ask(f"q{n}", texts[f"d{n:02}"].rpartition(" ")[0], f"d{n:02}") for n in range(6))
    return World({**texts, **edited}, train, (ask("t", "when is the crane open", "d30"),))


@pytest.mark.parametrize("id", ["d05", "d20", "d30"], ids=["an answer", "unlabelled", "an answer of the test"])
def test_one_document_edited_is_one_text_encoded(base: Path, id: str) -> None:
    """All else comes from the bank, and the bytes are those of an empty desk."""
    bank, asked = Bank(), params([miner("dense", 3), miner("bm25", 2), miner("random", 1)])
    first = mine(world(), base, asked, bank=bank)
    assert first.made.counts["encoded"] == 46
    edited = world(**{id: "salt is spread on the steps of the dock before dawn"})
    again = mine(edited, base, asked, bank=bank)
    assert again.made.counts["encoded"] == 1
    assert again.files == mine(edited, base, asked).files != first.files
    assert mine(edited, base, asked, bank=bank).made.counts["encoded"] == 0


class Counting(Space):
    """A space that says how many documents it was asked for."""

    asked = 0

    def scores(self, query: np.ndarray[tuple[int], np.dtype[np.float32]], positions: object) -> list[float]:
        """As it does, counted."""
        found = super().scores(query, positions)  # type: ignore[arg-type]
        self.asked += len(found)
        return found


@pytest.mark.parametrize("cosine", [True, False])
def test_a_score_hangs_on_no_other(cosine: bool) -> None:
    """Some at a time or all at once, in any order, the bits are the same; and only what is looked at is scored."""
    drawn = np.random.default_rng(5)
    space = Counting(drawn.standard_normal((300, 48)).astype(np.float32), cosine)
    query = drawn.standard_normal(48).astype(np.float32)
    order = drawn.permutation(300).tolist()
    whole = dict(zip(range(300), space.scores(query, range(300)), strict=True))
    space.asked = 0
    scored = Scored(space, query, [*order, *order])
    assert scored[order[0]] == whole[order[0]]
    assert space.asked == SOME
    assert {at: scored[at] for at in reversed(order)} == whole
    assert space.asked == 300
    assert all(space.scores(query, [at]) == [whole[at]] for at in range(300))
    with pytest.raises(KeyError):
        scored[300]
