"""What a spec implies: fields whose value is a plain function of other fields."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embspec.measure.gate import Gate
from embspec.spec.gates import needs
from embspec.spec.sections import Spec
from embspec.spec.sections_data import Corpus
from embspec.spec.sections_eval import DocumentSuite, Eval, SplitSuite
from embspec.spec.sections_model import Model, StaticBase
from embspec.spec.sections_pairs import Debias, Filter, Pairs
from embspec.spec.sections_train import Train

ROLES: Mapping[str, tuple[str, ...]] = {
    "gold": ("validation", "test"),
    "curated": ("train",),
    "synthetic": ("train",),
    "implicit": ("validation",),
}
RATES: Mapping[str, float] = {"full": 2e-5, "lora": 2e-4, "query_adapter": 1e-3, "static": 2e-2}
ORDER = ("train", "validation", "test")
SYSTEMS = ("base", "bm25", "hybrid", "tuned", "tuned+bm25")


def resolved(spec: Spec, gates: Mapping[str, Gate]) -> Spec:
    """The spec with nothing left to imply but what is `auto`."""
    model = _model(spec.model) if spec.model is not None else None
    pairs = [_source(source, len(spec.pairs) == 1) for source in spec.pairs]
    train = _train(spec.train, model.method) if model is not None else spec.train
    evaluation = _evaluation(spec.eval, gates, model is not None, _suites(spec.corpus))
    filled: Spec = _with(spec, model=model, train=train, pairs=pairs, eval=evaluation)
    return filled


def _with(section: Any, **fields: Any) -> Any:
    return section.model_copy(update=fields)


def _model(model: Model) -> Model:
    method = model.method or ("static" if isinstance(model.base, StaticBase) else "full")
    filled: Model = _with(model, method=method)
    return filled


def _train(train: Train, method: str | None) -> Train:
    filled: Train = _with(train, learning_rate=RATES[method or ""]) if train.learning_rate == "auto" else train
    return filled


def _source(source: Pairs, alone: bool) -> Pairs:
    kind = "gold" if source.path is not None else "implicit" if source.click_log is not None else "synthetic"
    trust = source.trust or kind
    roles = source.roles or (ORDER if alone else ROLES[trust])
    filled: Pairs = _with(
        source,
        trust=trust,
        roles=sorted(roles, key=ORDER.index),  # a set: its order means nothing
        filter=source.filter or (Filter() if source.generate is not None else None),
        debias=source.debias or (Debias() if source.click_log is not None else None),
    )
    return filled


def _suites(corpus: Corpus) -> dict[str, Any]:
    """The test; where documents are cut, once more by document, which another way of cutting leaves comparable."""
    cut = {"documents": DocumentSuite(split="test", by="document")} if corpus.chunking.strategy != "none" else {}
    return {"domain": SplitSuite(split="test"), **cut}


def _evaluation(section: Eval, gates: Mapping[str, Gate], model: bool, suites: Mapping[str, Any]) -> Eval:
    metrics, dims, precisions, systems = needs(gates)
    systems = [name for name in systems if model or name != "base"]  # `locked` may ask for it
    filled: Eval = _with(
        section,
        suites={**suites, **section.suites},
        metrics=_and(section.metrics, metrics),
        dims=_and(["auto"] if section.dims == "auto" else section.dims, dims) if dims else section.dims,
        precisions=_and(section.precisions, precisions),
        systems=_and(section.systems or (SYSTEMS if model else ("bm25",)), systems),
    )
    return filled


def _and(written: Any, needed: Any) -> list[Any]:
    return [*written, *(item for item in needed if item not in written)]
