"""Bytes are asked for only where somebody opens them, and made again where nobody has them."""

from __future__ import annotations

from embspec.plan.plan import CLEAN, RUN
from embspec.plan.values import Wish, digest_of
from tests.support.toys import Toys, built, moving, reasons, states


def lose(toys: Toys, *roles: str) -> None:
    """The store no longer has these artefacts."""
    for role in roles:
        stage, artefact = role.rsplit("/", 1)
        toys.objects.pop(digest_of(toys.blocks[stage].out[artefact]))


def test_nothing_is_asked_of_a_clean_build() -> None:
    """`out/` stands and every key holds: no object is looked up."""
    toys = built()
    toys.asked.clear()
    assert moving(toys.plan()) == {} and toys.asked == []


def test_bytes_that_nobody_opens_are_not_missed() -> None:
    """An emptied store and a published build: up to date."""
    toys = built()
    toys.objects.clear()
    assert moving(toys.plan()) == {}


def test_a_stage_that_runs_asks_for_what_it_opens() -> None:
    """Back up the street as far as bytes are missing, each with the reason `store`."""
    toys = built()
    lose(toys, "split/train", "split/test", "pairs.gold/rows")
    toys.values["train.rate"] = 0.2
    now = toys.plan()
    assert [n for n, s in states(now).items() if s == RUN] == ["pairs.gold", "split", "train", "report"]
    (reason,) = next(s.why for s in now.steps if s.node.name == "split")
    assert (reason.field, reason.then, reason.now) == ("store", digest_of(toys.blocks["split"].out["train"]), "missing")
    before = dict(toys.blocks)
    assert toys.build()[:3] == ["pairs.gold", "split", "train"]
    assert toys.blocks["split"] == before["split"] and toys.blocks["train"] != before["train"]


def test_bytes_that_are_asked_for_are_brought() -> None:
    """Whoever wants an artefact itself has it made again where it is nowhere; what is at hand makes no work."""
    toys = built()
    wish = Wish(publish=False, bring=frozenset({"split/test", "evaluate/scores"}))
    assert moving(toys.plan(wish)) == {}
    lose(toys, "split/train", "split/test", "pairs.gold/rows")
    assert moving(toys.plan(wish)) == {"pairs.gold": RUN, "split": RUN}
    assert moving(toys.plan(Wish(publish=False))) == {}


def test_the_lock_is_not_stale_because_bytes_are_missing() -> None:
    """What the lock says still holds; only work is to be done."""
    toys = built()
    lose(toys, "evaluate/scores")
    toys.acts = {k: v for k, v in toys.acts.items() if v[0].ingredients["stage"] != "report"}
    now = toys.plan()
    assert [s.node.name for s in now.work] == ["evaluate", "report"] and now.stale == ()


def test_a_stage_that_may_stay_asks_for_nothing() -> None:
    """Behind a stage that will run nothing is known to be needed yet."""
    toys = built()
    lose(toys, "split/train")
    toys.values["seed"] = 7
    assert reasons(toys.plan(), "split") == ["seed"]
    toys.asked.clear()
    toys.values["seed"] = 42
    toys.files["docs/a"] = "o n e"
    toys.plan()
    assert digest_of(toys.blocks["split"].out["train"]) not in toys.asked


def test_out_asks_for_what_it_should_hold() -> None:
    """An artefact that `out/` lacks is brought from the store, or made again where the store has lost it."""
    toys = built()
    assert toys.plan().idle and toys.plan().behind == ()
    del toys.out["model"]
    assert toys.plan().behind == ("model",) and not toys.plan().idle and toys.plan(Wish(publish=False)).idle
    assert toys.plan().work == () and toys.build() == [] and "model" in toys.out
    del toys.out["model"]
    lose(toys, "train/model")
    assert [s.node.name for s in toys.plan().work] == ["train"]
    assert toys.plan(Wish(publish=False)).work == ()
    assert toys.build() == ["train"] and "model" in toys.out


def test_an_emptied_store_and_out_build_everything_again() -> None:
    """From lock and live files alone, ending in the same lock."""
    toys = built()
    before = dict(toys.blocks)
    toys.objects.clear()
    toys.acts.clear()
    toys.out.clear()
    ran = toys.build()
    assert toys.blocks == before and {"corpus", "train", "index", "report"} <= set(ran) and moving(toys.plan()) == {}


def test_a_snapshot_is_made_again_where_the_live_corpus_is_still_it() -> None:
    """The corpus runs again and makes the pinned bytes."""
    toys = built()
    lose(toys, "corpus/documents")
    toys.values["seed"] = 7
    now = toys.plan()
    assert states(now)["corpus"] == RUN and reasons(now, "corpus") == ["store"] and not now.lost
    assert toys.build()[:2] == ["corpus", "split"]


def test_lost_bytes_are_named() -> None:
    """A snapshot that nobody has, and that the live files do not make any more, is lost: no stage can make it."""
    toys = built()
    toys.files["docs/c"] = "three"
    toys.build()
    toys.objects.pop(digest_of(toys.blocks["snapshot"].pin["documents"]))
    assert toys.plan().lost == ()  # nobody opens it
    toys.values["seed"] = 7
    assert toys.plan().lost == (("snapshot/documents", toys.blocks["snapshot"].pin["documents"]),)


def test_before_the_corpus_ran_nothing_is_called_lost() -> None:
    """The files may have been brought back: that is known when they have been read."""
    toys = built()
    toys.files["docs/c"] = "three"
    toys.build()
    toys.objects.pop(digest_of(toys.blocks["snapshot"].pin["documents"]))
    del toys.files["docs/c"]
    toys.acts = {k: v for k, v in toys.acts.items() if v[0].ingredients["stage"] != "corpus"}
    toys.values["seed"] = 7
    assert states(toys.plan())["corpus"] == RUN and toys.plan().lost == ()
    assert toys.build()[:2] == ["corpus", "split"]


def test_missing_bytes_are_made_by_the_newer_recipe() -> None:
    """The old code is gone: the stage runs by today's recipe, says so, and the lock takes it."""
    toys = built()
    toys.street = tuple(s._replace(recipe=2) if s.name == "train" else s for s in toys.street)
    assert states(toys.plan())["train"] == CLEAN
    lose(toys, "train/model")
    toys.out.clear()
    assert reasons(toys.plan(), "train") == ["store", "recipe"]
    toys.build()
    assert toys.blocks["train"].recipe == "2" and moving(toys.plan()) == {}
