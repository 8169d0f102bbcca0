"""Systems with vectors: each ranking against plain numpy, each figure against pytrec_eval."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytrec_eval
from numpy.typing import NDArray
from safetensors.numpy import load_file

from embspec.errors import EmbspecError
from embspec.plan.protocol import Made
from embspec.retrieval.languages import stop_words
from tests.support.benches import Bench, Row, params, question, slow_ranking
from tests.support.gpu import pretended
from tests.support.tiny import VOCABULARY, WORDS, tiny_static

FULL = 128
NONE, RRF = {"method": "none"}, {"method": "rrf", "k": 60}
WEIGHTED = {"method": "weighted", "weight": 0.7}
METRICS = ["recall@5", "recall@100", "precision@5", "ndcg@10"]
Hits = list[tuple[str, float]]
Floats = NDArray[np.float64]


def choice(**changed: Any) -> dict[str, Any]:
    """What ships, as the stage before writes it."""
    plain = {"dim": FULL, "precision": "float32", "similarity": "cosine", "fusion": NONE, "fused": RRF, "depth": 100}
    return {**plain, **changed}


class Harbour:
    """A corpus of random known words, graded queries, two models."""

    def __init__(self, folder: Path) -> None:
        drawn = random.Random(5)
        # The slow BM25 knows no stop words.
        words = [word for word in WORDS.split() if word not in stop_words("english")]
        self.texts = {f"d{n:03}": " ".join(drawn.choices(words, k=drawn.randint(4, 12))) for n in range(150)}
        self.texts["d999"] = "key lock door key"  # what the third query asks, word for word
        some = drawn.sample(sorted(self.texts)[:-1], 36)
        self.asked = [
            question(f"q{n}", self.texts["d999"] if n == 2 else " ".join(drawn.choices(self.texts[right].split(), k=4)),
                     (right, 3), *[(id, drawn.randint(1, 2)) for id in others])
            for n, (right, *others) in enumerate(zip(some[:12], some[12:24], some[24:], strict=True))
        ]
        self.bench = Bench(folder, self.texts)
        self.bench.split("test", self.asked)
        self.bench.make("lexical", params())
        for role, seed in (("base/base", 1), ("train/model", 2)):
            self.bench.needs[role] = tiny_static(folder / role, seed, FULL)
        self.tables = {role: load_file(folder / role / "0_StaticEmbedding" / "model.safetensors")["embedding.weight"]
                       for role in ("base/base", "train/model")}
        self.ranges()

    def ranges(self) -> None:
        """The ends of each column of the tuned model, as the export stores them."""
        cut = {str(dim): self.vectors("train/model", self.texts.values(), dim) for dim in (FULL, 64, 16)}
        ends = {dim: {"low": rows.min(axis=0).tolist(), "high": rows.max(axis=0).tolist()} for dim, rows in cut.items()}
        self.bench.put("export/ranges.json", [{"dims": ends}])

    def evaluated(self, what: Mapping[str, Any] | None = None, **changed: Any) -> Made:
        """Run the stage with this choice."""
        self.bench.put("choose/choice.json", [what or choice()])
        systems = ["base", "bm25", "hybrid", "tuned", "tuned+bm25"]
        dotted = {name.replace("__", "."): value for name, value in changed.items()}
        asked = {"eval.dims": "auto", "eval.precisions": ["float32"], "loss.matryoshka.dims": "auto",
                 "eval.systems": systems, "eval.metrics": METRICS, "corpus.dedup.exact": False}
        return self.bench.make("evaluate", {**params(), **asked, **dotted})

    def runs(self, system: str, dim: int | None, precision: str | None) -> dict[str, list[str]]:
        """What one system ranked, by query."""
        wanted = (system, dim, precision)
        return {row["query"]: row["ids"] for row in self.bench.rows("evaluate/runs")
                if (row["system"], row["dim"], row["precision"]) == wanted}

    def vectors(self, role: str, texts: Any, dim: int) -> NDArray[np.float32]:
        """The mean of a text's words, cut and at length 1."""
        table = self.tables[role].astype(float)
        rows = [np.mean([table[VOCABULARY.index(word)] for word in text.split()], axis=0) for text in texts]
        cut = np.array(rows, np.float32)[:, :dim]
        return (cut / np.linalg.norm(cut.astype(float), axis=1, keepdims=True)).astype(np.float32)

    def by_vectors(self, role: str, row: Row, dim: int, as_served: Callable[[Floats], Floats]) -> Hits:
        """One query by brute force; a document that is the question itself is none of its answers."""
        served = as_served(self.vectors(role, self.texts.values(), dim).astype(float))
        query = self.vectors(role, [row["query"]], dim)[0].astype(float)
        scores = dict(zip(self.texts, np.round(served @ query, 6).tolist(), strict=True))
        found = [(id, score) for id, score in scores.items() if self.texts[id] != row["query"]]
        return sorted(found, key=lambda hit: (-hit[1], hit[0]))[:100]

    def by_words(self, row: Row) -> list[str]:
        """One query by BM25's formula."""
        return [id for id in slow_ranking(self.texts, row["query"], 101) if self.texts[id] != row["query"]][:100]


