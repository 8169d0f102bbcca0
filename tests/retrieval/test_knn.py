"""Nearest neighbours are exact: against sorting everything, and against every way to cut the work."""
from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from embspec.errors import EmbspecError
from embspec.retrieval import knn, propose
from embspec.retrieval.propose import Place

Vectors = NDArray[np.float32]


def drawn(seed: int, rows: int, columns: int) -> Vectors:
    """Vectors at random."""
    return np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)


def oracle(queries: Vectors, documents: Vectors, ids: list[str], k: int, skip: Any = None
           ) -> list[list[tuple[str, float]]]:
    """All products in float64, all of them sorted."""
    scores = np.round(queries.astype(np.float64) @ documents.astype(np.float64).T, knn.DIGITS) + 0.0
    found = []
    for row, named in enumerate(skip or [()] * len(queries)):
        hits = [(id, float(score)) for id, score in zip(ids, scores[row], strict=True) if id not in named]
        found.append(sorted(hits, key=lambda hit: (-hit[1], hit[0]))[:k])
    return found


@pytest.mark.parametrize(("rows", "k"), [(1, 1), (5, 10), (300, 10), (700, 100), (64, 64), (10, 0)])
def test_the_best_are_those_of_sorting_everything(rows: int, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids and scores equal a second implementation, over several chunks and blocks of queries."""
    monkeypatch.setattr(knn, "DOCUMENTS", 128)
    monkeypatch.setattr(knn, "QUERIES", 7)
    documents, queries = knn.unit(drawn(1, rows, 24)), knn.unit(drawn(2, 20, 24))
    ids = [f"d{n * 7919 % 1000:03d}" for n in range(rows)]
    assert knn.top(queries, documents, ids, k) == oracle(queries, documents, ids, k)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(1, 12), st.integers(1, 9))
def test_equal_scores_are_in_the_order_of_ids(values: list[int], k: int, chunk: int) -> None:
    """Copies of a document tie exactly, wherever the chunks end."""
    documents = np.eye(4, dtype=np.float32)[values]
    ids = [f"{(n * 37) % 41:02d}" for n in range(len(values))]
    queries = np.asarray([[1, 0.5, 0.5, 0], [0, 0, 0, 0]], np.float32)
    chunks = [documents[start : start + chunk] for start in range(0, len(values), chunk)]
    assert knn.top_of(queries, chunks, ids, k) == oracle(queries, documents, ids, k)


def test_a_query_does_not_get_what_it_skips() -> None:
    """The places of skipped documents are filled by the next, and each query skips its own."""
    documents, queries = knn.unit(drawn(3, 50, 8)), knn.unit(drawn(4, 3, 8))
    ids = [f"d{n:02d}" for n in range(50)]
    best = [[id for id, _ in hits] for hits in knn.top(queries, documents, ids, 5)]
    skip = [set(best[0][:3]), set(), {best[2][0]}]
    found = knn.top(queries, documents, ids, 5, skip)
    assert found == oracle(queries, documents, ids, 5, skip)
    assert [len(hits) for hits in found] == [5, 5, 5] and found[0][0][0] == best[0][3]


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_products_of_any_size_are_exact(scale: float) -> None:
    """What float32 mixes up is put right in float64: documents a millionth apart, of all lengths."""
    base = drawn(5, 1, 48)
    documents = (base + drawn(6, 400, 48) * np.float32(1e-6)) * np.float32(scale)
    documents[::3] *= 5
    ids = [f"{n:03d}" for n in range(400)]
    assert knn.top(base, documents, ids, 50) == oracle(base, documents, ids, 50)


HUGE, NAN, INF = 1e20, float("nan"), float("inf")


@pytest.mark.parametrize(("query", "document"), [
    ([HUGE, HUGE], [HUGE, -HUGE]), ([HUGE, HUGE], [HUGE, HUGE]), ([1, 1], [NAN, 1]), ([NAN, 1], [1, 1]),
    ([1, 1], [INF, 1]), ([INF, 1], [1, 1]), ([0, 0], [INF, 1])])
def test_what_float32_cannot_multiply_is_told_of(query: list[float], document: list[float]) -> None:
    """Such a product reaches no least one: all documents would be left out in silence."""
    documents = np.array([document, [1, 1], [2, 2]], np.float32)
    with pytest.raises(ArithmeticError, match="no numbers, or too long for float32"):
        knn.top(np.array([[1, 0], query], np.float32), documents, ["a", "b", "c"], 2)


@pytest.mark.parametrize("scale", [1e-18, 1e18])
def test_vectors_as_long_as_float32_can_multiply_are_ranked(scale: float) -> None:
    """By the products that are written."""
    queries, documents = drawn(1, 2, 8) * np.float32(scale), drawn(2, 30, 8) * np.float32(scale)
    ids = [f"{n:02d}" for n in range(30)]
    found, right = knn.top(queries, documents, ids, 5), queries.astype(np.float64) @ documents.T.astype(np.float64)
    for hits, products in zip(found, right, strict=True):
        best = sorted(range(30), key=lambda n: (-round(float(products[n]), 6), n))[:5]
        assert [id for id, _ in hits] == [ids[n] for n in best]


def test_neither_threads_nor_other_queries_are_seen_in_a_score() -> None:
    """One query alone, among others, with one thread and with four: the same ids and numbers."""
    documents, queries = knn.unit(drawn(7, 3000, 64)), knn.unit(drawn(8, 40, 64))
    ids = [f"{n:04d}" for n in range(3000)]
    alone = [knn.top(queries[n : n + 1], documents, ids, 20)[0] for n in range(40)]
    assert knn.top(queries, documents, ids, 20, place=Place(threads=4)) == alone


def test_a_mapped_array_that_cannot_be_written_is_read() -> None:
    """Vectors of a bank or a file are not writable."""
    documents = knn.unit(drawn(9, 10, 4))
    documents.flags.writeable = False
    assert len(knn.top(documents, documents, list("abcdefghij"), 3)) == 10


def test_ids_and_vectors_are_as_many() -> None:
    """A shifted list of ids would name wrong documents."""
    with pytest.raises(ValueError, match="3 vectors for 4 ids"):
        knn.top_of(drawn(1, 1, 2), [drawn(2, 3, 2)], list("abcd"), 1)


def test_nothing_to_find_is_found() -> None:
    """No documents, or no queries."""
    assert knn.top(drawn(1, 2, 3), np.zeros((0, 3), np.float32), [], 5) == [[], []]
    assert knn.top(np.zeros((0, 3), np.float32), drawn(1, 2, 3), ["a", "b"], 5) == []


def test_a_row_of_zeros_stays_one() -> None:
    """All else has length 1."""
    made = knn.unit(np.asarray([[3, 4], [0, 0]], np.float32))
    assert made.tolist() == np.asarray([[0.6, 0.8], [0, 0]], np.float32).tolist()


@pytest.mark.parametrize("rows", [1, 2, 9])
def test_the_length_of_a_row_does_not_hang_on_the_others(rows: int) -> None:
    """A row alone and among others is the same bits."""
    vectors = drawn(10, 9, 37)
    assert np.array_equal(knn.unit(vectors)[:rows], knn.unit(vectors[:rows]))


def test_first_columns_have_length_one_again_where_cosine_compares_them() -> None:
    """`truncate_dim` elsewhere leaves them shorter; a dot product keeps them as they are."""
    vectors = knn.unit(drawn(11, 5, 16))
    assert np.allclose(np.linalg.norm(knn.cut(vectors, 4, "cosine"), axis=1), 1)
    assert np.array_equal(knn.cut(vectors, 4, "dot"), vectors[:, :4])


class Rough(propose.Gpu):
    """Another device: its way to look, products that are wrong by as much as is allowed, pairs in another order."""

    def __init__(self, seed: int) -> None:
        super().__init__("cpu")
        self._draw, self.looks = np.random.default_rng(seed), 0

    def products(self, queries: Any, documents: Any) -> Any:
        """Half of what is allowed is float32's own."""
        self.looks += 1
        made = super().products(queries, documents)
        allowed = queries.norm(dim=1)[:, None] * documents.norm(dim=1).max() * queries.shape[1] * 2.0**-24
        return made + allowed * torch.from_numpy(self._draw.choice([-1.0, 1.0], made.shape).astype(np.float32))

    def over(self, products: Any, least: Vectors, most: int | None) -> propose.Pairs | None:
        """In no order."""
        found = super().over(products, least, most)
        order = self._draw.permutation(len(found.query) if found else 0)
        return found and propose.Pairs(*(column[order] for column in found))


def on(device: propose.Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that asks for a GPU gets this."""
    monkeypatch.setattr(propose, "device", lambda name: {"cuda": device}[name])


@pytest.mark.parametrize("chunk", [16, 64, 1024])
@pytest.mark.parametrize("near", [1e-6, 1e-3, 1.0])
def test_what_proposes_cannot_be_seen(near: float, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device whose every product is off by what float32 may be off, in another order: the same bytes as here."""
    monkeypatch.setattr(knn, "DOCUMENTS", chunk)
    documents = knn.unit(drawn(1, 1, 48) + drawn(6, 400, 48) * np.float32(near))
    documents[7::5] = documents[2]
    queries, ids = knn.unit(drawn(2, 20, 48)), [f"{n * 7919 % 1000:03d}" for n in range(400)]
    right = knn.top(queries, documents, ids, 30)
    assert right == oracle(queries, documents, ids, 30)
    rough = Rough(chunk)
    on(rough, monkeypatch)
    assert knn.top(queries, documents, ids, 30, place=Place("cuda")) == right and rough.looks >= 400 // chunk


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("columns", [8, 100, 384])
def test_a_gpu_gives_the_same_bytes(columns: int) -> None:
    """Near copies of one another, ties, and lengths that differ; whatever precision the process was told to use."""
    documents = drawn(1, 1, columns) + drawn(6, 40_000, columns) * np.float32(1e-4)
    documents[::3] *= 5
    documents[5000:5100] = documents[4]
    queries, ids = drawn(2, 600, columns), [f"{n * 7919 % 100_003:06d}" for n in range(40_000)]
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        found = knn.top(queries, documents, ids, 50, place=Place("cuda"))
    finally:
        torch.set_float32_matmul_precision(before)
    assert found == knn.top(queries, documents, ids, 50)


class Small(Rough):
    """A device with room for so many documents, or for the products of so many."""

    def __init__(self, held: int, multiplied: int) -> None:
        super().__init__(1)
        self._held, self._multiplied, self.short = held, multiplied, 0

    def put(self, vectors: Vectors) -> Any:
        """Queries are few."""
        self._look(len(vectors), self._held)
        return super().put(vectors)

    def products(self, queries: Any, documents: Any) -> Any:
        """As many as there is room for."""
        self._look(len(documents), self._multiplied)
        return super().products(queries, documents)

    def _look(self, count: int, room: int) -> None:
        if count > room:
            self.short += 1
            raise torch.cuda.OutOfMemoryError("no room")


@pytest.mark.parametrize(("held", "multiplied"), [(150, 1000), (1000, 150), (300, 150), (40, 40)])
def test_a_device_whose_memory_is_full_gets_less_at_once(held: int, multiplied: int, monkeypatch: pytest.MonkeyPatch
                                                         ) -> None:
    """Half as many documents, and half of those; nothing is seen twice or left out."""
    monkeypatch.setattr(propose, "FEWEST", 20)
    documents, queries, ids = drawn(3, 1000, 8), drawn(4, 3, 8), [f"{n:04d}" for n in range(1000)]
    small = Small(held, multiplied)
    on(small, monkeypatch)
    assert knn.top(queries, documents, ids, 20, place=Place("cuda")) == oracle(queries, documents, ids, 20)
    assert small.short


def test_a_device_without_any_room_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than one document at a time; and how to do without it."""
    on(Small(1000, 3), monkeypatch)
    with pytest.raises(EmbspecError, match=f"no room for the products of {propose.FEWEST} documents") as told:
        knn.top(drawn(4, 3, 8), drawn(3, 512, 8), [f"{n:04d}" for n in range(512)], 20, place=Place("cuda"))
    (problem,) = told.value.problems
    assert problem.code == "stage.gpu-full" and "`numerics: {device: cpu}`" in problem.fix


def test_a_device_that_is_less_exact_than_float32_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it proposed may lack the best: no ranking comes of it."""
    class Wrong(propose.Gpu):
        def products(self, queries: Any, documents: Any) -> Any:
            return super().products(queries.bfloat16(), documents.bfloat16()).float()

    on(Wrong("cpu"), monkeypatch)
    with pytest.raises(ArithmeticError, match="further from the truth"):
        knn.top(drawn(4, 3, 64), drawn(3, 500, 64), [f"{n:04d}" for n in range(500)], 20, place=Place("cuda"))


@pytest.mark.parametrize("order", [1, -1])
def test_documents_in_an_order_of_likeness_are_all_looked_at(order: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each chunk is better than all before it, or worse: the first fill the table again and again."""
    monkeypatch.setattr(knn, "DOCUMENTS", 64)
    angles = np.linspace(0, 3, 1000)[::order]
    documents = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    queries, ids = np.asarray([[1, 0], [0.9, 0.1]], np.float32), [f"{n * 7919 % 1000:03d}" for n in range(1000)]
    assert knn.top(queries, documents, ids, 7) == oracle(queries, documents, ids, 7)


@pytest.mark.parametrize("order", ["any", "rising"])
def test_few_products_are_made_twice(order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In float64 as many as a query wants, for each time that the corpus grew by as much as it was; tables stay small.

    Where each chunk is better than all before it, it is as many as are wanted of each.
    """
    monkeypatch.setattr(knn, "DOCUMENTS", 100)
    made, tables, k, queries = [], [], 10, knn.unit(drawn(2, 20, 16))
    real, sort = knn._products, knn._order

    def products(*args: Any) -> Any:
        made.append(len(args[2]))
        return real(*args)

    def sorting(*args: Any) -> Any:
        tables.append(len(args[0]))
        return sort(*args)

    monkeypatch.setattr(knn, "_products", products)
    monkeypatch.setattr(knn, "_order", sorting)
    documents = knn.unit(drawn(1, 3200, 16))
    if order == "rising":
        documents = documents[np.argsort(documents @ queries[0])]
        queries = np.repeat(queries[:1], 20, axis=0)
    knn.top(queries, documents, [f"{n:04d}" for n in range(3200)], k)
    wanted = k * len(queries)
    assert len(made) == 32 and sum(made) <= (8 if order == "any" else 33) * wanted and max(tables) <= 6 * wanted
    assert order == "rising" or len(tables) < 12


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-3, 3), st.integers(0, 9)), max_size=50),
       st.sampled_from([1e-6, 0.5, 1e3, 1e10, 1e12]))
