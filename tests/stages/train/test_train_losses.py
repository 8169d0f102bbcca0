"""The losses over documents that a batch holds once, held against the plain formula and the plain library."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MatryoshkaLoss, MultipleNegativesRankingLoss
from torch import Tensor

from embspec.errors import EmbspecError
from embspec.stages.train import losses
from embspec.stages.train.batches import slots
from embspec.stages.train.collate import Collator, Material
from embspec.stages.train.examples import Examples, Row
from embspec.stages.train.losses import Wish
from embspec.stages.train.model import GroupedModel, load
from embspec.stages.train.texts import Texts
from tests.support.lessons import WORDS
from tests.support.tiny import tiny_static, tiny_transformer

BATCH = 40
PLAIN = Wish("MultipleNegativesRankingLoss", 20.0, None, ("query_to_doc",), None, (), None, -1)
CACHED = PLAIN._replace(name="CachedMultipleNegativesRankingLoss", mini_batch=7)
Make = Callable[..., Path]
Gradients = dict[str, Tensor]


def text(n: int, length: int) -> str:
    """Words that only n decides."""
    return " ".join(WORDS[(n * 7 + at * (n % 5 + 1)) % len(WORDS)] for at in range(length))


def lesson(width: int | None) -> Examples:
    """40 rows over 60 documents; each row has `width` negatives, or 0 to 3 of them that are shared by rows."""
    rows = []
    for n in range(BATCH):
        wrong = (range(BATCH + n % 9, BATCH + n % 9 + n % 4) if width is None
                 else range(BATCH + n * width, BATCH + (n + 1) * width))
        rows.append(Row(f"r{n}", n, n, tuple(wrong), frozenset({n}), frozenset({n})))
    count = max([BATCH, *(one + 1 for row in rows for one in row.negatives)])
    return Examples(BATCH, rows, [text(n, 3 + n % 4) for n in range(BATCH)],
                    [text(1000 + n, 4 + 13 * n % 50) for n in range(count)], list(range(count)))


def ours(folder: Path, wish: Wish, lesson: Examples) -> tuple[float, Gradients]:
    """The loss and all gradients as the stage computes them."""
    model = load(folder).double()
    material = Material(lesson, [list(range(BATCH))], Texts(model, lesson.queries, "query: "),
                        Texts(model, lesson.documents, None))
    batch = Collator(material)([{"row": n} for n in range(BATCH)])
    features = [{name.removeprefix(f"{side}_"): value for name, value in batch.items() if name.startswith(side)}
                for side in ("query", "document")]
    return gradients(model, losses.build(model, wish)(features, batch["label"]))


def gradients(model: torch.nn.Module, loss: Tensor) -> tuple[float, Gradients]:
    """The loss and the gradient of each parameter that has one."""
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.item(), {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}


def formula(folder: Path, lesson: Examples, dims: tuple[int, ...] = ()) -> tuple[float, Gradients]:
    """One padded forward of everything, and cross-entropy over the candidates that are there, row by row."""
    model = SentenceTransformer(str(folder), device="cpu").double()
    queries = model(model.preprocess(lesson.queries, prompt="query: "))["sentence_embedding"]
    documents = model(model.preprocess(lesson.documents))["sentence_embedding"]
    candidates = [row.positive for row in lesson.rows] + [one for row in lesson.rows for one in row.negatives]
    total = torch.zeros((), dtype=torch.float64)
    for dim in dims or (queries.shape[1],):
        cut = [torch.nn.functional.normalize(side[:, :dim], dim=1) for side in (queries, documents)]
        scores = 20.0 * cut[0] @ cut[1][candidates].T
        total = total + torch.nn.functional.cross_entropy(scores, torch.arange(BATCH))
    return gradients(model, total)


def alike(one: tuple[float, Gradients], other: tuple[float, Gradients]) -> None:
    """The same loss and gradients: in double precision the order of adding hides nothing over 1e-9."""
    assert one[0] == pytest.approx(other[0], abs=1e-9)
    assert one[1].keys() == other[1].keys()
    for name, gradient in one[1].items():
        assert (gradient - other[1][name]).abs().max().item() < 1e-9, name


@pytest.mark.parametrize("wish", [PLAIN, CACHED], ids=["plain", "cached"])
@pytest.mark.parametrize("dims", [(), (32, 16)], ids=["full", "matryoshka"])
def test_gradients_are_those_of_one_padded_batch(tmp_path: Path, wish: Wish, dims: tuple[int, ...]) -> None:
    """Groups by length, documents that rows share and negatives that rows lack change no gradient."""
    folder = tiny_transformer(tmp_path / "base", dropout=0.0)
    some = lesson(None)
    assert slots(some, range(BATCH), [1] * 60).places[3].count(-1) > 20
    alike(ours(folder, wish._replace(dims=dims), some), formula(folder, some, dims))


@pytest.mark.parametrize("dims", [(), (64, 32)], ids=["full", "matryoshka"])
def test_a_static_table_has_the_same_gradients(tmp_path: Path, dims: tuple[int, ...]) -> None:
    """A table's batch has no columns of equal length and obeys the same formula, also under the cached loss's name."""
    folder = tiny_static(tmp_path / "base")
    some = lesson(None)
    alike(ours(folder, CACHED._replace(dims=dims), some), formula(folder, some, dims))


@pytest.mark.parametrize("more", [
    {"directions": ("query_to_doc", "doc_to_query")},
    {"directions": ("query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc")},
    {"hardness": "hard_negatives"},
    {"hardness": "in_batch_negatives"},
    {"hardness": "all_negatives"},
    {"scale": 5.0, "dims": (32, 16), "weights": (1.0, 0.3)},
], ids=["both", "four", "hard", "in batch", "all", "weights"])
@pytest.mark.parametrize("wish", [PLAIN, CACHED], ids=["plain", "cached"])
def test_options_are_those_of_the_library(tmp_path: Path, wish: Wish, more: Mapping[str, Any]) -> None:
    """Directions, hardness, scale and weights reach the library's loss: it gives the same on its own columns."""
    folder = tiny_transformer(tmp_path / "base", dropout=0.0)
    some = lesson(2)
    wish = wish._replace(**more)
    found = ours(folder, wish, some)
    model = SentenceTransformer(str(folder), device="cpu").double()
    texts = [some.queries, [some.documents[row.positive] for row in some.rows]]
    texts += [[some.documents[row.negatives[n]] for row in some.rows] for n in range(2)]
    features = [model.preprocess(column, prompt="" if n else "query: ") for n, column in enumerate(texts)]
    theirs: torch.nn.Module = MultipleNegativesRankingLoss(
        model, wish.scale, directions=wish.directions, hardness_mode=wish.hardness,  # type: ignore[arg-type]
        hardness_strength=losses.HARDNESS[wish.hardness] if wish.hardness else 0.0)
    if wish.dims:
        theirs = MatryoshkaLoss(model, theirs, wish.dims, wish.weights)
    expected = gradients(model, theirs(features, None))
    alike(found, expected)
    assert found[0] != pytest.approx(ours(folder, PLAIN, some)[0], abs=1e-3)


