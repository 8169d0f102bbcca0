"""Which commit lost a metric: how few are built, and which neighbour is named."""
from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embspec.decide.bisect import Asked, Build, Found, Point, _Row, search
from embspec.errors import USAGE, EmbspecError, fail
from embspec.git import Revision
from embspec.lock.text import Lock
from embspec.store.places import places
from tests.support.locks import DECLARED, lock, text
from tests.support.repository import Repository


class Workshop:
    """Builds commits that are known beforehand; what was asked for is written down."""

    def __init__(self, values: dict[str, float]) -> None:
        self.values, self.asked = values, list[str]()

    def __call__(self, commit: str) -> tuple[Lock, bool]:
        """The lock that comes of it."""
        self.asked.append(commit)
        if commit not in self.values:
            raise fail("spec.type", "no such thing can be built")
        return lock(self.values[commit], rate="1"), True


def row(values: list[float | None], built: dict[int, float]) -> tuple[_Row, Workshop]:
    """Commits by number; those without a value have to be built."""
    shop = Workshop({str(n): value for n, value in built.items()})
    points = [Point(Revision(str(n), "day", f"c{n}"), None if v is None else lock(v)) for n, v in enumerate(values)]
    return _Row(points, Asked("recall@5", ""), shop), shop


def names(found: list[tuple[object, ...]]) -> list[tuple[str, str]]:
    """Pairs by their numbers."""
    return [(a.revision.commit, b.revision.commit) for a, b in found]  # type: ignore[attr-defined]


def test_a_known_row_is_not_built() -> None:
    """The largest drop first, then each larger than half of it; smaller ones are not spoken of."""
    found, shop = row([0.9, 0.8, 0.5, 0.45, 0.3], {})
    assert names(found.narrow(0, 4)) == [("1", "2")] and shop.asked == []
    found, _ = row([0.9, 0.7, 0.4, 0.4, 0.2], {})
    assert names(found.narrow(0, 4)) == [("1", "2"), ("0", "1"), ("3", "4")]


def test_a_gap_is_halved() -> None:
    """Seven commits without a value, the loss in the sixth: three are built."""
    values: list[float | None] = [0.9, *[None] * 7, 0.3]
    found, shop = row(values, {n: 0.9 if n < 6 else 0.3 for n in range(1, 8)})
    assert names(found.narrow(0, 8)) == [("5", "6")] and found.built == len(shop.asked) == 3


def test_a_gap_without_the_loss_is_left_alone() -> None:
    """Where the loss lies between two that are known, nothing is built."""
    found, shop = row([0.9, None, None, 0.88, 0.3], {1: 0.9, 2: 0.88})
    assert names(found.narrow(0, 4)) == [("3", "4")] and shop.asked == []


def test_a_fall_in_steps_may_give_way_to_another_gap() -> None:
    """A gap that turns out to be two halves is smaller than the drop elsewhere."""
    found, _ = row([0.9, None, 0.5, 0.25], {1: 0.7})
    assert names(found.narrow(0, 3))[0] == ("2", "3")


def test_what_cannot_be_built_is_passed_over() -> None:
    """The others of the gap are tried; the pair around it is the answer, with what lies between."""
    found, shop = row([0.9, None, None, None, 0.3], {1: 0.9, 3: 0.3})
    pairs = found.narrow(0, 4)
    assert names(pairs) == [("1", "3")] and sorted(shop.asked) == ["1", "2", "3"]
    assert [revision.commit for revision in found.between(*pairs[0])] == ["2"]
    assert [why for _, why in found.skipped.values()] == ["no such thing can be built"]


def test_trouble_of_this_machine_is_no_property_of_a_commit() -> None:
    """A full disk ends the search."""
    def full(commit: str) -> tuple[Lock, bool]:
        raise fail("disk.full", "the disk is full")

    points = [Point(Revision(str(n), "day", ""), lock(v) if v else None) for n, v in enumerate([0.9, None, 0.1])]
    with pytest.raises(EmbspecError, match="disk is full"):
        _Row(points, Asked("recall@5", ""), full).narrow(0, 2)


