"""The choice of dimension, precision and fusion: on validation, the first of equals, and never by test."""
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from embspec.errors import EmbspecError
from embspec.plan.protocol import Made
from embspec.retrieval import knn, quantize
from embspec.stages.choose import make as choose
from embspec.stages.dims import shippable
from embspec.stages.encoder import opened
from embspec.stages.snapshot import documents, passage
from tests.support.benches import Bench, question
from tests.support.desk import Bank, Desk
from tests.support.gpu import pretended
from tests.support.tiny import VOCABULARY, tiny_static

PARAMS: Mapping[str, Any] = {
    "corpus.dedup.exact": True,
    "eval.bm25.k1": 1.2,
    "eval.bm25.b": 0.75,
    "eval.fusion.method": "auto",
    "index.truncate_dim": None,
    "index.precision": "float32",
}
SMALLEST = {"index.truncate_dim.smallest.metric": "ndcg@10", "index.truncate_dim.smallest.min_retention": 0.99}
NAMES = ("pump", "valve", "motor", "belt", "wheel", "gate", "lamp", "bell", "rope", "chain", "boat", "crane")


class Shop:
    """A snapshot, a model and validation queries, and the stage run on them."""

    def __init__(self, folder: Path, texts: Mapping[str, str], model: Path) -> None:
        self.folder, self.model = folder, model
        self.bench = Bench(folder, texts)
        self.bench.needs["train/model"] = model
        path = folder / "tokenizer.json"
        path.write_text('{"tokenizer": "simple"}')
        self.bench.needs["lexical/tokenizer.json"] = path

    def run(
        self, queries: Sequence[Mapping[str, Any]], bank: Bank | None = None, **changed: Any
    ) -> tuple[Made, Any, Any]:
        """What the stage made, the choice, and what was tried."""
        params = {**PARAMS, **{name.replace("__", "."): value for name, value in changed.items()}}
        if "index.truncate_dim.smallest.metric" in params:
            del params["index.truncate_dim"]
        self.bench.split("validation", [dict(query) for query in queries])
        self._ranges(params)
        out = self.folder / "out"
        out.mkdir(exist_ok=True)
        desk = Desk(self.folder / "desk", {"train/model": "sha256:1"}, bank=bank)
        made = choose.make(params, self.bench.needs, out, desk)
        return made, json.loads((out / "choice.json").read_text()), json.loads((out / "tried.json").read_text())

    def _ranges(self, params: Mapping[str, Any]) -> None:
        model = opened(self.model, "sha256:1", Desk(self.folder / "ranges"))
        texts = [passage(document) for document in documents(self.bench.needs["snapshot/documents.jsonl"])]
        vectors = model.documents(texts)
        try:
            possible = shippable(model.dim, params)
        except EmbspecError:
            possible = []
        ends = {dim: quantize.ranges(knn.cut(vectors, dim, "cosine")) for dim in possible}
        path = self.folder / "ranges.json"
        path.write_text(json.dumps({"dims": {
            str(dim): {"low": low.tolist(), "high": high.tolist()} for dim, (low, high) in ends.items()}}))
        self.bench.needs["export/ranges.json"] = path


def table(folder: Path, vectors: Mapping[str, Sequence[float]], dim: int) -> Path:
    """A static model with these vectors for these words, zeros for all others."""
    tiny_static(folder, dim=dim)
    rows = np.zeros((len(VOCABULARY), dim), np.float32)
    for word, vector in vectors.items():
        rows[VOCABULARY.index(word)] = vector
    save_file({"embedding.weight": rows}, folder / "0_StaticEmbedding" / "model.safetensors")
    return folder


def along(column: int, dim: int) -> list[float]:
    """A vector along one column."""
    return [float(n == column) for n in range(dim)]


@pytest.fixture
def own(tmp_path: Path) -> Shop:
    """Twelve documents of one word each, a model in which each is a column of its own."""
    model = table(tmp_path / "model", {name: along(n, 128) for n, name in enumerate(NAMES)}, 128)
    return Shop(tmp_path, {f"d-{name}": name for name in NAMES}, model)


def plain(number: int = 12) -> list[dict[str, Any]]:
    """A query for each document, in its own word."""
    return [question(f"q{n}", f"what {name}", f"d-{name}") for n, name in enumerate(NAMES[:number])]