def test_one_number_sorts_as_three(rows: list[tuple[int, int, int]], step: float) -> None:
    """Query, falling score and place in one number where there is room for them, and as they are where not."""
    query, score, place = (np.array([row[n] for row in rows], np.int64) for n in range(3))
    scores = np.round(score * step, knn.DIGITS) + 0.0
    assert knn._order(query, scores, place).tolist() == np.lexsort((place, -scores, query)).tolist()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says which pages are there")
@pytest.mark.parametrize("work", ["search", "lengths"])
def test_a_mapped_file_is_in_memory_a_chunk_at_a_time(tmp_path: Path, work: str) -> None:
    """As many bytes as are compared at once, and behind them none: what is on disk may be larger than memory."""
    rows = 3 * knn.DOCUMENTS
    drawn(1, rows, 64).tofile(tmp_path / "vectors")
    mapped = np.memmap(tmp_path / "vectors", np.float32, "r").reshape(-1, 64)

    def resident() -> int:
        text = Path("/proc/self/smaps").read_text().split(str(tmp_path / "vectors"))[1]
        return int(text.split("Rss:")[1].split("kB")[0]) << 10

    seen = []
    for chunk in knn.chunks(mapped):
        chunk.sum()
        seen.append(resident())
    assert max(seen) <= 2 * chunk.nbytes and resident() == 0
    held = np.array(mapped)
    if work == "search":
        ids = [f"{n:05d}" for n in range(rows)]
        assert knn.top(held[:3], mapped, ids, 5) == knn.top(held[:3], held, ids, 5)
    else:
        assert np.array_equal(knn.lengths(mapped), knn.lengths(held))
    assert resident() == 0


@pytest.mark.parametrize(("name", "says"), [("tpu", "no device is called tpu"), ("cuda", "torch sees no GPU here")])
def test_a_device_is_what_was_asked_for(name: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else is taken in its place."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=says):
        knn.top(drawn(1, 1, 2), drawn(2, 3, 2), list("abc"), 1, place=Place(name))
