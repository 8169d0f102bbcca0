"""Which rows stand in which batch, and which documents the loss sees there."""
from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from embspec.stages.train.batches import epoch, plan, slots
from embspec.stages.train.examples import Examples, Row


def rows(keys: list[set[int]], negatives: list[list[int]] | None = None) -> list[Row]:
    """Rows with these keys; row n asks query n and its answer is document n of class n."""
    wrong = negatives or [[] for _ in keys]
    return [
        Row(f"r{n}", n, n, tuple(wrong[n]), frozenset({n}), frozenset(own | {1000 + n})) for n, own in enumerate(keys)
    ]


KEYS = st.lists(st.sets(st.integers(0, 6), max_size=3), min_size=1, max_size=60)


@given(KEYS, st.integers(1, 20), st.integers(0, 5))
def test_every_row_once_and_none_beside_its_like(keys: list[set[int]], size: int, seed: int) -> None:
    """An epoch has each row once, no batch is over the size, and no two rows of a batch share a key."""
    some = rows(keys)
    batches = epoch(some, size, seed, 0)
    assert sorted(at for batch in batches for at in batch) == list(range(len(some)))
    for batch in batches:
        assert 1 <= len(batch) <= size
        held = [key for at in batch for key in some[at].keys]
        assert len(held) == len(set(held))


@given(KEYS, st.integers(1, 20), st.randoms(use_true_random=False))
def test_the_order_of_the_file_does_not_matter(keys: list[set[int]], size: int, mixer: object) -> None:
    """The same rows in another order make the same batches."""
    some = rows(keys)
    other = list(some)
    mixer.shuffle(other)  # type: ignore[attr-defined]
    named = [[[given[at].id for at in batch] for batch in epoch(given, size, 3, 0)] for given in (some, other)]
    assert named[0] == named[1]


def test_free_rows_make_full_batches_of_even_size() -> None:
    """Rows that may stand anywhere fill as few batches as there can be, none of them a small rest."""
    some = rows([set() for _ in range(130)])
    assert [len(batch) for batch in epoch(some, 128, 0, 0)] == [65, 65]
    assert [len(batch) for batch in epoch(some, 13, 0, 0)] == [13] * 10


def test_a_crowd_of_one_kind_is_spread_over_as_many_batches() -> None:
    """Rows that all share a key get a batch each, filled up with what is free."""
    some = rows([{1} if n < 10 else set() for n in range(40)])
    batches = epoch(some, 8, 0, 0)
    assert [len(batch) for batch in batches] == [4] * 10
    assert [sum(at < 10 for at in batch) for batch in batches] == [1] * 10


def test_pairs_of_a_kind_leave_no_rest() -> None:
    """Where every row has a like, an epoch needs no more batches than rows that may stand anywhere."""
    some = rows([{n % 30} for n in range(60)])
    assert [len(batch) for batch in epoch(some, 16, 0, 0)] == [15] * 4


def test_batches_that_mind_nothing() -> None:
    """Without keeping rows apart a crowd shares its batches."""
    some = rows([{1} for _ in range(10)])
    assert [len(batch) for batch in epoch(some, 5, 0, 0, apart=False)] == [5, 5]


def test_epochs_differ_and_a_seed_repeats() -> None:
    """Each epoch and each seed has an order of its own, which is always the same."""
    some = rows([set() for _ in range(64)])
    assert plan(some, 16, 2.0, 7) == plan(some, 16, 2.0, 7)
    first, second = plan(some, 16, 2.0, 7)[:4], plan(some, 16, 2.0, 7)[4:]
    assert first != second
    assert plan(some, 16, 1.0, 8) != first


def test_a_part_of_an_epoch_is_that_part_of_its_batches() -> None:
    """Epochs are counted in rows seen; 1.5 ends in the middle of the second, 0.5 in that of the first."""
    some = rows([set() for _ in range(64)])
    assert len(plan(some, 16, 1.5, 0)) == 6
    assert plan(some, 16, 1.5, 0) == plan(some, 16, 2.0, 0)[:6]
    assert plan(some, 16, 0.5, 0) == plan(some, 16, 1.0, 0)[:2]


@given(st.lists(st.lists(st.integers(0, 39), max_size=4, unique=True), min_size=1, max_size=20))
def test_no_document_is_right_and_wrong_in_one_batch(negatives: list[list[int]]) -> None:
    """The negatives of a batch are those of its rows without what answers any of them, and each is found again."""
    some = rows([set() for _ in negatives], negatives)
    examples = Examples(len(some), some, [], [], list(range(40)))
    batch = list(range(len(some)))
    own = slots(examples, batch, [n % 7 for n in range(40)])
    assert len(own.documents) == len(set(own.documents))
    assert [own.documents[at] for at in own.places[0]] == batch
    answers = set(batch)
    seen: Counter[int] = Counter()
    for column in own.places[1:]:
        for row, at in zip(batch, column, strict=True):
            if at >= 0:
                assert own.documents[at] in negatives[row] and own.documents[at] not in answers
                seen[row] += 1
    assert own.left_out == sum(len(each) for each in negatives) - sum(seen.values())
    assert own.left_out == sum(one in answers for each in negatives for one in each)
    lengths = [one % 7 for one in own.documents]
    assert lengths == sorted(lengths, reverse=True)


def test_a_near_duplicate_of_an_answer_is_no_negative_of_its_batch() -> None:
    """What counts is the class: a copy of another row's answer under another id is left out too."""
    some = rows([set(), set()], [[3, 4], []])
    assert slots(Examples(2, some, [], [], [0, 1, 2, 1, 4]), [0, 1], [1] * 5).left_out == 1
    assert slots(Examples(2, some, [], [], [0, 1, 2, 1, 4]), [0], [1] * 5).left_out == 0