def plain(vectors: Floats) -> Floats:
    """float32 as it is."""
    return vectors


def bits(vectors: Floats) -> Floats:
    """Signs alone."""
    return np.where(vectors > 0, 1.0, -1.0) / vectors.shape[1] ** 0.5


def steps(vectors: Floats) -> Floats:
    """The nearest of 256 steps between the ends of each column."""
    low, high = vectors.min(axis=0), vectors.max(axis=0)
    width = (high - low) / 255
    return np.rint((vectors - low) / width) * width + low


@pytest.fixture(scope="module")
def harbour(tmp_path_factory: pytest.TempPathFactory) -> Harbour:
    """One corpus for all."""
    return Harbour(tmp_path_factory.mktemp("harbour"))


@pytest.mark.parametrize(("system", "role"), [("base", "base/base"), ("tuned", "train/model")])
@pytest.mark.parametrize(("precision", "as_served"), [("float32", plain), ("int8", steps), ("binary", bits)])
def test_every_dim_and_precision_equals_brute_force(
    harbour: Harbour, system: str, role: str, precision: str, as_served: Callable[[Floats], Floats]
) -> None:
    """At each dim the ranking is that of the first columns at length 1 again, by falling product, ties by id."""
    harbour.evaluated(eval__dims=["auto", 16], eval__precisions=["int8", "binary"])
    for dim in (FULL, 64, 16):
        found = harbour.runs(system, dim, precision)
        for row in harbour.asked:
            slow = harbour.by_vectors(role, row, dim, as_served)
            # The last digit of a score may differ where the oracle rounds elsewhere: then neighbours change places.
            scores = dict(slow)
            assert sorted(found[row["id"]]) == sorted(scores) or precision == "int8"
            got = [scores.get(id, slow[-1][1]) for id in found[row["id"]]]
            assert got == pytest.approx([score for _, score in slow], abs=3e-6), (dim, row["id"])


def slow_rrf(lists: Sequence[Sequence[str]], k: int = 60) -> list[str]:
    """Reciprocal rank fusion by its formula."""
    names = {id for some in lists for id in some}
    score = {id: round(sum(1 / (k + some.index(id) + 1) for some in lists if id in some), 12) for id in names}
    return sorted(names, key=lambda id: (-score[id], id))[:100]


@pytest.mark.parametrize(("system", "role"), [("hybrid", "base"), ("tuned+bm25", "tuned")])
def test_fusion_is_of_the_two_rankings_beside_it(harbour: Harbour, system: str, role: str) -> None:
    """A fused system fuses just what the model and BM25 ranked, at every dim."""
    harbour.evaluated(eval__systems=["bm25", "base", "tuned", system, "base+bm25"])
    words = harbour.runs("bm25", None, None)
    for dim in (FULL, 64):
        dense, fused = harbour.runs(role, dim, "float32"), harbour.runs(system, dim, "float32")
        assert fused == {query: slow_rrf([dense[query], words[query]]) for query in dense}
        if system == "hybrid":
            assert harbour.runs("base+bm25", dim, "float32") == fused
    assert {row["id"]: harbour.by_words(row) for row in harbour.asked} == words