@given(st.lists(st.integers(0, 20), min_size=2, max_size=12), st.sets(st.integers(0, 11)))
def test_what_is_named_is_a_real_drop(values: list[int], hidden: set[int]) -> None:
    """Neighbours in the row, with the values they have; never more builds than there are gaps in what is known."""
    last = len(values) - 1
    hidden = {n for n in hidden if 0 < n < last}
    if values[0] <= values[last]:
        return
    known = [None if n in hidden else v / 20 for n, v in enumerate(values)]
    found, shop = row(known, {n: v / 20 for n, v in enumerate(values)})
    worst = found.narrow(0, last)[0]
    before, after = (int(measure.revision.commit) for measure in worst)
    assert after == before + 1 and [m.value for m in worst] == [values[before] / 20, values[after] / 20]
    assert values[before] - values[after] > 0 and len(set(shop.asked)) == len(shop.asked) <= len(hidden)
    if not hidden:
        assert values[before] - values[after] == max(a - b for a, b in pairwise(values))


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """A project with a spec and a lock of the toy street."""
    found = Repository(tmp_path / "project")
    (found.folder / "specs/docs").mkdir(parents=True)
    (found.folder / "specs/a.yaml").write_text("embspec: 1\n")
    return found


def write(repo: Repository, of: Lock | None, name: str, spec: str = "") -> str:
    """One commit; without a lock it only changes the spec."""
    if spec:
        (repo.folder / "specs/a.yaml").write_text(spec)
    if of:
        (repo.folder / "specs/a.lock").write_text(text(of))
    return repo.commit(name)


def searched(repo: Repository, build: Build, words: str = "recall@5", good: str = "", bad: str = "HEAD") -> Found:
    """A search of its history."""
    return search(places(str(repo.folder / "specs/a.yaml")), words, (good, bad), DECLARED, build, lambda digest: None)


def test_commits_that_count(repo: Repository) -> None:
    """Spec, extended specs and inputs do, other files do not; a merge counts as what it brought to the first line."""
    write(repo, lock(0.9), "good")
    shop = Workshop({})
    for name in ("specs/docs/a.md", "specs/more/deep.txt", "base.yml", "README.md"):
        (repo.folder / name).parent.mkdir(exist_ok=True)
        (repo.folder / name).write_text("text")
        shop.values[repo.commit(name)] = 0.9 if name.endswith(".md") else 0.2
    last = write(repo, lock(0.1, rate="9"), "bad")
    found = searched(repo, shop)
    assert {repo.git("log", "-1", "--format=%s", commit) for commit in shop.asked} == {"specs/docs/a.md", "base.yml"}
    assert found.drops[0].after.revision.subject == "base.yml" and found.read == 2 and found.built == 2
    assert found.bad.revision.commit == last


def test_side_branches_are_one_step(repo: Repository) -> None:
    """What a branch did on its way is not looked into: the merge is the commit that lost it."""
    write(repo, lock(0.9), "good")
    repo.git("checkout", "--quiet", "-b", "side")
    write(repo, lock(0.5, rate="5"), "on the side")
    write(repo, lock(0.2, rate="6"), "deeper")
    repo.git("checkout", "--quiet", "main")
    (repo.folder / "other").write_text("x")
    repo.commit("meanwhile")
    repo.git("merge", "--quiet", "--no-ff", "-m", "merge of the side", "side")
    found = searched(repo, Workshop({}))
    assert found.drops[0].after.revision.subject == "merge of the side" and found.read == 2
    assert [(r.field, r.then, r.now) for r in found.drops[0].changes.fields] == [("train.rate", "0.1", "6")]


def test_a_lock_that_contradicts_itself_has_no_value(repo: Repository) -> None:
    """An evaluation of another model than the lock names is not believed: the commit is built."""
    write(repo, lock(0.9), "good")
    torn = lock(0.3, rate="5")
    torn.blocks["train"].out["model"] = lock(rate="7").blocks["train"].out["model"]  # type: ignore[index]
    commit = write(repo, torn, "merged by hand")
    shop = Workshop({commit: 0.9})
    found = searched(repo, shop)
    assert shop.asked == [commit] and not found.drops and found.good.value == found.bad.value == 0.9


