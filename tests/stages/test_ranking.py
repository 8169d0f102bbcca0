"""Ranking by vectors as an index would serve them, in chunks that nobody can see."""
from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from embspec.retrieval import knn, quantize
from embspec.retrieval.propose import CPU, CUDA, Gpu, Place
from embspec.stages.encoder import opened
from embspec.stages.ranking import Dense, Served, dense, served
from embspec.stages.searching import searching
from tests.support.desk import Desk
from tests.support.gpu import pretended
from tests.support.tiny import tiny_static

VECTORS = np.random.default_rng(1).standard_normal((60, 16)).astype(np.float32)
ASKED = np.random.default_rng(2).standard_normal((5, 16)).astype(np.float32)
IDS = [f"d{n:02d}" for n in range(60)]


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize(("dim", "precision"), [(16, "float32"), (8, "float32"), (8, "int8"), (8, "binary")])
def test_documents_are_as_the_index_has_them_and_queries_whole(
    similarity: str, dim: int, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut, at length 1 where cosine compares, made small and back: the product with the cut query is the score."""
    monkeypatch.setattr(knn, "DOCUMENTS", 7)
    documents, queries = VECTORS[:, :dim].astype(np.float64), ASKED[:, :dim].astype(np.float64)
    if similarity == "cosine":
        documents = documents / np.linalg.norm(documents, axis=1, keepdims=True)
        queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    ends = quantize.ranges(documents.astype(np.float32))
    if precision == "int8":
        step = (ends[1] - ends[0]) / 255
        documents = np.rint((documents - ends[0]) / step) * step + ends[0]
    if precision == "binary":
        documents = np.where(documents > 0, 1, -1) / dim**0.5
    right = np.sort(queries @ documents.T, axis=1)[:, ::-1][:, :10]
    found = Dense(IDS, VECTORS, similarity).rank(ASKED, 10, [()] * 5, Served(dim, precision, ends))
    assert np.allclose([[score for _, score in hits] for hits in found], right, atol=2e-6)


def test_what_repeats_the_question_is_skipped() -> None:
    """The next one takes its place."""
    bench = Dense(IDS, VECTORS, "cosine")
    best = bench.rank(ASKED, 2, [()] * 5, Served(16))
    found = bench.rank(ASKED, 1, [{best[0][0][0]}, (), (), (), ()], Served(16))
    assert found == [best[0][1:], *(hits[:1] for hits in best[1:])]


def test_a_snapshot_is_encoded_title_first(tmp_path: Path) -> None:
    """Each document once, by title and text, under its id."""
    rows = [{"id": "b", "title": "pump", "text": "broken belt"}, {"id": "a", "title": None, "text": "paid invoice"}]
    (tmp_path / "documents.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = opened(tiny_static(tmp_path / "model"), "sha256:1", Desk(tmp_path / "desk"))
    made = dense(tmp_path / "documents.jsonl", model)
    assert (list(made.ids), made.similarity) == (["b", "a"], "cosine")
    assert np.array_equal(made.vectors, model.documents(["pump broken belt", "paid invoice"]))
    assert model.encoded == 2


def test_the_ends_of_columns_are_those_of_the_dimension(tmp_path: Path) -> None:
    """Only int8 needs them; another dimension has others, since its vectors are longer."""
    path = tmp_path / "ranges.json"
    path.write_text(json.dumps({"dims": {"2": {"low": [-1, -2], "high": [1, 2]}, "1": {"low": [-3], "high": [3]}}}))
    form = served(path, 2, "int8")
    assert form.ranges is not None and [ends.tolist() for ends in form.ranges] == [[-1, -2], [1, 2]]
    assert served(tmp_path / "none.json", 2, "binary") == Served(2, "binary")


@pytest.mark.parametrize(("field", "here", "right"), [
    ("auto", True, CUDA), ("auto", False, CPU), ("cuda", True, CUDA), ("cuda", False, CPU), ("cpu", True, CPU),
    (None, True, CPU)])
def test_documents_are_compared_on_the_gpu_that_is_there(
    field: str | None, here: bool, right: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for `cpu`; without one it is the processor, since the bytes are the same."""
    pretended(monkeypatch)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: here)
    assert searching({} if field is None else {"numerics.device": field}).device == right


def test_a_search_has_the_threads_of_the_lock() -> None:
    """And one where no lock is."""
    assert searching({"pin.numerics.threads": 3}).threads == 3 and searching({}).threads == 1


def test_a_process_that_was_given_no_gpu_does_not_ask_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its import would take longer than most searches."""
    pretended(monkeypatch)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert searching({"numerics.device": "auto"}).device == CPU


@pytest.mark.parametrize("field", ["auto", "cuda"])
@pytest.mark.parametrize(("step", "error"), [
    ("put", torch.cuda.OutOfMemoryError("no room")), ("put", RuntimeError("all devices are busy or unavailable")),
    ("products", RuntimeError("no kernel image is available")), ("highest", RuntimeError("said only at the end"))])
def test_a_gpu_that_makes_no_product_is_none(
    field: str, step: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch sees it, yet it is full, another's alone, or too old: no byte depends on it, so no build fails by it."""
    def fails(*given: object) -> None:
        raise error

    asked = pretended(monkeypatch)
    assert searching({"numerics.device": field}).device == CUDA
    monkeypatch.setattr(Gpu, step, fails)
    assert searching({"numerics.device": field}).device == CPU
    assert asked == [CUDA, CUDA]


@pytest.mark.parametrize(("dim", "precision"), [(16, "float32"), (8, "int8"), (8, "binary")])
def test_every_form_is_ranked_on_the_device_that_was_asked_for(
    dim: int, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same scores and the same order."""
    ends = quantize.ranges(knn.cut(VECTORS, dim, "cosine"))
    form = Served(dim, precision, ends)
    here = Dense(IDS, VECTORS, "cosine").rank(ASKED, 10, [()] * 5, form)
    asked = pretended(monkeypatch)
    assert Dense(IDS, VECTORS, "cosine", Place(CUDA)).rank(ASKED, 10, [()] * 5, form) == here and asked == [CUDA]