def test_tuned_and_bm25_are_put_together_as_chosen(harbour: Harbour) -> None:
    """`fused` of the choice is the method, at its weight: the stretched scores, weighted and added."""
    harbour.evaluated(choice(fused=WEIGHTED))
    found = harbour.runs("tuned+bm25", FULL, "float32")
    row = harbour.asked[0]
    dense = harbour.by_vectors("train/model", row, FULL, plain)
    words = harbour.runs("bm25", None, None)[row["id"]]
    assert dense[0][0] in found[row["id"]][:3] and set(found[row["id"]]) <= {id for id, _ in dense} | set(words)
    assert found[row["id"]] != slow_rrf([[id for id, _ in dense], words])


@pytest.mark.parametrize(
    ("what", "like"),
    [
        (choice(), ("tuned", FULL, "float32")),
        (choice(dim=16, precision="int8"), ("tuned", 16, "int8")),
        (choice(dim=64, fusion=RRF), ("tuned+bm25", 64, "float32")),
        (choice(dim=16, precision="binary", fusion=WEIGHTED, fused=WEIGHTED), ("tuned+bm25", 16, "binary")),
    ],
)
def test_shipped_is_what_the_choice_says(harbour: Harbour, what: dict[str, Any], like: tuple[Any, ...]) -> None:
    """The rows of `shipped` are those of the very form that the index serves."""
    harbour.evaluated(what, eval__dims=[16, 64], eval__precisions=["float32", "int8", "binary"])
    shipped = harbour.runs("shipped", what["dim"], what["precision"])
    assert shipped == harbour.runs(*like) and len(shipped) == 12
    assert [row["system"] for row in harbour.bench.rows("evaluate/runs")][-12:] == ["shipped"] * 12


def test_what_ships_is_measured_though_nobody_listed_its_form(harbour: Harbour) -> None:
    """A dim, precision and fusion that `eval` does not have are measured, and what ships with one of them undone."""
    harbour.evaluated(choice(dim=16, precision="int8", fusion=RRF), eval__systems=["bm25"], eval__dims=[64])
    found = list(dict.fromkeys((r["system"], r["dim"], r["precision"]) for r in harbour.bench.rows("evaluate/scores")))
    forms = [(FULL, "float32"), (64, "float32"), (FULL, "int8"), (16, "float32")]
    both = [(system, *form) for system in ("tuned", "tuned+bm25") for form in forms]
    assert found == [("bm25", None, None), *both, ("shipped", 16, "int8")]


def test_figures_equal_pytrec_eval(harbour: Harbour) -> None:
    """Recall, precision and nDCG of every system are those of the reference implementation."""
    made = harbour.evaluated()
    grades = {row["id"]: {p["id"]: 2 ** p["grade"] - 1 for p in row["positives"]} for row in harbour.asked}
    judge = pytrec_eval.RelevanceEvaluator(grades, {"recall.5,100", "P.5", "ndcg_cut.10"})
    scores = harbour.bench.rows("evaluate/scores")
    for system, dim in (("base", FULL), ("hybrid", FULL), ("tuned", 64), ("tuned+bm25", FULL), ("shipped", FULL)):
        runs = harbour.runs(system, dim, "float32")
        theirs = judge.evaluate({q: {id: 1.0 / (n + 1) for n, id in enumerate(ids)} for q, ids in runs.items()})
        ours = {r["query"]: r["scores"] for r in scores if (r["system"], r["dim"]) == (system, dim)}
        for query, found in theirs.items():
            names = {"recall@5": "recall_5", "recall@100": "recall_100", "precision@5": "P_5", "ndcg@10": "ndcg_cut_10"}
            assert ours[query] == pytest.approx({our: found[their] for our, their in names.items()}, abs=1e-12)
    mean = np.mean([r["scores"]["ndcg@10"] for r in scores if (r["system"], r["dim"]) == ("tuned", FULL)])
    assert f"ndcg@10 {round(float(mean), 4)} n=12" in made.stat["tuned"]