def test_candidates_that_are_not_there_stay_out_of_every_direction(tmp_path: Path) -> None:
    """With absent negatives and all directions the gradients are finite, and those of rows without any negative."""
    folder = tiny_transformer(tmp_path / "base", dropout=0.0)
    wish = PLAIN._replace(directions=("query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc"))
    none = lesson(0)
    rows = list(none.rows)
    some = none._replace(rows=rows, documents=[*none.documents, "a thing of its own"], classes=range(BATCH + 1))
    rows[3] = rows[3]._replace(negatives=(BATCH,))
    one, other = ours(folder, wish, some), ours(folder, wish, none)
    assert all(bool(gradient.isfinite().all()) for gradient in one[1].values())
    assert 0 < one[0] - other[0] < 0.2


def test_what_no_loss_can_do_is_refused(tmp_path: Path) -> None:
    """A loss that is not built, and directions without the positives, are errors that name their field."""
    model = load(tiny_static(tmp_path / "base"))
    for wish, field in ((PLAIN._replace(name="TripletLoss"), "loss.name"),
                        (PLAIN._replace(directions=("doc_to_query",)), "loss.directions")):
        with pytest.raises(EmbspecError) as error:
            losses.build(model, wish)
        assert error.value.problems[0].field == field


def test_groups_keep_the_order_and_count_what_ran(tmp_path: Path) -> None:
    """Rows come out where they went in, within 1e-6 of the padded forward, and are counted."""
    folder = tiny_transformer(tmp_path / "base")
    model, plain = load(folder).eval(), SentenceTransformer(str(folder), device="cpu").eval()
    texts = [text(n, 1 + 17 * n % 41) for n in range(37)]
    with torch.no_grad():
        one = model(model.preprocess(texts))["sentence_embedding"]
        other = plain(plain.preprocess(texts))["sentence_embedding"]
    assert (one - other).abs().max().item() < 1e-6
    assert isinstance(model, GroupedModel) and model.ran == 37
