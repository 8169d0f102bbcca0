"""What training makes small: sentence-transformers' losses over documents that a batch holds once."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import torch
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MatryoshkaLoss,
    MultipleNegativesRankingLoss,
)
from sentence_transformers.util import cos_sim, dot_score
from torch import Tensor, nn

from embspec.errors import fail
from embspec.stages.train.model import GroupedModel

Features = Iterable[dict[str, Any]]

MINI_BATCH = 32  # rows that a cached loss computes at a time, where the spec says auto
SIMILARITIES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {"cosine": cos_sim, "dot": dot_score}
# How much harder negatives weigh: 9 is Lan et al. 2025, 5 is Schechter Vera et al. 2025, whose mode the third widens.
HARDNESS: Mapping[str, float] = {"in_batch_negatives": 9.0, "hard_negatives": 5.0, "all_negatives": 5.0}


class Wish(NamedTuple):
    """What the spec asks of the loss."""

    name: str
    scale: float
    mini_batch: int | None
    directions: tuple[str, ...]
    hardness: str | None
    dims: Sequence[int]  # empty: Matryoshka is off
    weights: Sequence[float] | None
    dims_per_step: int


class Candidates:
    """A similarity in which a negative that a row does not have is no candidate for anybody."""

    def __init__(self, plain: Callable[[Tensor, Tensor], Tensor]) -> None:
        self._plain = plain
        self._absent: Tensor | None = None

    def columns(self, documents: Tensor, places: Tensor, rows: int) -> list[Tensor]:
        """From each document once to a positive and negatives for each of the rows; what is absent is zero."""
        absent = places < 0
        self._absent = absent if bool(absent.any()) else None
        nothing = documents.new_zeros((1, documents.shape[1]))
        spread = torch.cat([documents, nothing]).index_select(0, places % (len(documents) + 1))
        return list(torch.split(spread, rows))

    def __call__(self, one: Tensor, other: Tensor) -> Tensor:
        """The similarity of each pair; all documents of the batch stand on one side, or on neither."""
        scores = self._plain(one, other)
        if self._absent is None:
            return scores
        if len(other) == len(self._absent):
            return scores.masked_fill(self._absent, -torch.inf)
        return scores.masked_fill(self._absent[:, None], -torch.inf) if len(one) == len(self._absent) else scores


class Plain(MultipleNegativesRankingLoss):
    """MultipleNegativesRankingLoss over queries and the batch's documents; labels are the documents' places."""

    def forward(self, sentence_features: Features, labels: Tensor) -> Tensor:
        """The loss of one batch."""
        queries, documents = (self.model(features)["sentence_embedding"] for features in sentence_features)
        columns = cast(Candidates, self.similarity_fct).columns(documents, labels, len(queries))
        return self.compute_loss_from_embeddings([queries, *columns], labels)


class Cached(CachedMultipleNegativesRankingLoss):
    """The same with gradient caching, in mini-batches of like length."""

    def forward(self, sentence_features: Features, labels: Tensor) -> Tensor:
        """The loss of one batch; its backward runs the mini-batches again."""
        self._places = labels
        return super().forward(sentence_features, labels)

    def calculate_loss(self, reps: list[list[Tensor]], *args: Any, **kwargs: Any) -> Tensor:
        """The loss from the vectors, and its gradient back to each document that was there once."""
        queries, documents = (torch.cat(column) for column in reps)
        whole = [queries, *cast(Candidates, self.similarity_fct).columns(documents, self._places, len(queries))]
        if not torch.is_grad_enabled():
            return super().calculate_loss([[one] for one in whole], *args, **kwargs)
        # The loss goes backward once for each part of its score matrix, and through the spreading only once.
        loose = [one.detach().requires_grad_() for one in whole]
        loss = super().calculate_loss([[one] for one in loose], *args, **kwargs)
        torch.autograd.backward(whole, [one.grad for one in loose])
        return loss


def _plain(model: GroupedModel, wish: Wish, shared: Mapping[str, Any]) -> nn.Module:
    return Plain(model, **shared)


def _cached(model: GroupedModel, wish: Wish, shared: Mapping[str, Any]) -> nn.Module:
    # A static table keeps no activations that caching could spare; its cached loss is the plain one.
    if not hasattr(model[0], "auto_model"):
        return Plain(model, **shared)
    return Cached(model, mini_batch_size=wish.mini_batch or MINI_BATCH, **shared)


LOSSES: Mapping[str, Callable[[GroupedModel, Wish, Mapping[str, Any]], nn.Module]] = {
    "MultipleNegativesRankingLoss": _plain,
    "CachedMultipleNegativesRankingLoss": _cached,
    "mnrl": _plain,
    "infonce": _plain,
}


def build(model: GroupedModel, wish: Wish) -> nn.Module:
    """The loss that the spec asks for, Matryoshka around it where there are dims."""
    if wish.name not in LOSSES:
        raise fail("spec.not-built", f"the loss `{wish.name}` is not built yet by this version of embspec",
                   fix=f"it builds {', '.join(LOSSES)}", field="loss.name")
    if "query_to_doc" not in wish.directions:
        raise fail("spec.conflict", "the loss has no direction from queries to documents, which holds the positives",
                   fix="add query_to_doc", field="loss.directions")
    shared = {
        "scale": wish.scale,
        "similarity_fct": Candidates(SIMILARITIES[model.similarity_fn_name]),
        "directions": wish.directions,
        "hardness_mode": wish.hardness,
        "hardness_strength": HARDNESS[wish.hardness] if wish.hardness else 0.0,
    }
    loss = LOSSES[wish.name](model, wish, shared)
    if not wish.dims:
        return loss
    return MatryoshkaLoss(model, loss, wish.dims, wish.weights, wish.dims_per_step)
