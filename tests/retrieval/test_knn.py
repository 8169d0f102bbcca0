"""Nearest neighbours are exact: against sorting everything, and against every way to cut the work."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from embspec.retrieval import knn
from tests.support.threads import threads

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


def test_neither_threads_nor_other_queries_are_seen_in_a_score() -> None:
    """One query alone, among others, with one thread and with four: the same ids and numbers."""
    documents, queries = knn.unit(drawn(7, 3000, 64)), knn.unit(drawn(8, 40, 64))
    ids = [f"{n:04d}" for n in range(3000)]
    with threads(1):
        alone = [knn.top(queries[n : n + 1], documents, ids, 20)[0] for n in range(40)]
    with threads(4):
        assert knn.top(queries, documents, ids, 20) == alone


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