def test_the_lock_gets_a_line_a_system(harbour: Harbour) -> None:
    """One line for each system at its best; what ships has its own only where no other line says the same."""
    made = harbour.evaluated(choice(dim=64, fusion=WEIGHTED), eval__precisions=["int8"])
    assert list(made.stat) == ["base", "bm25", "hybrid", "tuned", "tuned+bm25", "shipped"]
    made = harbour.evaluated(choice(dim=FULL, fusion=WEIGHTED))
    assert list(made.stat) == ["base", "bm25", "hybrid", "tuned", "tuned+bm25"]


def test_each_text_is_encoded_once_by_each_model(harbour: Harbour) -> None:
    """However many systems, dims and precisions there are, a model reads each different text once."""
    texts = len({*harbour.texts.values(), *(row["query"] for row in harbour.asked)})
    made = harbour.evaluated(eval__dims=["auto", 16], eval__precisions=["float32", "int8"])
    assert made.counts["encoded"] == 2 * texts
    assert harbour.evaluated(eval__systems=["bm25", "tuned"]).counts["encoded"] == texts


def test_a_deeper_metric_moves_no_other(harbour: Harbour) -> None:
    """Lists are fused as deep as the index fuses them: a metric that looks further down changes nothing above."""
    harbour.evaluated(choice(fusion=RRF, depth=20))
    before = harbour.runs("shipped", FULL, "float32")
    harbour.evaluated(choice(fusion=RRF, depth=20), eval__metrics=["recall@130"])
    after = harbour.runs("shipped", FULL, "float32")
    assert before == {query: ids[:100] for query, ids in after.items()}
    assert max(map(len, after.values())) <= 40


def test_a_dim_the_model_lacks_is_an_error(harbour: Harbour) -> None:
    """More dims than there are is said with the field, before anything is ranked."""
    with pytest.raises(EmbspecError) as caught:
        harbour.evaluated(eval__dims=[256])
    (problem,) = caught.value.problems
    assert (problem.code, problem.field) == ("spec.range", "eval.dims") and "256" in problem.text


def test_without_matryoshka_the_full_dim_is_measured(harbour: Harbour) -> None:
    """`auto` is the dims that were trained; where none were it is the full one."""
    harbour.evaluated(loss__matryoshka__dims=None)
    assert {row["dim"] for row in harbour.bench.rows("evaluate/scores")} == {FULL, None}


def test_the_same_bytes_again(harbour: Harbour) -> None:
    """Two runs write the same artefacts."""
    both = []
    for _ in range(2):
        harbour.evaluated()
        both.append([harbour.bench.needs[f"evaluate/{name}"].read_bytes() for name in ("runs", "scores")])
    assert both[0] == both[1] and json.loads(both[0][0].split(b"\n")[0])["dim"] == FULL


def test_no_queries_with_a_model(tmp_path: Path) -> None:
    """An empty test part gives counts of 0, as without a model."""
    empty = Harbour(tmp_path)
    empty.bench.split("test", [])
    made = empty.evaluated()
    assert made.stat["tuned"] == "n=0"
    assert made.counts["rows"] == 0


def test_a_gpu_is_not_seen_in_a_byte(harbour: Harbour, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every form of both models, ranked where `numerics.device` allows it."""
    forms: dict[str, Any] = {"eval__dims": [FULL, 64], "eval__precisions": ["float32", "int8", "binary"]}
    harbour.evaluated(**forms)
    here = [harbour.bench.needs[f"evaluate/{name}"].read_bytes() for name in ("runs", "scores")]
    asked = pretended(monkeypatch)
    harbour.evaluated(**forms, numerics__device="auto")
    assert [harbour.bench.needs[f"evaluate/{name}"].read_bytes() for name in ("runs", "scores")] == here
    assert {*asked} == {"cuda"}