def test_none_wins_where_nothing_is_better(own: Shop) -> None:
    """Model and words both find everything: the plainest ships, and `fused` is the first of the others."""
    made, choice, tried = own.run(plain())
    assert choice == {"dim": 128, "precision": "float32", "similarity": "cosine", "fusion": {"method": "none"},
                      "fused": {"method": "rrf", "k": 60}, "depth": 100}
    assert [row["value"] for row in tried["fusion"]["tried"]] == [1.0] * 11
    assert tried["queries"] == 12 and made.counts == {"rows": 12, "encoded": 24}
    assert made.stat == {"ships": "dim 128 float32 fusion none"}


def blind(tmp_path: Path) -> Shop:
    """A model to which motor, belt and lamp are the same, while words tell them apart."""
    vectors = {name: along(0 if name in ("motor", "belt", "lamp") else n, 128) for n, name in enumerate(NAMES)}
    return Shop(tmp_path, {f"d-{name}": name for name in NAMES}, table(tmp_path / "model", vectors, 128))


def test_words_are_put_in_where_they_help(tmp_path: Path) -> None:
    """The model alone confuses three documents: a fusion ships, the first in the table with the highest value."""
    made, choice, tried = blind(tmp_path).run(plain())
    values = [row["value"] for row in tried["fusion"]["tried"]]
    assert values[0] < max(values)
    first = tried["fusion"]["tried"][values.index(max(values))]
    assert choice["fusion"] == choice["fused"] == {k: v for k, v in first.items() if k != "value"}
    assert made.stat["ships"] == f"dim 128 float32 fusion {choose.spelled(choice['fusion'])}"


WEIGHTS = [{"method": "weighted", "weight": weight} for weight in (0.5, 0.6, 0.4, 0.7, 0.3, 0.8, 0.2, 0.9, 0.1)]
ORDER = [{"method": "none"}, {"method": "rrf", "k": 60}, *WEIGHTS]


@given(st.lists(st.sampled_from([0.0, 0.5, 0.5 + 1e-12, 0.75, 1.0]), min_size=11, max_size=11),
       st.sampled_from(["auto", "none", "rrf", "weighted"]))
