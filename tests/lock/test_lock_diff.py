"""What two locks say differently."""

from __future__ import annotations

from embspec.lock.diff import diff
from embspec.lock.text import Lock
from embspec.plan.keys import Reason
from embspec.plan.values import Block

OLD = Lock(
    {
        "corpus": Block(
            "1",
            {},
            {"corpus.path": "docs"},
            {"tree": "sha256:a 1 file"},
            "k1",
            {"manifest": "sha256:m1 3"},
            {"documents": "3"},
        ),
        "split": Block("1", {"duplicates": "1"}, {"seed": "42"}, {}, "k2", {}, {"test.queries": "9"}),
        "train": Block("1", {}, {"train.rate": "0.1"}, {}, "k3", {"model": "tree sha256:x 9"}),
    }
)


def test_equal_locks_differ_in_nothing() -> None:
    """Nor does another environment or key alone: it is no fact of its own."""
    assert diff(OLD, OLD) == []
    moved = Lock({n: b._replace(env="env-1234") for n, b in OLD.blocks.items()}, {"env-1234": {"python": "3"}})
    assert diff(OLD, moved) == []


def test_each_fact_in_its_own_place() -> None:
    """Parameters with recipes, pins, bytes and figures; a stage that is equal is not named."""
    now = dict(OLD.blocks)
    now["corpus"] = now["corpus"]._replace(
        pin={"tree": "sha256:b 2 files"}, out={"manifest": "sha256:m2 4"}, stat={"documents": "4"}
    )
    now["split"] = now["split"]._replace(recipe="2", uses={"duplicates": "2"}, params={"seed": "7"})
    corpus, split = diff(OLD, Lock(now))
    assert (corpus.name, corpus.state, corpus.params) == ("corpus", "changed", ())
    assert corpus.pins == (Reason("tree", "sha256:a 1 file", "sha256:b 2 files"),)
    assert corpus.outs == (Reason("manifest", "sha256:m1 3", "sha256:m2 4"),) and corpus.stat == (
        Reason("documents", "3", "4"),
    )
    assert [r.field for r in split.params] == ["recipe", "seed", "uses duplicates"] and not split.outs


def test_stages_that_came_and_went() -> None:
    """In the order of the newer lock, the gone ones last."""
    now = Lock({"faq": Block("1"), **{n: b for n, b in OLD.blocks.items() if n != "train"}})
    assert [(d.name, d.state) for d in diff(OLD, now)] == [("faq", "added"), ("train", "removed")]


def test_it_is_the_same_way_back() -> None:
    """What was then is now, and the other way round."""
    now = Lock({**OLD.blocks, "split": OLD.blocks["split"]._replace(params={"seed": "7"})})
    (there,), (back,) = diff(OLD, now), diff(now, OLD)
    assert [(r.field, r.now, r.then) for r in back.params] == [(r.field, r.then, r.now) for r in there.params]


def test_a_field_that_says_what_always_was_is_no_difference() -> None:
    """A lock that was written before there was the field, beside one that was written after."""
    before, after = (Lock({"train": Block("1", {}, params)}) for params in ({"a": "1"}, {"a": "1", "b": "null"}))
    assert diff(before, after, {"b": "null"}) == [] == diff(after, before, {"b": "null"})
    assert [d.params for d in diff(before, after)] == [(Reason("b", None, "null"),)]
    assert [d.params for d in diff(before, after, {"b": "0"})] == [(Reason("b", None, "null"),)]