def test_the_best_before_is_the_good_end(repo: Repository) -> None:
    """The newest of the best; a rise is no loss; a metric that is better than ever was not lost."""
    for value, name in ((0.5, "low"), (0.9, "best"), (0.9, "best again"), (0.6, "now")):
        write(repo, lock(value, rate=name), name)
    found = searched(repo, Workshop({}))
    assert (found.good.revision.subject, found.drops[0].after.revision.subject) == ("best again", "now")
    assert not searched(repo, Workshop({}), bad="HEAD~1").drops
    assert not searched(repo, Workshop({}), "mrr@10 of tuned").drops


def test_figures_of_texts_that_are_cut_otherwise_are_no_loss(repo: Repository) -> None:
    """What was measured on other texts is neither a good end nor a step; a suite of documents has no such border."""
    for value, tokens, name in ((0.9, "128", "whole"), (0.5, "64", "cut"), (0.95, "128", "back"), (0.6, "64", "again"),
                                (0.4, "64", "worse")):
        write(repo, lock(value, rate=name, tokens=tokens), name)
    found = searched(repo, Workshop({}))
    assert (found.good.revision.subject, found.drops[0].before.revision.subject) == ("again", "again")
    assert [d.after.revision.subject for d in found.drops] == ["worse"] and not found.drops[0].between
    assert [revision.subject for revision in found.recut] == ["whole", "back"]
    assert "the documents are cut otherwise" in found.unalike
    found = searched(repo, Workshop({}), good="HEAD~3")  # across `back`, whose figure is another thing's
    assert [(d.before.revision.subject, d.between) for d in found.drops] == [("again", ())]
    with pytest.raises(EmbspecError, match="the documents are cut otherwise") as caught:
        searched(repo, Workshop({}), good="HEAD~4")
    assert caught.value.exit == USAGE
    found = searched(repo, Workshop({}), "recall@5 of tuned on documents")
    assert found.good.revision.subject == "back" and not found.recut


def test_a_commit_that_is_built_may_be_cut_otherwise(repo: Repository) -> None:
    """It is no commit that could not be built, and nothing of it is a loss."""
    write(repo, lock(0.9, tokens="64"), "good")
    commit = write(repo, None, "aside", "embspec: 1 # other\n")
    write(repo, lock(0.3, rate="9", tokens="64"), "bad")
    of = lock(0.6, tokens="32")
    found = searched(repo, lambda revision: (of, True))
    assert (found.built, found.skipped, [r.commit for r in found.recut]) == (1, (), [commit])
    assert [(d.after.revision.subject, d.between) for d in found.drops] == [("bad", ())]


def test_an_end_that_no_lock_knows_is_built(repo: Repository) -> None:
    """HEAD's spec moved without its lock: it is built, or where it cannot be, said to have no value."""
    write(repo, lock(0.9), "good")
    commit = write(repo, None, "moved", "embspec: 1 # other\n")
    assert searched(repo, Workshop({commit: 0.2})).drops[0].after.revision.subject == "moved"
    with pytest.raises(EmbspecError, match=rf"HEAD \({commit[:8]}\) has no recall@5 of what ships: no such thing"):
        searched(repo, Workshop({}))


def test_ends_that_are_none(repo: Repository) -> None:
    """No lock in the history, an end that git does not know, one that lies elsewhere."""
    repo.commit("no lock yet")
    for good, bad in (("", "HEAD"), ("", "never")):
        with pytest.raises(EmbspecError) as caught:
            searched(repo, Workshop({}), good=good, bad=bad)
        assert caught.value.exit == USAGE
    write(repo, lock(0.9), "good")
    repo.git("checkout", "--quiet", "-b", "side")
    write(repo, lock(0.5, rate="5"), "aside")
    repo.git("checkout", "--quiet", "main")
    with pytest.raises(EmbspecError, match="not among the first parents"):
        searched(repo, Workshop({}), good="side")