def test_the_plainest_of_the_best_is_chosen(values: list[float], asked: str) -> None:
    """Of methods that are equal to nine digits: none, rrf, then the weight nearest to the middle."""
    worth = dict(zip(map(json.dumps, ORDER), (round(value, choose.DIGITS) for value in values), strict=True))

    class Fixed(choose.Bench):
        def rank(self, form: Any, depth: int) -> list[list[tuple[str, float]]]:
            return []

        def mean(self, metric: str, ranked: Any) -> float:
            return next(left)

    def best(among: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        high = max(worth[json.dumps(method)] for method in among)
        return next(method for method in among if worth[json.dumps(method)] == high)

    left = iter(round(value, choose.DIGITS) for value in values)
    nothing: Any = None
    bench = Fixed([], [], nothing, nothing, nothing, nothing, {})
    serves, fused, tried = choose._fusion(asked, bench, nothing)
    assert [{k: v for k, v in row.items() if k != "value"} for row in tried["tried"]] == ORDER
    joint = [method for method in ORDER[1:] if asked in ("auto", "none", method["method"])]
    assert fused == best(joint)
    assert serves == {"auto": best(ORDER), "none": ORDER[0]}.get(asked, fused)


@pytest.mark.parametrize(("method", "ships", "fused"), [
    ("none", "none", "rrf"), ("rrf", "rrf", "rrf"), ("weighted", "weighted", "weighted")])
def test_a_named_method_ships(tmp_path: Path, method: str, ships: str, fused: str) -> None:
    """`auto` alone compares methods; a weight is found on validation, and what `tuned+bm25` is stays the best."""
    shop = blind(tmp_path)
    _, choice, tried = shop.run(plain(), eval__fusion__method=method)
    assert choice["fusion"]["method"] == ships and choice["fused"]["method"] == fused
    weights = [row for row in tried["fusion"]["tried"] if row["method"] == "weighted"]
    assert [row["weight"] for row in weights] == [0.5, 0.6, 0.4, 0.7, 0.3, 0.8, 0.2, 0.9, 0.1]
    if method == "weighted":
        best = max(row["value"] for row in weights)
        assert choice["fusion"]["weight"] == next(row["weight"] for row in weights if row["value"] == best)


def test_a_copy_of_the_answer_is_the_answer() -> None:
    """A ranking that finds the first of two exact duplicates found the other."""
    nothing: Any = None
    ranked = [[("a", 1.0), ("c", 0.5)]]
    for same, worth in (({"a": "a", "b": "a"}, 1.0), ({}, 0.0)):
        bench = choose.Bench([{}], [{"b": 1}], nothing, nothing, nothing, nothing, same)
        assert bench.mean("ndcg@10", ranked) == worth


def test_the_smallest_dimension_that_keeps_enough_ships(tmp_path: Path) -> None:
    """The words lie in the first 64 columns but one, which only 128 has: 11 of 12 are kept."""
    vectors = {name: along(n if n else 100, 128) for n, name in enumerate(NAMES)}
    shop = Shop(tmp_path, {f"d-{name}": name for name in NAMES}, table(tmp_path / "model", vectors, 128))
    named: dict[str, Any] = {name.replace(".", "__"): value for name, value in SMALLEST.items()}
    least = "index__truncate_dim__smallest__min_retention"
    found = {keep: shop.run(plain(), **{**named, least: keep}) for keep in (1.0, 0.9)}
    assert {keep: choice["dim"] for keep, (_, choice, _) in found.items()} == {1.0: 128, 0.9: 64}
    tried = found[0.9][2]["dim"]
    assert tried["metric"] == "ndcg@10" and tried["min_retention"] == 0.9
    assert tried["tried"]["128"] == 1.0 and 11 / 12 <= tried["tried"]["64"] < 1


@pytest.mark.parametrize("precision", ["float32", "int8", "binary"])
def test_the_choice_is_made_at_what_ships(own: Shop, precision: str) -> None:
    """Dimension and precision of the index are those the fusions are compared at."""
    _, choice, tried = own.run(plain(), index__precision=precision, index__truncate_dim=64)
    assert (choice["dim"], choice["precision"]) == (64, precision)
    assert tried["fusion"]["tried"][0]["value"] == 1.0


def test_more_columns_than_the_model_has_are_refused(own: Shop) -> None:
    """With the field's name."""
    with pytest.raises(EmbspecError) as caught:
        own.run(plain(), index__truncate_dim=256)
    assert caught.value.problems[0].field == "index.truncate_dim"


def test_without_a_validation_query_nothing_is_cut_or_fused(own: Shop) -> None:
    """Means over nothing prove nothing."""
    named: dict[str, Any] = {name.replace(".", "__"): value for name, value in SMALLEST.items()}
    made, choice, tried = own.run([], **named)
    assert (choice["dim"], choice["fusion"]) == (128, {"method": "none"})
    assert tried["queries"] == 0 and made.counts["rows"] == 0


def test_a_document_that_only_repeats_the_question_is_no_answer(own: Shop) -> None:
    """As for words: it is skipped, and the answer is first."""
    shop = Shop(own.folder / "two", {"answer": "pump valve", "echo": "pump"}, own.model)
    _, _, tried = shop.run([question("q", "pump", "answer")])
    assert tried["fusion"]["tried"][0]["value"] == 1.0
    _, _, judged = shop.run([question("q", "pump", "echo")])
    assert judged["fusion"]["tried"][0]["value"] == 1.0


def test_a_warm_bank_gives_the_same_bytes(own: Shop) -> None:
    """And nothing is encoded."""
    bank = Bank()
    own.run(plain(), bank)
    cold = [(own.folder / "out" / name).read_bytes() for name in ("choice.json", "tried.json")]
    made, _, _ = own.run(plain(), bank)
    assert [(own.folder / "out" / name).read_bytes() for name in ("choice.json", "tried.json")] == cold
    assert made.counts["encoded"] == 0


def test_a_gpu_is_not_seen_in_a_byte(own: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` searches there, `cpu` does not."""
    own.run(plain())
    names = ("choice.json", "tried.json")
    here = [(own.folder / "out" / name).read_bytes() for name in names]
    asked = pretended(monkeypatch)
    for device, right in (("auto", "cuda"), ("cpu", "cpu")):
        own.run(plain(), numerics__device=device)
        assert [(own.folder / "out" / name).read_bytes() for name in names] == here
        assert {*asked} == {right}
        asked.clear()


def test_scores_that_move_do_not_move_the_choice(own: Shop) -> None:
    """What reads `choice.json` runs again when the choice is another one, not when a mean moved."""
    own.run(plain())
    choice = (own.folder / "out" / "choice.json").read_bytes()
    tried = (own.folder / "out" / "tried.json").read_bytes()
    own.run([*plain(11), question("q11", "pump", "d-valve")])
    assert (own.folder / "out" / "choice.json").read_bytes() == choice
    assert (own.folder / "out" / "tried.json").read_bytes() != tried
